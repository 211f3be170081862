"""Trust regions: the model q(p) = gᵀp + ½ pᵀH p minimised over ‖p‖ ≤ Δ, with Δ from how well q predicts f."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ..ops.creation import is_number
from .evaluations import Array, Evaluations, Point, Vector, noise
from .method import Method, stalled
from .ranges import ABOVE_ZERO, require

Solution = tuple[Array, float]  # p and the decrease −q(p) > 0 that the model promises
Solver = Callable[[float], Solution]


class TrustRegion(Method):
    """Base: steps of a model's minimiser inside a radius.

    Parameters
    ----------
    initial_trust_radius : Δ of the first step
    max_trust_radius : largest Δ
    eta : share of the promised decrease in [0, 1/4) from which on a step is taken

    References
    ----------
    Conn, Gould, Toint (2000), Trust-region methods; Nocedal, Wright (2006), algorithm 4.1.
    """

    def __init__(
        self,
        evaluations: Evaluations,
        initial_trust_radius: float = 1.0,
        max_trust_radius: float = 1e10,
        eta: float = 0.1,
    ) -> None:
        super().__init__(evaluations)
        require("minimize", ABOVE_ZERO, max_trust_radius=max_trust_radius)
        if not is_number(initial_trust_radius) or not 0 < initial_trust_radius <= max_trust_radius:
            raise ValueError(
                f"minimize: initial_trust_radius is {initial_trust_radius!r}, "
                f"expected a number in (0, {max_trust_radius}]"
            )
        if not is_number(eta) or not 0 <= eta < 0.25:
            raise ValueError(f"minimize: eta is {eta!r}, expected a number in [0, 0.25)")
        self.radius, self.longest, self.eta = initial_trust_radius, max_trust_radius, eta

    def solver(self, point: Point) -> Solver:
        """The function Δ -> (p, −q(p)) of the model at a point."""
        raise NotImplementedError

    def step(self, point: Point) -> Point:
        solve = self.solver(point)
        while True:
            p, promised = solve(self.radius)
            length = float(np.linalg.norm(p))
            if not promised > 0 or not np.any(np.abs(p) > self.evaluations.epsilon * np.abs(point.x)):
                raise stalled()
            after = self.evaluations.point(point.x + p)
            ratio = self.ratio(point, after, p, promised, inside=length < 0.99 * self.radius)
            if ratio < 0.25:
                self.radius = 0.25 * length if after.finite else 0.1 * length
            elif ratio > 0.75 and length >= 0.99 * self.radius:
                self.radius = min(2.0 * self.radius, self.longest)
            if ratio > self.eta:
                return after

    def ratio(self, point: Point, after: Point, p: Array, promised: float, inside: bool) -> float:
        """Actual over promised decrease; by the slopes alone where rounding hides the decrease of f.

        Not so for a step that the radius limits: a radius that shrank so far says that the gradient is wrong.
        """
        if not after.finite:
            return -math.inf
        actual = point.f - after.f
        if inside and max(abs(actual), promised) <= noise(self.evaluations, point.f):
            # The trapezoidal rule for the integral of the slope along p.
            actual = -0.5 * float((point.g + after.g) @ p)
        return actual / promised


class TrustExact(TrustRegion):
    """The exact minimiser p = −(H + λ I)⁻¹ g with λ ≥ 0 and ‖p‖ = Δ, or λ = 0, from the spectrum of H.

    References
    ----------
    Moré, Sorensen (1983), Computing a trust region step, SIAM J. Sci. Stat. Comput. 4, hard case included.
    """

    def solver(self, point: Point) -> Solver:
        values, vectors = np.linalg.eigh(self.evaluations.hessian(point.x))
        slopes = vectors.T @ point.g

        def solve(radius: float) -> Solution:
            p = secular(values, slopes, radius)
            promised = -float(slopes @ p + 0.5 * (values * p) @ p)
            return vectors @ p, promised

        return solve


def secular(values: Array, slopes: Array, radius: float) -> Array:
    """The minimiser of slopesᵀp + ½ Σ values p² over ‖p‖ ≤ radius, in the eigenvectors' coordinates."""
    scale = max(float(np.abs(values).max()), 1e-300)
    lowest = float(values[0])
    if lowest > 1e-14 * scale:
        p = -slopes / values
        if float(np.linalg.norm(p)) <= radius:
            return p
    floor = max(0.0, -lowest)
    # All but the lowest eigenspace at λ = −lowest: the hard case is where it is short and g has no share in that.
    gap = values + floor
    bottom = gap <= 1e-12 * scale
    if float(np.linalg.norm(slopes[bottom])) <= 1e-14 * float(np.linalg.norm(slopes)):
        p = np.where(bottom, 0.0, -slopes / np.where(bottom, 1.0, gap))
        missing = radius**2 - float(p @ p)
        if missing >= 0:
            if lowest < 0:
                p[0] += math.sqrt(missing)
            return p
    # Newton's iteration on 1/‖p(λ)‖ − 1/Δ, which is almost linear, inside a bracket.
    low, high = floor, floor + float(np.linalg.norm(slopes)) / radius
    shift = min(max(floor + abs(float(slopes[0])) / radius, low + 1e-12 * scale), high)
    p = np.zeros_like(slopes)
    for _ in range(60):
        shifted = values + shift
        if shifted[0] <= 0:
            low = shift
            shift = 0.5 * (low + high)
            continue
        p = -slopes / shifted
        length = float(np.linalg.norm(p))
        if abs(length - radius) <= 1e-6 * radius or high - low <= 1e-15 * high:
            break
        if length > radius:
            low = shift
        else:
            high = shift
        derivative = float((p * p) @ (1.0 / shifted))
        shift += (length / radius - 1.0) * length**2 / derivative
        if not low < shift < high:
            shift = 0.5 * (low + high)
    return p


class TrustNCG(TrustRegion):
    """Conjugate gradients on H p = −g from products H v alone, up to the radius or a direction of negative curvature.

    References
    ----------
    Steihaug (1983), The conjugate gradient method and trust regions, SIAM J. Numer. Anal. 20; Toint (1981).
    """

    def solver(self, point: Point) -> Solver:
        multiply = self.evaluations.product(point.x)
        length = float(np.linalg.norm(point.g))
        tolerance = min(0.5, math.sqrt(length)) * length
        return lambda radius: truncated(multiply, point.g, radius, tolerance)


def truncated(multiply: Vector, g: Array, radius: float, tolerance: float) -> Solution:
    """Steihaug's p with ‖g + H p‖ ≤ tolerance, or on the sphere of the radius; and −q(p)."""
    p, hp = np.zeros_like(g), np.zeros_like(g)
    residual, d = g.copy(), -g
    square = float(g @ g)
    for _ in range(2 * g.size + 10):
        hd = multiply(d)
        curvature = float(d @ hd)
        alpha = square / curvature if curvature > 0 else math.inf
        reach = to_sphere(p, d, radius)
        if alpha >= reach:
            p, hp = p + reach * d, hp + reach * hd
            break
        p, hp = p + alpha * d, hp + alpha * hd
        residual += alpha * hd
        previous, square = square, float(residual @ residual)
        if math.sqrt(square) <= tolerance:
            break
        d = (square / previous) * d - residual
    return p, -float(g @ p + 0.5 * (p @ hp))


def to_sphere(p: Array, d: Array, radius: float) -> float:
    """The τ ≥ 0 with ‖p + τ d‖ = radius."""
    a, b, c = float(d @ d), float(p @ d), float(p @ p) - radius**2
    root = math.sqrt(max(b * b - a * c, 0.0))
    return (root - b) / a if b <= 0 else max(-c, 0.0) / (root + b)
