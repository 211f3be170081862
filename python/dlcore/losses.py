"""Losses: what a model is trained to make small.

Each takes predictions and targets and reduces over the cases: ``reduction`` is "mean" (default), "sum" or "none".
Sample weights multiply the cases' losses; the weighted mean divides by the sum of the weights.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from . import ops
from .tensor import Operand, Tensor, as_tensor, int32, tensor

REDUCTIONS = ("mean", "sum", "none")


def _reduce(losses: Tensor, reduction: str, sample_weight: Operand | None, name: str) -> Tensor:
    if reduction not in REDUCTIONS:
        raise ValueError(f"{name}: reduction is {reduction!r}, expected one of {', '.join(REDUCTIONS)}")
    if losses.size == 0 and reduction == "mean":
        raise ValueError(f"{name}: the mean of no losses is not defined")
    if sample_weight is None:
        if reduction == "none":
            return losses
        return ops.sum(losses) if reduction == "sum" else ops.mean(losses)
    weight = as_tensor(sample_weight, losses, name)
    if weight.shape != losses.shape[:1]:
        raise ValueError(f"{name}: sample_weight is {weight.shape}, expected {losses.shape[:1]}")
    if weight.dtype != losses.dtype:
        raise TypeError(f"{name}: dtypes differ: sample_weight is {weight.dtype}, the losses are {losses.dtype}")
    cases = losses.size // max(losses.shape[0], 1)
    weighted = losses * ops.reshape(weight, weight.shape + (1,) * (losses.ndim - 1))
    if reduction == "none":
        return weighted
    total = ops.sum(weighted)
    if reduction == "sum":
        return total
    sum_of_weights = ops.sum(weight)
    if not sum_of_weights.item() > 0:
        raise ValueError(f"{name}: the sum of sample_weight is {sum_of_weights.item()}, expected more than 0")
    return total / ops.affine(sum_of_weights, float(cases), 0.0)


def _pair(prediction: Operand, target: Operand, name: str) -> tuple[Tensor, Tensor]:
    f = as_tensor(prediction, name=name)
    y = as_tensor(target, f, name)
    if y.dtype == int32:
        y = ops.cast(y, f.dtype)
    if f.shape != y.shape:
        raise ValueError(f"{name}: shapes differ: prediction is {f.shape}, target is {y.shape}")
    if f.dtype != y.dtype:
        raise TypeError(f"{name}: dtypes differ: prediction is {f.dtype}, target is {y.dtype}")
    return f, y


def labels(values: Any, classes: int | None = None, name: str = "labels") -> Tensor:
    """Class indices as an int32 tensor (n,).

    Raises
    ------
    TypeError, ValueError
        For anything but a vector of integers in [0, classes), naming the first that is not.
    """
    if isinstance(values, Tensor) and values.dtype == int32 and values.ndim == 1 and classes is None:
        return values
    y = np.asarray(values.numpy() if isinstance(values, Tensor) else values)
    if y.dtype.kind not in "iufb":
        raise TypeError(f"{name}: dtype is {y.dtype}, expected integers")
    if y.ndim != 1:
        raise ValueError(f"{name}: shape is {y.shape}, expected (n,)")
    if y.dtype.kind == "f":
        bad = ~(y == np.floor(y)) | ~np.isfinite(y)
        if bad.any():
            first = int(np.argmax(bad))
            raise ValueError(f"{name}: {y[first]} at index {first} is not an integer")
    upper = 2**31 if classes is None else classes
    outside = (y < 0) | (y >= upper)
    if outside.any():
        first = int(np.argmax(outside))
        raise ValueError(f"{name}: {y[first]} at index {first} is outside [0, {upper})")
    return tensor(y, int32)


def squared_error(
    prediction: Operand, target: Operand, reduction: str = "mean", sample_weight: Operand | None = None
) -> Tensor:
    """(f − y)², element by element; the mean is over all elements."""
    f, y = _pair(prediction, target, "squared_error")
    return _reduce(ops.squared_error(f, y), reduction, sample_weight, "squared_error")


def cross_entropy(
    logits: Operand, target: Any, reduction: str = "mean", sample_weight: Operand | None = None
) -> Tensor:
    """−Σ y log softmax(logits) of each row, from scores, fused and stable.

    Parameters
    ----------
    logits : (n, classes)
    target : integers (n,) in [0, classes), or probabilities (n, classes)

    References
    ----------
    Bishop (2006), Pattern Recognition and Machine Learning, equation 4.108.
    """
    scores = as_tensor(logits, name="cross_entropy")
    if scores.ndim != 2:
        raise ValueError(f"cross_entropy: logits have shape {scores.shape}, expected (n, classes)")
    rank = target.ndim if isinstance(target, Tensor) else np.ndim(target)
    if rank == 2:
        scores, y = _pair(scores, target, "cross_entropy")
    else:
        y = labels(target, None, "cross_entropy")
    return _reduce(ops.softmax_cross_entropy(scores, y), reduction, sample_weight, "cross_entropy")


def binary_cross_entropy(
    logits: Operand, target: Operand, reduction: str = "mean", sample_weight: Operand | None = None
) -> Tensor:
    """−y log p − (1 − y) log(1 − p) with p = sigmoid(logits), element by element, fused and stable."""
    f, y = _pair(logits, target, "binary_cross_entropy")
    return _reduce(ops.sigmoid_cross_entropy(f, y), reduction, sample_weight, "binary_cross_entropy")


def hinge(scores: Operand, target: Operand, reduction: str = "mean", sample_weight: Operand | None = None) -> Tensor:
    """max(0, 1 − t f) for targets t ∈ {−1, +1}, element by element.

    References
    ----------
    Cortes, Vapnik (1995), Support-vector networks.
    """
    f, t = _pair(scores, target, "hinge")
    signs = t.numpy()
    wrong = np.abs(signs) != 1
    if wrong.any():
        first = np.unravel_index(int(np.argmax(wrong)), wrong.shape)
        raise ValueError(f"hinge: {signs[first]} at index {[int(i) for i in first]} is neither -1 nor +1")
    return _reduce(ops.relu(1.0 - t * f), reduction, sample_weight, "hinge")


def multiclass_hinge(
    scores: Operand, target: Any, squared: bool = False, reduction: str = "mean", sample_weight: Operand | None = None
) -> Tensor:
    """One-vs-rest hinge: Σ over classes of max(0, 1 − t f), squared where asked; t = +1 for the label's class, else −1.

    Parameters
    ----------
    scores : (n, classes)
    target : integers (n,) in [0, classes)

    References
    ----------
    Tang (2013), Deep learning using linear support vector machines, equations 5 and 9.
    """
    f = as_tensor(scores, name="multiclass_hinge")
    if f.ndim != 2:
        raise ValueError(f"multiclass_hinge: scores have shape {f.shape}, expected (n, classes)")
    signs = ops.affine(ops.one_hot(labels(target, f.shape[1], "multiclass_hinge"), f.shape[1], f.dtype), 2.0, -1.0)
    if signs.shape != f.shape:
        raise ValueError(f"multiclass_hinge: {signs.shape[0]} labels for {f.shape[0]} rows of scores")
    margins = ops.relu(1.0 - signs * f)
    losses = ops.sum(ops.square(margins) if squared else margins, 1)
    return _reduce(losses, reduction, sample_weight, "multiclass_hinge")
