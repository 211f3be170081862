"""Line searches on the functions of Moré and Thuente (1994), section 5, and on what they do not consider."""

import math

import numpy as np
import pytest
from dlcore.optim.evaluations import Evaluations, Point
from dlcore.optim.hager_zhang import HagerZhang
from dlcore.optim.line_search import Ray, StrongWolfe, cubic_minimum


def ray(f, df):
    """φ = f along the one coordinate of x, from 0."""
    evaluations = Evaluations(lambda x: (float(f(x[0])), np.array([df(x[0])], np.float64)))
    with np.errstate(all="ignore"):
        start = evaluations.point(np.zeros(1))
    return Ray(evaluations, start, np.ones(1))


def more_thuente_1(a, beta=2.0):
    return -a / (a * a + beta), (a * a - beta) / (a * a + beta) ** 2


def more_thuente_2(a, beta=0.004):
    return (a + beta) ** 5 - 2 * (a + beta) ** 4, 5 * (a + beta) ** 4 - 8 * (a + beta) ** 3


def more_thuente_3(a, beta=0.01, waves=39):
    if a <= 1 - beta:
        base, slope = 1 - a, -1.0
    elif a >= 1 + beta:
        base, slope = a - 1, 1.0
    else:
        base, slope = (a - 1) ** 2 / (2 * beta) + beta / 2, (a - 1) / beta
    k = waves * math.pi / 2
    return base + 2 * (1 - beta) / (waves * math.pi) * math.sin(k * a), slope + (1 - beta) * math.cos(k * a)


def yanai(b1, b2):
    def gamma(b):
        return math.sqrt(1 + b * b) - b

    def phi(a):
        r1, r2 = math.sqrt((1 - a) ** 2 + b2 * b2), math.sqrt(a * a + b1 * b1)
        return gamma(b1) * r1 + gamma(b2) * r2, -gamma(b1) * (1 - a) / r1 + gamma(b2) * a / r2

    return phi


FUNCTIONS = [more_thuente_1, more_thuente_2, more_thuente_3, yanai(1e-3, 1e-3), yanai(1e-2, 1e-3), yanai(1e-3, 1e-2)]
CONSTANTS = [(1e-3, 0.1), (0.1, 0.1 + 1e-9), (1e-4, 0.9), (1e-3, 1e-3 + 1e-9)]


@pytest.mark.parametrize("alpha", [1e-3, 1e-1, 1e1, 1e3])
@pytest.mark.parametrize(("c1", "c2"), CONSTANTS)
@pytest.mark.parametrize("phi", FUNCTIONS)
def test_strong_wolfe_on_published_functions(phi, c1, c2, alpha):
    along = ray(lambda a: phi(a)[0], lambda a: phi(a)[1])
    trial = StrongWolfe(c1, c2)(along, alpha)
    assert trial is not None and (trial.f, trial.slope) == pytest.approx(phi(trial.alpha))
    f0, slope0 = phi(0.0)
    if c2 > 0.01:  # the paper's tables have up to 25 evaluations for these constants
        assert trial.f <= f0 + c1 * trial.alpha * slope0
        assert abs(trial.slope) <= c2 * abs(slope0)
    assert along.trials <= 30


@pytest.mark.parametrize("alpha", [1e-3, 1e-1, 1e1, 1e3])
@pytest.mark.parametrize("phi", FUNCTIONS)
def test_hager_zhang_on_published_functions(phi, alpha):
    along = ray(lambda a: phi(a)[0], lambda a: phi(a)[1])
    trial = HagerZhang(0.1, 0.2)(along, alpha)
    assert trial is not None
    f0, slope0 = phi(0.0)
    assert trial.slope >= 0.2 * slope0
    wolfe = trial.f <= f0 + 0.1 * trial.alpha * slope0
    assert wolfe or (trial.f <= f0 + 1e-6 * abs(f0) and trial.slope <= (2 * 0.1 - 1) * slope0)


@pytest.mark.parametrize("search", [StrongWolfe(1e-4, 0.4), HagerZhang(0.1, 0.4)])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_values_that_are_not_finite_shorten_the_step(search, bad):
    """f = −log(1 − a) − 3 a, defined below 1, with its minimum at 2/3; the first trial is far outside."""
    along = ray(lambda a: -math.log1p(-a) - 3 * a if a < 1 else bad, lambda a: 1 / (1 - a) - 3 if a < 1 else math.nan)
    trial = search(along, 50.0)
    assert trial is not None and 0 < trial.alpha < 1
    assert trial.slope >= -0.4 * 2 and trial.f <= -0.1 * trial.alpha * 2


@pytest.mark.parametrize("search", [StrongWolfe(1e-4, 0.4), HagerZhang(0.1, 0.4)])
def test_a_function_that_ascends_has_no_step(search):
    """The slope claims a descent that is none."""
    assert search(ray(lambda a: a, lambda a: -1.0), 1.0) is None


@pytest.mark.parametrize("search", [StrongWolfe(1e-4, 0.4), HagerZhang(0.1, 0.4)])
def test_a_decrease_that_rounding_hides(search):
    """φ = 1 + 1e-20 ((a − 1)² − 1) is 1 in float64; the slopes are exact."""
    trial = search(ray(lambda a: 1.0 + 1e-20 * ((a - 1) ** 2 - 1), lambda a: 2e-20 * (a - 1)), 3.0)
    assert trial is not None and abs(trial.alpha - 1) < 0.8


@pytest.mark.parametrize("search", [StrongWolfe(), HagerZhang()])
def test_an_unbounded_function_ends(search):
    along = ray(lambda a: -a, lambda a: -1.0)
    trial = search(along, 1.0)
    assert trial is not None and trial.alpha > 1e3 and along.trials <= 50


def test_cubic_minimum():
    # (a − 1)² (a + 2) = a³ − 3a + 2 has its minimum at 1
    f, d = (lambda a: a**3 - 3 * a + 2), (lambda a: 3 * a * a - 3)
    for a, b in ((-0.5, 3.0), (3.0, -0.5), (0.2, 0.7), (0.7, 0.2)):
        assert cubic_minimum(a, f(a), d(a), b, f(b), d(b)) == pytest.approx(1, rel=1e-12)
    assert math.isnan(cubic_minimum(0, 0, 1, 1, 1, 1))  # a line


def test_points_know_whether_they_are_finite():
    assert Point(np.zeros(2), 0.0, np.zeros(2)).finite
    assert not Point(np.zeros(2), math.inf, np.zeros(2)).finite
    assert not Point(np.zeros(2), 0.0, np.array([0, math.nan])).finite
