"""Least squares: all methods to the same θ, dependent columns, ridge, weights, traces, messages."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from dlcore import grad, tensor
from dlcore.models import LeastSquaresResult, LinearRegression, RankWarning, least_squares

METHODS = ("normal", "qr", "svd", "gradient_descent", "sgd")
DIRECT = METHODS[:3]
Rng = np.random.Generator


def problem(rng: Rng, m: int = 120, d: int = 6) -> tuple[np.ndarray, np.ndarray]:
    x = rng.standard_normal((m, d)) * np.array([1, 2, 0.7, 1.3, 1, 0.8])[:d] + 3
    return x, x @ np.arange(1.0, d + 1) - 4 + 0.5 * rng.standard_normal(m)


def exact(x: np.ndarray, y: np.ndarray, ridge: float = 0.0, w: Any = None) -> tuple[np.ndarray, np.ndarray]:
    """θ and c from the normal equations with a column of ones, in extended precision by Gaussian elimination."""
    m, d = x.shape
    share = np.ones(m) / m if w is None else w / w.sum()
    a = np.column_stack([x, np.ones(m)]).astype(np.longdouble)
    gram = a.T @ (share[:, None] * a) + ridge * np.diag([1.0] * d + [0.0])
    right = a.T @ (share[:, None] * y.reshape(m, -1))
    table = np.column_stack([gram, right])
    for k in range(d + 1):
        table[k] /= table[k, k]
        for i in range(d + 1):
            if i != k:
                table[i] -= table[i, k] * table[k]
    solution = table[:, d + 1 :].astype(float)
    return solution[:d], solution[d]


@pytest.mark.parametrize("method", METHODS)
def test_all_methods_reach_the_same_theta(method: str, rng: Rng) -> None:
    x, y = problem(rng)
    theta, intercept = exact(x, y)
    found = least_squares(x, y, method)
    assert isinstance(found, LeastSquaresResult)
    np.testing.assert_allclose(found.theta, theta[:, 0], rtol=1e-10)
    assert found.intercept == pytest.approx(intercept[0], rel=1e-9)
    assert found.success, found.message
    assert found.method == method
    assert found.rank == (None if method in METHODS[3:] else 6)
    residual = x @ found.theta + found.intercept - y
    assert found.fun == pytest.approx(0.5 * np.mean(residual**2), rel=1e-12)
    np.testing.assert_allclose(found.predict(x), y + residual, rtol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_traces_end_at_the_minimum(method: str, rng: Rng) -> None:
    found = least_squares(*problem(rng), method)
    fun, norm = found.trace["fun"], found.trace["gradient_norm"]
    assert len(fun) == len(norm) == found.nit + 1
    assert (fun[-1], norm[-1]) == (found.fun, found.gradient_norm)
    assert norm[-1] < 1e-11 * norm[0]
    assert all(b <= a * (1 + 1e-12) for a, b in itertools.pairwise(fun))


def test_gradient_descent_converges_at_the_rate_of_its_condition(rng: Rng) -> None:
    x, y = problem(rng)
    centred = x - x.mean(0)
    s = np.linalg.svd(centred, compute_uv=False) ** 2
    norm = least_squares(x, y, "gradient_descent").trace["gradient_norm"]
    rate = (
        (norm[200] / norm[100]) ** 0.01
        if len(norm) > 200
        else (norm[-1] / norm[len(norm) // 2]) ** (1 / (len(norm) - 1 - len(norm) // 2))
    )
    assert rate == pytest.approx(1 - s[-1] / s[0], abs=0.01)


def test_plain_sgd_gives_digits_slowly_and_says_so(rng: Rng) -> None:
    x, y = problem(rng)
    theta = exact(x, y)[0][:, 0]
    few, many = (least_squares(x, y, "sgd", variance_reduction=False, max_iter=n, batch_size=8) for n in (20, 2000))
    assert not many.success
    assert many.message == "no convergence in 2000 iterations"
    errors = [abs(r.theta - theta).max() for r in (few, many)]
    assert 1e-9 < errors[1] < errors[0]
    assert errors[1] < 0.05


@pytest.mark.parametrize("method", METHODS)
def test_ridge_weights_and_several_outputs(method: str, rng: Rng) -> None:
    x, y = problem(rng)
    both = np.column_stack([y, np.cos(y)])
    w = rng.uniform(0, 2, len(x))
    w[:10] = 0
    theta, intercept = exact(x, both, 0.3, w)
    found = least_squares(x, both, method, ridge=0.3, sample_weight=w)
    np.testing.assert_allclose(found.theta, theta, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(found.intercept, intercept, rtol=1e-8)
    plain = least_squares(x, y, method, fit_intercept=False, ridge=0.3)
    expected = np.linalg.solve(x.T @ x / len(x) + 0.3 * np.eye(6), x.T @ y / len(x))
    np.testing.assert_allclose(plain.theta, expected, rtol=1e-8)
    assert plain.intercept == 0


@pytest.mark.parametrize("method", DIRECT)
def test_dependent_columns_are_detected_and_said(method: str, rng: Rng) -> None:
    x, y = problem(rng)
    x = np.column_stack([x, x[:, 0] - 2 * x[:, 3], np.full(len(x), 5.0)])
    with pytest.warns(RankWarning, match="^least_squares: x has rank 6 with 8 columns: .*θ is the shortest solution"):
        found = least_squares(x, y, method)
    assert found.rank == 6
    assert found.success
    assert found.method == ("svd" if method == "normal" else method)
    centred = x - x.mean(0)
    shortest = np.linalg.pinv(centred, rcond=1e-12) @ (y - y.mean())
    np.testing.assert_allclose(found.theta, shortest, rtol=1e-8, atol=1e-10)
    with_ridge = least_squares(x, y, method, ridge=0.1)  # and no warning
    assert with_ridge.rank == 8
    descended = least_squares(x, y, "gradient_descent", max_iter=20_000)
    np.testing.assert_allclose(descended.theta, shortest, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("method", DIRECT)
@pytest.mark.parametrize(("m", "d", "rank"), [(3, 6, 3), (1, 2, 1), (4, 1, 1)])
def test_any_shape(method: str, m: int, d: int, rank: int, rng: Rng) -> None:
    x, y = rng.standard_normal((m, d)), rng.standard_normal(m)
    if rank < d:
        with pytest.warns(RankWarning):
            found = least_squares(x, y, method, fit_intercept=False)
    else:
        found = least_squares(x, y, method, fit_intercept=False)
    assert found.rank == rank
    np.testing.assert_allclose(found.theta, np.linalg.pinv(x) @ y, rtol=1e-9)


def test_an_ill_conditioned_problem(rng: Rng) -> None:
    """Powers up to 9: condition 1e7 or so. Refinement saves the normal equations, which square it."""
    t = np.linspace(0, 1, 50)
    x = t[:, None] ** np.arange(1, 10)
    theta = rng.standard_normal(9)
    y = x @ theta + 2
    for method in DIRECT:
        found = least_squares(x, y, method)
        assert found.rank == 9
        np.testing.assert_allclose(found.predict(x), y, atol=1e-9)
        np.testing.assert_allclose(found.theta, theta, rtol=1e-3 if method == "normal" else 1e-6)


@pytest.mark.parametrize(("method", "outputs"), [("normal", 2), ("sgd", 1)])
def test_a_model_is_solved(method: str, outputs: int, rng: Rng) -> None:
    """The objective that `fit` makes small has a gradient of 0 there."""
    x, y = problem(rng)
    target = np.column_stack([y, np.cos(y)])[:, :outputs]
    model = LinearRegression(6, outputs, weight_decay=0.2, dtype="float64")
    found = model.solve(x, target, method)
    assert found.success
    gradient = grad(model.objective, model.parameters)(tensor(x), tensor(target))
    assert abs(gradient.numpy()).max() < 1e-10
    np.testing.assert_allclose(model.predict(x).reshape(120, outputs), found.predict(x), rtol=1e-12)


X, Y = np.eye(3), np.ones(3)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: least_squares(X, Y, "lu"),
            ValueError,
            "^least_squares: method is 'lu', expected one of normal, qr, svd,",
        ),
        (
            lambda: least_squares(X, Y, ridge=-1),
            ValueError,
            "^least_squares: ridge is -1, expected a finite number >= 0",
        ),
        (lambda: least_squares(X, Y, "sgd", lr=0), ValueError, "^least_squares: lr is 0, expected a finite number > 0"),
        (
            lambda: least_squares(X, Y, max_iter=0),
            ValueError,
            "^least_squares: max_iter is 0, expected an integer >= 1",
        ),
        (
            lambda: least_squares(X, Y, batch_size=1.5),
            ValueError,
            "^least_squares: batch_size is 1.5, expected an integer",
        ),
        (lambda: least_squares(Y, Y), ValueError, r"^least_squares: x has shape \(3,\), expected \(m, features\)"),
        (lambda: least_squares(X[:0], Y[:0]), ValueError, r"^least_squares: x has shape \(0, 3\), expected"),
        (
            lambda: least_squares(X, Y[:2]),
            ValueError,
            r"^least_squares: y has shape \(2,\), expected \(3,\) or \(3, out",
        ),
        (lambda: least_squares(X * np.nan, Y), ValueError, r"^least_squares: x: nan at index \[0, 0\] is not finite"),
        (lambda: least_squares(X, ["a"] * 3), TypeError, "^least_squares: y: dtype is <U1, expected real numbers"),
        (
            lambda: least_squares(X, Y, sample_weight=[1, 2]),
            ValueError,
            r"^least_squares: sample_weight has shape \(2,\), expected \(3,\) numbers >= 0, not all 0",
        ),
        (
            lambda: LinearRegression(3, l1=1.0).solve(X, Y),
            ValueError,
            "^solve: l1 is 1.0, expected 0: the L1 penalty has no closed form, use fit",
        ),
        (
            lambda: LinearRegression(3).solve(X, Y, ridge=1),
            ValueError,
            "^solve: ridge is given, it follows from the model",
        ),
        (
            lambda: least_squares(X, Y, ridge=1.0).predict(Y),
            ValueError,
            r"^predict: x has shape \(3,\), expected \(n, 3\)",
        ),
    ],
)
def test_messages(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_a_step_that_is_too_long_is_named(rng: Rng) -> None:
    found = least_squares(*problem(rng), "gradient_descent", lr=10.0, max_iter=5000)  # and no warning
    assert not found.success
    assert found.message == "diverged: lr is too large"


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("method", METHODS)
def test_an_overflow_is_said(method: str, rng: Rng) -> None:
    x, y = problem(rng)
    found = least_squares(x, y * 1e160, method, max_iter=10)
    if method in DIRECT:  # the minimum is found, its J is not representable
        assert (found.success, found.fun) == (True, np.inf)
        np.testing.assert_allclose(found.theta, 1e160 * least_squares(x, y, method).theta, rtol=1e-9)
    else:
        assert (found.success, found.message) == (False, "overflow: scale x and y down")


@pytest.mark.parametrize("method", DIRECT)
@pytest.mark.parametrize("constant", [1.0, 3.7, 1e6 / 3, 1e200])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_constant_column_depends_on_the_intercept(method: str, constant: float, weighted: bool, rng: Rng) -> None:
    """Its mean is rounded, and what centring leaves of it is no column."""
    x, y = problem(rng)
    w = rng.uniform(0.1, 1, len(x)) if weighted else None
    with pytest.warns(RankWarning, match="rank 6 with 7 columns"):
        found = least_squares(np.column_stack([np.full(len(x), constant), x]), y, method, sample_weight=w)
    theta, intercept = exact(x, y, w=w)
    assert found.rank == 6
    assert found.theta[0] == 0
    np.testing.assert_allclose(found.theta[1:], theta[:, 0], rtol=1e-10)
    assert found.intercept == pytest.approx(intercept[0], rel=1e-9)


@pytest.mark.parametrize("method", DIRECT)
def test_a_column_that_varies_in_its_last_digits_counts(method: str, rng: Rng) -> None:
    """Seconds since 1970, of one day."""
    t = 1.7e9 + rng.uniform(0, 86400, 60)
    found = least_squares(t[:, None], 3e-5 * (t - 1.7e9) + 2, method)
    assert found.rank == 1
    np.testing.assert_allclose(found.theta, [3e-5], rtol=1e-9)


@pytest.mark.filterwarnings("error")
def test_full_rank_is_not_called_dependent(rng: Rng) -> None:
    a = rng.standard_normal(50)
    x = np.column_stack([a, a + 1e-9 * rng.standard_normal(50)])
    found = least_squares(x, x @ [1.0, 2.0])
    assert (found.rank, found.method) == (2, "svd")
    np.testing.assert_allclose(found.predict(x), x @ [1.0, 2.0], atol=1e-12)
