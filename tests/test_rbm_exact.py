"""An RBM of 4 visible and 3 hidden units against the sums over all its states.

Estimates are held to 5.5 of their own exact standard errors (a right one fails an entry with probability 4e-8).
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

ERRORS = 5.5
VISIBLE, HIDDEN = 4, 3
REPEATS = 40_000  # of each data row: 200 000 chains
DTYPES = ("float32", "float64")


def states(units: int) -> np.ndarray:
    return np.array(list(itertools.product([0.0, 1.0], repeat=units)))


class Exact:
    """Everything by enumeration, from the energy alone."""

    def __init__(self, dtype: str) -> None:
        rng = np.random.default_rng(20)
        self.w, self.b, self.c = (
            rng.normal(0, size, shape).astype(dtype)
            for size, shape in [(1.2, (VISIBLE, HIDDEN)), (0.7, VISIBLE), (0.7, HIDDEN)]
        )
        self.v, self.h = states(VISIBLE), states(HIDDEN)
        self.joint = np.exp(-self.energy(self.v))  # (16, 8), not normalised
        self.z = self.joint.sum()
        self.visible_given_hidden = self.joint / self.joint.sum(axis=0)  # p(v | h), (16, 8)
        self.hidden_given_visible = self.joint / self.joint.sum(axis=1, keepdims=True)  # p(h | v), (16, 8)
        self.to_visible = self.visible_given_hidden.T  # transition matrices, rows sum to 1
        self.to_hidden = self.hidden_given_visible
        p = self.hidden_given_visible @ self.h
        self.statistics = self.gather(self.v, p)  # of a chain that ends in each visible state, (16, entries)

    def energy(self, v: np.ndarray) -> np.ndarray:
        w, b, c = (a.astype(np.float64) for a in (self.w, self.b, self.c))
        return -(v @ b)[:, None] - self.h @ c - v @ w @ self.h.T

    @staticmethod
    def gather(v: np.ndarray, p: np.ndarray) -> np.ndarray:
        return np.concatenate([(v[:, :, None] * p[:, None, :]).reshape(len(v), -1), v, p], axis=1)

    def hidden_of(self, v: np.ndarray) -> np.ndarray:
        """p(h | v) for any v in [0, 1], (n, 8)."""
        weights = np.exp(-self.energy(v))
        return weights / weights.sum(axis=1, keepdims=True)

    def data_statistics(self, v: np.ndarray) -> np.ndarray:
        return self.gather(v, self.hidden_of(v) @ self.h).mean(axis=0)

    def ends(self, v: np.ndarray, k: int) -> np.ndarray:
        """The distribution of v_k for a chain from each row of v, (n, 16)."""
        return self.hidden_of(v) @ self.to_visible @ np.linalg.matrix_power(self.to_hidden @ self.to_visible, k - 1)

    def mean_and_error(self, ends: np.ndarray, chains: int) -> tuple[np.ndarray, np.ndarray]:
        """Mean of the statistics over `chains` chains, equally many from each row of `ends`; its standard error."""
        mean = ends @ self.statistics
        variance = ends @ self.statistics**2 - mean**2
        return mean.mean(axis=0), np.sqrt(variance.mean(axis=0) / chains)


@pytest.fixture(scope="module", params=DTYPES)
def exact(request: pytest.FixtureRequest) -> Exact:
    return Exact(request.param)


def parameters(device: Any, exact: Exact) -> list[Any]:
    return [device.from_numpy(a) for a in (exact.w, exact.b, exact.c)]


def data(exact: Exact) -> np.ndarray:
    """Five rows, one of them grey."""
    rows = [[1, 0, 0, 1], [0, 0, 0, 0], [1, 1, 0, 1], [0, 1, 1, 0], [0.25, 0.5, 0.875, 1]]
    return np.array(rows, dtype=exact.w.dtype)


def test_conditionals(device: Any, exact: Exact) -> None:
    w, b, c = parameters(device, exact)
    tolerance = 8 * np.finfo(exact.w.dtype).eps
    v, h = (device.from_numpy(a.astype(exact.w.dtype)) for a in (exact.v, exact.h))
    hidden = device.rbm_hidden(v, w, c).numpy()
    assert np.abs(hidden - exact.hidden_given_visible @ exact.h).max() < tolerance
    visible = device.rbm_visible(h, w, b).numpy()
    assert np.abs(visible - exact.visible_given_hidden.T @ exact.v).max() < tolerance


def test_free_energy(device: Any, exact: Exact) -> None:
    v = device.from_numpy(exact.v.astype(exact.w.dtype))
    expected = -np.log(exact.joint.sum(axis=1))
    error = np.abs(device.rbm_free_energy(v, *parameters(device, exact)).numpy() - expected).max()
    assert error < 16 * np.finfo(exact.w.dtype).eps * np.abs(expected).max()


@pytest.mark.parametrize("k", [1, 2, 5, 50])
def test_contrastive_divergence_is_unbiased(device: Any, exact: Exact, k: int) -> None:
    rows = data(exact)
    v = device.from_numpy(np.tile(rows, (REPEATS, 1)))
    gradient, error = device.rbm_cd(v, *parameters(device, exact), k, 77, 1000 * k)
    mean, standard_error = exact.mean_and_error(exact.ends(rows, k), len(rows) * REPEATS)
    z = (gradient.numpy() - (mean - exact.data_statistics(rows))) / standard_error
    assert np.abs(z).max() < ERRORS
    assert np.std(z) > 0.3  # the standard error is the estimate's own, not a loose bound

    reconstruction = exact.visible_given_hidden.T @ exact.v  # p(v = 1 | h), (8, 4)
    errors = ((rows[:, None, :] - reconstruction) ** 2).sum(axis=2)  # (5, 8)
    h = exact.hidden_of(rows)
    expected = (h * errors).sum(axis=1)
    variance = (h * errors**2).sum(axis=1) - expected**2
    assert abs(error - expected.mean()) < ERRORS * np.sqrt(variance.mean() / (len(rows) * REPEATS))


def test_cd_follows_the_gibbs_chain(device: Any, exact: Exact) -> None:
    """CD-k ends where rbm_gibbs does with the same key and step, so its gradient is known up to rounding."""
    v, (w, b, c) = device.from_numpy(np.tile(data(exact), (8, 1))), parameters(device, exact)
    end = device.rbm_gibbs(v, w, b, c, 3, 5, 6)[0]
    expected = 0.0
    for sign, layer in ((1, end), (-1, v)):
        p = device.rbm_hidden(layer, w, c).numpy().astype(np.float64)
        expected = expected + sign * exact.gather(layer.numpy().astype(np.float64), p).mean(axis=0)
    gradient = device.rbm_cd(v, w, b, c, 3, 5, 6)[0].numpy()
    assert np.abs(gradient - expected).max() < 40 * np.finfo(exact.w.dtype).eps


@pytest.mark.parametrize("k", [1, 3])
def test_gibbs_frequencies(device: Any, exact: Exact, k: int) -> None:
    row = data(exact)[:1]
    n = 200_000
    v, p = device.rbm_gibbs(device.from_numpy(np.repeat(row, n, axis=0)), *parameters(device, exact), k, 8, 0)
    frequencies = np.bincount((v.numpy() @ [8, 4, 2, 1]).astype(int), minlength=16) / n
    q = exact.ends(row, k)[0]
    assert np.all(np.abs(frequencies - q) < ERRORS * np.sqrt(q * (1 - q) / n))
    # The probabilities are those the last sample was drawn from: their mean is that of the sample.
    assert np.all(np.abs(p.numpy().mean(axis=0, dtype=np.float64) - q @ exact.v) < ERRORS * 0.5 / np.sqrt(n))


@pytest.mark.parametrize("k", [1, 4])
def test_persistent_chains_reach_the_model(device: Any, exact: Exact, k: int) -> None:
    rows, n_chains, steps = data(exact), 60_000, 60
    v, (w, b, c) = device.from_numpy(rows), parameters(device, exact)
    chains = device.from_numpy(np.zeros((n_chains, HIDDEN), exact.w.dtype))
    for i in range(steps // k):
        gradient, error = device.rbm_cd(v, w, b, c, k, 3, 2 * k * i, chains=chains)
    assert error is None

    mixed = np.linalg.matrix_power(exact.to_visible @ exact.to_hidden, steps)[0]
    hidden = exact.joint.sum(axis=0) / exact.z
    assert np.abs(mixed - hidden).max() < 1e-4  # far below the standard error: the chains have forgotten their start
    frequencies = np.bincount((chains.numpy() @ [4, 2, 1]).astype(int), minlength=8) / n_chains
    assert np.all(np.abs(frequencies - hidden) < ERRORS * np.sqrt(hidden * (1 - hidden) / n_chains))

    # The gradient is that of the negative log-likelihood itself.
    model = exact.joint.sum(axis=1) / exact.z
    mean, standard_error = exact.mean_and_error(model[None, :], n_chains)
    z = (gradient.numpy() - (mean - exact.data_statistics(rows))) / standard_error
    assert np.abs(z).max() < ERRORS


def test_likelihood_gradient_by_differences(exact: Exact) -> None:
    """What the estimators are held against is the derivative of -mean log p(data), so its sign is a minimiser's."""
    rows = data(exact)[:4].astype(np.float64)

    def loss(theta: np.ndarray) -> float:
        w, b, c = theta[:12].reshape(VISIBLE, HIDDEN), theta[12:16], theta[16:]

        def log_weight(v: np.ndarray) -> np.ndarray:
            return v @ b + np.logaddexp(0, c + v @ w).sum(axis=1)

        return float(np.log(np.exp(log_weight(exact.v)).sum()) - log_weight(rows).mean())

    theta = np.concatenate([a.reshape(-1).astype(np.float64) for a in (exact.w, exact.b, exact.c)])
    step = 1e-5
    differences = [(loss(theta + step * e) - loss(theta - step * e)) / (2 * step) for e in np.eye(len(theta))]
    model = exact.joint.sum(axis=1) / exact.z
    assert np.allclose(differences, model @ exact.statistics - exact.data_statistics(rows), atol=1e-8)
