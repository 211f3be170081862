"""Line searches: a step α along d where φ(α) = f(x + α d) meets the strong Wolfe conditions.

    φ(α) ≤ φ(0) + c1 α φ'(0)  and  |φ'(α)| ≤ c2 |φ'(0)|,  0 < c1 < c2 < 1

A trial where f or its gradient is not finite only shortens the steps that follow.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .evaluations import Array, Evaluations, Point, noise


@dataclass(frozen=True)
class Trial:
    """A step α with φ(α), φ'(α) and the point it leads to."""

    alpha: float
    f: float
    slope: float
    point: Point

    @property
    def finite(self) -> bool:
        """Whether φ, φ' and the whole gradient are finite."""
        return math.isfinite(self.f) and math.isfinite(self.slope) and self.point.finite


class Ray:
    """φ(α) = f(x + α d) and φ'(α) = ∇f(x + α d)ᵀ d, from `start`, which is α = 0."""

    def __init__(self, evaluations: Evaluations, start: Point, direction: Array) -> None:
        self._evaluations = evaluations
        self.direction = direction
        self.start = Trial(0.0, start.f, float(start.g @ direction), start)
        self.noise = noise(evaluations, start.f)
        self.trials = 0

    def __call__(self, alpha: float) -> Trial:
        self.trials += 1
        x = self.start.point.x + alpha * self.direction
        point = self._evaluations.point(x)
        with np.errstate(invalid="ignore", over="ignore"):  # the gradient of an infinite f
            slope = float(point.g @ self.direction)
        return Trial(alpha, point.f, slope, point)

    def moves(self, alpha: float) -> bool:
        """Whether a step of α changes any coordinate in the arithmetic of f."""
        x = self.start.point.x
        return bool(np.any(np.abs(alpha * self.direction) > self._evaluations.epsilon * np.abs(x)))


LineSearch = Callable[[Ray, float], Trial | None]


def at_rounding(ray: Ray, trial: Trial, c1: float, c2: float) -> bool:
    """Whether φ(α) equals φ(0) up to rounding and the slopes alone say that α is a good step.

    The first Wolfe condition for the quadratic that fits φ(0), φ'(0) and φ'(α): (2 c1 − 1) φ'(0) ≥ φ'(α).

    References
    ----------
    Hager, Zhang (2005), equation 4.1.
    """
    slope = ray.start.slope
    hidden = abs(trial.f - ray.start.f) <= ray.noise
    return hidden and (2 * c1 - 1) * slope >= trial.slope >= c2 * slope


class StrongWolfe:
    """The line search of Moré and Thuente: safeguarded cubic and quadratic steps in a shrinking interval.

    Parameters
    ----------
    c1, c2 : constants of the strong Wolfe conditions
    trials : largest number of evaluations
    longest : largest α

    References
    ----------
    Moré, Thuente (1994), Line search algorithms with guaranteed sufficient decrease, ACM TOMS 20.
    """

    def __init__(self, c1: float = 1e-4, c2: float = 0.9, trials: int = 30, longest: float = 1e10) -> None:
        self.c1, self.c2, self.trials, self.longest = c1, c2, trials, longest

    def __call__(self, ray: Ray, alpha: float) -> Trial | None:
        """The step found, or the best one with a sufficient decrease; None where there is none."""
        start = ray.start
        decrease = self.c1 * start.slope
        best = other = start  # the ends of the interval of uncertainty; best has the smallest value
        bracketed, first_stage = False, True
        low, high, width, last_width = 0.0, 5 * alpha, math.inf, math.inf
        limit = self.longest
        for _ in range(self.trials):
            if not ray.moves(alpha - best.alpha):
                break
            trial = ray(alpha)
            if not trial.finite:
                limit = high = alpha
                alpha = best.alpha + 0.1 * (alpha - best.alpha)
                continue
            sufficient = trial.f <= start.f + alpha * decrease
            if (sufficient and abs(trial.slope) <= -self.c2 * start.slope) or at_rounding(ray, trial, self.c1, self.c2):
                return trial
            if sufficient and trial.slope >= 0:
                first_stage = False
            # Before a point has a sufficient decrease the interval is that of ψ(α) = φ(α) − φ(0) − c1 α φ'(0).
            tilt = decrease if first_stage and trial.f <= best.f and not sufficient else 0.0
            alpha, closes = _next_step(
                _tilted(best, tilt), _tilted(other, tilt), _tilted(trial, tilt), bracketed, low, high
            )
            bracketed = bracketed or closes
            if trial.f - tilt * trial.alpha > best.f - tilt * best.alpha:
                other = trial
            else:
                if (trial.slope - tilt) * math.copysign(1.0, best.slope - tilt) < 0:
                    other = best
                best = trial
            if bracketed:
                if abs(other.alpha - best.alpha) >= 0.66 * last_width:
                    alpha = 0.5 * (best.alpha + other.alpha)
                width, last_width = abs(other.alpha - best.alpha), width
                low, high = sorted((best.alpha, other.alpha))
                if not low < alpha < high:
                    break
            else:
                low, high = alpha + 1.1 * (alpha - best.alpha), alpha + 4.0 * (alpha - best.alpha)
                if alpha >= limit:
                    alpha = 0.5 * (best.alpha + limit)
        return best if best.alpha > 0 and best.f <= start.f + best.alpha * decrease else None


@dataclass(frozen=True)
class _End:
    """A step with a function's value and slope there."""

    a: float
    f: float
    d: float


def _tilted(trial: Trial, tilt: float) -> _End:
    return _End(trial.alpha, trial.f - tilt * trial.alpha, trial.slope - tilt)


def _next_step(x: _End, y: _End, t: _End, bracketed: bool, low: float, high: float) -> tuple[float, bool]:
    """The next trial, and whether t closes the interval: Moré, Thuente (1994), section 4, cases 1 to 4.

    x is the best end so far, y the other, t the trial just made.
    """
    secant = t.a + t.d / (t.d - x.d) * (x.a - t.a) if t.d != x.d else math.inf
    if t.f > x.f:
        cubic = cubic_minimum(x.a, x.f, x.d, t.a, t.f, t.d)
        quadratic = x.a + 0.5 * x.d / ((x.f - t.f) / (t.a - x.a) + x.d) * (t.a - x.a)
        return (cubic if abs(cubic - x.a) < abs(quadratic - x.a) else 0.5 * (cubic + quadratic)), True
    if t.d * math.copysign(1.0, x.d) < 0:
        cubic = cubic_minimum(x.a, x.f, x.d, t.a, t.f, t.d)
        return (cubic if abs(cubic - t.a) > abs(secant - t.a) else secant), True
    if abs(t.d) < abs(x.d):  # the slope falls in size: the minimum lies beyond t
        cubic = cubic_minimum(x.a, x.f, x.d, t.a, t.f, t.d)
        beyond = (cubic - t.a) * (t.a - x.a) > 0
        if not beyond:
            cubic = high if t.a > x.a else low
        if bracketed:
            step = cubic if abs(cubic - t.a) < abs(secant - t.a) else secant
            bound = t.a + 0.66 * (y.a - t.a)
            return (min(bound, step) if t.a > x.a else max(bound, step)), False
        step = cubic if abs(cubic - t.a) > abs(secant - t.a) else secant
        return min(max(step, low), high), False
    if bracketed:
        return cubic_minimum(t.a, t.f, t.d, y.a, y.f, y.d), False
    return (high if t.a > x.a else low), False


def cubic_minimum(a: float, fa: float, da: float, b: float, fb: float, db: float) -> float:
    """The minimiser of the cubic with values fa, fb and slopes da, db at a, b; NaN where it has none.

    References
    ----------
    Nocedal, Wright (2006), Numerical Optimization, equation 3.59.
    """
    theta = 3.0 * (fa - fb) / (b - a) + da + db
    scale = max(abs(theta), abs(da), abs(db))
    if scale == 0.0 or not math.isfinite(scale):
        return math.nan
    radicand = (theta / scale) ** 2 - (da / scale) * (db / scale)
    if radicand < 0.0:
        return math.nan
    gamma = math.copysign(scale * math.sqrt(radicand), b - a)
    denominator = db - da + 2.0 * gamma
    return b - (b - a) * (db + gamma - theta) / denominator if denominator != 0.0 else math.nan
