"""Methods that scale each parameter's step by the size of its past gradients: AdaGrad, RMSProp, AdaDelta."""

from __future__ import annotations

from typing import Any, ClassVar

from ..nn import Parameters
from .groups import Group
from .optimizer import LearningRate, Optimizer, Value
from .ranges import AT_LEAST_ZERO, BELOW_ONE, require, require_flags


class AdaGrad(Optimizer):
    """s ← s + g²; θ ← θ − lr / (1 + t · lr_decay) · g / (√s + eps), with t the steps made before.

    Parameters
    ----------
    eps, weight_decay, lr_decay : numbers >= 0 or schedules; the decay adds weight_decay · θ to g
    initial_accumulator_value : number >= 0 at which s begins
    **common : see `Optimizer`

    References
    ----------
    Duchi, Hazan, Singer (2011), Adaptive subgradient methods for online learning and stochastic optimization, figure 1.
    """

    eps: Value
    weight_decay: Value
    lr_decay: Value
    _options: ClassVar = dict.fromkeys(("lr", "eps", "weight_decay", "lr_decay"), AT_LEAST_ZERO)

    def __init__(
        self,
        parameters: Parameters,
        lr: LearningRate = 0.01,
        eps: Value = 1e-10,
        weight_decay: Value = 0.0,
        lr_decay: Value = 0.0,
        initial_accumulator_value: float = 0.0,
        **common: Any,
    ) -> None:
        super().__init__(parameters, lr, eps=eps, weight_decay=weight_decay, lr_decay=lr_decay, **common)
        require("AdaGrad", AT_LEAST_ZERO, initial_accumulator_value=initial_accumulator_value)
        self._new_state("sum_of_squares", initial_accumulator_value)

    def _update(
        self, theta: Any, g: Any, state: dict[str, Any], group: Group, values: dict[str, float], scale: float, runs: Any
    ) -> None:
        lr = values["lr"] / (1.0 + group.steps * values["lr_decay"])
        theta.device.adagrad(theta, g, state["sum_of_squares"], lr, values["eps"], values["weight_decay"], scale, runs)


class RMSProp(Optimizer):
    """s ← alpha s + (1 − alpha) g²; b ← momentum · b + g / (√s + eps); θ ← θ − lr · b.

    Centred: s − ḡ² under the root, with ḡ the running mean of g.

    Parameters
    ----------
    alpha, momentum : numbers in [0, 1) or schedules
    eps, weight_decay : numbers >= 0 or schedules; the decay adds weight_decay · θ to g
    centered : bool
    **common : see `Optimizer`

    References
    ----------
    Tieleman, Hinton (2012), Neural networks for machine learning, lecture 6.5; Graves (2013), Generating sequences with
    recurrent neural networks, equations 38 to 45, for the centred form (eps stands outside the root here).
    """

    alpha: Value
    eps: Value
    weight_decay: Value
    momentum: Value
    _options: ClassVar = {
        "lr": AT_LEAST_ZERO,
        "alpha": BELOW_ONE,
        "momentum": BELOW_ONE,
        "eps": AT_LEAST_ZERO,
        "weight_decay": AT_LEAST_ZERO,
    }

    def __init__(
        self,
        parameters: Parameters,
        lr: LearningRate = 0.01,
        alpha: Value = 0.99,
        eps: Value = 1e-8,
        weight_decay: Value = 0.0,
        momentum: Value = 0.0,
        centered: bool = False,
        **common: Any,
    ) -> None:
        super().__init__(parameters, lr, alpha=alpha, eps=eps, weight_decay=weight_decay, momentum=momentum, **common)
        require_flags("RMSProp", centered=centered)
        self._new_state("square_average")
        if any(callable(value) or value for value in self._given("momentum")):
            self._new_state("momentum_buffer")
        if centered:
            self._new_state("gradient_average")

    def _update(
        self, theta: Any, g: Any, state: dict[str, Any], group: Group, values: dict[str, float], scale: float, runs: Any
    ) -> None:
        theta.device.rmsprop(
            theta,
            g,
            state["square_average"],
            values["lr"],
            values["alpha"],
            values["eps"],
            values["weight_decay"],
            state.get("momentum_buffer"),
            values["momentum"],
            state.get("gradient_average"),
            scale,
            runs,
        )


class AdaDelta(Optimizer):
    """s ← ρs + (1 − ρ)g²; d = √((u + eps) / (s + eps)) g; u ← ρu + (1 − ρ)d²; θ ← θ − lr · d.

    Parameters
    ----------
    lr : 1 in the paper, which has none
    rho : number in [0, 1) or a schedule
    eps, weight_decay : numbers >= 0 or schedules; the decay adds weight_decay · θ to g
    **common : see `Optimizer`

    References
    ----------
    Zeiler (2012), ADADELTA: an adaptive learning rate method, algorithm 1.
    """

    rho: Value
    eps: Value
    weight_decay: Value
    _options: ClassVar = {
        "lr": AT_LEAST_ZERO,
        "rho": BELOW_ONE,
        "eps": AT_LEAST_ZERO,
        "weight_decay": AT_LEAST_ZERO,
    }

    def __init__(
        self,
        parameters: Parameters,
        lr: LearningRate = 1.0,
        rho: Value = 0.9,
        eps: Value = 1e-6,
        weight_decay: Value = 0.0,
        **common: Any,
    ) -> None:
        super().__init__(parameters, lr, rho=rho, eps=eps, weight_decay=weight_decay, **common)
        self._new_state("square_average")
        self._new_state("delta_average")

    def _update(
        self, theta: Any, g: Any, state: dict[str, Any], group: Group, values: dict[str, float], scale: float, runs: Any
    ) -> None:
        theta.device.adadelta(
            theta,
            g,
            state["square_average"],
            state["delta_average"],
            values["lr"],
            values["rho"],
            values["eps"],
            values["weight_decay"],
            scale,
            runs,
        )
