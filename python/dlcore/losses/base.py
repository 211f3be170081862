"""What all losses share: checks, reductions, and the class with value, gradient and Hessian."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from .. import ops
from ..autodiff import grad, kinks
from ..calculus import hvp
from ..ops.creation import is_number
from ..tensor import Operand, Tensor, as_tensor, int32, tensor

REDUCTIONS = ("mean", "sum", "none")


def reduce(
    losses: Tensor, reduction: str, sample_weight: Operand | None, name: str, mass: Tensor | None = None
) -> Tensor:
    """Σ w ℓ / Σ w m for "mean", Σ w ℓ for "sum", w ℓ for "none".

    Parameters
    ----------
    losses : (n, ...)
    sample_weight : w, of shape (n,) or of the losses' shape; 1 by default
    mass : m, what each loss counts in the mean, of the losses' shape; 1 by default
    """
    if losses.size == 0 and reduction == "mean":
        raise ValueError(f"{name}: the mean of no losses is not defined")
    weighted = losses
    if sample_weight is not None:
        weight = as_tensor(sample_weight, losses, name)
        if weight.shape not in (losses.shape[:1], losses.shape):
            either = "" if losses.ndim == 1 else f" or {losses.shape}"
            raise ValueError(f"{name}: sample_weight is {weight.shape}, expected {losses.shape[:1]}{either}")
        if weight.dtype != losses.dtype:
            raise TypeError(f"{name}: dtypes differ: sample_weight is {weight.dtype}, the losses are {losses.dtype}")
        if weight.ndim != losses.ndim:
            weight = ops.reshape(weight, weight.shape + (1,) * (losses.ndim - 1))
        weighted = losses * weight
    if reduction == "none":
        return weighted
    if reduction == "sum":
        return ops.sum(weighted)
    if sample_weight is None and mass is None:
        return ops.mean(losses)
    if sample_weight is None:
        counted, copies = ops.sum(mass), 1.0  # type: ignore[arg-type]
    elif mass is None:
        counted, copies = ops.sum(weight), losses.size / weight.size
    else:
        counted, copies = ops.sum(weight * mass), 1.0
    if not counted.item() > 0:
        what = "sample_weight" if mass is None else "the weights"
        raise ValueError(f"{name}: the sum of {what} is {counted.item()}, expected more than 0")
    return ops.sum(weighted) / ops.affine(counted, float(copies), 0.0)


def pair(prediction: Operand, target: Operand, name: str) -> tuple[Tensor, Tensor]:
    """Prediction and target as tensors of one shape and dtype; an int32 target takes the prediction's dtype."""
    f = as_tensor(prediction, name=name)
    y = as_tensor(target, f, name)
    if y.dtype == int32:
        y = ops.cast(y, f.dtype)
    if f.shape != y.shape:
        raise ValueError(f"{name}: shapes differ: prediction is {f.shape}, target is {y.shape}")
    if f.dtype != y.dtype:
        raise TypeError(f"{name}: dtypes differ: prediction is {f.dtype}, target is {y.dtype}")
    return f, y


def labels(values: Any, classes: int | None = None, name: str = "labels", device: str | None = None) -> Tensor:
    """Class indices as an int32 tensor (n,): on the device of `values` where they are a tensor, else on `device`, by
    default the current one.

    Raises
    ------
    TypeError, ValueError
        For anything but a vector of integers in [0, classes), naming the first that is not.
    """
    typed = isinstance(values, Tensor) and values.dtype == int32 and values.ndim == 1
    if typed and (classes is None or ops.within(values, 0, classes - 1)):
        return values  # type: ignore[no-any-return]
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
    return tensor(y, int32, values.device if isinstance(values, Tensor) else device)


def require(name: str, wrong: np.ndarray[Any, Any], values: np.ndarray[Any, Any], expected: str) -> None:
    """Raise for the first value that is wrong."""
    if wrong.any():
        first = np.unravel_index(int(np.argmax(wrong)), wrong.shape)
        raise ValueError(f"{name}: {values[first]} at index {[int(i) for i in first]} {expected}")


def require_signs(name: str, target: Tensor) -> None:
    if target.size == 0 or ops.min(ops.equal(ops.square(target), 1.0)).item():
        return
    signs = target.numpy()
    require(name, np.abs(signs) != 1, signs, "is neither -1 nor +1")


def require_range(name: str, what: str, x: Tensor, low: float, high: float) -> None:
    """low ≤ x ≤ high; NaN passes, to be seen in the result."""
    if ops.within(x, low, high):
        return
    values = x.numpy()
    bounds = f"is outside [{low:g}, {high:g}]" if high < math.inf else f"is below {low:g}"
    require(f"{name}: {what}", (values < low) | (values > high), values, bounds)


def number(name: str, value: Any, what: str, low: float = 0.0, high: float = math.inf, closed: bool = True) -> float:
    """value as a float in [low, high), or in (low, high) unless `closed`."""
    if not is_number(value) or not (low < value < high or (closed and value == low)):
        bounds = f"{'>=' if closed else '>'} {low:g}" + (f" and < {high:g}" if high < math.inf else "")
        raise ValueError(f"{name}: {what} is {value!r}, expected a finite number {bounds}")
    return float(value)


class Loss:
    """A loss with its derivatives by the prediction.

    Calling it, or `value`, gives the reduced loss, which every transformation of `dlcore` can differentiate.

    Parameters
    ----------
    reduction : "mean", "sum" or "none"

    Attributes
    ----------
    name : of the function in `dlcore.losses` that computes the same
    convex : whether ℓ(·, y) is convex in the prediction
    lipschitz : smallest L with |ℓ(f, y) − ℓ(g, y)| ≤ L |f − g| (largest component for rows), inf if there is none;
        for soft targets that sum to at most 1, else times their largest sum
    domain : the predictions and targets it is defined for
    rows : False: one loss an element; True: one loss a row, over axis 1
    """

    name: ClassVar[str]
    convex: bool = True
    lipschitz: float = math.inf
    domain: ClassVar[str] = "f, y real"
    rows: bool = False

    def __init__(self, reduction: str = "mean") -> None:
        if reduction not in REDUCTIONS:
            raise ValueError(f"{self.name}: reduction is {reduction!r}, expected one of {', '.join(REDUCTIONS)}")
        self.reduction = reduction

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{key}={value!r}' for key, value in vars(self).items())})"

    def losses(self, prediction: Operand, target: Any) -> tuple[Tensor, Tensor | None]:
        """The single losses, and what each counts in the mean (None: 1)."""
        raise NotImplementedError

    def __call__(self, prediction: Operand, target: Any, sample_weight: Operand | None = None) -> Tensor:
        losses, mass = self.losses(prediction, target)
        return reduce(losses, self.reduction, sample_weight, self.name, mass)

    def value(self, prediction: Operand, target: Any, sample_weight: Operand | None = None) -> Tensor:
        """The loss, reduced."""
        return self(prediction, target, sample_weight)

    def gradient(self, prediction: Operand, target: Any, sample_weight: Operand | None = None) -> Tensor:
        """∂/∂f of the value (of its sum for "none"), of the prediction's shape."""
        f = as_tensor(prediction, name=self.name)
        found: Tensor = grad(lambda x: ops.sum(self(x, target, sample_weight)))(f)
        return found

    def hessian(self, prediction: Operand, target: Any, sample_weight: Operand | None = None) -> Tensor:
        """∂²/∂f² of the value (of its sum for "none"): elements and rows do not interact, so only their own part.

        Returns
        -------
        the diagonal, of the prediction's shape; for losses of rows the blocks, (n, C, C) for predictions (n, C) and
        (n, d1, ..., C, C) for (n, C, d1, ...). At a kink it is the Hessian of a side, where `dlcore.hessian` raises.
        """
        f = as_tensor(prediction, name=self.name)
        losses, mass = self.losses(f, target)
        share: Tensor = grad(lambda x: ops.sum(reduce(x, self.reduction, sample_weight, self.name, mass)))(losses)
        with kinks("zero"):
            if self.rows:
                return self.blocks(f, target) * ops.reshape(share, (*share.shape, 1, 1))
            return self.diagonal(f, target) * share

    def _sum(self, f: Tensor, target: Any) -> Tensor:
        return ops.sum(self.losses(f, target)[0])

    def diagonal(self, f: Tensor, target: Any) -> Tensor:
        """Second derivatives of the single losses, of f's shape."""
        ones = ops.full(f.shape, 1.0, f.dtype, f.device)
        return hvp(lambda x: self._sum(x, target))(ones, f)

    def blocks(self, f: Tensor, target: Any) -> Tensor:
        """Hessians of the single losses, the class axes last: one Hessian-vector product a class."""
        classes = f.shape[1]
        product = hvp(lambda x: self._sum(x, target))
        unit = np.zeros((classes, *(1,) * (f.ndim - 2)), f.dtype)
        found = []
        for j in range(classes):
            unit[...] = 0
            unit[j] = 1
            found.append(product(ops.broadcast_to(tensor(unit, device=f.device), f.shape), f))
        stacked = ops.stack(found) if found else ops.zeros((0, *f.shape), f.dtype, f.device)
        return ops.transpose(stacked, (1, *range(3, f.ndim + 1), 0, 2))


class Pointwise(Loss):
    """A loss of elements with a kernel of its own: ``kind`` and its parameter, see `dlcore.ops.pointwise_loss`."""

    kind: ClassVar[str]

    def parameter(self) -> float:
        return 0.0

    def check(self, f: Tensor, y: Tensor) -> None:
        """Raise for values outside the domain."""

    def losses(self, prediction: Operand, target: Any) -> tuple[Tensor, Tensor | None]:
        f, y = pair(prediction, target, self.name)
        self.check(f, y)
        return ops.pointwise_loss(f, y, self.kind, self.parameter()), None


def to_rows(prediction: Operand, name: str, what: str = "logits") -> tuple[Tensor, tuple[int, ...]]:
    """Predictions (n, C, d1, ...) as rows (n d1 ..., C), and the shape (n, d1, ...) of their losses."""
    f = as_tensor(prediction, name=name)
    if f.ndim < 2:
        raise ValueError(f"{name}: {what} have shape {f.shape}, expected (n, classes)")
    if f.ndim == 2:
        return f, f.shape[:1]
    lead = (f.shape[0], *f.shape[2:])
    return ops.reshape(ops.transpose(f, (0, *range(2, f.ndim), 1)), (math.prod(lead), f.shape[1])), lead


def diagonal_blocks(p: Tensor, y: Tensor) -> Tensor:
    """diag(y / p²) of rows, the Hessian of −Σ y log p, 0 where y is also at p = 0: (N, C) -> (N, C, C)."""
    n, classes = p.shape
    diagonal = ops.pointwise_loss_hessian(ops.full(p.shape, 1.0, p.dtype, p.device), p, y, "kl")
    eye = tensor(np.eye(classes), p.dtype, p.device)
    return ops.where(ops.reshape(eye, (1, classes, classes)), ops.reshape(diagonal, (n, 1, classes)), 0.0)


def row_labels(target: Any, lead: tuple[int, ...], classes: int | None, name: str, device: str | None = None) -> Tensor:
    """Class indices of shape `lead` as a vector."""
    if isinstance(target, Tensor) and target.dtype == int32 and target.shape == lead:
        return labels(ops.reshape(target, (target.size,)), classes, name)
    y = np.asarray(target.numpy() if isinstance(target, Tensor) else target)
    if y.dtype.kind in "iufb" and y.shape != lead:
        raise ValueError(f"{name}: target is {y.shape}, expected class indices {lead}")
    return labels(y.reshape(-1), classes, name, target.device if isinstance(target, Tensor) else device)


def class_weights(weights: Any, name: str, classes: int | None = None) -> np.ndarray[Any, Any] | None:
    """Weights of the classes as a vector of finite numbers ≥ 0, or None."""
    if weights is None:
        return None
    w = np.asarray(weights.numpy() if isinstance(weights, Tensor) else weights)
    expected = "a vector" if classes is None else f"({classes},)"
    if w.dtype.kind not in "iuf" or w.ndim != 1 or (classes is not None and w.size != classes):
        raise ValueError(
            f"{name}: class_weight has shape {w.shape} and dtype {w.dtype}, expected {expected} of numbers"
        )
    require(f"{name}: class_weight", ~((w >= 0) & np.isfinite(w)), w, "is not a finite number >= 0")
    return w.astype(np.float64)
