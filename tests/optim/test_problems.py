"""The test problems themselves: the tape's derivatives against complex steps, values against the paper's minima."""

import dlcore
import numpy as np
import pytest
from counting import at_known_minimum
from dlcore import optim, tensor
from problems import PROBLEMS

by_name = pytest.mark.parametrize("problem", PROBLEMS, ids=lambda p: p.name)

# Start values of f printed by independent implementations of the suite.
START = {
    "Rosenbrock": 24.2,
    "Freudenstein and Roth": 400.5,
    "Beale": 14.203125,
    "Helical valley": 2500,
    "Bard": 41.6817,
    "Powell singular": 215,
    "Wood": 19192,
    "Kowalik and Osborne": 5.31317e-3,
    "Osborne 1": 0.879026,
    "Biggs EXP6": 0.77907,
    "Osborne 2": 2.09342,
    "Watson, n = 6": 30,
}


def test_there_are_more_than_eighteen():
    assert len(PROBLEMS) == len({p.name for p in PROBLEMS}) == 32


@by_name
def test_derivatives(problem):
    x = problem.start + 0.01 * np.arange(problem.start.size)
    r = problem.residual_array(x)
    np.testing.assert_allclose(problem.residual(tensor(x)).numpy(), r, rtol=1e-12, atol=1e-13 * np.abs(r).max())
    j = problem.jacobian_array(x)
    found = dlcore.jacobian(problem.residual)(tensor(x)).numpy()
    np.testing.assert_allclose(found, j, rtol=1e-11, atol=1e-13 * np.abs(j).max())
    # Complex steps along each coordinate of the gradient 2 Jᵀr do not exist (J is one already): central differences.
    h = 1e-6 * (1 + np.abs(x))
    columns = [(problem.gradient_array(x + d) - problem.gradient_array(x - d)) / (2 * d.sum()) for d in np.diag(h)]
    hessian = problem.hessian_array(x)
    np.testing.assert_allclose(np.stack(columns, 1), hessian, rtol=1e-4, atol=2e-5 * np.abs(hessian).max())


@pytest.mark.parametrize("name", START)
def test_start_values(name):
    (problem,) = (p for p in PROBLEMS if p.name == name)
    assert problem.f_array(problem.start) == pytest.approx(START[name], rel=1e-5)


@by_name
def test_levenberg_marquardt_ends_at_a_known_minimum(problem):
    options = {"gtol": 1e-12, "maxiter": 3000}
    found = optim.minimize(None, problem.start, residual=problem.residual, method="lm", options=options)
    assert at_known_minimum(problem, 2 * found.fun), found
    assert problem.f_array(found.x) == pytest.approx(2 * found.fun, rel=1e-9, abs=1e-25)
