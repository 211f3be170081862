"""Kullback–Leibler divergence and the Poisson likelihood."""

from __future__ import annotations

import math
from typing import Any

from .. import ops
from ..tensor import Operand, Tensor
from .base import Loss, Pointwise, diagonal_blocks, number, pair, require_range, to_rows
from .cross_entropy import softmax_blocks

INPUTS = ("probabilities", "log_probabilities", "logits")


class KLDivergence(Loss):
    """Σ y log(y / p) of each row; see `kl_divergence`."""

    name = "kl_divergence"
    domain = "p >= 0, its logarithm, or logits; y >= 0 (the Lipschitz constant is for sums up to 1)"
    rows = True

    def __init__(self, input: str = "probabilities", reduction: str = "mean") -> None:
        super().__init__(reduction)
        if input not in INPUTS:
            raise ValueError(f"kl_divergence: input is {input!r}, expected one of {', '.join(INPUTS)}")
        self.input = input
        self.lipschitz = math.inf if input == "probabilities" else 1.0

    def losses(self, prediction: Operand, target: Any) -> tuple[Tensor, Tensor | None]:
        f, y = pair(prediction, target, self.name)
        f, lead = to_rows(f, self.name, self.input.replace("_", " "))
        y = to_rows(y, self.name)[0]
        require_range(self.name, "target", y, 0, math.inf)
        if self.input == "probabilities":
            require_range(self.name, "probability", f, 0, math.inf)
            losses = ops.sum(ops.pointwise_loss(f, y, "kl"), 1)
        elif self.input == "logits":
            losses = ops.softmax_divergence(f, y)
        else:
            losses = ops.sum(ops.pointwise_loss(f, y, "kl_log"), 1)
        return ops.reshape(losses, lead), None

    def blocks(self, f: Tensor, target: Any) -> Tensor:
        if self.input == "log_probabilities":
            return super().blocks(f, target)
        rows, lead = to_rows(f, self.name)
        y = to_rows(pair(f, target, self.name)[1], self.name)[0]
        if self.input == "logits":
            found = softmax_blocks(rows) * ops.reshape(ops.sum(y, 1), (rows.shape[0], 1, 1))
        else:
            found = diagonal_blocks(rows, y)
        return ops.reshape(found, (*lead, rows.shape[1], rows.shape[1]))


class Poisson(Pointwise):
    """e^f − y f, or f − y log f; see `poisson`."""

    name = "poisson"
    domain = "f real (log input) or f >= 0; y >= 0"

    def __init__(self, log_input: bool = True, full: bool = False, eps: float = 0.0, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.log_input, self.full = bool(log_input), bool(full)
        self.eps = number(self.name, eps, "eps")

    def losses(self, prediction: Operand, target: Any) -> tuple[Tensor, Tensor | None]:
        f, y = pair(prediction, target, self.name)
        require_range(self.name, "target", y, 0, math.inf)
        if not self.log_input:
            require_range(self.name, "rate", f, 0, math.inf)
        losses = ops.pointwise_loss(f, y, "poisson_log" if self.log_input else "poisson", self.eps)
        if self.full:  # Stirling: log y! = y log y − y + ½ log(2π y)
            large = ops.greater(y, 1.0)
            safe = ops.where(large, y, 1.0)
            log_y = ops.log(safe)
            stirling = safe * log_y - safe + ops.affine(log_y, 0.5, 0.5 * math.log(2 * math.pi))
            losses = losses + ops.where(large, stirling, 0.0)
        return losses, None


def kl_divergence(
    prediction: Operand,
    target: Operand,
    input: str = "probabilities",
    reduction: str = "mean",
    sample_weight: Operand | None = None,
) -> Tensor:
    """Σ y log(y / p) of each row: what the prediction p loses against the distribution y; 0 log 0 is 0.

    Convex; of logarithms and scores Lipschitz in each with constant 1 for targets that sum to at most 1.
    The mean is over the rows (PyTorch's "batchmean").

    Parameters
    ----------
    prediction : (n, classes) or (n, classes, d1, ...): p, log p or scores of a softmax, as `input` says
    target : of the same shape, >= 0
    input : "probabilities", "log_probabilities" or "logits"

    References
    ----------
    Kullback, Leibler (1951), On information and sufficiency.
    """
    return KLDivergence(input, reduction)(prediction, target, sample_weight)


def poisson(
    prediction: Operand,
    target: Operand,
    log_input: bool = True,
    full: bool = False,
    eps: float = 0.0,
    reduction: str = "mean",
    sample_weight: Operand | None = None,
) -> Tensor:
    """e^f − y f for the logarithm f of a rate, f − y log(f + eps) for a rate f: −log of the Poisson probability of y.

    Convex, not Lipschitz; log y! is left out unless `full`.

    Parameters
    ----------
    target : counts >= 0
    full : add Stirling's y log y − y + ½ log(2π y) where y > 1
    eps : >= 0, keeps log f finite; only without `log_input`
    """
    return Poisson(log_input, full, eps, reduction)(prediction, target, sample_weight)
