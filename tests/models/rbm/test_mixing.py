"""R-hat and effective sample sizes against their definitions, known processes, and ArviZ where it is installed."""

from statistics import NormalDist

import numpy as np
import pytest
from dlcore.models import effective_sample_size, r_hat
from dlcore.models.rbm.mixing import normal_quantile


def autoregressive(phi, chains, draws, seed=0, shift=0.0):
    """x_t = φ x_t−1 + ε, stationary, of variance 1 / (1 − φ²); chain c is moved by c · shift."""
    rng = np.random.default_rng(seed)
    x = np.empty((chains, draws))
    x[:, 0] = rng.standard_normal(chains) / np.sqrt(1 - phi**2)
    for t in range(1, draws):
        x[:, t] = phi * x[:, t - 1] + rng.standard_normal(chains)
    return x + shift * np.arange(chains)[:, None]


def scores(x):
    """Rank-normalised draws, written out."""
    flat = list(x.ravel())
    ranks = [sum(b < a for b in flat) + (flat.count(a) + 1) / 2 for a in flat]
    size = len(flat)
    return np.array([NormalDist().inv_cdf((r - 0.375) / (size + 0.25)) for r in ranks]).reshape(x.shape)


def halves(x):
    n = x.shape[1] // 2
    return np.vstack([x[:, :n], x[:, -n:]])


def plain_r_hat(x):
    m, n = x.shape
    means = [row.mean() for row in x]
    between = n / (m - 1) * sum((mean - np.mean(means)) ** 2 for mean in means)
    within = np.mean([((row - row.mean()) ** 2).sum() / (n - 1) for row in x])
    return np.sqrt(((n - 1) / n * within + between / n) / within)


def plain_ess(x):
    """Vehtari et al. (2021), equations 7 to 13, term by term."""
    m, n = x.shape
    lagged = [np.mean([((r[: n - t] - r.mean()) * (r[t:] - r.mean())).sum() / n for r in x]) for t in range(n)]
    within = np.mean([r.var(ddof=1) for r in x])
    common = (n - 1) / n * within + np.var([r.mean() for r in x], ddof=1)
    rho = [1.0] + [1 - (within - c) / common for c in lagged[1:]]
    total, smallest, t = 0.0, np.inf, 0
    while rho[t] + rho[t + 1] > 0 and t + 3 < n - 1:
        smallest = min(smallest, rho[t] + rho[t + 1])
        total += smallest
        t += 2
    tau = -1 + 2 * total + max(rho[t], 0)
    return m * n / max(tau, 1 / np.log10(m * n))


@pytest.mark.parametrize("draws", [60, 61])
@pytest.mark.parametrize("phi", [-0.5, 0.0, 0.7])
def test_against_the_definitions(phi, draws):
    x = autoregressive(phi, 3, draws, seed=draws)
    x[:, ::7] = np.round(x[:, ::7])  # ties
    parts = halves(x)
    folded = np.abs(parts - np.median(parts))
    assert np.isclose(r_hat(x), max(plain_r_hat(scores(parts)), plain_r_hat(scores(folded))), rtol=1e-12)
    assert np.isclose(effective_sample_size(x), plain_ess(scores(parts)), rtol=1e-9)
    assert np.isclose(effective_sample_size(x, "mean"), plain_ess(parts), rtol=1e-9)
    tails = [plain_ess(halves((x <= np.quantile(x, q)).astype(float))) for q in (0.05, 0.95)]
    assert np.isclose(effective_sample_size(x, "tail"), min(tails), rtol=1e-9)


@pytest.mark.parametrize("phi", [-0.3, 0.0, 0.5, 0.9])
def test_effective_sample_size_of_known_chains(phi):
    """Of the mean of x_t = φ x_t−1 + ε it is n (1 − φ) / (1 + φ)."""
    x = autoregressive(phi, 8, 4000, seed=5)
    expected = x.size * (1 - phi) / (1 + phi)
    for kind in ("mean", "bulk"):
        assert abs(effective_sample_size(x, kind) / expected - 1) < 0.12
    assert abs(r_hat(x) - 1) < 0.01


def test_chains_that_disagree():
    assert r_hat(autoregressive(0.5, 4, 500, shift=1.0)) > 1.2  # in their means
    assert effective_sample_size(autoregressive(0.5, 4, 500, shift=1.0)) < 40
    wide = autoregressive(0.0, 4, 500) * np.array([1.0, 1.0, 1.0, 4.0])[:, None]
    assert r_hat(wide) > 1.1  # in their widths alone
    drift = np.linspace(0, 3, 500) + autoregressive(0.0, 4, 500)
    assert r_hat(drift) > 1.2  # in their halves alone
    assert r_hat(drift[:1]) > 1.2  # also of one chain


def test_further_axes_are_quantities():
    x = np.stack([autoregressive(phi, 4, 50, seed=9) for phi in (0.1, 0.6, 0.8)], axis=2).reshape(4, 50, 3, 1)
    for function in (r_hat, effective_sample_size):
        found = function(x)
        assert found.shape == (3, 1)
        assert np.allclose(found[:, 0], [function(x[:, :, i, 0]) for i in range(3)], rtol=1e-12)


def test_nothing_is_said_about_constants_and_infinities():
    x = np.stack([autoregressive(0.0, 2, 20)] * 4, axis=2)
    x[..., 0], x[1, 3, 1], x[0, 0, 2] = 2.5, np.nan, np.inf
    for found in (r_hat(x), *(effective_sample_size(x, kind) for kind in ("bulk", "tail", "mean"))):
        assert np.array_equal(np.isnan(found), [True, True, True, False])


def test_normal_quantile():
    p = np.concatenate([np.logspace(-10, -1, 200), np.linspace(0.05, 0.95, 200), 1 - np.logspace(-9, -1, 200)])
    assert np.allclose(normal_quantile(p), [NormalDist().inv_cdf(q) for q in p], rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("function", [r_hat, effective_sample_size])
def test_refused(function):
    name = function.__name__
    for shape in [(5,), (0, 9), (2, 3), (3, 8, 0)]:
        with pytest.raises(ValueError) as raised:
            function(np.zeros(shape))
        expected = f"{name}: draws has shape {shape}, expected (n_chains >= 1, n_draws >= 4, ...)"
        assert str(raised.value) == expected
    with pytest.raises(TypeError, match=f"^{name}: draws has dtype complex128, expected real numbers$"):
        function(np.zeros((2, 8), complex))
    with pytest.raises(ValueError, match=r"^effective_sample_size: kind is 'all', expected one of bulk, tail, mean$"):
        effective_sample_size(np.zeros((2, 8)), "all")


def test_against_arviz():
    arviz = pytest.importorskip("arviz")
    for phi, shift in [(0.0, 0.0), (0.8, 0.0), (-0.6, 0.0), (0.5, 0.7)]:
        x = autoregressive(phi, 4, 333, seed=3, shift=shift)
        assert np.isclose(r_hat(x), arviz.rhat(x), rtol=1e-10)
        for kind in ("bulk", "tail", "mean"):
            assert np.isclose(effective_sample_size(x, kind), arviz.ess(x, method=kind), rtol=1e-8)
