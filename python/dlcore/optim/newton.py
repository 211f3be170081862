"""Newton's method with a line search: with the Hessian itself, or from products with it."""

from __future__ import annotations

import math

import numpy as np

from .evaluations import Array, Evaluations, Point
from .method import Method, make_line_search, require_count, stalled


class Newton(Method):
    """x ← x − α H⁻¹ g; where H is not positive definite, |H| with its small eigenvalues raised takes its place.

    The step α = 1 is tried first, so that convergence is quadratic near a minimum. Where no step along this direction
    helps, as on a slope without curvature, the search goes along −g.

    References
    ----------
    Nocedal, Wright (2006), sections 3.3 and 3.4; Dauphin et al. (2014) for |H| at saddles.
    """

    def __init__(
        self,
        evaluations: Evaluations,
        line_search: str = "strong-wolfe",
        c1: float | None = None,
        c2: float = 0.9,
    ) -> None:
        super().__init__(evaluations)
        self.line_search = make_line_search(line_search, c1, c2)

    def step(self, point: Point) -> Point:
        direction = newton_direction(self.evaluations.hessian(point.x), point.g)
        trial = self.search(self.line_search, point, direction, 1.0) or self.search_steepest(self.line_search, point)
        if trial is None:
            raise stalled()
        return trial.point


def newton_direction(h: Array, g: Array) -> Array:
    """−H⁻¹ g for a safely positive definite H, else −V max(|λ|, δ)⁻¹ Vᵀ g."""
    try:
        lower = np.linalg.cholesky(h)
        direction: Array = -np.linalg.solve(lower.T, np.linalg.solve(lower, g))
        if np.isfinite(direction).all() and float(direction @ g) < 0:
            return direction
    except np.linalg.LinAlgError:
        pass
    values, vectors = np.linalg.eigh(h)
    sizes = np.maximum(np.abs(values), max(1e-12 * float(np.abs(values).max()), 1e-300))
    return np.asarray(-(vectors @ ((vectors.T @ g) / sizes)))


class NewtonCG(Method):
    """H p = −g solved by conjugate gradients up to ‖H p + g‖ ≤ min(½, √‖g‖) ‖g‖, from products H v alone.

    A direction of negative curvature ends the inner iteration: p is what it has found, or −g at its first step.
    Where no step along p helps, as on a slope without curvature, the search goes along −g.

    References
    ----------
    Dembo, Steihaug (1983); Nocedal, Wright (2006), algorithm 7.1.
    """

    def __init__(
        self,
        evaluations: Evaluations,
        line_search: str = "strong-wolfe",
        c1: float | None = None,
        c2: float = 0.9,
        inner: int | None = None,
    ) -> None:
        super().__init__(evaluations)
        if inner is not None:
            require_count("inner", inner)
        self.line_search = make_line_search(line_search, c1, c2)
        self.inner = inner

    def step(self, point: Point) -> Point:
        direction = self._direction(point)
        trial = self.search(self.line_search, point, direction, 1.0) or self.search_steepest(self.line_search, point)
        if trial is None:
            raise stalled()
        return trial.point

    def _direction(self, point: Point) -> Array:
        multiply = self.evaluations.product(point.x)
        g = point.g
        length = float(np.linalg.norm(g))
        tolerance = min(0.5, math.sqrt(length)) * length
        p = np.zeros_like(g)
        residual, d = g.copy(), -g
        square = length**2
        for i in range(self.inner or 2 * g.size + 10):
            hd = multiply(d)
            curvature = float(d @ hd)
            if not curvature > 1e-14 * float(np.linalg.norm(d)) * float(np.linalg.norm(hd)):
                if i == 0:  # −g, as long as the curvature's size says
                    p = -g * (square / -curvature if -math.inf < curvature < 0 else 1.0)
                break
            alpha = square / curvature
            p += alpha * d
            residual += alpha * hd
            previous, square = square, float(residual @ residual)
            if math.sqrt(square) <= tolerance:
                break
            d = (square / previous) * d - residual
        return p
