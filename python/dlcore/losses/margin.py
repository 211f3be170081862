"""Losses of a score f and a sign t ∈ {−1, +1}, functions of the margin t f; and their multiclass forms."""

from __future__ import annotations

import math
from typing import Any

from .. import ops
from ..tensor import Operand, Tensor, tensor
from .base import Loss, Pointwise, class_weights, number, require_signs, row_labels, to_rows

FORMS = ("one_vs_rest", "crammer_singer")


class Hinge(Pointwise):
    """max(0, margin − t f); see `hinge`."""

    name = "hinge"
    kind = "hinge"
    lipschitz = 1.0
    domain = "f real, t = -1 or +1"

    def __init__(self, margin: float = 1.0, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.margin = number(self.name, margin, "margin")

    def parameter(self) -> float:
        return self.margin

    def check(self, f: Tensor, y: Tensor) -> None:
        require_signs(self.name, y)


class SquaredHinge(Hinge):
    """max(0, margin − t f)²; see `squared_hinge`."""

    name = "squared_hinge"
    kind = "squared_hinge"
    lipschitz = math.inf


class Perceptron(Hinge):
    """max(0, margin − t f) with margin 0 by default; see `perceptron`."""

    name = "perceptron"

    def __init__(self, margin: float = 0.0, reduction: str = "mean") -> None:
        super().__init__(margin, reduction)


class MulticlassHinge(Loss):
    """Hinge over the classes of a row; see `multiclass_hinge`."""

    name = "multiclass_hinge"
    domain = "f real, labels in [0, classes)"
    rows = True

    def __init__(
        self,
        squared: bool = False,
        reduction: str = "mean",
        form: str = "one_vs_rest",
        margin: float = 1.0,
        class_weight: Any = None,
    ) -> None:
        super().__init__(reduction)
        if form not in FORMS:
            raise ValueError(f"multiclass_hinge: form is {form!r}, expected one of {', '.join(FORMS)}")
        self.squared, self.form = bool(squared), form
        self.margin = number(self.name, margin, "margin")
        self.class_weight = class_weights(class_weight, self.name)

    @property
    def lipschitz(self) -> float:  # type: ignore[override]
        if self.squared:
            return math.inf
        return 1.0 if self.class_weight is None else float(self.class_weight.max(initial=0.0))

    def losses(self, prediction: Operand, target: Any) -> tuple[Tensor, Tensor | None]:
        f, lead = to_rows(prediction, self.name, "scores")
        classes = f.shape[1]
        y = row_labels(target, lead, classes, self.name)
        chosen = ops.one_hot(y, classes, f.dtype)
        if self.form == "one_vs_rest":
            signs = ops.affine(chosen, 2.0, -1.0)
            kind = "squared_hinge" if self.squared else "hinge"
            losses = ops.sum(ops.pointwise_loss(f, signs, kind, self.margin), 1)
        else:
            own = ops.sum(ops.where(chosen, f, 0.0), 1)
            others = ops.where(chosen, -math.inf, f)
            rival = ops.max(others, 1) if classes else own
            missing = ops.relu(ops.affine(rival - own, 1.0, self.margin))
            losses = ops.square(missing) if self.squared else missing
        weights = class_weights(self.class_weight, self.name, classes)
        if weights is not None:
            losses = losses * tensor(weights[y.numpy()], f.dtype, f.device)
        return ops.reshape(losses, lead), None


def hinge(
    scores: Operand,
    target: Operand,
    reduction: str = "mean",
    sample_weight: Operand | None = None,
    margin: float = 1.0,
) -> Tensor:
    """max(0, margin − t f) for targets t ∈ {−1, +1}, element by element.

    Convex, Lipschitz with constant 1; the derivative at the kink t f = margin is 0.

    References
    ----------
    Cortes, Vapnik (1995), Support-vector networks.
    """
    return Hinge(margin, reduction)(scores, target, sample_weight)


def squared_hinge(
    scores: Operand,
    target: Operand,
    margin: float = 1.0,
    reduction: str = "mean",
    sample_weight: Operand | None = None,
) -> Tensor:
    """max(0, margin − t f)² for targets t ∈ {−1, +1}, element by element.

    Convex, once differentiable, not Lipschitz; the Hessian is 2 below the margin and 0 from there on.
    """
    return SquaredHinge(margin, reduction)(scores, target, sample_weight)


def perceptron(
    scores: Operand,
    target: Operand,
    margin: float = 0.0,
    reduction: str = "mean",
    sample_weight: Operand | None = None,
) -> Tensor:
    """max(0, margin − t f) for targets t ∈ {−1, +1}: Rosenblatt's rule is its subgradient descent at margin 0.

    Convex, Lipschitz with constant 1. With margin 0 the score 0 costs nothing, so f = 0 is a minimum: give a margin.

    References
    ----------
    Rosenblatt (1958), The perceptron, Psychological Review 65.
    """
    return Perceptron(margin, reduction)(scores, target, sample_weight)


def multiclass_hinge(
    scores: Operand,
    target: Any,
    squared: bool = False,
    reduction: str = "mean",
    sample_weight: Operand | None = None,
    form: str = "one_vs_rest",
    margin: float = 1.0,
    class_weight: Any = None,
) -> Tensor:
    """Σ over classes of max(0, margin − t f), t = +1 for the label's class, else −1 ("one_vs_rest"); or
    max(0, margin + max over the other classes − the label's score) ("crammer_singer"); squared where asked.

    Convex. Ties among the other classes send the gradient to the first.

    Parameters
    ----------
    scores : (n, classes), or (n, classes, d1, ...) with one row for each place
    target : integers in [0, classes), (n,) or (n, d1, ...)
    class_weight : (classes,), a factor for the loss of each label; the mean is still over the number of rows

    References
    ----------
    Tang (2013), Deep learning using linear support vector machines, equations 5 and 9. Crammer, Singer (2001), On the
    algorithmic implementation of multiclass kernel-based vector machines, JMLR 2, equation 3.
    """
    return MulticlassHinge(squared, reduction, form, margin, class_weight)(scores, target, sample_weight)
