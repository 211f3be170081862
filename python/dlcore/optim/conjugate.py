"""Nonlinear conjugate gradients with five formulas for β."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from .evaluations import Array, Evaluations, Point
from .method import Method, make_line_search, require_one_of, stalled

# β from the new gradient g, the difference y = g − g_old, the old direction d, g_oldᵀg_old and dᵀy.
Beta = Callable[[Array, Array, Array, float, float], float]


def _fletcher_reeves(g: Array, y: Array, d: Array, old: float, dy: float) -> float:
    return float(g @ g) / old


def _polak_ribiere(g: Array, y: Array, d: Array, old: float, dy: float) -> float:
    return max(float(g @ y) / old, 0.0)


def _hestenes_stiefel(g: Array, y: Array, d: Array, old: float, dy: float) -> float:
    return max(float(g @ y) / dy, 0.0)


def _dai_yuan(g: Array, y: Array, d: Array, old: float, dy: float) -> float:
    return float(g @ g) / dy


def _hager_zhang(g: Array, y: Array, d: Array, old: float, dy: float) -> float:
    beta = (float(g @ y) - 2.0 * float(y @ y) * float(d @ g) / dy) / dy
    return max(beta, -1.0 / (float(np.linalg.norm(d)) * min(0.01, math.sqrt(old))))


FORMULAS: dict[str, Beta] = {
    "fr": _fletcher_reeves,
    "pr+": _polak_ribiere,
    "hs": _hestenes_stiefel,
    "dy": _dai_yuan,
    "hz": _hager_zhang,
}


# The formulas without gᵀy see no failed step: after one of them d stays nearly orthogonal to g. Powell (1977) starts
# them anew with −g where two gradients are far from orthogonal, unlike those of a quadratic: |gᵀg_old| ≥ 0.2 gᵀg.
RESTARTED = ("fr", "dy")


class ConjugateGradient(Method):
    """d ← −g + β d, with y = g − g_old and β by `formula`:

    "fr" gᵀg / g_oldᵀg_old, "pr+" max(0, gᵀy / g_oldᵀg_old), "hs" max(0, gᵀy / dᵀy), "dy" gᵀg / dᵀy,
    "hz" (y − 2 d yᵀy/dᵀy)ᵀg / dᵀy, bounded below. "fr" and "dy" take β = 0 where |gᵀg_old| ≥ 0.2 gᵀg.

    References
    ----------
    Fletcher, Reeves (1964); Powell (1977), Restart procedures for the conjugate gradient method; Polak, Ribière (1969)
    with Powell's (1984) bound; Hestenes, Stiefel (1952); Dai, Yuan (1999); Hager, Zhang (2005), equations 1.3 to 1.6.
    """

    def __init__(
        self,
        evaluations: Evaluations,
        formula: str = "hs",
        line_search: str = "strong-wolfe",
        c1: float | None = None,
        c2: float = 0.4,
    ) -> None:
        super().__init__(evaluations)
        require_one_of("formula", formula, FORMULAS)
        self.beta = FORMULAS[formula]
        self._restarts = formula in RESTARTED
        self.line_search = make_line_search(line_search, c1, c2)
        self._direction: Array | None = None
        self._old_step = math.nan  # α gᵀd of the last step

    def _first_alpha(self, point: Point, slope: float) -> float:
        if math.isnan(self._old_step):
            return min(1.0, 1.0 / float(np.linalg.norm(point.g)))
        # the step that would repeat the last decrease, or the last first-order change: Nocedal, Wright (2006), 3.60
        return self._old_step / slope

    def step(self, point: Point) -> Point:
        steepest = self._direction is None
        direction = -point.g if self._direction is None else self._direction
        slope = float(point.g @ direction)
        if slope >= 0:
            steepest, direction, slope = True, -point.g, -float(point.g @ point.g)
        trial = self.search(self.line_search, point, direction, self._first_alpha(point, slope))
        if trial is None and not steepest:
            direction, slope = -point.g, -float(point.g @ point.g)
            self._old_step = math.nan
            trial = self.search(self.line_search, point, direction, self._first_alpha(point, slope))
        if trial is None:
            raise stalled()
        self._old_step = trial.alpha * slope
        g = trial.point.g
        y = g - point.g
        dy = float(direction @ y)
        old = float(point.g @ point.g)
        restart = dy <= 0 or (self._restarts and abs(float(g @ point.g)) >= 0.2 * float(g @ g))
        beta = 0.0 if restart else self.beta(g, y, direction, old, dy)
        self._direction = beta * direction - g if math.isfinite(beta) else None
        return trial.point
