"""Function evaluations until a gradient within a tolerance is first computed: the same rule for every optimizer."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from dlcore import optim
from problem import Problem
from problems import PROBLEMS

GTOL = 1e-5
LIMIT = 5000  # evaluations of f

# dlcore's method, its options, and SciPy's method of the same name
PAIRS: list[tuple[str, str, dict[str, Any]]] = [
    ("cg", "CG", {"maxiter": 10000}),
    ("bfgs", "BFGS", {"maxiter": 10000}),
    ("l-bfgs", "L-BFGS-B", {"maxiter": 10000, "maxfun": 10**6, "ftol": 0.0}),
    ("newton-cg", "Newton-CG", {"maxiter": 10000, "xtol": 1e-15}),
    ("trust-ncg", "trust-ncg", {"maxiter": 10000}),
    ("trust-exact", "trust-exact", {"maxiter": 10000}),
    ("lm", "least_squares lm", {"xtol": 1e-15, "ftol": 1e-15, "gtol": 1e-15, "max_nfev": LIMIT}),
]


class _Reached(Exception):  # noqa: N818
    pass


@dataclass
class Count:
    """What one optimizer asked of one problem; `f` is the last value, the solution's where `solved`."""

    nfev: int = 0
    njev: int = 0
    nhev: int = 0
    f: float = np.inf
    solved: bool = False


class Counted:
    """A problem whose evaluations are counted; a gradient within the tolerance ends the run."""

    def __init__(self, problem: Problem, gtol: float = GTOL, limit: int = LIMIT) -> None:
        self.problem, self.count, self.gtol, self.limit = problem, Count(), gtol, limit

    def value(self, x: Any) -> float:
        self._next(x)
        return self.problem.f_array(x)

    def residual(self, x: Any) -> Any:
        self._next(x)
        return self.problem.residual_array(x)

    def gradient(self, x: Any) -> Any:
        self.count.njev += 1
        return self._seen(x, self.problem.gradient_array(x))

    def jacobian(self, x: Any) -> Any:
        self.count.njev += 1
        with np.errstate(all="ignore"):
            j = self.problem.jacobian_array(x)
            self._seen(x, 2 * j.T @ self.problem.residual_array(x))
        return j

    def hessian(self, x: Any) -> Any:
        self.count.nhev += 1
        return self.problem.hessian_array(x)

    def _next(self, x: Any) -> None:
        if self.count.nfev >= self.limit:
            raise _Reached
        self.count.nfev += 1

    def _seen(self, x: Any, g: Any) -> Any:
        if np.isfinite(g).all() and np.abs(g).max() <= self.gtol:
            self.count.solved = True
            self.count.f = self.problem.f_array(x)
            raise _Reached
        return g


def run(problem: Problem, solve: Callable[[Counted], Any]) -> Count:
    counted = Counted(problem)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            solve(counted)
        except _Reached:
            pass
        except Exception as error:  # an optimizer that breaks down has not solved the problem
            print(f"  {problem.name}: {type(error).__name__}: {error}")
    return counted.count


def by_dlcore(problem: Problem, method: str, **options: Any) -> Count:
    options = {"gtol": 0.0, "maxiter": 10000} | options

    def solve(c: Counted) -> None:
        if method in ("lm", "gauss-newton"):
            optim.minimize(None, problem.start, method=method, residual=c.residual, jac=c.jacobian, options=options)
            return
        hess = c.hessian if method.startswith(("newton", "trust")) else None
        optim.minimize(c.value, problem.start, method=method, jac=c.gradient, hess=hess, options=options)

    return run(problem, solve)


def by_scipy(problem: Problem, method: str, options: dict[str, Any]) -> Count:
    from scipy.optimize import least_squares, minimize

    def solve(c: Counted) -> None:
        if method == "least_squares lm":
            least_squares(c.residual, problem.start, c.jacobian, method="lm", **options)
            return
        hess = c.hessian if method.startswith(("Newton", "trust")) else None
        tolerance = {} if method == "Newton-CG" else {"gtol": 0.0}
        minimize(c.value, problem.start, method=method, jac=c.gradient, hess=hess, options=options | tolerance)

    return run(problem, solve)


def at_known_minimum(problem: Problem, f: float) -> bool:
    return any(abs(f - minimum) <= 1e-4 * abs(minimum) + 1e-6 for minimum in problem.minima)


def table(method: str, **options: Any) -> dict[str, Count]:
    return {problem.name: by_dlcore(problem, method, **options) for problem in PROBLEMS}
