"""Losses of rows: one of several classes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import ops
from ..ops.creation import is_number
from ..tensor import Operand, Tensor, as_tensor, int32, tensor
from .base import Loss, class_weights, diagonal_blocks, number, pair, reduce, require_range, row_labels, to_rows
from .logistic import focal_of_margin, focal_slope


def softmax_blocks(f: Tensor) -> Tensor:
    """diag(p) − p pᵀ of rows p = softmax(f), without cancellation: (N, C) -> (N, C, C)."""
    n, classes = f.shape
    p = ops.softmax(f)
    if classes == 0:
        return ops.zeros((n, 0, 0), f.dtype, f.device)
    largest = ops.one_hot(ops.argmax(p, 1), classes, f.dtype)
    others = ops.sum(ops.where(largest, 0.0, p), 1, keepdims=True)  # 1 − p of the largest
    rest = ops.where(largest, others, ops.affine(p, -1.0, 1.0))
    outer = ops.negative(ops.reshape(p, (n, classes, 1)) * ops.reshape(p, (n, 1, classes)))
    eye = tensor(np.eye(classes), f.dtype, f.device)
    return ops.where(ops.reshape(eye, (1, classes, classes)), ops.reshape(p * rest, (n, 1, classes)), outer)


class CrossEntropy(Loss):
    """−Σ y log p of each row; see `cross_entropy`."""

    name = "cross_entropy"
    domain = "logits real or p in [0, 1]; labels in [0, classes) or y >= 0 (the Lipschitz constant is for sums up to 1)"
    rows = True

    def __init__(
        self,
        reduction: str = "mean",
        from_logits: bool = True,
        label_smoothing: float = 0.0,
        class_weight: Any = None,
        ignore_index: int | None = None,
    ) -> None:
        super().__init__(reduction)
        self.from_logits = bool(from_logits)
        self.label_smoothing = number(self.name, label_smoothing, "label_smoothing", 0.0, math.nextafter(1.0, 2.0))
        self.class_weight = class_weights(class_weight, self.name)
        if ignore_index is not None and (not is_number(ignore_index) or ignore_index != int(ignore_index)):
            raise ValueError(f"cross_entropy: ignore_index is {ignore_index!r}, expected an integer or None")
        self.ignore_index = ignore_index

    @property
    def lipschitz(self) -> float:  # type: ignore[override]
        if not self.from_logits:
            return math.inf
        return 1.0 if self.class_weight is None else float(self.class_weight.max(initial=0.0))

    def _targets(self, target: Any, f: Tensor, lead: tuple[int, ...]) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """The target as int32 (N,) or weights (N, C); what each row counts; 1 for the rows kept (None: all)."""
        classes = f.shape[1]
        weights = class_weights(self.class_weight, self.name, classes)
        rank = target.ndim if isinstance(target, Tensor) else np.ndim(target)
        if rank == len(lead) + 1:
            return self._soft_targets(target, f, lead, weights), None, None
        plain = weights is None and self.ignore_index is None and not self.label_smoothing and self.from_logits
        if plain:
            return row_labels(target, lead, None, self.name, f.device), None, None
        kept = None
        if self.ignore_index is not None:
            values = np.asarray(target.numpy() if isinstance(target, Tensor) else target)
            ignored = values == self.ignore_index
            target, kept = np.where(ignored, 0, values), tensor(~ignored.reshape(-1), f.dtype, f.device)
        y = row_labels(target, lead, classes, self.name, f.device)
        mass = None if weights is None else tensor(weights[y.numpy()], f.dtype, f.device)
        if kept is not None:
            mass = kept if mass is None else mass * kept
        if not self.label_smoothing and self.from_logits:  # `_factors` weighs these
            return y, mass, kept
        return self._spread(ops.one_hot(y, classes, f.dtype), weights), mass, kept

    def _soft_targets(self, target: Any, f: Tensor, lead: tuple[int, ...], weights: Any) -> Tensor:
        dense = as_tensor(target, f, self.name)
        rows = to_rows(ops.cast(dense, f.dtype) if dense.dtype == int32 else dense, self.name)[0]
        if rows.shape != f.shape:
            raise ValueError(f"{self.name}: shapes differ: prediction is {f.shape}, target is {rows.shape}, as rows")
        if self.ignore_index is not None:
            raise ValueError(f"{self.name}: ignore_index is given, but the target holds probabilities, not labels")
        y = pair(f, rows, self.name)[1]
        require_range(self.name, "target", y, 0, math.inf)
        return self._spread(y, weights)

    def _spread(self, t: Tensor, weights: Any) -> Tensor:
        """Targets smoothed and weighted."""
        if self.label_smoothing:
            t = ops.affine(t, 1 - self.label_smoothing, self.label_smoothing / t.shape[1])
        return t if weights is None else t * tensor(weights, t.dtype, t.device)

    def _factors(self, y: Tensor, mass: Tensor | None) -> Tensor | None:
        """The weights of labels, which go into dense targets but beside class indices."""
        return mass if self.class_weight is not None and y.dtype == int32 else None

    def losses(self, prediction: Operand, target: Any) -> tuple[Tensor, Tensor | None]:
        f, lead = to_rows(prediction, self.name, "logits" if self.from_logits else "probabilities")
        y, mass, kept = self._targets(target, f, lead)
        factors = self._factors(y, mass)
        counted = kept if factors is None else ops.greater(factors, 0.0)
        if counted is not None:  # what counts nothing may hold anything, NaN and infinity included
            f = ops.where(ops.reshape(counted, (*counted.shape, 1)), f, 0.0 if self.from_logits else 1.0)
        if self.from_logits:
            losses = ops.softmax_cross_entropy(f, y)
        else:
            require_range(self.name, "probability", f, 0, 1)
            idle = ops.equal(y, 0.0)
            losses = ops.negative(ops.sum(y * ops.log(ops.where(idle, 1.0, f)), 1))
        if factors is not None:
            losses = losses * factors
        elif kept is not None:
            losses = ops.where(kept, losses, 0.0)
        return ops.reshape(losses, lead), None if mass is None else ops.reshape(mass, lead)

    def blocks(self, f: Tensor, target: Any) -> Tensor:
        rows, lead = to_rows(f, self.name)
        y, mass, kept = self._targets(target, rows, lead)
        if not self.from_logits:
            found = diagonal_blocks(rows, y)
        else:
            factors = self._factors(y, mass)
            total = ops.sum(y, 1) if y.ndim == 2 else factors
            found = softmax_blocks(rows)
            if total is not None:
                found = found * ops.reshape(total, (*total.shape, 1, 1))
            kept = kept if factors is None else ops.greater(factors, 0.0)
        if kept is not None:
            found = ops.where(ops.reshape(kept, (*kept.shape, 1, 1)), found, 0.0)
        return ops.reshape(found, (*lead, rows.shape[1], rows.shape[1]))


class Focal(Loss):
    """−α (1 − p)^gamma log p of the label's p = softmax; see `focal`. Single precision is computed in double: the power
    of 1 − p magnifies the rounding of the scores."""

    name = "focal"
    domain = "logits real, labels in [0, classes)"
    rows = True

    def __init__(self, gamma: float = 2.0, class_weight: Any = None, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.gamma = number(self.name, gamma, "gamma")
        self.class_weight = class_weights(class_weight, self.name)
        self.convex = self.gamma == 0
        weight = 1.0 if self.class_weight is None else float(self.class_weight.max(initial=0.0))
        self.lipschitz = focal_slope(self.gamma) * weight

    def _weights(self, y: Tensor, f: Tensor) -> Tensor:
        weights = class_weights(self.class_weight, self.name, f.shape[1])
        if weights is None:
            return ops.full((f.shape[0],), 1.0, f.dtype, f.device)
        return tensor(weights[y.numpy()], f.dtype, f.device)

    def losses(self, prediction: Operand, target: Any) -> tuple[Tensor, Tensor | None]:
        f, lead = to_rows(prediction, self.name)
        y = row_labels(target, lead, f.shape[1], self.name, f.device)
        if self.gamma:
            margins = ops.margin_of_loss(ops.softmax_cross_entropy(ops.cast(f, "float64"), y))
            ones = ops.full(margins.shape, 1.0, "float64", f.device)
            losses = ops.cast(focal_of_margin(margins, ones, self.gamma), f.dtype)
        else:
            losses = ops.softmax_cross_entropy(f, y)
        if self.class_weight is not None:
            losses = losses * self._weights(y, f)
        return ops.reshape(losses, lead), None

    def blocks(self, f: Tensor, target: Any) -> Tensor:
        """ℓ″ v vᵀ − ℓ′ (diag π − π πᵀ), v = e − π, with π the softmax of the other classes: u = score − logsumexp."""
        rows, lead = to_rows(ops.cast(f, "float64"), self.name)
        n, classes = rows.shape
        y = row_labels(target, lead, classes, self.name, f.device)
        own = ops.one_hot(y, classes, rows.dtype)
        if not self.gamma:
            found = softmax_blocks(rows)
        else:
            without = ops.where(own, -math.inf, rows)
            other = ops.where(own, 0.0, ops.softmax(without))
            u = ops.margin_of_loss(ops.softmax_cross_entropy(rows, y))
            one, sign = (ops.full(u.shape, 1.0, u.dtype, u.device) for _ in range(2))
            slope = ops.pointwise_loss_grad(one, u, sign, "focal", self.gamma)
            curvature = ops.pointwise_loss_hessian(one, u, sign, "focal", self.gamma)
            v = own - other
            outer = ops.reshape(v, (n, classes, 1)) * ops.reshape(v, (n, 1, classes))
            spread = ops.where(ops.reshape(own, (n, 1, classes)), 0.0, softmax_blocks(without))
            spread = ops.where(ops.reshape(own, (n, classes, 1)), 0.0, spread)
            found = outer * ops.reshape(curvature, (n, 1, 1)) - spread * ops.reshape(slope, (n, 1, 1))
        found = found * ops.reshape(self._weights(y, rows), (n, 1, 1))
        return ops.cast(ops.reshape(found, (*lead, classes, classes)), f.dtype)


def is_batch(logits: Any, target: Any) -> bool:
    """Whether these are tensors (n, classes) and int32 (n,)."""
    if not isinstance(logits, Tensor) or not isinstance(target, Tensor) or target.array.dtype != "int32":
        return False
    shape = logits.shape
    return len(shape) == 2 and target.shape == shape[:1]


def cross_entropy(
    logits: Operand,
    target: Any,
    reduction: str = "mean",
    sample_weight: Operand | None = None,
    from_logits: bool = True,
    label_smoothing: float = 0.0,
    class_weight: Any = None,
    ignore_index: int | None = None,
) -> Tensor:
    """−Σ y log p of each row, p = softmax(logits), fused and stable; or of probabilities p.

    Convex, Lipschitz in each score with constant 1 for targets that sum to at most 1, smooth: gradient p − y, Hessian
    diag(p) − p pᵀ.

    Parameters
    ----------
    logits : (n, classes), or (n, classes, d1, ...) with one row for each place; probabilities unless `from_logits`
    target : integers in [0, classes), (n,) or (n, d1, ...); or one-hot or soft labels >= 0 of the logits' shape
    sample_weight : (n,), or the shape of the losses, (n, d1, ...)
    label_smoothing : s in [0, 1]: y becomes (1 − s) y + s / classes
    class_weight : (classes,), w: the loss becomes −Σ w y log p. With integer targets the mean divides by the sum of the
        labels' weights, with soft ones by the number of rows (as PyTorch does).
    ignore_index : rows with this label count nothing

    References
    ----------
    Bishop (2006), Pattern Recognition and Machine Learning, equation 4.108. Szegedy et al. (2016), Rethinking the
    Inception architecture, section 7 (smoothing).
    """
    plain = from_logits is True and label_smoothing == 0 and class_weight is None and ignore_index is None
    if plain and is_batch(logits, target):  # what training calls
        return reduce(ops.softmax_cross_entropy(logits, target), reduction, sample_weight, "cross_entropy")
    loss = CrossEntropy(reduction, from_logits, label_smoothing, class_weight, ignore_index)
    return loss(logits, target, sample_weight)


def focal(
    logits: Operand,
    target: Any,
    gamma: float = 2.0,
    class_weight: Any = None,
    reduction: str = "mean",
    sample_weight: Operand | None = None,
) -> Tensor:
    """−α (1 − p)^gamma log p of each row, p = softmax(logits) at the label: rows that are easy count less.

    Lipschitz, not convex for gamma > 0; gamma = 0 is the cross-entropy.

    Parameters
    ----------
    logits, target : as for `cross_entropy`, with integer targets
    gamma : >= 0
    class_weight : (classes,), α; the mean is over the number of rows

    References
    ----------
    Lin, Goyal, Girshick, He, Dollár (2017), Focal loss for dense object detection, equation 5.
    """
    return Focal(gamma, class_weight, reduction)(logits, target, sample_weight)
