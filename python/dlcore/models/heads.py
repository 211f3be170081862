"""Heads: what a network's scores mean — the targets they take, the loss, the prediction, the score."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import losses, ops
from ..tensor import Tensor, tensor_at
from .base import Array


def mean(values: Tensor, weight: Tensor | None) -> Tensor:
    """Mean over all elements; each case's are multiplied by its weight, whose mean over the data is 1."""
    if weight is not None:
        values = values * ops.reshape(weight, (weight.shape[0],) + (1,) * (values.ndim - 1))
    return ops.affine(ops.sum(values), 1.0 / values.size, 0.0)


class Head:
    """Base. `outputs` is the number of scores of a case."""

    classifies = True  # whether the figure "accuracy" is reported

    def targets(self, y: Any, outputs: int, like: Tensor, who: str) -> Tensor:
        """y as the tensor that `loss` takes, checked.

        Raises
        ------
        TypeError, ValueError
            With the first bad value's index.
        """
        raise NotImplementedError

    def loss(self, scores: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """Mean loss of a batch."""
        raise NotImplementedError

    def predict(self, scores: Array) -> Array:
        """What is predicted from scores (n, outputs)."""
        raise NotImplementedError

    def right(self, scores: Array, target: Array) -> Array:
        """Whether each prediction of a classifier is right, with a row per case."""
        found: Array = self.predict(scores) == target
        return found

    def score(self, scores: Array, target: Array) -> float:
        """Goodness of a batch of predictions; for classifiers the share of right ones."""
        return float(self.right(scores, target).mean())

    def accuracy(self, scores: Array, target: Array, weight: Array | None = None) -> float:
        """Share of a classifier's right predictions; each case counts as its weight, whose mean over the data is 1."""
        right = self.right(scores, target).reshape(len(target), -1).mean(1)
        return float((right if weight is None else right * weight).mean())


class SoftmaxHead(Head):
    """One of several classes: p = softmax(scores), loss −log p of the label."""

    def targets(self, y: Any, outputs: int, like: Tensor, who: str) -> Tensor:
        return tensor_at(losses.labels(y, outputs, f"{who}: y"), like)

    def loss(self, scores: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        return mean(ops.softmax_cross_entropy(scores, target), weight)

    def predict(self, scores: Array) -> Array:
        labels: Array = scores.argmax(1).astype(np.int32)
        return labels


class SvmHead(SoftmaxHead):
    """One of several classes by largest margin: L2 one-vs-rest hinge, Σ max(0, 1 − t s)².

    References
    ----------
    Tang (2013), Deep learning using linear support vector machines, equation 9.
    """

    def loss(self, scores: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        return mean(losses.multiclass_hinge(scores, target, squared=True, reduction="none"), weight)


class RBFHead(SoftmaxHead):
    """One of several classes by the nearest of radial basis functions: the scores are −y, y the squared distances.

    The loss is y of the label (equation 8), plus log(e^{−j} + Σ e^{−y}) for a `rejection` j (equation 9): then also the
    classes compete with each other, and with a class of rubbish at the distance j. With j = None it is equation 8.

    References
    ----------
    LeCun, Bottou, Bengio, Haffner (1998), Gradient-based learning applied to document recognition, section II.C.
    """

    def __init__(self, rejection: float | None) -> None:
        self.rejection = rejection

    def loss(self, scores: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        cases, classes = scores.shape
        if self.rejection is None:
            chosen = ops.one_hot(target, classes, scores.dtype)
            return mean(ops.negative(ops.sum(ops.where(chosen, scores, 0.0), 1)), weight)
        rubbish = ops.full((cases, 1), -self.rejection, scores.dtype, scores.device)
        return mean(ops.softmax_cross_entropy(ops.concatenate([scores, rubbish], 1), target), weight)


class _DenseHead(Head):
    """Targets of the scores' shape; for one output also (n,)."""

    def targets(self, y: Any, outputs: int, like: Tensor, who: str) -> Tensor:
        target = ops.cast(tensor_at(y, like, f"{who}: y"), like.dtype)
        if target.ndim == 1 and outputs == 1:
            target = ops.reshape(target, (target.size, 1))
        if target.ndim != 2 or target.shape[1] != outputs:
            expected = "(n,) or (n, 1)" if outputs == 1 else f"(n, {outputs})"
            raise ValueError(f"{who}: y has shape {target.shape}, expected {expected}")
        if not ops.all_finite(target):
            bad = np.argwhere(~np.isfinite(target.numpy()))[0]
            raise ValueError(f"{who}: y is not finite at index {bad[0]}")
        return target


class SigmoidHead(_DenseHead):
    """Independent events: p = sigmoid(score) each, loss the binary cross-entropy; targets in [0, 1]."""

    def targets(self, y: Any, outputs: int, like: Tensor, who: str) -> Tensor:
        target = super().targets(y, outputs, like, who)
        values = target.numpy()
        outside = (values < 0) | (values > 1)
        if outside.any():
            bad = np.argwhere(outside)[0]
            raise ValueError(f"{who}: y is {values[tuple(bad)]} at index {bad[0]}, expected values in [0, 1]")
        return target

    def loss(self, scores: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        return mean(ops.sigmoid_cross_entropy(scores, target), weight)

    def predict(self, scores: Array) -> Array:
        labels = (scores > 0).astype(np.int32)
        return labels[:, 0] if labels.shape[1] == 1 else labels

    def right(self, scores: Array, target: Array) -> Array:
        found: Array = (scores > 0) == (target > 0.5)
        return found


class IdentityHead(_DenseHead):
    """Real values: loss the squared error, mean over the outputs."""

    classifies = False

    def loss(self, scores: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        return mean(ops.squared_error(scores, target), weight)

    def predict(self, scores: Array) -> Array:
        return scores[:, 0] if scores.shape[1] == 1 else scores

    def score(self, scores: Array, target: Array) -> float:
        """R² = 1 − Σ(y − f)² / Σ(y − ȳ)², averaged over the outputs; NaN where an output's targets are constant."""
        errors = ((target - scores) ** 2).sum(0)
        spread = ((target - target.mean(0)) ** 2).sum(0)
        if (spread == 0).any():
            return math.nan
        return float((1.0 - errors / spread).mean())


HEADS: dict[str, Head] = {
    "softmax": SoftmaxHead(),
    "sigmoid": SigmoidHead(),
    "identity": IdentityHead(),
    "svm": SvmHead(),
}


def head(output: str, who: str) -> Head:
    """The head of that name.

    Raises
    ------
    ValueError
    """
    if not isinstance(output, str) or output not in HEADS:
        raise ValueError(f"{who}: output is {output!r}, expected one of {', '.join(HEADS)}")
    return HEADS[output]
