"""Where a descent must not end: flat slopes, rising values, jammed directions, derivatives that are not finite."""

import numpy as np
import pytest
from dlcore import losses, ops, optim, tensor
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
    assert any(0.3 < x < 1 for x in asked)
    assert found.success and found.x == pytest.approx([0.0], abs=1e-5)
