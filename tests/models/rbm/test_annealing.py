"""Annealed importance sampling against exact log Z: unbiased, with honest standard errors, from both sides.

The seeds are numbers counted from 0, chosen before the first run.
"""

from __future__ import annotations

import os
import signal
import threading
from itertools import pairwise

import numpy as np
import pytest
from dlcore.models import RBM, AISResult
from dlcore.models.rbm import annealing, likelihood
from machines import drawn


def random_machine(seed):
    rng = np.random.default_rng(seed)
    return drawn(*(int(n) for n in rng.integers(3, 13, 2)), seed=seed)


@pytest.mark.parametrize("reverse", [False, True])
def test_within_three_standard_errors_of_the_exact_value(reverse):
    """20 machines: a sound estimator leaves 3 standard errors in one of them with probability 5 %."""
    for seed in range(20):
        rbm = random_machine(seed)
        found = (rbm.reverse_ais if reverse else rbm.ais)(chains=100, betas=300, seed=seed)
        assert found.ess > 50
        assert abs(found.log_z - rbm.log_partition()) < 3 * found.standard_error, f"machine {seed}"


@pytest.mark.parametrize(("reverse", "dtype"), [(False, "float64"), (True, "float64"), (False, "float32")])
def test_standard_errors_are_calibrated(reverse, dtype):
    """Over 300 runs the deviations in units of their standard errors have variance 1, to 4 standard errors of it."""
    rbm = drawn(8, 6, seed=3, dtype=dtype)
    log_z, runs = rbm.log_partition(), 300
    run = rbm.reverse_ais if reverse else rbm.ais
    z = np.array([(r.log_z - log_z) / r.standard_error for r in (run(100, 100, seed=i) for i in range(runs))])
    assert abs(z.mean()) < 0.1 + 4 / np.sqrt(runs)  # Jensen's bias is half a standard error's square
    assert abs(z.std() - 1) < 4 / np.sqrt(2 * runs)


def test_the_weights_are_unbiased_and_the_two_estimates_bracket_log_z():
    """E w = Z / Z_base however few the steps; with few chains Jensen's inequality shows on both sides."""
    rbm = drawn(7, 6, spread=1.5, seed=1)
    log_z = rbm.log_partition()
    runs, chains = 400, 4
    forward = [rbm.ais(chains, 6, seed=i) for i in range(runs)]
    backward = [rbm.reverse_ais(chains, 6, seed=i) for i in range(runs)]
    for results, sign in ((forward, 1), (backward, -1)):
        log_weights = np.concatenate([r.log_weights for r in results])
        ratio = np.exp(log_weights - sign * (log_z - results[0].log_z_base))
        assert abs(ratio.mean() - 1) < 4 * ratio.std() / np.sqrt(runs * chains)
        error = np.array([r.log_z for r in results]) - log_z
        assert sign * error.mean() < -4 * error.std() / np.sqrt(runs)  # below forward, above in reverse


def test_starts_from_gibbs_chains_agree_with_exact_ones(monkeypatch):
    rbm = drawn(8, 6, spread=0.7)
    monkeypatch.setattr(likelihood, "MAX_SAMPLED", 0)
    found = rbm.reverse_ais(400, 200, burn_in=500, seed=0)
    assert abs(found.log_z - rbm.log_partition()) < 4 * found.standard_error
    start = rbm.sample(400, 500, binary=True)
    kept = start.copy()
    found = rbm.reverse_ais(400, 200, start=start, seed=0)
    assert abs(found.log_z - rbm.log_partition()) < 4 * found.standard_error
    np.testing.assert_array_equal(start, kept)


@pytest.mark.parametrize("base", ["uniform", "visible_bias", "biases", "cases"])
def test_bases(base):
    rbm = drawn(9, 5)
    x = (np.random.default_rng(0).random((50, 9)) < np.linspace(0.1, 0.9, 9)).astype(float)
    bias = np.linspace(-1, 2, 9)
    given = {"biases": bias, "cases": x}.get(base, base)
    found = rbm.ais(200, 300, base=given, seed=0)
    rate = (x.sum(0) + 1) / 52
    expected = {
        "uniform": np.zeros(9),
        "visible_bias": rbm.parameters["visible_bias"].numpy(),
        "biases": bias,
        "cases": np.log(rate / (1 - rate)),
    }[base]
    assert found.log_z_base == pytest.approx(5 * np.log(2) + np.logaddexp(0, expected).sum(), rel=1e-13)
    assert abs(found.log_z - rbm.log_partition()) < 4 * found.standard_error


def test_the_figures_of_given_weights():
    w = np.array([1.0, 2.0, 4.0, 5.0])
    for reverse, sign in ((False, 1), (True, -1)):
        found = AISResult.of_weights(np.log(w) + 2000, 7.0, 5, reverse)
        assert found.log_z == pytest.approx(7 + sign * (np.log(3) + 2000), rel=1e-15)
        assert found.standard_error == pytest.approx(np.std(w, ddof=1) / 3 / 2, rel=1e-12)
        assert found.ess == pytest.approx(12**2 / 46, rel=1e-12)
        assert (found.steps, found.reverse) == (5, reverse)


def test_small_steps_lose_no_digits_in_float32(device):
    """log w of 1000 steps of 10⁻⁴ against the terms in float64 of the states that the chains went through."""
    rbm = drawn(40, 30, spread=0.5, dtype="float32")
    w, b, c = (value.array for _, value in rbm.parameters.items())
    betas = np.linspace(0.4, 0.5, 1001)
    v, base = device.full((20, 40), 0.0, "float32"), device.full((40,), 0.25, "float32")
    log_weights, expected = device.full((20,), 0.0, "float64"), np.zeros(20)
    wide = [a.numpy().astype(np.float64) for a in (w, b, c, base)]
    for i, (old, new) in enumerate(pairwise(betas)):
        state = v.numpy().astype(np.float64)
        field = wide[2] + state @ wide[0]
        expected += (new - old) * (state @ (wide[1] - wide[3]))
        expected += (np.logaddexp(0, new * field) - np.logaddexp(0, old * field)).sum(1)
        device.rbm_ais(v, w, b, c, base, device.from_numpy(np.array([old, new])), 7, 2 * i, log_weights)
    np.testing.assert_allclose(log_weights.numpy(), expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_same_bits_for_every_cut_into_calls_and_number_of_threads(dtype, monkeypatch, device):
    rbm = drawn(120, 90, spread=0.05, dtype=dtype)
    results = []
    for threads, piece in ((1, annealing._PIECE), (2, 1), (4, 3 * 10**7)):
        device.set_num_threads(threads)
        monkeypatch.setattr(annealing, "_PIECE", piece)
        results.append(rbm.ais(60, 41, seed=9).log_weights.tobytes())
    assert results[0] == results[1] == results[2]


def test_seeds_and_the_generator_of_samples():
    rbm = drawn(6, 5)
    before = rbm.sample_generator.step
    assert rbm.ais(3, 5, seed=4).log_z == rbm.ais(3, 5, seed=4).log_z != rbm.ais(3, 5, seed=5).log_z
    assert rbm.sample_generator.step == before
    first, second = rbm.ais(3, 5), rbm.ais(3, 5)
    assert first.log_z != second.log_z
    rbm.sample_generator.step = before
    assert rbm.ais(3, 5).log_z == first.log_z


def test_ctrl_c_is_answered_and_leaves_the_generator():
    rbm = drawn(6, 5)
    before = rbm.sample_generator.step
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            rbm.ais(100, 10**7)  # minutes
    finally:
        timer.cancel()
    assert rbm.sample_generator.step == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"chains": 1}, "chains is 1, expected an integer from 2 to"),
        ({"chains": 2.5}, "chains is 2.5, expected an integer"),
        ({"betas": 0}, "betas is 0, expected at least one step"),
        ({"betas": True}, "betas is True, expected a number of steps or numbers that rise from 0 to 1"),
        ({"betas": "many"}, "betas is 'many', expected a number of steps or"),
        ({"betas": [0.1, 1]}, "expected a number of steps or numbers that rise from 0 to 1"),
        ({"betas": [0, 0.5, 0.5, 1]}, "expected a number of steps or numbers that rise from 0 to 1"),
        ({"betas": [0, np.nan, 1]}, "expected a number of steps or numbers that rise from 0 to 1"),
        ({"base": "data"}, "base is 'data', expected 'visible_bias', 'uniform', biases or cases"),
        ({"base": np.zeros(5)}, r"base has shape \(5,\), expected \(6,\) or \(n, 6\)"),
        ({"base": np.zeros((0, 6))}, r"base has shape \(0, 6\), expected"),
        ({"base": np.full((2, 6), 1.5)}, r"base has cases with values from 1.5 to 1.5, expected \[0, 1\]"),
        ({"base": np.full(6, np.inf)}, "base has numbers that are not finite"),
        ({"seed": -1}, "seed is -1, expected 0 <= seed"),
    ],
)
def test_refused(arguments, message):
    rbm = drawn(6, 5)
    before = rbm.sample_generator.step
    for method in (rbm.ais, rbm.reverse_ais):
        with pytest.raises(ValueError, match=message):
            method(**{"betas": 3, **arguments})
    assert rbm.sample_generator.step == before


def test_reverse_refuses():
    rbm = drawn(6, 5)
    with pytest.raises(ValueError, match="reverse_ais: start has 3 cases, expected 100"):
        rbm.reverse_ais(start=np.zeros((3, 6)))
    with pytest.raises(ValueError, match="reverse_ais: burn_in is 0, expected an integer from 1"):
        rbm.reverse_ais(burn_in=0)
    values = {name: value.numpy() for name, value in rbm.parameters.items()}
    rbm.parameters.assign(values | {"weight": np.full((6, 5), np.nan)})
    with pytest.raises(FloatingPointError, match="ais: weight has numbers that are not finite"):
        rbm.ais(5, 5)


def test_a_large_machine_is_bracketed():
    """Beyond enumeration: both estimates agree to their standard errors, and lie on their sides of each other."""
    rbm = RBM(60, 50, weight_std=0.3, seed=2)
    low, high = rbm.ais(200, 2000, seed=0), rbm.reverse_ais(200, 2000, burn_in=500, seed=1)
    assert abs(low.log_z - high.log_z) < 4 * np.hypot(low.standard_error, high.standard_error)
    independent = 60 * np.log(2) + 50 * np.log(2)
    assert low.log_z > independent  # Jensen: Z >= 2^110 where the biases are 0
