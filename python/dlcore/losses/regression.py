"""Losses of a real prediction f and target y; r = f − y. All are even in r, and element by element."""

from __future__ import annotations

from typing import ClassVar

from ..tensor import Operand, Tensor
from .base import Pointwise, number


class SquaredError(Pointwise):
    """(f − y)²; see `squared_error`."""

    name = "squared_error"
    kind = "squared"

    def parameter(self) -> float:
        return 1.0


class HalfSquaredError(Pointwise):
    """½ (f − y)²; see `half_squared_error`."""

    name = "half_squared_error"
    kind = "squared"

    def parameter(self) -> float:
        return 0.5


class MeanSquaredError(SquaredError):
    """(f − y)², by default its mean over all elements; see `mean_squared_error`."""

    name = "mean_squared_error"


class AbsoluteError(Pointwise):
    """|f − y|; see `absolute_error`."""

    name = "absolute_error"
    kind = "absolute"
    lipschitz = 1.0


class LogCosh(Pointwise):
    """log cosh(f − y); see `log_cosh`."""

    name = "log_cosh"
    kind = "log_cosh"
    lipschitz = 1.0


class Huber(Pointwise):
    """½ r² for |r| ≤ delta, delta (|r| − ½ delta) beyond; see `huber`."""

    name = "huber"
    kind = "huber"

    def __init__(self, delta: float = 1.0, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.delta = number("huber", delta, "delta", closed=False)

    @property
    def lipschitz(self) -> float:  # type: ignore[override]
        return self.delta

    def parameter(self) -> float:
        return self.delta


class EpsilonInsensitive(Pointwise):
    """max(0, |f − y| − epsilon); see `epsilon_insensitive`."""

    name = "epsilon_insensitive"
    kind: ClassVar[str] = "epsilon_insensitive"
    lipschitz = 1.0

    def __init__(self, epsilon: float = 0.1, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.epsilon = number("epsilon_insensitive", epsilon, "epsilon")

    def parameter(self) -> float:
        return self.epsilon


def squared_error(
    prediction: Operand, target: Operand, reduction: str = "mean", sample_weight: Operand | None = None
) -> Tensor:
    """(f − y)², element by element; the mean is over all elements.

    Convex, not Lipschitz, smooth: the Hessian is 2.
    """
    return SquaredError(reduction)(prediction, target, sample_weight)


def half_squared_error(
    prediction: Operand, target: Operand, reduction: str = "mean", sample_weight: Operand | None = None
) -> Tensor:
    """½ (f − y)², element by element: the gradient is the error f − y itself, the Hessian 1."""
    return HalfSquaredError(reduction)(prediction, target, sample_weight)


def mean_squared_error(
    prediction: Operand, target: Operand, sample_weight: Operand | None = None, reduction: str = "mean"
) -> Tensor:
    """(1/N) Σ (f − y)² over all N elements: `squared_error` by the name it mostly has."""
    return MeanSquaredError(reduction)(prediction, target, sample_weight)


def absolute_error(
    prediction: Operand, target: Operand, reduction: str = "mean", sample_weight: Operand | None = None
) -> Tensor:
    """|f − y|, element by element; minimised by the median of the targets.

    Convex, Lipschitz with constant 1; the derivative at 0 is 0.
    """
    return AbsoluteError(reduction)(prediction, target, sample_weight)


def log_cosh(
    prediction: Operand, target: Operand, reduction: str = "mean", sample_weight: Operand | None = None
) -> Tensor:
    """log cosh(f − y), element by element: about ½ r² near 0, |r| − log 2 far away; no overflow, no cancellation.

    Convex, Lipschitz with constant 1, infinitely smooth: gradient tanh r, Hessian 1 − tanh² r.
    """
    return LogCosh(reduction)(prediction, target, sample_weight)


def huber(
    prediction: Operand,
    target: Operand,
    delta: float = 1.0,
    reduction: str = "mean",
    sample_weight: Operand | None = None,
) -> Tensor:
    """½ r² for |r| ≤ delta, delta (|r| − ½ delta) beyond, element by element.

    Convex, Lipschitz with constant delta; the gradient is r clipped to [−delta, delta], the Hessian 1 within, 0 beyond.

    Parameters
    ----------
    delta : > 0, the residual from which on a case counts as an outlier

    References
    ----------
    Huber (1964), Robust estimation of a location parameter, Annals of Mathematical Statistics 35.
    """
    return Huber(delta, reduction)(prediction, target, sample_weight)


def epsilon_insensitive(
    prediction: Operand,
    target: Operand,
    epsilon: float = 0.1,
    reduction: str = "mean",
    sample_weight: Operand | None = None,
) -> Tensor:
    """max(0, |f − y| − epsilon), element by element: the trainable form of `tolerance`.

    Convex, Lipschitz with constant 1; the derivative on and within the tube is 0.

    Parameters
    ----------
    epsilon : >= 0, half the width of the tube

    References
    ----------
    Vapnik (1995), The Nature of Statistical Learning Theory, section 6.1.
    """
    return EpsilonInsensitive(epsilon, reduction)(prediction, target, sample_weight)
