"""First-order methods: each step is one native pass over θ and the method's state, in place.

An optimizer holds a model's parameters; ``step(g)`` takes a gradient with the layout of θ, from backpropagation
(`value_and_grad`) or contrastive divergence alike. The learning rate ``lr`` is a number or a schedule, a function of
the number of steps made.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import ops
from ..nn import Parameters
from ..ops.creation import is_number
from ..tensor import Tensor, tensor

LearningRate = float | Callable[[int], float]


def _check(owner: str, **limits: tuple[Any, bool, str]) -> None:
    for name, (value, good, expected) in limits.items():
        if not good:
            raise ValueError(f"{owner}: {name} is {value!r}, expected {expected}")


def _at_least_zero(value: Any) -> tuple[Any, bool, str]:
    return value, is_number(value) and 0 <= value < math.inf, "a finite number >= 0"


def _below_one(value: Any) -> tuple[Any, bool, str]:
    return value, is_number(value) and 0 <= value < 1, "a number in [0, 1)"


class Optimizer:
    """Base: counts steps and owns the state, tensors of θ's layout by name."""

    def __init__(self, parameters: Parameters, lr: LearningRate) -> None:
        if not isinstance(parameters, Parameters):
            raise TypeError(
                f"{type(self).__name__}: parameters is a {type(parameters).__name__}, "
                "expected Parameters (model.parameters)"
            )
        if not callable(lr):
            _check(type(self).__name__, lr=_at_least_zero(lr))
        self.parameters = parameters
        self.lr = lr
        self.steps = 0
        self.state: dict[str, Tensor] = {}

    def _new_state(self, name: str, value: float = 0.0) -> None:
        theta = self.parameters.storage
        self.state[name] = ops.full(theta.shape, value, theta.dtype)

    def current_lr(self) -> float:
        """The learning rate of the next step."""
        if not callable(self.lr):
            return self.lr
        lr = float(self.lr(self.steps))
        _check(type(self).__name__, lr=_at_least_zero(lr))
        return lr

    def step(self, gradient: Tensor) -> None:
        """Update θ in place from a gradient of its layout.

        Raises
        ------
        TypeError, ValueError
            If the gradient is no tensor of θ's shape and dtype, or the schedule gives a rate that is negative or not
            finite.
        RuntimeError
            If the modules have been laid out in another vector since.
        """
        self.parameters.require_current(type(self).__name__)
        theta = self.parameters.storage
        if not isinstance(gradient, Tensor):
            raise TypeError(f"{type(self).__name__}: gradient is a {type(gradient).__name__}, expected a Tensor")
        if gradient.array.shape != theta.array.shape:
            raise ValueError(f"{type(self).__name__}: gradient is {gradient.shape}, expected {theta.shape}")
        self._update(theta.array.device, theta.array, gradient.array, self.current_lr())
        self.steps += 1

    def _update(self, device: Any, theta: Any, gradient: Any, lr: float) -> None:
        raise TypeError(f"{type(self).__name__} defines no update")

    def state_dict(self) -> dict[str, Any]:
        """Steps made and the state, as NumPy copies; enough to go on bit for bit."""
        return {"steps": self.steps, "state": {name: values.numpy() for name, values in self.state.items()}}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Restore what `state_dict` gave.

        Raises
        ------
        ValueError
            For other names or shapes than this optimizer's; nothing is changed then.
        """
        owner = type(self).__name__
        steps, state = saved["steps"], saved["state"]
        if not isinstance(steps, (int, np.integer)) or isinstance(steps, bool) or steps < 0:
            raise ValueError(f"{owner}: steps is {steps!r}, expected an integer >= 0")
        if set(state) != set(self.state):
            raise ValueError(f"{owner}: state has {sorted(state)}, expected {sorted(self.state)}")
        new = {name: tensor(values, self.state[name].dtype) for name, values in state.items()}
        for name, values in new.items():
            if values.shape != self.state[name].shape:
                raise ValueError(f"{owner}: {name} is {values.shape}, expected {self.state[name].shape}")
        for name, values in new.items():
            self.state[name].array.assign(values.array)
        self.steps = int(steps)


class SGD(Optimizer):
    """θ ← θ − lr · v, with v ← momentum · v + g (v = g without momentum); Nesterov's form steps along g + momentum · v.

    Weight decay adds weight_decay · θ to g.

    References
    ----------
    Robbins, Monro (1951); Polyak (1964); Sutskever, Martens, Dahl, Hinton (2013).
    """

    def __init__(
        self,
        parameters: Parameters,
        lr: LearningRate = 0.01,
        momentum: float = 0.0,
        dampening: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(parameters, lr)
        _check("SGD", momentum=_below_one(momentum), dampening=_below_one(dampening))
        _check("SGD", weight_decay=_at_least_zero(weight_decay))
        if nesterov and (momentum == 0 or dampening != 0):
            raise ValueError("SGD: nesterov needs a momentum above 0 and no dampening")
        self.momentum, self.dampening, self.nesterov = momentum, dampening, nesterov
        self.weight_decay = weight_decay
        if momentum:
            self._new_state("velocity")

    def _update(self, device: Any, theta: Any, gradient: Any, lr: float) -> None:
        velocity = self.state["velocity"].array if self.momentum else None
        device.sgd(
            theta,
            gradient,
            velocity,
            lr,
            self.momentum,
            self.dampening,
            self.nesterov,
            self.weight_decay,
            self.steps == 0,  # the first velocity is the gradient itself
        )


class AdaGrad(Optimizer):
    """s ← s + g²; θ ← θ − lr · g / (√s + eps). Duchi, Hazan, Singer (2011)."""

    def __init__(
        self, parameters: Parameters, lr: LearningRate = 0.01, eps: float = 1e-10, weight_decay: float = 0.0
    ) -> None:
        super().__init__(parameters, lr)
        _check("AdaGrad", eps=_at_least_zero(eps), weight_decay=_at_least_zero(weight_decay))
        self.eps, self.weight_decay = eps, weight_decay
        self._new_state("sum_of_squares")

    def _update(self, device: Any, theta: Any, gradient: Any, lr: float) -> None:
        device.adagrad(theta, gradient, self.state["sum_of_squares"].array, lr, self.eps, self.weight_decay)


class RMSProp(Optimizer):
    """s ← alpha s + (1 − alpha) g²; θ ← θ − lr · g / (√s + eps), with momentum where asked.

    Centred: s − ḡ² under the root, with ḡ the running mean of g.

    References
    ----------
    Tieleman, Hinton (2012), Lecture 6.5; Graves (2013) for the centred form.
    """

    def __init__(
        self,
        parameters: Parameters,
        lr: LearningRate = 0.01,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
    ) -> None:
        super().__init__(parameters, lr)
        _check("RMSProp", alpha=_below_one(alpha), momentum=_below_one(momentum))
        _check("RMSProp", eps=_at_least_zero(eps), weight_decay=_at_least_zero(weight_decay))
        self.alpha, self.eps, self.weight_decay, self.momentum = alpha, eps, weight_decay, momentum
        self._new_state("square_average")
        if momentum:
            self._new_state("momentum_buffer")
        if centered:
            self._new_state("gradient_average")

    def _update(self, device: Any, theta: Any, gradient: Any, lr: float) -> None:
        state = {name: values.array for name, values in self.state.items()}
        device.rmsprop(
            theta,
            gradient,
            state["square_average"],
            lr,
            self.alpha,
            self.eps,
            self.weight_decay,
            state.get("momentum_buffer"),
            self.momentum,
            state.get("gradient_average"),
        )


class Adam(Optimizer):
    """m ← β₁m + (1 − β₁)g; s ← β₂s + (1 − β₂)g²; θ ← θ − lr · m̂ / (√ŝ + eps), with bias-corrected m̂, ŝ.

    Weight decay adds weight_decay · θ to g; see AdamW for the decoupled form.

    References
    ----------
    Kingma, Ba (2015), algorithm 1.
    """

    _kernel = "adam"

    def __init__(
        self,
        parameters: Parameters,
        lr: LearningRate = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(parameters, lr)
        owner = type(self).__name__
        if len(betas) != 2:
            raise ValueError(f"{owner}: betas are {betas!r}, expected two numbers")
        _check(owner, beta1=_below_one(betas[0]), beta2=_below_one(betas[1]))
        _check(owner, eps=_at_least_zero(eps), weight_decay=_at_least_zero(weight_decay))
        self.betas, self.eps, self.weight_decay = betas, eps, weight_decay
        self._new_state("first_moment")
        self._new_state("second_moment")

    def _update(self, device: Any, theta: Any, gradient: Any, lr: float) -> None:
        getattr(device, self._kernel)(
            theta,
            gradient,
            self.state["first_moment"].array,
            self.state["second_moment"].array,
            self.steps + 1,
            lr,
            *self.betas,
            self.eps,
            self.weight_decay,
        )


class AdamW(Adam):
    """Adam with decoupled weight decay: θ ← θ − lr · weight_decay · θ before Adam's step.

    References
    ----------
    Loshchilov, Hutter (2019), Decoupled weight decay regularization, algorithm 2.
    """

    _kernel = "adamw"

    def __init__(
        self,
        parameters: Parameters,
        lr: LearningRate = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(parameters, lr, betas, eps, weight_decay)
