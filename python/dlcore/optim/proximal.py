"""Proximal steps: what an optimizer does to a smooth loss, and then the exact step of a penalty that is not smooth."""

from __future__ import annotations

from collections.abc import Iterable

from .. import ops
from ..losses.base import number
from ..penalties import proximal_l1
from ..tensor import Tensor
from .optimizer import Optimizer


class ProximalL1:
    """θ ← soft(optimizer's step of θ, lr · l1): minimises loss + l1 Σ |w| with weights that are exactly 0.

    With plain `SGD` and the full gradient this is ISTA, which converges for lr up to 1/L, L the gradient's Lipschitz
    constant; with momentum or adaptive steps it thresholds by the same lr · l1, a heuristic for which no fixed point is
    proved.

    Parameters
    ----------
    optimizer : of the parameters, for the loss without the L1 term
    l1 : λ >= 0
    names : of the parameters to be thresholded; by default those that end in "weight"

    References
    ----------
    Beck, Teboulle (2009), A fast iterative shrinkage-thresholding algorithm, equation 1.5.
    """

    def __init__(self, optimizer: Optimizer, l1: float, names: Iterable[str] | None = None) -> None:
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"ProximalL1: optimizer is a {type(optimizer).__name__}, expected an Optimizer")
        self.l1 = number("ProximalL1", l1, "l1")
        every = list(optimizer.parameters)
        chosen = [name for name in every if name.split(".")[-1] == "weight"] if names is None else list(names)
        unknown = sorted(set(chosen) - set(every))
        if unknown:
            raise ValueError(f"ProximalL1: names has {unknown}, expected names of {every}")
        if not chosen:
            raise ValueError(f"ProximalL1: no parameter is chosen, expected names of {every}")
        self.optimizer, self.names = optimizer, chosen

    def step(self, gradient: Tensor) -> None:
        """The optimizer's step with the gradient of the smooth part, then the threshold."""
        threshold = self.optimizer.current_lr() * self.l1
        self.optimizer.step(gradient)
        for name in self.names:
            value = self.optimizer.parameters[name]
            value.array.assign(proximal_l1(Tensor(value.array), threshold).array)

    def penalty(self) -> float:
        """l1 Σ |w| of the parameters now."""
        chosen = (self.optimizer.parameters[name] for name in self.names)
        return self.l1 * sum(ops.sum(ops.abs(Tensor(w.array))).item() for w in chosen)
