"""Machines of Bernoulli, softmax and Gaussian units against sums over their states, integrals and differences."""

import dlcore
import numpy as np
import pytest
from machines import check_mean
from mixed_machines import LAYERS, Enumerated, Reference, cases_of, made


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("layer", [*LAYERS, "hidden"])
def test_energies_conditionals_and_likelihood(layer, dtype):
    rbm = made(LAYERS["labels"], "gaussian", 2, dtype) if layer == "hidden" else made(LAYERS[layer], dtype=dtype)
    exact = Reference(rbm)
    eps = 3e-5 if dtype == "float32" else 1e-9
    v, h = cases_of(rbm), exact.h[[1, 3, -2]].astype(dtype)
    np.testing.assert_allclose(rbm.energy(v[:3], h), np.diag(exact.energy(v[:3], h)), rtol=eps, atol=eps)
    np.testing.assert_allclose(rbm.free_energy(v), exact.free_energy(v), rtol=eps, atol=eps)
    np.testing.assert_allclose(rbm.transform(v), exact.hidden_mean(v), rtol=eps, atol=eps)
    np.testing.assert_allclose(rbm.inverse_transform(h[:2]), exact.visible_mean(h[:2]), rtol=eps, atol=eps)
    assert rbm.log_partition() == pytest.approx(exact.log_z(), rel=1e-9)


@pytest.mark.parametrize("layer", LAYERS)
def test_the_statistics_are_the_derivatives_of_the_free_energy(layer):
    rbm = made(LAYERS[layer])
    v, theta, eps = cases_of(rbm, 3), rbm.parameters.storage.numpy(), 1e-6
    found = []
    for e in np.eye(len(theta)):
        values = []
        for sign in (1, -1):
            rbm.parameters.storage.array.assign(dlcore.tensor(theta + sign * eps * e).array)
            values.append(rbm.free_energy(v))
        found.append((values[1] - values[0]) / (2 * eps))
    rbm.parameters.storage.array.assign(dlcore.tensor(theta).array)
    np.testing.assert_allclose(np.array(found).T, Enumerated(rbm).statistics(v) - own_part(rbm, v), atol=1e-7)


def own_part(rbm, v):
    """What the derivative by b of Gaussian units has beside the statistics: a constant, b / s, which cancels."""
    exact = Reference(rbm)
    parts = {name: np.zeros((len(v), x.size)) for name, x in rbm.parameters.items()}
    parts["visible_bias"][:, exact.gaussian] = (exact.p["visible_bias"] / exact.s)[exact.gaussian]
    return np.hstack(list(parts.values()))


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("centered", [False, True])
def test_cd_gradient_is_unbiased(layer, k, centered):
    """Against the expectation over the k-step chain."""
    n = 20_000
    rbm = made(LAYERS[layer], k=k, centered=centered, offset_rate=0.25)
    exact, v = Enumerated(rbm), cases_of(rbm, 1)
    ends = exact.ends(v[0], k)
    found = rbm.cd_gradient(np.repeat(v, n, 0)).numpy()
    if centered:
        offsets = np.concatenate([v[0], 0.75 * 0.5 + 0.25 * exact.hidden_mean(v)[0]])  # μ begins at the data's mean
        np.testing.assert_allclose(rbm.terms.offsets.numpy(), offsets, rtol=1e-9)
        mu, lam = offsets[: v.shape[1]], offsets[v.shape[1] :]
        statistics, start = exact.centred(exact.v, mu, lam), exact.centred(v, mu, lam)[0]
    else:
        statistics, start = exact.statistics(exact.v), exact.statistics(v)[0]
    mean = ends @ statistics
    check_mean(found, mean - start, ends @ statistics**2 - mean**2 + 1e-14, n)


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("centered", [False, True])
def test_pcd_gradient_is_that_of_the_likelihood(layer, centered):
    """Its chains are drawn from the model itself."""
    n, k = 20_000, 2
    rbm = made(LAYERS[layer], k=k, persistent=True, n_chains=n, centered=centered, offset_rate=0.0)
    exact, v = Enumerated(rbm), cases_of(rbm, 4)
    states = np.random.default_rng(3).choice(len(exact.h), n, p=exact.p_h)
    rbm.chains = dlcore.tensor(exact.h[states])
    found = rbm.cd_gradient(v).numpy()
    if centered:
        mu, lam = v.mean(0), np.full(rbm.n_hidden, 0.5)
        statistics, data = exact.centred(exact.v, mu, lam), exact.centred(v, mu, lam).mean(0)
    else:
        statistics, data = exact.statistics(exact.v), exact.statistics(v).mean(0)
    mean = exact.p_v @ statistics
    check_mean(found, mean - data, exact.p_v @ statistics**2 - mean**2 + 1e-14, n)
    share = np.array([(rbm.chains.numpy() == h).all(1).mean() for h in exact.h])
    check_mean(share, exact.p_h, exact.p_h * (1 - exact.p_h), n)


def test_gaussian_hidden_units_have_an_unbiased_gradient():
    """Their states are integrated on a grid."""
    n = 20_000
    rbm = made(LAYERS["labels"], "gaussian", 2)
    exact, v = Enumerated(rbm), cases_of(rbm, 1)
    ends = exact.ends(v[0], 1)
    statistics = exact.statistics(exact.v)
    mean = ends @ statistics
    found = rbm.cd_gradient(np.repeat(v, n, 0)).numpy()
    check_mean(found, mean - exact.statistics(v)[0], ends @ statistics**2 - mean**2, n)


@pytest.mark.parametrize("layer", LAYERS)
def test_fantasies_follow_the_distribution(layer):
    n = 5_000
    rbm = made(LAYERS[layer])
    exact = Enumerated(rbm)
    found = rbm.sample(n, steps=40, binary=True).astype(np.float64)
    moments = np.hstack([found, found**2]), np.hstack([exact.v, exact.v**2])
    mean = exact.p_v @ moments[1]
    check_mean(moments[0].mean(0), mean, exact.p_v @ moments[1] ** 2 - mean**2, n)


def test_the_sparsity_term_of_one_case_is_the_gradient_of_the_cross_entropy():
    cost, target = 0.7, 0.2
    options = {"sparsity_target": target, "sparsity_cost": cost, "sparsity_decay": 0.0}
    plain, sparse = made(LAYERS["mixed"]), made(LAYERS["mixed"], **options)
    v, theta, eps = cases_of(plain, 1), plain.parameters.storage.numpy(), 1e-6
    found = sparse.cd_gradient(v).numpy() - plain.cd_gradient(v).numpy()
    expected = []
    for e in np.eye(len(theta)):
        values = []
        for sign in (1, -1):
            plain.parameters.storage.array.assign(dlcore.tensor(theta + sign * eps * e).array)
            q = plain.transform(v)[0]
            values.append(-cost * (target * np.log(q) + (1 - target) * np.log(1 - q)).sum())
        expected.append((values[0] - values[1]) / (2 * eps))
    count = plain.parameters["weight"].size
    where = np.r_[:count, count + plain.n_visible : count + plain.n_visible + plain.n_hidden]  # W and c
    np.testing.assert_allclose(found[where], np.array(expected)[where], atol=1e-8)
    np.testing.assert_allclose(np.delete(found, where), 0.0, atol=1e-12)  # b and z learn nothing from it
    np.testing.assert_allclose(sparse.terms.activity.numpy(), plain_means(sparse, v), rtol=1e-12)


def plain_means(rbm, v):
    return rbm.transform(v).mean(0)
