"""Least squares: f = ½‖r(x)‖² by its residuals r and their Jacobian J; ∇f = Jᵀ r, and JᵀJ stands for the Hessian."""

from __future__ import annotations

import math

import numpy as np

from .evaluations import Array, Evaluations, Point, Stalled, Vector, half_square
from .line_search import Trial
from .method import Method, make_line_search, require_one_of, stalled
from .ranges import ABOVE_ZERO, require, require_flags
from .trust_region import truncated


class GaussNewton(Method):
    """x ← x − α J⁺ r, with the shortest p of least ‖J p + r‖ where J is rank-deficient; α by a line search, 1 first.

    References
    ----------
    Gauss (1809); Nocedal, Wright (2006), section 10.3; Björck (1996), Numerical Methods for Least Squares Problems.
    """

    needs_residual = True

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
        j = self.evaluations.jacobian(point.x)
        if not np.isfinite(j).all():
            raise Stalled("the Jacobian is not finite")
        assert point.r is not None
        direction = np.linalg.lstsq(j, -point.r, rcond=None)[0]
        trial = self.search(self.line_search, point, direction, 1.0)
        if trial is None:
            trial = self._steepest(point, j)
        if trial is None:
            raise stalled()
        return trial.point

    def _steepest(self, point: Point, j: Array) -> Trial | None:
        """Along −g to the model's minimum: where J is so nearly singular that J⁺ r descends in theory only."""
        jg = j @ point.g
        alpha = float(point.g @ point.g) / max(float(jg @ jg), 1e-300)
        return self.search(self.line_search, point, -point.g, alpha)


class LevenbergMarquardt(Method):
    """The p of least ‖J p + r‖² + λ‖D p‖² with ‖D p‖ = Δ (or λ = 0 inside), D the largest column norms of J so far.

    λ and Δ follow the ratio of actual to promised decrease as in MINPACK's lmder, so the steps do not depend on the
    units of x.

    Parameters
    ----------
    factor : Δ = factor · ‖D x‖ at first (factor itself where that is 0)
    solver : "dense" (singular values of J D⁻¹; p exact) or "products" (conjugate gradients on J v and Jᵀu, D = I: for
        problems where J itself is too large)
    scale : whether D follows the columns of J; else D = I

    References
    ----------
    Levenberg (1944); Marquardt (1963); Moré (1978), The Levenberg–Marquardt algorithm: implementation and theory;
    Moré, Garbow, Hillstrom (1980), User guide for MINPACK-1.
    """

    needs_residual = True

    def __init__(
        self, evaluations: Evaluations, factor: float = 100.0, solver: str = "dense", scale: bool = True
    ) -> None:
        super().__init__(evaluations)
        require("minimize", ABOVE_ZERO, factor=factor)
        require_one_of("solver", solver, ("dense", "products"))
        require_flags("minimize", scale=scale)
        self.factor, self.dense, self.scale = factor, solver == "dense", scale
        self.damping = 0.0
        self.radius = math.nan
        self._columns: Array | None = None
        self._model: _Model

    def start(self, x: Array) -> Point:
        return self._arrive(x, self.evaluations.residual(x))

    def _arrive(self, x: Array, r: Array) -> Point:
        """The point x with the model there: the Jacobian is formed only where a step is to be taken.

        Where it is not finite the model stays that of the point before.
        """
        f = half_square(r)
        with np.errstate(invalid="ignore", over="ignore"):
            if self.dense:
                j = self.evaluations.jacobian(x)
                g = j.T @ r
            else:
                multiply, transposed = self.evaluations.linearize(x)
                g = transposed(r)
        point = Point(x, f, g, r)
        if point.finite:
            self._model = _DenseModel(j, r, self._scales(j)) if self.dense else _ProductModel(multiply, transposed, g)
        return point

    def _scales(self, j: Array) -> Array:
        if not self.scale:
            return np.ones(j.shape[1])
        columns = np.sqrt(np.einsum("ij,ij->j", j, j))
        if self._columns is None:
            columns[columns == 0] = 1.0
            self._columns = columns
        else:
            self._columns = np.maximum(self._columns, columns)
        return self._columns

    def step(self, point: Point) -> Point:
        model = self._model
        first = math.isnan(self.radius)
        if first:
            self.radius = self.factor * model.length(point.x) or self.factor
        while True:
            p, self.damping, linear, length = model.solve(self.radius, self.damping)
            if first:
                self.radius = min(self.radius, length)
            if not np.any(np.abs(p) > self.evaluations.epsilon * np.abs(point.x)) or not np.isfinite(p).all():
                raise stalled()
            x = point.x + p
            r = self.evaluations.residual(x)
            f = half_square(r)
            # in units of f: ½‖r‖² − ½‖r + J p‖² = ½‖J p‖² + λ‖D p‖², and the slope of f along p
            size = self.damping * length * length
            promised, slope = 0.5 * linear + size, -(linear + size)
            smallest = self.evaluations.epsilon * point.f
            if promised <= smallest and abs(f - point.f) <= 4 * smallest:
                raise stalled()
            ratio = (point.f - f) / promised if math.isfinite(f) and promised > 0 else -math.inf
            after = self._arrive(x, r) if ratio >= 1e-4 else None
            if after is not None and not after.finite:  # f is, its derivatives are not: no point to go on from
                after, ratio, f = None, -math.inf, math.inf
            self._resize(ratio, point.f, f, slope, length)
            if after is not None:
                return after

    def _resize(self, ratio: float, before: float, after: float, slope: float, length: float) -> None:
        """Moré (1978), algorithm 7.1 (c) and (d)."""
        if ratio <= 0.25:
            if after <= before:
                share = 0.5
            elif math.isfinite(after):
                share = 0.5 * slope / (slope + before - after)
            else:
                share = 0.1
            share = max(share, 0.1)
            self.radius = share * min(self.radius, 10.0 * length)
            self.damping /= share
        elif self.damping == 0 or ratio >= 0.75:
            self.radius = 2.0 * length
            self.damping *= 0.5


class _Model:
    """½‖r + J p‖² near a point."""

    def length(self, p: Array) -> float:
        """‖D p‖."""
        raise NotImplementedError

    def solve(self, radius: float, damping: float) -> tuple[Array, float, float, float]:
        """(p, λ, ‖J p‖², ‖D p‖) with ‖D p‖ about the radius; `damping` is a first guess of λ."""
        raise NotImplementedError


class _DenseModel(_Model):
    """By J D⁻¹ = U diag(s) Vᵀ: with c = −Uᵀr, D p = V s c / (s² + λ)."""

    def __init__(self, j: Array, r: Array, scales: Array) -> None:
        u, s, vt = np.linalg.svd(j / scales, full_matrices=False)
        # Singular values that rounding of J alone could make count as zero.
        keep = s > s[:1].sum() * max(j.shape) * np.finfo(s.dtype).eps
        self._s, self._vt, self._c = s[keep], vt[keep], -(u[:, keep].T @ r)
        self._full = bool(keep.sum() == j.shape[1])
        self._scales = scales

    def length(self, p: Array) -> float:
        return float(np.linalg.norm(self._scales * p))

    def solve(self, radius: float, damping: float) -> tuple[Array, float, float, float]:
        s, c = self._s, self._c
        squares, slopes = s * s, s * c
        damping, q = _damp(squares, slopes, radius, damping, self._full)
        jp = s * q
        return (self._vt.T @ q) / self._scales, damping, float(jp @ jp), float(np.linalg.norm(q))


def _damp(squares: Array, slopes: Array, radius: float, damping: float, full: bool) -> tuple[float, Array]:
    """λ and q = slopes / (squares + λ) with ‖q‖ within a tenth of the radius: Moré (1978), algorithm 5.5."""
    q = slopes / squares
    length = float(np.linalg.norm(q))
    excess = length - radius
    if excess <= 0.1 * radius or q.size == 0:
        return 0.0, q

    def newton(q: Array, shifted: Array) -> float:
        unit = q / length
        return excess / radius / float(unit @ (unit / shifted))

    low = newton(q, squares) if full else 0.0
    high = float(np.linalg.norm(slopes)) / radius
    damping = min(max(damping, low), high)
    if damping == 0:
        damping = float(np.linalg.norm(slopes)) / length
    for _ in range(10):
        shifted = squares + damping
        q = slopes / shifted
        length = float(np.linalg.norm(q))
        previous, excess = excess, length - radius
        if abs(excess) <= 0.1 * radius or (low == 0 and excess <= previous < 0):
            break
        correction = newton(q, shifted)
        if excess > 0:
            low = max(low, damping)
        else:
            high = min(high, damping)
        damping = max(low, damping + correction)
    return damping, q


class _ProductModel(_Model):
    """By conjugate gradients on JᵀJ p = −g inside the radius."""

    def __init__(self, multiply: Vector, transposed: Vector, g: Array) -> None:
        self._multiply, self._transposed, self._g = multiply, transposed, g

    def length(self, p: Array) -> float:
        return float(np.linalg.norm(p))

    def solve(self, radius: float, damping: float) -> tuple[Array, float, float, float]:
        size = float(np.linalg.norm(self._g))
        tolerance = min(0.1, math.sqrt(size)) * size
        p, promised = truncated(lambda v: self._transposed(self._multiply(v)), self._g, radius, tolerance)
        # With λ = 0 the promise is ½‖J p‖² at the model's minimum; inside the sphere it is what Steihaug's p gives.
        return p, 0.0, 2.0 * promised, float(np.linalg.norm(p))
