"""The line search of Hager and Zhang: secant steps on the slope, and Wolfe conditions that survive rounding.

Near a minimum φ(α) − φ(0) drowns in rounding long before the slopes do. The approximate Wolfe conditions ask for
(2 c1 − 1) φ'(0) ≥ φ'(α) ≥ c2 φ'(0) and φ(α) ≤ φ(0) + ε only, so that a method reaches gradients near machine precision.
"""

from __future__ import annotations

import math

from .line_search import Ray, Trial


class _Found(Exception):  # noqa: N818 - carries the result out of the nested searches
    def __init__(self, trial: Trial) -> None:
        self.trial = trial


class _Spent(Exception):  # noqa: N818
    pass


class HagerZhang:
    """Wolfe or approximate Wolfe conditions, by bracketing and double secant steps.

    Parameters
    ----------
    c1, c2 : constants of the Wolfe conditions (δ, σ in the paper)
    epsilon : φ may rise by epsilon |φ(0)| where the slopes are good
    trials : largest number of evaluations

    References
    ----------
    Hager, Zhang (2005), A new conjugate gradient method with guaranteed descent and an efficient line search, SIAM J.
    Optim. 16, section 4; names of the steps (B1, U3, S2, …) as there.
    """

    theta, gamma, rho = 0.5, 0.66, 5.0

    def __init__(self, c1: float = 0.1, c2: float = 0.9, epsilon: float = 1e-6, trials: int = 50) -> None:
        self.c1, self.c2, self.epsilon, self.trials = c1, c2, epsilon, trials

    def __call__(self, ray: Ray, alpha: float) -> Trial | None:
        """The step found, or the best one with a sufficient decrease; None where there is none."""
        search = _Search(self, ray)
        try:
            a, b = search.bracket(alpha)
            while True:
                width = b.alpha - a.alpha
                a, b = search.secant_squared(a, b)
                if b.alpha - a.alpha > self.gamma * width:
                    a, b = search.update(a, b, 0.5 * (a.alpha + b.alpha))
        except _Found as found:
            return found.trial
        except _Spent:
            best = search.best
            good = best.alpha > 0 and best.f <= ray.start.f + self.c1 * best.alpha * ray.start.slope
            return best if good else None


class _Search:
    """One call: the ray, what counts as no higher than φ(0), and the lowest trial so far."""

    def __init__(self, rule: HagerZhang, ray: Ray) -> None:
        self.rule, self.ray = rule, ray
        self.ceiling = ray.start.f + max(rule.epsilon * abs(ray.start.f), ray.noise)
        self.best = ray.start
        self.left = rule.trials

    def evaluate(self, alpha: float, anchor: float) -> Trial:
        """The trial at α, which ends the search when it is good; `anchor` is the end of the interval nearest to it."""
        if self.left == 0 or not math.isfinite(alpha) or not self.ray.moves(alpha - anchor):
            raise _Spent
        self.left -= 1
        trial = self.ray(alpha)
        if trial.finite:
            if trial.f < self.best.f:
                self.best = trial
            if self.accepts(trial):
                raise _Found(trial)
        return trial

    def accepts(self, trial: Trial) -> bool:
        slope, c1, c2 = self.ray.start.slope, self.rule.c1, self.rule.c2
        if trial.slope < c2 * slope:
            return False
        decrease = trial.f - self.ray.start.f
        return decrease <= c1 * trial.alpha * slope or (trial.f <= self.ceiling and (2 * c1 - 1) * slope >= trial.slope)

    def is_low(self, trial: Trial) -> bool:
        return trial.finite and trial.f <= self.ceiling

    def bracket(self, alpha: float) -> tuple[Trial, Trial]:
        """B0 to B3: a with φ' < 0 and b with φ' ≥ 0 (or φ too high, shrunk until it is so)."""
        a = self.ray.start
        while True:
            trial = self.evaluate(alpha, a.alpha)
            if trial.finite and trial.slope >= 0:
                return a, trial
            if not self.is_low(trial):
                return self.shrink(a, trial)
            a, alpha = trial, self.rule.rho * alpha

    def update(self, a: Trial, b: Trial, alpha: float) -> tuple[Trial, Trial]:
        """U0 to U3: the interval with α taken into account."""
        if not a.alpha < alpha < b.alpha:
            return a, b
        trial = self.evaluate(alpha, a.alpha if alpha - a.alpha < b.alpha - alpha else b.alpha)
        if trial.finite and trial.slope >= 0:
            return a, trial
        if self.is_low(trial):
            return trial, b
        return self.shrink(a, trial)

    def shrink(self, a: Trial, b: Trial) -> tuple[Trial, Trial]:
        """U3: bisect towards a, where φ falls, until a point beyond has a slope ≥ 0."""
        while True:
            # An infinite value says nothing about where the minimum is; closer steps find the domain sooner.
            theta = self.rule.theta if math.isfinite(b.f) else 0.9
            trial = self.evaluate(theta * a.alpha + (1 - theta) * b.alpha, a.alpha)
            if trial.finite and trial.slope >= 0:
                return a, trial
            if self.is_low(trial):
                a = trial
            else:
                b = trial

    def secant_squared(self, a: Trial, b: Trial) -> tuple[Trial, Trial]:
        """S1 to S4: a secant step, and a second one from the end that the first replaced."""
        alpha = _secant(a, b)
        lower, upper = self.update(a, b, alpha)
        second = math.nan
        if alpha == upper.alpha:
            second = _secant(b, upper)
        elif alpha == lower.alpha:
            second = _secant(a, lower)
        return self.update(lower, upper, second)


def _secant(a: Trial, b: Trial) -> float:
    return (a.alpha * b.slope - b.alpha * a.slope) / (b.slope - a.slope) if b.slope != a.slope else math.nan
