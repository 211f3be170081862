"""Losses of independent events: probabilities, or the scores that a sigmoid turns into them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import ops
from ..tensor import Operand, Tensor
from .base import Loss, Pointwise, class_weights, number, pair, require, require_range


class _Logarithmic(Pointwise):
    """−[w₁ y log p + w₀ (1 − y) log(1 − p)]: the plain loss of the target w₁ y / w, times w = w₁ y + w₀ (1 − y)."""

    def __init__(self, class_weight: Any, reduction: str) -> None:
        super().__init__(reduction)
        self.class_weight = class_weights(class_weight, self.name, 2)

    def losses(self, prediction: Operand, target: Any) -> tuple[Tensor, Tensor | None]:
        f, y = pair(prediction, target, self.name)
        self.check(f, y)
        if self.class_weight is None:
            return ops.pointwise_loss(self.prepare(f), y, self.kind), None
        first, second = (float(w) for w in self.class_weight)
        mass = ops.affine(y, second - first, first)
        share = ops.affine(y, second, 0.0) / ops.where(ops.equal(mass, 0.0), 1.0, mass)
        idle = ops.equal(mass, 0.0)
        losses = ops.pointwise_loss(ops.where(idle, 0.5, self.prepare(f)), share, self.kind)
        return ops.where(idle, 0.0, losses) * mass, None

    def prepare(self, f: Tensor) -> Tensor:
        return f


class LogLoss(_Logarithmic):
    """−y log p − (1 − y) log(1 − p), from probabilities; see `log_loss`."""

    name = "log_loss"
    kind = "log_loss"
    domain = "p in [0, 1], y in [0, 1]"

    def __init__(self, eps: float = 0.0, class_weight: Any = None, reduction: str = "mean") -> None:
        super().__init__(class_weight, reduction)
        self.eps = number(self.name, eps, "eps", 0.0, 0.5)
        self.convex = self.eps == 0  # flat where clipped

    @property
    def lipschitz(self) -> float:  # type: ignore[override]
        if self.eps == 0:
            return math.inf
        return 1 / self.eps if self.class_weight is None else float(self.class_weight.max()) / self.eps

    def check(self, f: Tensor, y: Tensor) -> None:
        require_range(self.name, "probability", f, 0, 1)
        require_range(self.name, "target", y, 0, 1)

    def prepare(self, f: Tensor) -> Tensor:
        return ops.clamp(f, self.eps, 1 - self.eps) if self.eps else f


class BinaryCrossEntropy(_Logarithmic):
    """The log loss of p = sigmoid(f); see `binary_cross_entropy`."""

    name = "binary_cross_entropy"
    kind = "logistic"
    domain = "f real, y in [0, 1]"

    def __init__(self, class_weight: Any = None, reduction: str = "mean") -> None:
        super().__init__(class_weight, reduction)

    @property
    def lipschitz(self) -> float:  # type: ignore[override]
        return 1.0 if self.class_weight is None else float(self.class_weight.max())


class BinaryFocal(Loss):
    """−α (1 − p)^gamma log p of the true event's p; see `binary_focal`."""

    name = "binary_focal"
    domain = "f real, y = 0 or 1"

    def __init__(self, gamma: float = 2.0, alpha: float | None = None, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.gamma = number(self.name, gamma, "gamma")
        self.alpha = None if alpha is None else number(self.name, alpha, "alpha", 0.0, math.nextafter(1.0, 2.0))
        self.convex = self.gamma == 0
        self.lipschitz = focal_slope(self.gamma) * (1.0 if self.alpha is None else max(self.alpha, 1 - self.alpha))

    def losses(self, prediction: Operand, target: Any) -> tuple[Tensor, Tensor | None]:
        f, y = pair(prediction, target, self.name)
        if y.size and not ops.min(ops.equal(ops.square(y), y)).item():
            values = y.numpy()
            require(self.name, (values != 0) & (values != 1), values, "is neither 0 nor 1")
        losses = focal_of_margin(f, ops.affine(y, 2.0, -1.0), self.gamma)
        if self.alpha is not None:
            losses = losses * ops.affine(y, 2 * self.alpha - 1, 1 - self.alpha)
        return losses, None


def focal_of_margin(f: Tensor, signs: Tensor, gamma: float) -> Tensor:
    """−(1 − p)^gamma log p, p = sigmoid(sign f)."""
    if gamma == 0:
        return ops.pointwise_loss(f, ops.affine(signs, 0.5, 0.5), "logistic")
    return ops.pointwise_loss(f, signs, "focal", gamma)


def focal_slope(gamma: float) -> float:
    """Largest slope q^gamma (gamma p log(1/p) + q) of the focal loss over the scores, q = 1 − p."""
    p = np.linspace(1e-6, 1.0, 100_001)
    q = 1 - p
    return float(max(1.0, (q**gamma * (gamma * p * -np.log(p) + q)).max()))


def log_loss(
    probabilities: Operand,
    target: Operand,
    eps: float = 0.0,
    class_weight: Any = None,
    reduction: str = "mean",
    sample_weight: Operand | None = None,
) -> Tensor:
    """−y log p − (1 − y) log(1 − p), element by element, from probabilities; 0 log 0 is 0.

    Convex in p, not Lipschitz: what is certain and wrong costs infinitely much. Where p comes from a sigmoid, give its
    argument to `binary_cross_entropy`, which loses nothing to rounding.

    Parameters
    ----------
    probabilities, target : in [0, 1]
    eps : in [0, ½): p is first clipped to [eps, 1 − eps]
    class_weight : (w₀, w₁), factors for the terms of y = 0 and y = 1; the mean is still over the number of elements

    References
    ----------
    Good (1952), Rational decisions, section 8.
    """
    return LogLoss(eps, class_weight, reduction)(probabilities, target, sample_weight)


def binary_cross_entropy(
    logits: Operand,
    target: Operand,
    reduction: str = "mean",
    sample_weight: Operand | None = None,
    class_weight: Any = None,
) -> Tensor:
    """−y log p − (1 − y) log(1 − p) with p = sigmoid(logits), element by element, fused and stable.

    Convex, Lipschitz with constant 1, smooth: gradient p − y, Hessian p (1 − p).

    Parameters
    ----------
    target : in [0, 1]
    class_weight : (w₀, w₁), factors for the terms of y = 0 and y = 1; the mean is still over the number of elements
    """
    return BinaryCrossEntropy(class_weight, reduction)(logits, target, sample_weight)


def binary_focal(
    logits: Operand,
    target: Operand,
    gamma: float = 2.0,
    alpha: float | None = None,
    reduction: str = "mean",
    sample_weight: Operand | None = None,
) -> Tensor:
    """−α (1 − p)^gamma log p, p = sigmoid(±logits) of the event that came, element by element: easy cases count less.

    Lipschitz, not convex for gamma > 0; gamma = 0 is `binary_cross_entropy`.

    Parameters
    ----------
    target : 0 or 1
    gamma : >= 0
    alpha : in [0, 1], the weight of y = 1; y = 0 has 1 − alpha. None: no weights.

    References
    ----------
    Lin, Goyal, Girshick, He, Dollár (2017), Focal loss for dense object detection, equation 5.
    """
    return BinaryFocal(gamma, alpha, reduction)(logits, target, sample_weight)
