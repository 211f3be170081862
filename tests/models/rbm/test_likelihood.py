"""log Z, likelihood and pseudo-likelihood of an RBM against enumeration of both layers."""

from __future__ import annotations

import numpy as np
import pytest
from dlcore.models import RBM
from dlcore.models.rbm import likelihood
from dlcore.ops import Generator
from machines import SIGMAS, Exact, drawn, small


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(7, 4), (4, 7), (6, 6), (1, 1)])
def test_exact_likelihood(shape, dtype):
    """log Z is summed in float64 also for float32 parameters; F(v) has the model's precision."""
    rbm = drawn(*shape, dtype=dtype)
    exact = Exact(rbm)
    assert rbm.log_partition() == pytest.approx(exact.log_z, rel=1e-13, abs=1e-13)
    found = rbm.log_likelihood(exact.v)
    assert found == pytest.approx(np.log(exact.p_v).mean(), rel=1e-12 if dtype == "float64" else 1e-5)


@pytest.mark.parametrize("shape", [(7, 4), (4, 7)])
def test_large_weights_do_not_overflow(shape):
    rbm = drawn(*shape, spread=1e5)
    w, b, c = (value.numpy() for _, value in rbm.parameters.items())
    v, h = (((np.arange(2**n)[:, None] >> np.arange(n)) & 1).astype(float) for n in shape)
    energy = -(v @ b)[:, None] - (h @ c)[None, :] - v @ w @ h.T
    low = energy.min()
    assert rbm.log_partition() == pytest.approx(-low + np.log(np.exp(low - energy).sum()), rel=1e-13)


def test_pieces_of_states_have_the_bits_of_the_same_pieces_on_any_threads(device):
    rbm = drawn(15, 700, spread=0.2)
    found = []
    for threads in (1, 2, 4):
        device.set_num_threads(threads)
        found.append(rbm.log_partition())
    assert found[0] == found[1] == found[2]


def test_likelihood_with_a_given_log_z():
    rbm = small()
    v = np.eye(4)
    assert rbm.log_likelihood(v, log_z=rbm.log_partition()) == rbm.log_likelihood(v)
    assert rbm.log_likelihood(v, log_z=2.5) == pytest.approx(-rbm.free_energy(v).mean() - 2.5, rel=1e-15)
    assert np.isfinite(RBM(40, 30).log_likelihood(np.zeros((2, 40)), log_z=np.float64(3)))


def test_an_interrupted_enumeration_stops(monkeypatch):
    """Each native call is short: Ctrl-C is answered between two."""
    rbm = RBM(28, 700)
    calls = []
    call = rbm.machine.weight.array.device.rbm_log_partition

    class Device:
        @staticmethod
        def rbm_log_partition(*arguments):
            calls.append(arguments[4])
            if len(calls) == 3:
                raise KeyboardInterrupt
            return call(*arguments)

    monkeypatch.setattr(type(rbm.machine.weight.array), "device", Device)
    with pytest.raises(KeyboardInterrupt):
        rbm.log_partition()
    assert calls[0] * 700 <= 10**8


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_pseudo_likelihood_is_the_sum_of_the_conditionals(dtype):
    rbm = drawn(6, 4, dtype=dtype)
    exact = Exact(rbm)
    log_p = np.log(exact.p_v)
    index = np.arange(64)
    flipped = index[:, None] ^ (1 << np.arange(6))[None, ::-1]
    expected = (log_p[:, None] - np.logaddexp(log_p[:, None], log_p[flipped])).sum(1)
    assert rbm.pseudo_log_likelihood(exact.v) == pytest.approx(expected.mean(), rel=1e-12)
    assert rbm.pseudo_log_likelihood(exact.v[[5, 5, 9]]) == pytest.approx(expected[[5, 5, 9]].mean(), rel=1e-12)


def test_pseudo_likelihood_in_pieces(monkeypatch):
    rbm, x = drawn(5, 4), np.random.default_rng(0).random((23, 5))
    whole = rbm.pseudo_log_likelihood(x)
    monkeypatch.setattr(likelihood, "_PIECE", 1)
    assert rbm.pseudo_log_likelihood(x) == whole


def test_pseudo_likelihood_is_the_mean_of_the_stochastic_one():
    """n_visible log sigmoid(F(v with i flipped) − F(v)) with a random i, as scikit-learn has it."""
    rbm = drawn(7, 5)
    v = (np.random.default_rng(1).random((40, 7)) < 0.5).astype(float)
    terms = []
    for i in range(7):
        flipped = v.copy()
        flipped[:, i] = 1 - flipped[:, i]
        terms.append(-7 * np.logaddexp(0, -(rbm.free_energy(flipped) - rbm.free_energy(v))))
    assert rbm.pseudo_log_likelihood(v) == pytest.approx(np.mean(terms), rel=1e-12)


@pytest.mark.parametrize("shape", [(5, 3), (3, 5)])
def test_exact_samples_follow_the_distribution(shape):
    n = 40_000
    rbm = drawn(*shape)
    exact = Exact(rbm)
    samples = likelihood.exact_samples(rbm.machine, n, Generator(5)).numpy()
    found = np.bincount((samples @ 2 ** np.arange(shape[0] - 1, -1, -1)).astype(int), minlength=2 ** shape[0]) / n
    assert (np.abs(found - exact.p_v) < SIGMAS * np.sqrt(exact.p_v * (1 - exact.p_v) / n) + 1e-12).all()
    with pytest.raises(ValueError, match="exact_samples: the smaller layer has 21 units, expected at most 20"):
        likelihood.exact_samples(RBM(21, 22).machine, 3, Generator(0))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda rbm: rbm.log_likelihood(np.zeros((0, 4))), "log_likelihood: there are no cases"),
        (lambda rbm: rbm.log_likelihood(np.eye(4), log_z=np.nan), "log_likelihood: log_z is nan, expected a finite"),
        (lambda rbm: rbm.log_likelihood(np.eye(4), log_z="3"), "log_likelihood: log_z is '3', expected a finite"),
        (lambda rbm: rbm.pseudo_log_likelihood(np.zeros((0, 4))), "pseudo_log_likelihood: there are no cases"),
        (lambda rbm: rbm.pseudo_log_likelihood(np.full((2, 4), 2.0)), "expected values in"),
        (lambda rbm: rbm.pseudo_log_likelihood(np.zeros((2, 5))), r"x has shape \(2, 5\), expected \(n, 4\)"),
        (lambda rbm: RBM(29, 40).log_partition(), "the smaller layer has 29 units, .* ais estimates larger ones"),
    ],
)
def test_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call(small())
