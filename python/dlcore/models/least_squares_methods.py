"""The methods of `dlcore.models.least_squares`, on centred and weighted rows."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
METHODS = ("normal", "qr", "svd", "gradient_descent", "sgd")
EPS = float(np.finfo(np.float64).eps)


class RankWarning(UserWarning):
    """The columns of x are linearly dependent: one of many solutions, the shortest, is returned."""


class Problem:
    """½ m⁻¹ ‖x θ − y‖² + ½ ridge ‖θ‖² with its trace."""

    def __init__(self, x: Array, y: Array, ridge: float) -> None:
        self.x, self.y, self.ridge = x, y, ridge
        self.cases, self.features = x.shape
        self.trace: dict[str, list[float]] = {"fun": [], "gradient_norm": []}

    def record(self, theta: Array) -> Array:
        """Note J and its gradient's norm; the gradient."""
        with np.errstate(over="ignore", invalid="ignore"):  # the result says that it is not finite
            residual = self.x @ theta - self.y
            g: Array = self.x.T @ residual / self.cases + self.ridge * theta
            fun = 0.5 * (np.sum(residual**2) / self.cases + np.sum(self.ridge * theta * theta))
            norm = np.linalg.norm(g)
        self.trace["fun"].append(float(fun))
        self.trace["gradient_norm"].append(float(norm))
        return g

    def start(self) -> Array:
        return np.zeros((self.features, self.y.shape[1]))

    def smoothness(self, x: Array) -> float:
        """Largest eigenvalue of the Hessian on these cases."""
        return float(np.linalg.norm(x, 2)) ** 2 / max(len(x), 1) + self.ridge if x.size else self.ridge


def _augmented(p: Problem) -> tuple[Array, Array]:
    """Rows whose plain least squares are the ridge problem."""
    if not p.ridge:
        return p.x, p.y
    extra = math.sqrt(p.ridge * p.cases) * np.eye(p.features)
    return np.vstack([p.x, extra]), np.vstack([p.y, np.zeros((p.features, p.y.shape[1]))])


def _normal(p: Problem) -> tuple[Array, int] | None:
    """(XᵀX + m ridge) θ = Xᵀy by Cholesky with unit diagonal and two steps of refinement; None where the matrix is
    singular to rounding."""
    gram = p.x.T @ p.x / p.cases + p.ridge * np.eye(p.features)
    scale = np.sqrt(np.diag(gram))
    if (scale == 0).any():
        return None
    eigenvalues = np.linalg.eigvalsh(gram / np.outer(scale, scale))
    if p.features and eigenvalues[0] <= 8 * p.features * EPS * eigenvalues[-1]:
        return None
    lower = np.linalg.cholesky(gram / np.outer(scale, scale))
    theta = p.start()
    for _ in range(3):  # the first solves, the others correct by the true residual (Björck 1987)
        g = p.record(theta)
        theta = theta - np.linalg.solve(lower.T, np.linalg.solve(lower, g / scale[:, None])) / scale[:, None]
    return theta, p.features


def _pivoted_qr(a: Array) -> tuple[Array, Array, Array, int]:
    """Householder's QR with column exchanges: qᵀ-applied reflectors, r, the order of the columns, and the rank."""
    r, order = a.copy(), np.arange(a.shape[1])
    q = np.eye(a.shape[0])
    steps = min(a.shape)
    first = 0.0
    for k in range(steps):
        best = k + int(np.argmax(np.sum(r[k:, k:] ** 2, axis=0)))
        r[:, [k, best]], order[[k, best]] = r[:, [best, k]], order[[best, k]]
        size = float(np.linalg.norm(r[k:, k]))
        first = max(first, size)
        if size <= max(a.shape) * EPS * first:
            return q, r, order, k
        v = r[k:, k].copy()
        v[0] += math.copysign(size, v[0])
        v *= math.sqrt(2) / np.linalg.norm(v)
        r[k:] -= np.outer(v, v @ r[k:])
        q[k:] -= np.outer(v, v @ q[k:])
    return q, r, order, steps


def _qr(p: Problem) -> tuple[Array, int]:
    """The shortest solution by QR with column exchanges, and of Rᵀ where the rank is less than the columns."""
    a, b = _augmented(p)
    if len(a) > p.features + b.shape[1]:  # to few rows with the same normal equations
        compact: Array = np.asarray(np.linalg.qr(np.column_stack([a, b]), mode="r"))
        a, b = compact[:, : p.features], compact[:, p.features :]
    q, r, order, rank = _pivoted_qr(a)
    c = (q @ b)[:rank]
    theta = p.start()
    if rank == p.features:
        theta[order] = np.linalg.solve(r[:rank, :rank], c)
    elif rank:
        basis, triangle = np.linalg.qr(r[:rank].T)
        theta[order] = basis @ np.linalg.solve(triangle.T, c)
    return theta, rank


def _svd(p: Problem) -> tuple[Array, int]:
    a, b = _augmented(p)
    u, s, vt = np.linalg.svd(a, full_matrices=False)
    rank = int((s > max(a.shape) * EPS * s.max(initial=0.0)).sum())
    theta: Array = vt[:rank].T @ ((u[:, :rank].T @ b) / s[:rank, None])
    return theta, rank


def _descend(p: Problem, lr: float | None, limit: int, reached: Callable[[], bool]) -> Array:
    """θ ← θ − lr ∇J, lr = 1 / largest eigenvalue of the Hessian."""
    smoothness = p.smoothness(p.x)
    rate = lr if lr is not None else 1 / smoothness if smoothness else 1.0
    theta = p.start()
    g = p.record(theta)
    for _ in range(limit):
        if reached() or not np.isfinite(g).all():
            break
        theta = theta - rate * g
        g = p.record(theta)
    return theta


def _stochastic(
    p: Problem, lr: float | None, limit: int, reached: Callable[[], bool], batch: int, reduce_variance: bool, seed: int
) -> Array:
    """SVRG: batch gradients, each corrected by its own value at the epoch's start, which makes a constant step converge
    linearly (Johnson, Zhang 2013); without correction the decreasing step lr (1 + epoch)^(−0.6) and the mean of the
    epoch's iterates (Polyak, Juditsky 1992), which come closer slowly."""
    rng = np.random.default_rng(seed)
    batch = min(batch, p.cases)
    largest = max(p.smoothness(p.x[i : i + batch]) for i in range(0, p.cases, batch))
    largest = max(largest, p.smoothness(p.x))
    rate = lr if lr is not None else 0.25 / largest if largest else 1.0
    theta = p.start()
    full = p.record(theta)
    for epoch in range(limit):
        if reached() or not np.isfinite(full).all():
            break
        anchor, mean = theta.copy(), np.zeros_like(theta)
        order = rng.permutation(p.cases)
        pieces = [order[i : i + batch] for i in range(0, p.cases, batch)]
        for rows in pieces:
            x = p.x[rows]
            if reduce_variance:  # the difference of two gradients of a quadratic
                g = x.T @ (x @ (theta - anchor)) / len(rows) + p.ridge * (theta - anchor) + full
                theta = theta - rate * g
            else:
                g = x.T @ (x @ theta - p.y[rows]) / len(rows) + p.ridge * theta
                theta = theta - rate * (1 + epoch) ** -0.6 * g
                mean += theta / len(pieces)
        if not reduce_variance:
            theta = mean
        full = p.record(theta)
    return theta


def solve(
    p: Problem, method: str, lr: float | None, limit: int, tol: float, batch: int, reduce_variance: bool, seed: int
) -> tuple[Array, int | None, str]:
    def reached() -> bool:
        norms = p.trace["gradient_norm"]
        return norms[-1] <= tol * norms[0]

    if method in ("gradient_descent", "sgd"):
        with np.errstate(over="ignore", invalid="ignore"):  # the result says that it diverged
            if method == "sgd":
                return _stochastic(p, lr, limit, reached, batch, reduce_variance, seed), None, method
            return _descend(p, lr, limit, reached), None, method
    found = _normal(p) if method == "normal" else None
    if found is None:
        if method != "normal" or not p.trace["fun"]:
            p.record(p.start())
        used = "svd" if method == "normal" else method
        found = _qr(p) if used == "qr" else _svd(p)
        if found[1] < p.features:
            ending = "the normal equations are singular to rounding, solved by svd" if method == "normal" else used
            warnings.warn(
                f"least_squares: x has rank {found[1]} with {p.features} columns: {ending}; θ is the shortest solution",
                RankWarning,
                stacklevel=3,
            )
        return *found, used
    return *found, method
