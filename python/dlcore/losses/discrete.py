"""Losses that count: exact, and without a useful gradient."""

from __future__ import annotations

from typing import Any, ClassVar

from ..tape import is_recorded
from ..tensor import Operand, Tensor
from .base import Pointwise, number


class _Counting(Pointwise):
    convex = False
    surrogates: ClassVar[str]

    def losses(self, prediction: Operand, target: Any) -> tuple[Tensor, Tensor | None]:
        if isinstance(prediction, Tensor) and is_recorded(prediction):
            raise ValueError(
                f"{self.name}: a gradient is asked for, but it is 0 wherever it exists; train with {self.surrogates}, "
                "or evaluate stop_gradient(prediction)"
            )
        return super().losses(prediction, target)


class ZeroOne(_Counting):
    """1 where f ≠ y, else 0; see `zero_one`."""

    name = "zero_one"
    kind = "zero_one"
    domain = "any numbers: labels, signs"
    surrogates = "a surrogate: hinge, squared_hinge, log_loss, binary_cross_entropy or cross_entropy"


class Tolerance(_Counting):
    """1 where |f − y| > tolerance, else 0; see `tolerance`."""

    name = "tolerance"
    kind = "tolerance"
    surrogates = "its trainable form epsilon_insensitive, or huber"

    def __init__(self, tolerance: float, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.tolerance = number("tolerance", tolerance, "tolerance")

    def parameter(self) -> float:
        return self.tolerance


def zero_one(
    prediction: Operand, target: Operand, reduction: str = "mean", sample_weight: Operand | None = None
) -> Tensor:
    """1 where prediction ≠ target, else 0, exactly; the mean is the share of wrong predictions. NaN is wrong.

    Parameters
    ----------
    prediction, target : labels or signs of one shape; of scores (n, classes) take ``ops.argmax(scores, 1)`` first

    Raises
    ------
    ValueError
        When a gradient is asked for, naming losses that have one.
    """
    return ZeroOne(reduction)(prediction, target, sample_weight)


def tolerance(
    prediction: Operand,
    target: Operand,
    tolerance: float,
    reduction: str = "mean",
    sample_weight: Operand | None = None,
) -> Tensor:
    """1 where |y − f| > tolerance, else 0: the perceptron's loss with a tolerance. NaN is outside.

    The comparison is exact: it does not depend on how y − f would be rounded. `epsilon_insensitive` is the form to
    train.

    Parameters
    ----------
    tolerance : t >= 0, taken in the prediction's dtype

    Raises
    ------
    ValueError
        When a gradient is asked for, naming losses that have one.
    """
    return Tolerance(tolerance, reduction)(prediction, target, sample_weight)
