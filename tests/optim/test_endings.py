"""Where a descent must not end: flat slopes, rising values, jammed directions, derivatives that are not finite."""

import numpy as np
import pytest
from dlcore import losses, nn, ops, optim, tensor
from dlcore.optim.conjugate import FORMULAS
from dlcore.optim.minimize import METHODS

DESCENTS = [name for name in METHODS if name not in ("gradient-descent", "gauss-newton", "lm")]
ZERO, FIFTH = tensor(np.zeros(1)), tensor(np.array([0.2]))


@pytest.mark.parametrize("method", DESCENTS)
@pytest.mark.parametrize(
    ("f", "start", "minimum"),
    [
        (lambda x: ops.sum(losses.huber(x, tensor(np.zeros(2)))), [50.0, 3.0], [0.0, 0.0]),
        (lambda x: ops.sum(losses.log_cosh(x, ZERO)), [50.0], [0.0]),
        (lambda x: ops.sum(losses.binary_cross_entropy(x, FIFTH)), [60.0], [np.log(0.25)]),
    ],
)
def test_slopes_without_curvature_are_descended(method, f, start, minimum):
    found = optim.minimize(f, start, method=method, tol=1e-8)
    assert found.success and found.nit > 0, found
    np.testing.assert_allclose(found.x, minimum, atol=1e-6)


@pytest.mark.parametrize(("lr", "start"), [(1.5, [1.0, 2.0]), (1.0, [1.0]), (1.0 - 1e-12, [1.0])])
def test_ftol_does_not_end_a_descent_that_climbs_or_oscillates(lr, start):
    found = optim.minimize(
        lambda x: ops.sum(x * x), start, method="gradient-descent", options={"lr": lr, "ftol": 1e-9, "maxiter": 30}
    )
    assert (found.status, found.success, found.nit) == (1, False, 30), found
    assert np.abs(found.jac).max() > 1


@pytest.mark.parametrize("method", DESCENTS)
def test_ftol_ends_a_descent_whose_values_rounding_keeps_equal(method):
    """Near the minimum of 10⁶ + |x|² f stays as it is, and its slope along the step is as small as its rounding."""
    found = optim.minimize(
        lambda x: 1e6 + ops.sum(x * x * tensor(np.array([1.0, 3.0]))), [1.0, 2.0], method=method,
        options={"gtol": 0.0, "ftol": 1e-15},
    )  # fmt: skip
    assert found.status in (0, 4) and np.abs(found.jac).max() < 1e-3, found


def chained_rosenbrock(x):
    d = x[1:] - x[:-1] ** 2
    g = np.zeros_like(x)
    g[1:] += 200 * d
    g[:-1] -= 400 * d * x[:-1] + 2 * (1 - x[:-1])
    return 100 * np.sum(d**2) + np.sum((1 - x[:-1]) ** 2), g


@pytest.mark.parametrize("line_search", ["strong-wolfe", "hager-zhang"])
@pytest.mark.parametrize("formula", FORMULAS)
def test_no_formula_jams_in_a_curved_valley(formula, line_search):
    found = optim.minimize(
        chained_rosenbrock, np.tile([-1.2, 1.0], 10), jac=True, method="cg",
        options={"formula": formula, "line_search": line_search, "maxfun": 2000},
    )  # fmt: skip
    assert found.success and found.fun < 1e-8, found


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("solver", ["dense", "products"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_levenberg_marquardt_stays_where_the_jacobian_is_finite(solver, bad):
    """r = x, but its derivative does not exist below 0.5: the descent ends at that wall, its values finite."""
    found = optim.minimize(
        None, [3.0], residual=lambda x: x, jac=lambda x: np.array([[bad if x[0] < 0.5 else 1.0]]), method="lm",
        options={"solver": solver},
    )  # fmt: skip
    assert found.status == 2 and found.nfev < 100, found
    assert found.x == pytest.approx([0.5], rel=1e-9) and found.jac == pytest.approx([0.5], rel=1e-9)


@pytest.mark.filterwarnings("error")
def test_levenberg_marquardt_goes_round_points_without_a_jacobian():
    """r = x + x²/10 falls at the first full step from 3, to 0.56, where J is not finite; shorter steps pass the gap."""
    asked = []

    def jacobian(x):
        asked.append(x[0])
        return np.array([[np.nan if 0.3 < x[0] < 1 else 1 + 0.2 * x[0]]])

    found = optim.minimize(None, [3.0], residual=lambda x: x + 0.1 * x**2, jac=jacobian, method="lm")
    assert any(0.3 < x < 1 for x in asked) and np.isfinite(found.trace["gradient"]).all()
    assert found.success and found.x == pytest.approx([0.0], abs=1e-5)


@pytest.mark.parametrize("method", ["newton", "newton-cg", "trust-exact", "trust-ncg"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_hessian_that_is_not_finite_ends_the_descent(method, bad):
    given = {"jac": lambda x: 2 * x, "method": method}
    found = optim.minimize(lambda x: x @ x, [1.0, 2.0], hess=lambda x: np.full((2, 2), bad), **given)
    assert (found.status, found.success, found.nit) == (2, False, 0)
    assert found.message == "the Hessian is not finite"
    if method.endswith("cg"):
        found = optim.minimize(lambda x: x @ x, [1.0, 2.0], hessp=lambda x, v: bad * v, **given)
        assert (found.status, found.message) == (2, "a product with the Hessian is not finite")


def test_shapes_of_a_hessian():
    """(n, n), or x0's shape twice; as many elements in another shape are refused."""
    f, jac = lambda x: np.sum(x * x), lambda x: 2 * x
    for shape in ((4, 4), (2, 2, 2, 2)):
        hess = lambda x, shape=shape: 2 * np.eye(4).reshape(shape)  # noqa: E731
        assert optim.minimize(f, np.ones((2, 2)), jac=jac, hess=hess, method="newton").nit == 1
    with pytest.raises(ValueError, match=r"hess has shape \(4,\), expected \(2, 2\)$"):
        optim.minimize(f, [1.0, 2.0], jac=jac, hess=lambda x: np.array([2.0, 0, 0, 2]), method="newton")
    with pytest.raises(ValueError, match=r"hess has shape \(16,\), expected \(4, 4\) or \(2, 2, 2, 2\)$"):
        optim.minimize(f, np.ones((2, 2)), jac=jac, hess=lambda x: 2 * np.eye(4).ravel(), method="newton")


@pytest.mark.parametrize("method", METHODS)
def test_f_at_the_float32_result_is_fun(method):
    """x is rounded as it was for the function, in the callback too."""
    offset = tensor(np.array([0.1, 0.7, -0.3]), "float32")
    r = lambda x: ops.exp(x) - 1.3 + offset * x  # noqa: E731
    points = []
    found = optim.minimize(
        None, np.ones(3, np.float32), residual=r, method=method, tol=1e-3, callback=lambda x: points.append(x)
    )
    assert found.x.dtype == np.float32 and np.array_equal(points[-1], found.x)
    values = r(tensor(found.x)).numpy().astype(np.float64)
    assert found.fun == pytest.approx(0.5 * values @ values, rel=1e-6)
    exact = 0.5 * np.sum((np.exp(1.0 * found.x) - 1.3 + offset.numpy() * found.x) ** 2)
    assert found.fun == pytest.approx(exact, abs=1e-6)


def test_a_float32_model_is_returned_as_it_is():
    net = nn.Sequential(nn.Linear(2, 1)).build(seed=0)
    x = tensor(np.arange(8.0).reshape(4, 2), "float32")
    found = optim.minimize_parameters(lambda: ops.mean(ops.square(net(x) - 1.0)), net.parameters)
    assert found.x.dtype == np.float64
    np.testing.assert_array_equal(found.x, net.parameters.storage.numpy())


BAD_OPTIONS = [
    ("bfgs", {"c1": "a"}, "c1 is 'a', expected a finite number"),
    ("bfgs", {"c2": "x"}, "c2 is 'x', expected a finite number"),
    ("bfgs", {"line_search": []}, r"line_search is \[\], expected one of strong-wolfe, hager-zhang"),
    ("cg", {"formula": []}, r"formula is \[\], expected one of fr"),
    ("trust-ncg", {"initial_trust_radius": "x"}, r"initial_trust_radius is 'x', expected a number in \(0, 1"),
    ("trust-ncg", {"max_trust_radius": None}, "max_trust_radius is None, expected a finite number > 0"),
    ("trust-exact", {"eta": None}, r"eta is None, expected a number in \[0, 0.25\)"),
    ("lm", {"factor": True}, "factor is True, expected a finite number > 0"),
    ("lm", {"scale": "no"}, "scale is 'no', expected True or False"),
    ("l-bfgs", {"memory": True}, "memory is True, expected a positive integer"),
]


@pytest.mark.parametrize(("method", "options", "message"), BAD_OPTIONS)
def test_options_are_named_where_they_do_not_fit(method, options, message):
    with pytest.raises(ValueError, match=f"^minimize: {message}"):
        optim.minimize(None, [1.0], residual=lambda x: x, method=method, options=options)


def test_options_may_be_numbers_of_numpy():
    for method, options in (
        ("l-bfgs", {"memory": np.int64(5), "c2": np.float32(0.5)}),
        ("newton-cg", {"inner": np.int32(3)}),
        ("gradient-descent", {"lr": np.float32(0.1)}),
        ("lm", {"factor": np.int64(10)}),
    ):
        assert optim.minimize(None, [1.0], residual=lambda x: x, method=method, options=options).success
