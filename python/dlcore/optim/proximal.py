"""Proximal steps: what an optimizer does to a smooth loss, and then the exact step of a penalty that is not smooth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .. import ops
from ..losses.base import number
from ..penalties import proximal_l1
from ..tensor import Tensor
from .groups import Group
from .optimizer import LearningRate, Optimizer
from .sign import Rprop


class ProximalL1(Optimizer):
    """θ ← soft(optimizer's step of θ, lr · l1): minimises loss + l1 Σ |w| with weights that are exactly 0.

    With plain `SGD` and the full gradient this is ISTA, which converges for lr up to 1/L, L the gradient's Lipschitz
    constant; with momentum or adaptive steps it thresholds by the same lr · l1, a heuristic for which no fixed point is
    proved. The lr is that of a parameter's group; frozen groups are not thresholded.

    An optimizer itself, which takes its steps, state and learning rate from the one it wraps.

    Parameters
    ----------
    optimizer : of the parameters, for the loss without the L1 term; one that minimises and has a learning rate
    l1 : λ >= 0
    names : of the parameters to be thresholded; by default those that end in "weight"

    References
    ----------
    Beck, Teboulle (2009), A fast iterative shrinkage-thresholding algorithm, equation 1.5.
    """

    def __init__(self, optimizer: Optimizer, l1: float, names: Iterable[str] | None = None) -> None:
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"ProximalL1: optimizer is a {type(optimizer).__name__}, expected an Optimizer")
        if isinstance(optimizer, (Rprop, ProximalL1)) or hasattr(optimizer, "minimize_batch"):
            raise ValueError(f"ProximalL1: optimizer is {type(optimizer).__name__}, which has no lr to threshold by")
        if optimizer.maximize:
            raise ValueError("ProximalL1: optimizer has maximize=True, expected one that minimises")
        self.l1 = number("ProximalL1", l1, "l1")
        every = list(optimizer.parameters)
        chosen = [name for name in every if name.split(".")[-1] == "weight"] if names is None else list(names)
        unknown = sorted(set(chosen) - set(every))
        if unknown:
            raise ValueError(f"ProximalL1: names has {unknown}, expected names of {every}")
        if not chosen:
            raise ValueError(f"ProximalL1: no parameter is chosen, expected names of {every}")
        self.optimizer, self.names = optimizer, chosen
        self.parameters, self.maximize = optimizer.parameters, False
        self.groups, self.state = optimizer.groups, optimizer.state  # the same objects, changed in place

    @property
    def lr(self) -> LearningRate:
        return self.optimizer.lr

    @lr.setter
    def lr(self, value: LearningRate) -> None:
        self.optimizer.lr = value

    @property
    def lr_factor(self) -> float:
        return self.optimizer.lr_factor

    @lr_factor.setter
    def lr_factor(self, value: float) -> None:
        self.optimizer.lr_factor = value

    @property
    def steps(self) -> int:
        return self.optimizer.steps

    @steps.setter
    def steps(self, value: int) -> None:
        self.optimizer.steps = value

    def values(self, group: Group) -> dict[str, float]:
        return self.optimizer.values(group)

    def current_lr(self) -> float:
        return self.optimizer.current_lr()

    def bind_epochs(self, steps_in_epoch: int) -> None:
        self.optimizer.bind_epochs(steps_in_epoch)

    def state_dict(self) -> dict[str, Any]:
        return self.optimizer.state_dict()

    def check_state_dict(self, saved: Mapping[str, Any]) -> dict[str, Tensor]:
        return self.optimizer.check_state_dict(saved)

    def load_state_dict(self, saved: Mapping[str, Any]) -> None:
        self.optimizer.load_state_dict(saved)

    def step(self, gradient: Tensor) -> None:
        """The optimizer's step with the gradient of the smooth part, then the threshold."""
        lr = {
            name: self.optimizer.values(group)["lr"]
            for group in self.groups
            if not group.frozen
            for name in group.names
        }
        self.optimizer.step(gradient)
        for name in self.names:
            if name in lr:
                value = self.optimizer.parameters[name]
                value.array.assign(proximal_l1(Tensor(value.array), lr[name] * self.l1).array)

    def penalty(self) -> float:
        """l1 Σ |w| of the parameters now."""
        chosen = (self.optimizer.parameters[name] for name in self.names)
        return self.l1 * sum(ops.sum(ops.abs(Tensor(w.array))).item() for w in chosen)
