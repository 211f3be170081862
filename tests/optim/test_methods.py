"""What theory says each method does."""

from itertools import pairwise

import dlcore
import numpy as np
import pytest
from dlcore import ops, optim, tensor
from dlcore.optim.conjugate import FORMULAS
from dlcore.optim.newton import newton_direction
from dlcore.optim.trust_region import secular, truncated
from problems import PROBLEMS

ROSENBROCK, POWELL = PROBLEMS[0], PROBLEMS[12]


def spd(n, condition, seed=0):
    q, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((n, n)))
    return (q * np.geomspace(1, condition, n)) @ q.T


def path(f, start, method, **options):
    points = [np.asarray(start, np.float64)]
    found = optim.minimize(f, start, method=method, callback=points.append, options={"gtol": 1e-12} | options)
    return np.stack(points), found


@pytest.mark.parametrize("method", ["newton", "trust-exact"])
def test_newton_converges_quadratically(method):
    """‖x_{k+1} − x*‖ ≤ C ‖x_k − x*‖² near x*, with the C that f's third derivatives give, and no linear method can."""
    points, _ = path(ROSENBROCK.f, ROSENBROCK.start, method)
    errors = np.linalg.norm(points - 1, axis=1)
    close = [(a, b) for a, b in pairwise(errors) if 1e-7 < a < 0.05]
    assert len(close) >= 2 and errors[-1] < 1e-12
    ratios = [b / a**2 for a, b in close]
    assert max(ratios) < 50, ratios


def test_gradient_descent_converges_linearly():
    """On a quadratic f falls by at least the factor ((κ − 1)/(κ + 1))² a step with lr = 2/(L + μ).

    Nesterov (2004), Introductory Lectures on Convex Optimization, theorem 2.1.15.
    """
    a = spd(5, 10.0)
    f = lambda x: 0.5 * ops.sum(x * ops.reshape(ops.matmul(tensor(a), ops.reshape(x, (5, 1))), (5,)))  # noqa: E731
    x = np.arange(1.0, 6)
    found = optim.minimize(f, x, method="gradient-descent", options={"lr": 2 / 11, "maxiter": 40})
    for k in range(40):  # x ← x − lr A x, by NumPy
        assert found.trace["fun"][k] == pytest.approx(0.5 * x @ a @ x, rel=1e-9)
        x = x - 2 / 11 * a @ x
    ratios = found.trace["fun"][1:] / found.trace["fun"][:-1]
    assert ratios.max() <= (9 / 11) ** 2 * (1 + 1e-9)


@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.parametrize("line_search", ["strong-wolfe", "hager-zhang"])
def test_conjugate_gradients(formula, line_search):
    """With nearly exact steps on a quadratic all formulas are the linear method: n iterations."""
    a = spd(8, 50.0)
    f = lambda x: 0.5 * ops.sum(x * ops.reshape(ops.matmul(tensor(a), ops.reshape(x, (8, 1))), (8,)))  # noqa: E731
    exact = {"c1": 1e-10, "c2": 1e-8, "formula": formula, "line_search": line_search}
    found = optim.minimize(f, np.ones(8), method="cg", options=exact | {"gtol": 1e-7})
    assert found.success and found.nit <= 9
    whole = optim.minimize(
        ROSENBROCK.f, ROSENBROCK.start, method="cg", options={"formula": formula, "line_search": line_search}
    )
    assert whole.success
    np.testing.assert_allclose(whole.x, [1, 1], atol=1e-3)


@pytest.mark.parametrize("line_search", ["strong-wolfe", "hager-zhang"])
def test_quasi_newton(line_search):
    """With exact steps on a quadratic BFGS ends after n steps; L-BFGS that keeps all pairs goes the same way."""
    a = spd(6, 30.0)
    f = lambda x: 0.5 * ops.sum(x * ops.reshape(ops.matmul(tensor(a), ops.reshape(x, (6, 1))), (6,)))  # noqa: E731
    exact = {"c1": 1e-10, "c2": 1e-8, "line_search": line_search, "gtol": 1e-7}
    assert optim.minimize(f, np.ones(6), method="bfgs", options=exact).nit <= 8
    # B₀ scales with the newest pair in one and with the first in the other: equal up to the second step.
    points, _ = path(ROSENBROCK.f, ROSENBROCK.start, "bfgs", line_search=line_search)
    limited, _ = path(ROSENBROCK.f, ROSENBROCK.start, "l-bfgs", line_search=line_search)
    np.testing.assert_allclose(points[:3], limited[:3], rtol=1e-10)


def test_bfgs_update_is_the_published_one():
    """B ← (I − ρ s yᵀ) B (I − ρ y sᵀ) + ρ s sᵀ: Nocedal, Wright (2006), equation 6.17."""
    from dlcore.optim.evaluations import Evaluations
    from dlcore.optim.quasi_newton import BFGS

    rng = np.random.default_rng(3)
    method, b = BFGS(Evaluations(None)), None
    for _ in range(5):
        s = rng.standard_normal(4)
        y = spd(4, 5.0) @ s
        rho = 1 / (s @ y)
        if b is None:
            b = np.eye(4) * (s @ y) / (y @ y)
        left = np.eye(4) - rho * np.outer(s, y)
        b = left @ b @ left.T + rho * np.outer(s, s)
        method.learn(s, y, float(s @ y))
        method.fresh = False
        g = rng.standard_normal(4)
        np.testing.assert_allclose(method.direction(g), -b @ g, rtol=1e-10)


def test_newton_direction_descends_wherever_it_is():
    rng = np.random.default_rng(0)
    for values in ([1, 2, 3], [-1, 2, 3], [-1e-8, 0, 1], [-5, -4, -3], [0, 0, 0], [1e-20, 1, 1e20]):
        q, _ = np.linalg.qr(rng.standard_normal((3, 3)))
        h = (q * np.array(values, np.float64)) @ q.T
        g = rng.standard_normal(3)
        assert newton_direction(0.5 * (h + h.T), g) @ g < 0
    np.testing.assert_allclose(newton_direction(np.diag([2.0, -4.0]), np.ones(2)), [-0.5, -0.25])


@pytest.mark.parametrize("method", ["newton", "newton-cg", "trust-exact", "trust-ncg"])
def test_saddles_are_left(method):
    """f = ¼x⁴ − ½x² + ½y² has a saddle at 0 and minima at (±1, 0); the start is near the ridge x = 0."""
    f = lambda x: 0.25 * x[0] ** 4 - 0.5 * x[0] ** 2 + 0.5 * x[1] ** 2  # noqa: E731
    found = optim.minimize(f, [1e-4, 1.0], method=method)
    assert found.success and found.fun == pytest.approx(-0.25)


def test_the_exact_minimiser_leaves_the_saddle_itself_only_along_a_direction():
    """The hard case: g is orthogonal to the eigenvector of the negative eigenvalue."""
    p = secular(np.array([-1.0, 2.0]), np.array([0.0, 1.0]), 1.0)
    assert np.linalg.norm(p) == pytest.approx(1) and p[1] == pytest.approx(-1 / 3)


@pytest.mark.parametrize("seed", range(20))
def test_trust_region_solutions(seed):
    """Against a search over the sphere and inside it in two dimensions; Steihaug's is at least Cauchy's point."""
    rng = np.random.default_rng(seed)
    values, slopes = np.sort(rng.standard_normal(2)) * 10 ** rng.uniform(-2, 2), rng.standard_normal(2)
    radius = 10 ** rng.uniform(-1.5, 1.5)
    q = lambda p: slopes @ p + 0.5 * np.sum(values * p.T**2, -1)  # noqa: E731
    angles = np.linspace(0, 2 * np.pi, 100001)
    sphere = radius * np.stack([np.cos(angles), np.sin(angles)])
    best = min(float((slopes @ sphere + 0.5 * values @ sphere**2).min()), 0.0)
    if values[0] > 0 and np.linalg.norm(slopes / values) <= radius:
        best = min(best, float(-0.5 * slopes @ (slopes / values)))
    p = secular(values, slopes, radius)
    assert np.linalg.norm(p) <= radius * (1 + 1e-5)
    assert q(p) == pytest.approx(best, rel=1e-5)
    steihaug, promised = truncated(lambda v: values * v, slopes, radius, 1e-10)
    assert np.linalg.norm(steihaug) <= radius * (1 + 1e-9) and promised == pytest.approx(-q(steihaug), rel=1e-9)
    length = float(slopes @ slopes) ** 0.5
    curvature = float(slopes @ (values * slopes)) / length**2
    reach = min(length / curvature, radius) if curvature > 0 else radius
    assert promised >= reach * length - 0.5 * curvature * reach**2 - 1e-12


@pytest.mark.parametrize("method", ["gauss-newton", "lm"])
@pytest.mark.parametrize("rank", [3, 2])
def test_linear_least_squares(method, rank):
    """One Gauss–Newton step solves it, LM after a few; NumPy's lstsq is the reference, the shortest solution from 0."""
    rng = np.random.default_rng(1)
    a = rng.standard_normal((12, rank)) @ rng.standard_normal((rank, 3))
    b = rng.standard_normal(12)
    r = lambda x: ops.reshape(ops.matmul(tensor(a), ops.reshape(x, (3, 1))), (12,)) - tensor(b)  # noqa: E731
    found = optim.minimize(
        None, np.zeros(3), residual=r, method=method, tol=1e-9, options={"scale": False} if method == "lm" else None
    )
    solution = np.linalg.lstsq(a, b, rcond=None)[0]
    assert found.success and found.fun == pytest.approx(0.5 * np.sum((a @ solution - b) ** 2), rel=1e-12)
    if method == "gauss-newton":
        assert found.nit == 1
        np.testing.assert_allclose(found.x, solution, rtol=1e-9)


def test_levenberg_marquardt_is_free_of_units():
    """x ← x / s gives the same steps in the scaled units: D sees to it."""
    scales = np.array([1e-4, 1.0, 1e5, 30.0])
    wood = PROBLEMS[13]
    plain = optim.minimize(None, wood.start, residual=wood.residual, method="lm", options={"gtol": 0.0, "maxiter": 15})
    scaled = optim.minimize(
        None, wood.start / scales, residual=lambda x: wood.residual(x * tensor(scales)), method="lm",
        options={"gtol": 0.0, "maxiter": 15},
    )  # fmt: skip
    np.testing.assert_allclose(scaled.trace["fun"], plain.trace["fun"], rtol=1e-6)


def test_levenberg_marquardt_from_products_alone():
    for problem in (ROSENBROCK, POWELL, PROBLEMS[14]):
        dense = optim.minimize(None, problem.start, residual=problem.residual, method="lm")
        free = optim.minimize(
            None, problem.start, residual=problem.residual, method="lm", options={"solver": "products"}
        )
        assert free.success and free.fun == pytest.approx(dense.fun, rel=1e-6, abs=1e-7)


def test_levenberg_marquardt_takes_the_steps_of_minpack():
    scipy = pytest.importorskip("scipy.optimize")
    for problem in (ROSENBROCK, POWELL, PROBLEMS[13], PROBLEMS[18]):
        theirs = scipy.least_squares(
            lambda x, p=problem: p.residual_array(x), problem.start, lambda x, p=problem: p.jacobian_array(x),
            method="lm", xtol=1e-15, ftol=1e-15, gtol=1e-15, max_nfev=12,
        )  # fmt: skip
        ours = optim.minimize(
            None, problem.start, residual=problem.residual, method="lm", options={"gtol": 0.0, "maxfun": 12}
        )
        assert ours.fun == pytest.approx(theirs.cost, rel=1e-6, abs=1e-12)


def test_matrix_free_methods_form_no_hessian():
    """A hundred thousand unknowns: anything of size n² would not fit."""
    n = 10**5
    weights = tensor(np.linspace(1, 3, n))
    f = lambda x: ops.sum(weights * ops.square(x - 1.0))  # noqa: E731
    for method in ("l-bfgs", "cg", "newton-cg", "trust-ncg"):
        found = optim.minimize(
            f,
            np.zeros(n),
            method=method,
            options={"maxiter": 30, "initial_trust_radius": 1e4} if method == "trust-ncg" else {"maxiter": 30},
        )
        assert found.success and np.abs(found.x - 1).max() < 1e-4, (method, found.message)


def test_hessians_come_from_the_tape():
    found = optim.minimize(ROSENBROCK.f, ROSENBROCK.start, method="newton")
    exact = optim.minimize(
        ROSENBROCK.f_array, ROSENBROCK.start, jac=ROSENBROCK.gradient_array, method="newton",
        hess=lambda x: dlcore.hessian(ROSENBROCK.f)(tensor(x)).numpy(),
    )  # fmt: skip
    np.testing.assert_allclose(found.x, exact.x, rtol=1e-9)
    assert found.nhev == exact.nhev == found.nit
