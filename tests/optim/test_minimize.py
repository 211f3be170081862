"""The front: what minimize takes, returns and refuses."""

import math

import numpy as np
import pytest
from dlcore import Tensor, ops, optim, tensor
from dlcore.optim.minimize import METHODS

A = np.array([[4.0, 1.0, 0.0], [1.0, 3.0, -1.0], [0.0, -1.0, 2.0]])
B = np.array([1.0, -2.0, 3.0])
SOLUTION = np.linalg.solve(A, -B)
BY_VALUE = [name for name in METHODS if name not in ("gauss-newton", "lm")]
START = [1.0, 1.0, 1.0]


def quadratic(x: Tensor) -> Tensor:
    """½ xᵀAx + bᵀx"""
    column = ops.reshape(x, (3, 1))
    return 0.5 * ops.sum(column * ops.matmul(tensor(A), column)) + ops.sum(x * tensor(B))


def quadratic_array(x):
    return 0.5 * x @ A @ x + B @ x


def gradient_array(x):
    return A @ x + B


def residual(x: Tensor) -> Tensor:
    """Rosenbrock's with a gentler valley."""
    return math.sqrt(2) * ops.stack([2 * (x[1] - x[0] * x[0]), 1 - x[0]])


def residual_array(x):
    return math.sqrt(2) * np.array([2 * (x[1] - x[0] ** 2), 1 - x[0]])


def jacobian_array(x):
    return math.sqrt(2) * np.array([[-4 * x[0], 2.0], [-1.0, 0.0]])


@pytest.mark.parametrize("method", BY_VALUE)
def test_functions_of_tensors_and_of_arrays(method):
    by_tape = optim.minimize(quadratic, START, method=method, tol=1e-9)
    both = optim.minimize(
        lambda x: (quadratic_array(x), gradient_array(x)),
        START,
        method=method.upper(),
        jac=True,
        hess=lambda x: A,
        tol=1e-9,
    )
    apart = optim.minimize(
        quadratic_array, START, method=method, jac=gradient_array, hessp=lambda x, v: A @ v, hess=lambda x: A, tol=1e-9
    )
    for found in (by_tape, both, apart):
        assert found.success and found.status == 0 and found.message.startswith("the largest component of the gradient")
        np.testing.assert_allclose(found.x, SOLUTION, atol=1e-8)
        assert found.fun == pytest.approx(quadratic_array(SOLUTION), abs=1e-12)
        np.testing.assert_allclose(found.jac, gradient_array(found.x), atol=1e-12)
        assert np.abs(found.jac).max() <= 1e-9
        assert found.nfev >= found.nit and found.x.dtype == np.float64


@pytest.mark.parametrize("method", METHODS)
def test_residuals_serve_every_method(method):
    start = [-1.2, 1.0]
    found = optim.minimize(None, start, residual=residual, method=method, tol=1e-4, options={"maxiter": 3000})
    np.testing.assert_allclose(found.x, [1, 1], atol=1e-2)
    hess = None
    if method.startswith(("newton", "trust")):
        hess = lambda x: jacobian_array(x).T @ jacobian_array(x)  # noqa: E731 - good enough for these
    given = optim.minimize(
        None, start, residual=residual_array, jac=jacobian_array, hess=hess, method=method, tol=1e-4,
        options={"maxiter": 3000},
    )  # fmt: skip
    np.testing.assert_allclose(given.x, [1, 1], atol=1e-2)
    r = residual_array(found.x)
    assert found.fun == pytest.approx(0.5 * r @ r, rel=1e-9, abs=1e-20)


def test_residual_with_its_jacobian_in_one_call():
    both = lambda x: (residual_array(x), jacobian_array(x))  # noqa: E731
    for method in ("lm", "gauss-newton"):
        np.testing.assert_allclose(
            optim.minimize(None, [-1.2, 1.0], residual=both, jac=True, method=method).x, [1, 1], atol=1e-6
        )


def test_result_is_a_dictionary_with_attributes():
    found = optim.minimize(quadratic, START, method="bfgs")
    assert set(found) == {
        "x", "fun", "jac", "nit", "nfev", "njev", "nhev", "status", "success", "message", "trace"
    }  # fmt: skip
    assert found["x"] is found.x and "success" in dir(found)
    assert "success: True" in repr(found) and f"{found.nit + 1} points" in repr(found)
    with pytest.raises(AttributeError, match="fum"):
        _ = found.fum
    trace = found.trace
    assert all(len(values) == found.nit + 1 for values in trace.values())
    assert trace["fun"][0] == quadratic_array(np.ones(3)) and trace["fun"][-1] == found.fun
    assert trace["gradient"][-1] == np.abs(found.jac).max() and trace["nfev"][-1] == found.nfev
    assert trace["step"][0] == 0 and (np.diff(trace["fun"]) < 0).all()


def test_shapes_types_and_arguments():
    def f(x, target, weight):
        assert x.shape == (2, 2) and x.dtype == np.float32
        return ops.sum(ops.square(x - target)) * weight

    target = tensor(np.arange(4.0).reshape(2, 2), "float32")
    found = optim.minimize(f, np.zeros((2, 2), np.float32), args=(target, 0.5))
    np.testing.assert_allclose(found.x, target.numpy(), atol=1e-4)
    assert found.jac.shape == (2, 2)
    assert optim.minimize(lambda x: ops.sum(x * x), 3.0).x.shape == (1,)
    assert optim.minimize(lambda x: ops.sum(x * x), tensor([3.0, 4.0])).x == pytest.approx([0, 0], abs=1e-4)
    x0 = np.ones(3)
    optim.minimize(lambda x: x.fill(9) or 0.0, x0, jac=lambda x: np.zeros(3))  # a copy is the function's own
    assert (x0 == 1).all()


def test_both_forms_of_callback():
    points, results = [], []
    found = optim.minimize(quadratic, START, callback=points.append)
    assert len(points) == found.nit
    np.testing.assert_array_equal(points[-1], found.x)

    def observe(intermediate_result):
        results.append(intermediate_result)

    optim.minimize(quadratic, START, callback=observe)
    assert [r.fun for r in results] == list(found.trace["fun"][1:])

    def stop(x):
        raise StopIteration

    stopped = optim.minimize(quadratic, START, callback=stop, method="cg")
    assert (stopped.nit, stopped.status, stopped.success) == (1, 99, False)
    with pytest.raises(ZeroDivisionError):
        optim.minimize(quadratic, START, callback=lambda x: 1 / 0)


@pytest.mark.parametrize(
    ("options", "status", "success"),
    [
        ({"maxiter": 0}, 1, False),
        ({"maxiter": 2}, 1, False),
        ({"maxfun": 3}, 3, False),
        ({"gtol": 0.0, "ftol": 1e-6}, 4, True),
        ({"gtol": 0.0, "xtol": 1e-3}, 5, True),
    ],
)
def test_stopping_rules(options, status, success):
    rosenbrock = lambda x: 1.0 + 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2  # noqa: E731
    found = optim.minimize(rosenbrock, [-1.2, 1.0], method="bfgs", options=options)
    assert (found.status, found.success) == (status, success), found
    if "maxiter" in options:
        assert found.nit == options["maxiter"]
    if status == 3:
        assert found.nfev == 3


@pytest.mark.parametrize("method", BY_VALUE)
def test_a_gradient_that_points_uphill_ends_the_descent(method):
    found = optim.minimize(
        quadratic_array,
        START,
        jac=lambda x: -gradient_array(x),
        method=method,
        hess=lambda x: A,
        options={"maxiter": 50},
    )
    assert (found.status, found.success, found.nit) == (2, False, 0), found
    assert found.message.startswith("no step decreases f any more")


def test_a_start_at_the_minimum_ends_at_once():
    for method in METHODS:
        found = optim.minimize(None, [1.0, 1.0], residual=residual, method=method)
        assert (found.nit, found.nfev, found.status) == (0, 1, 0)


def test_an_infinite_wall_is_not_crossed():
    for method in METHODS:
        if method in BY_VALUE:
            found = optim.minimize(
                lambda x: ops.sum(x - ops.log(x)), [0.01, 30.0], method=method, options={"maxiter": 3000}
            )
            np.testing.assert_allclose(found.x, [1, 1], atol=1e-3)
            assert found.success, (method, found)


def test_a_diverging_step_says_so():
    found = optim.minimize(lambda x: ops.sum(x**4), [10.0], method="gradient-descent", options={"lr": 1.0})
    assert found.status == 2 and "a smaller lr may help" in found.message and np.isfinite(found.x).all()


GOOD = {"f": quadratic, "x0": START}
REFUSED = [
    ({"method": "adam"}, ValueError, "minimize: method is 'adam', expected one of gradient-descent, cg, bfgs"),
    ({"method": 3}, ValueError, "minimize: method is 3"),
    ({"options": {"memory": 3}, "method": "cg"}, ValueError, "'memory' is not an option of cg, which has formula"),
    ({"options": {"memory": 0}}, ValueError, "memory is 0, expected a positive integer"),
    ({"options": {"formula": "x"}, "method": "cg"}, ValueError, r"formula is 'x', expected one of fr, pr\+, hs"),
    ({"options": {"line_search": "exact"}}, ValueError, "line_search is 'exact', expected one of strong-wolfe, hager"),
    ({"options": {"c1": 0.9, "c2": 0.1}}, ValueError, "c1 is 0.9 and c2 is 0.1, expected 0 < c1 < c2 < 1"),
    ({"options": {"lr": -1.0}, "method": "gradient-descent"}, ValueError, "lr is -1.0, expected a finite number > 0"),
    ({"options": {"eta": 0.3}, "method": "trust-ncg"}, ValueError, r"eta is 0.3, expected a number in \[0, 0.25\)"),
    ({"options": {"initial_trust_radius": 0}, "method": "trust-exact"}, ValueError, "initial_trust_radius is 0"),
    ({"options": {"inner": 0}, "method": "newton-cg"}, ValueError, "inner is 0, expected a positive integer"),
    ({"tol": -1.0}, ValueError, "gtol is -1.0, expected a finite number >= 0"),
    ({"options": {"maxiter": 1.5}}, ValueError, "maxiter is 1.5, expected an integer >= 0"),
    ({"options": {"maxfun": 0}}, ValueError, "maxfun is 0, expected a positive integer"),
    ({"method": "lm"}, ValueError, "method 'lm' needs the residual vector r of f = ½ Σ r²: give residual instead of f"),
    ({"method": "gauss-newton"}, ValueError, "method 'gauss-newton' needs the residual"),
    ({"f": None}, TypeError, "neither f nor residual is given"),
    ({"residual": residual}, TypeError, "f and residual are both given"),
    ({"f": 3}, TypeError, "f is a int, expected a function"),
    ({"jac": False}, TypeError, "jac is False, expected a function, True or None"),
    ({"callback": 3}, TypeError, "callback is a int, expected a function"),
    ({"x0": [1.0, math.nan, 1.0]}, ValueError, "x0 is nan at index 1, expected finite numbers"),
    ({"x0": []}, ValueError, r"x0 has shape \(0,\), expected at least one element"),
    ({"x0": ["a"]}, TypeError, "x0 has dtype <U1, expected real numbers"),
    ({"x0": [1j]}, TypeError, "x0 has dtype complex128"),
    ({"f": lambda x: x}, ValueError, r"the function returned shape \(3,\), expected one element"),
    ({"f": lambda x: 1.0}, TypeError, "the function returned float, expected a Tensor"),
    ({"f": lambda x: ops.sum(ops.log(x - 1.0))}, ValueError, r"f\(x0\) is -inf, expected finite numbers"),
    ({"f": lambda x: ops.sum(ops.sqrt(x - 1.0))}, ValueError, "the gradient at x0 is not finite"),
    ({"f": lambda x: x, "jac": gradient_array}, ValueError, r"f returned shape \(3,\), expected one element; a vector"),
    ({"f": lambda x: "a", "jac": gradient_array}, TypeError, "f returned str, expected a real number"),
    ({"f": quadratic_array, "jac": lambda x: x[:2]}, ValueError, r"jac has shape \(2,\), expected 3 elements"),
    ({"f": quadratic_array, "jac": True}, TypeError, "jac is True, but f returned a float64, expected a pair"),
    ({"f": quadratic_array, "jac": gradient_array, "method": "newton"}, ValueError, "needs the Hessian: give hess"),
    ({"f": quadratic_array, "jac": gradient_array, "method": "newton-cg"}, ValueError, "needs products with"),
    (
        {"f": quadratic_array, "jac": gradient_array, "hess": lambda x: A[:2], "method": "newton"},
        ValueError, r"hess has shape \(2, 3\), expected \(3, 3\)",
    ),
    ({"f": None, "residual": lambda x: 1.0, "method": "lm"}, TypeError, "residual returned float, expected a Tensor"),
    ({"f": None, "residual": residual, "method": "lm", "options": {"solver": "qr"}}, ValueError, "solver is 'qr'"),
    ({"f": None, "residual": residual, "method": "lm", "options": {"factor": 0}}, ValueError, "factor is 0, expected"),
    (
        {"f": None, "residual": residual_array, "jac": lambda x: np.ones((2, 2)), "method": "lm"},
        ValueError, r"jac returned shape \(2, 2\), expected \(residuals, 3\)",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "error", "message"), REFUSED)
def test_what_is_refused(changes, error, message):
    with pytest.raises(error, match=message):
        optim.minimize(**(GOOD | changes))
