"""Least squares in closed form and by gradient methods, to the same θ.

J(θ) = ½ m⁻¹ Σ (x θ + c − y)² + ½ ridge Σ θ² over m cases; the intercept c is not penalised. Computed in float64.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..losses.base import number
from ..tensor import Tensor
from .least_squares_methods import EPS, METHODS, Problem, solve

Array = np.ndarray[Any, Any]


@dataclass
class LeastSquaresResult:
    """What `least_squares` found.

    Attributes
    ----------
    theta : (features,) or (features, outputs)
    intercept : float or (outputs,); 0 without one
    rank : number of linearly independent columns of x (after centring, if there is an intercept), or None where the
        method does not tell (gradient methods)
    method : that gave θ; "svd" where "normal" met dependent columns
    fun, gradient_norm : J and ‖∂J/∂θ‖ at θ
    nit : iterations: refinements, descents, or epochs
    success, message : whether the gradient is within the tolerance, and why it ended
    trace : "fun" and "gradient_norm" before the first and after each iteration
    """

    theta: Array
    intercept: Any
    rank: int | None
    method: str
    fun: float
    gradient_norm: float
    nit: int
    success: bool
    message: str
    trace: dict[str, list[float]] = field(repr=False)

    def predict(self, x: Any) -> Array:
        """x θ + c."""
        values = _array(x, "predict: x")
        if values.ndim != 2 or values.shape[1] != self.theta.shape[0]:
            raise ValueError(f"predict: x has shape {values.shape}, expected (n, {self.theta.shape[0]})")
        predicted: Array = values @ self.theta + self.intercept
        return predicted


def _array(values: Any, name: str) -> Array:
    a = np.asarray(values.numpy() if isinstance(values, Tensor) else values)
    if a.dtype.kind not in "fiub":
        raise TypeError(f"{name}: dtype is {a.dtype}, expected real numbers")
    a = a.astype(np.float64)
    if not np.isfinite(a).all():
        first = [int(i) for i in np.argwhere(~np.isfinite(a))[0]]
        raise ValueError(f"{name}: {a[tuple(first)]} at index {first} is not finite")
    return a


def _centred(x: Array, share: Array) -> tuple[Array, Array]:
    """x without its weighted means, and these. A column that varies by rounding alone becomes exactly 0: what centring
    leaves of it has the shape of a full column, and scaled up it would count as one."""
    middle = share @ x
    rows: Array = x - middle
    rest = share @ rows  # of the rounding of the means, the same in every row
    rows -= rest
    peak = abs(x).max(axis=0, initial=0.0)
    peak[peak == 0] = 1.0
    constant = np.sqrt(share @ (rows / peak) ** 2) <= 8 * EPS * np.sqrt(share @ (x / peak) ** 2)
    rows[:, constant] = 0.0
    return rows, middle + rest


def least_squares(
    x: Any,
    y: Any,
    method: str = "normal",
    *,
    ridge: float = 0.0,
    fit_intercept: bool = True,
    sample_weight: Any = None,
    lr: float | None = None,
    max_iter: int = 10_000,
    tol: float = 1e-13,
    batch_size: int = 32,
    variance_reduction: bool = True,
    seed: int = 0,
) -> LeastSquaresResult:
    """θ that minimises ½ m⁻¹ Σ (x θ + c − y)² + ½ ridge Σ θ².

    Parameters
    ----------
    x : (m, features), finite real numbers
    y : (m,) or (m, outputs)
    method : "normal", θ = (XᵀX + m ridge)⁻¹ Xᵀy by Cholesky, which hands over to "svd" where the matrix is singular to
        rounding; "qr" with column exchanges; "svd"; "gradient_descent"; or "sgd", stochastic gradients of batches.
        Where columns of x depend on each other all but the last return the shortest θ. With an
        intercept a column that is constant to 8 roundings depends on it: its θ is 0.
    ridge : λ >= 0
    fit_intercept : with c; x and y are centred first
    sample_weight : (m,) numbers >= 0, factors of the cases' squares
    lr : step > 0 of the gradient methods; by default 1/L and 1/(4 L), L the largest eigenvalue of a (batch's) Hessian
    max_iter : of gradient descent, or epochs of SGD
    tol : the gradient methods end when ‖∇J‖ <= tol ‖∇J(0)‖
    batch_size, variance_reduction, seed : of "sgd". With variance reduction (SVRG) the step is constant and θ converges
        linearly; without, it decreases, and θ comes closer slowly: a few digits.

    Warns
    -----
    RankWarning
        When the direct methods find dependent columns: `rank` is then less than their number.

    References
    ----------
    Björck (1996), Numerical Methods for Least Squares Problems, chapters 1 and 2. Johnson, Zhang (2013), Accelerating
    stochastic gradient descent using predictive variance reduction. Golub, Van Loan (2013), section 5.5.
    """
    who = "least_squares"
    if method not in METHODS:
        raise ValueError(f"{who}: method is {method!r}, expected one of {', '.join(METHODS)}")
    weight_decay = number(who, ridge, "ridge")
    if lr is not None:
        lr = number(who, lr, "lr", closed=False)
    tol = number(who, tol, "tol")
    for name, value in (("max_iter", max_iter), ("batch_size", batch_size)):
        if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < 1:
            raise ValueError(f"{who}: {name} is {value!r}, expected an integer >= 1")
    inputs, targets = _array(x, f"{who}: x"), _array(y, f"{who}: y")
    if inputs.ndim != 2 or inputs.shape[0] == 0:
        raise ValueError(f"{who}: x has shape {inputs.shape}, expected (m, features) with at least one case")
    m = inputs.shape[0]
    if targets.ndim not in (1, 2) or targets.shape[0] != m:
        raise ValueError(f"{who}: y has shape {targets.shape}, expected ({m},) or ({m}, outputs)")
    table = targets.reshape(m, -1)
    weights = np.ones(m)
    if sample_weight is not None:
        weights = _array(sample_weight, f"{who}: sample_weight")
        if weights.shape != (m,) or (weights < 0).any() or not weights.sum() > 0:
            raise ValueError(f"{who}: sample_weight has shape {weights.shape}, expected ({m},) numbers >= 0, not all 0")
    share = weights / weights.sum()
    rows, middle_x = _centred(inputs, share) if fit_intercept else (inputs, np.zeros(inputs.shape[1]))
    middle_y = share @ table if fit_intercept else np.zeros(table.shape[1])
    root = np.sqrt(share * m)[:, None]
    problem = Problem(rows * root, (table - middle_y) * root, weight_decay)

    theta, rank, used = solve(problem, method, lr, max_iter, tol, batch_size, variance_reduction, seed)
    problem.record(theta)
    norms = problem.trace["gradient_norm"]
    if method in ("gradient_descent", "sgd"):
        del norms[-1], problem.trace["fun"][-1]  # noted already
        success = math.isfinite(norms[-1]) and norms[-1] <= tol * norms[0]
        message = "the gradient is within the tolerance" if success else f"no convergence in {max_iter} iterations"
        if not math.isfinite(norms[-1]):
            message = "diverged: lr is too large" if math.isfinite(norms[0]) else "overflow: scale x and y down"
    else:
        # An error of θ of the size of rounding leaves a gradient of this size.
        with np.errstate(over="ignore", invalid="ignore"):
            rounding = 1e3 * EPS * problem.smoothness(problem.x) * max(1.0, float(np.linalg.norm(theta)))
        success = math.isfinite(norms[-1]) and norms[-1] <= max(rounding, 1e-10 * norms[0])
        message = f"solved by {used}" if success else f"{used} left a gradient of {norms[-1]:.3g}"
    single = targets.ndim == 1
    intercept = middle_y - middle_x @ theta if fit_intercept else np.zeros(table.shape[1])
    return LeastSquaresResult(
        theta[:, 0] if single else theta,
        float(intercept[0]) if single else intercept,
        rank,
        used,
        problem.trace["fun"][-1],
        norms[-1],
        len(norms) - 1,
        success,
        message,
        problem.trace,
    )
