"""Gradient descent as a numerical optimizer: a line search or a fixed step, the trace and the stopping rules of all."""

from __future__ import annotations

import math

import numpy as np

from .evaluations import Array, Evaluations, Point, Stalled
from .method import Method, make_line_search, stalled
from .ranges import ABOVE_ZERO, require


class GradientDescent(Method):
    """x ← x − α g, with α by a line search, or α = lr where that is given.

    The first trial of a line search is Barzilai and Borwein's step sᵀs / sᵀy, the inverse of the curvature along the
    last step.

    References
    ----------
    Cauchy (1847); Barzilai, Borwein (1988), equation 5.
    """

    def __init__(
        self,
        evaluations: Evaluations,
        lr: float | None = None,
        line_search: str = "strong-wolfe",
        c1: float | None = None,
        c2: float = 0.9,
    ) -> None:
        super().__init__(evaluations)
        if lr is not None:
            require("minimize", ABOVE_ZERO, lr=lr)
        self.lr = lr
        self.line_search = make_line_search(line_search, c1, c2)
        self._alpha = math.nan

    def step(self, point: Point) -> Point:
        if self.lr is not None:
            return self._fixed(point, self.lr)
        length = float(np.linalg.norm(point.g))
        alpha = min(1.0, 1.0 / length) if math.isnan(self._alpha) else self._alpha
        trial = self.search(self.line_search, point, -point.g, alpha)
        if trial is None:
            raise stalled()
        s, y = trial.point.x - point.x, trial.point.g - point.g
        sy = float(s @ y)
        self._alpha = float(s @ s) / sy if sy > 0 else trial.alpha
        return trial.point

    def _fixed(self, point: Point, lr: float) -> Point:
        step: Array = lr * point.g
        after = self.evaluations.point(point.x - step)
        if not after.finite:
            raise Stalled(f"f or its gradient is not finite after a step with lr {lr}; a smaller lr may help")
        return after
