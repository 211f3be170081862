"""Parallel tempering against enumeration, and where chains at one temperature do not mix."""

import numpy as np
import pytest
from dlcore import load
from dlcore.models import RBM
from dlcore.train import Checkpoint
from machines import SIGMAS, Exact, bars, check_mean, drawn, states
from mixed_machines import LAYERS, Enumerated, cases_of, made

LADDER = [1.0, 0.7, 0.3, 0.0]


def tempered(rbm, tempering=LADDER, **options):
    """The same machine with other options."""
    other = RBM(**rbm.config | {"tempering": tempering} | options)
    other.parameters.assign({name: value.numpy() for name, value in rbm.parameters.items()})
    return other


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_samples_follow_the_exact_distribution(dtype):
    rbm = drawn(4, 3, 1.3, seed=2, dtype=dtype)
    exact, n = Exact(rbm), 6000
    v = rbm.sample_tempered(n, steps=40, tempering=LADDER)
    assert v.dtype == dtype
    found = np.bincount((v @ 2 ** np.arange(3, -1, -1)).astype(int), minlength=16) / n
    check_mean(found, exact.p_v, exact.p_v * (1 - exact.p_v), n)


def test_gradient_is_that_of_the_likelihood():
    rbm = tempered(drawn(4, 3, 1.3, seed=5), k=40, n_chains=6000)
    exact, data = Exact(rbm), states(4)[[3, 5, 5, 9]]
    found = rbm.cd_gradient(data).numpy()
    of_states = exact.statistics(exact.v)
    mean = exact.p_v @ of_states
    check_mean(found, mean - exact.statistics(data).mean(0), exact.p_v @ of_states**2 - mean**2, 6000)
    assert rbm.chains.shape == (4, 6000, 3)
    assert ((rbm.swap_rates > 0.2) & (rbm.swap_rates < 1)).all()


@pytest.mark.parametrize("centered", [False, True])
@pytest.mark.parametrize("kind", LAYERS)
def test_gradient_is_that_of_the_likelihood_for_every_kind_of_unit(kind, centered):
    n = 4000
    rbm = made(LAYERS[kind], tempering=LADDER, k=40, n_chains=n, centered=centered, offset_rate=0.0)
    exact, v = Enumerated(rbm), cases_of(rbm, 4)
    found = rbm.cd_gradient(v).numpy()
    if centered:
        mu, lam = v.mean(0), np.full(rbm.n_hidden, 0.5)
        statistics, data = exact.centred(exact.v, mu, lam), exact.centred(v, mu, lam).mean(0)
    else:
        statistics, data = exact.statistics(exact.v), exact.statistics(v).mean(0)
    mean = exact.p_v @ statistics
    check_mean(found, mean - data, exact.p_v @ statistics**2 - mean**2, n)


def test_gaussian_units_are_tempered_at_their_variance():
    """v | h ~ N(b + W h, σ²); p(h) ∝ exp(c·h + Σ ((b + W h)² − b²) / 2 σ²)."""
    n = 8000
    rbm = RBM(3, 2, visible=[("gaussian", 2), ("bernoulli", 1)], dtype="float64", tempering=5, k=40, n_chains=n)
    rng = np.random.default_rng(4)
    rbm.parameters.assign({name: 0.8 * rng.standard_normal(p.shape) for name, p in rbm.parameters.items()})
    w, b, c, z = (p.numpy() for p in rbm.parameters.values())
    s, h = np.exp(z), states(2)
    mean = b + h @ w.T
    log_p = h @ c + ((mean[:, :2] ** 2 - b[:2] ** 2) / (2 * s)).sum(1) + np.logaddexp(0, mean[:, 2])
    p = np.exp(log_p - np.logaddexp.reduce(log_p))
    means = np.c_[mean[:, :2], 1 / (1 + np.exp(-mean[:, 2]))]
    variances = np.c_[np.tile(s, (4, 1)), means[:, 2] * (1 - means[:, 2])]
    rbm.cd_gradient(np.zeros((1, 3)))
    v = rbm.replicas.advance(rbm.machine, 1, rbm.sample_generator).numpy()
    first, second = p @ means, p @ (variances + means**2)
    check_mean(v.mean(0), first, second - first**2, n)
    spread = ((v - first) ** 2).var(0)
    check_mean(((v - first) ** 2).mean(0), second - first**2, spread, n)


def two_modes(**options):
    """16 visible units that are nearly all on or nearly all off, with equal probability."""
    rbm = RBM(16, 4, dtype="float64", n_chains=400, seed=1, **options)
    w = np.full((16, 4), 1.2)
    rbm.parameters.assign({"weight": w, "visible_bias": -w.sum(1) / 2, "hidden_bias": -w.sum(0) / 2})
    return rbm


def share_on(rbm, chains, steps):
    """Share of the chains in the upper mode, begun in the lower one."""
    from dlcore.models.rbm.watching import copied
    from dlcore.ops import Generator
    from dlcore.tensor import tensor

    replicas = copied(rbm.ladder, tensor(np.zeros(chains)))
    v = replicas.advance(rbm.machine, steps, Generator(7)).numpy()
    return (v.mean(1) > 0.5).mean(), replicas.rates


def test_tempering_mixes_where_persistent_chains_do_not():
    """After 300 steps 4 % of the persistent chains have left their mode; of the tempered ones half are in either."""
    stuck, _ = share_on(two_modes(persistent=True), (400, 4), 300)
    mixed, rates = share_on(two_modes(tempering=8), (8, 400, 4), 300)
    assert stuck < 0.1
    assert abs(mixed - 0.5) < SIGMAS * np.sqrt(0.25 / 400)
    assert rates.min() > 0.2


def test_a_fit_is_resumed_to_the_bit(tmp_path):
    x = bars(60)

    def model():
        return RBM(16, 6, tempering=3, n_chains=10, seed=4)

    whole = model()
    history = whole.fit(x, epochs=4, batch_size=20, callbacks=[Checkpoint(tmp_path / "a")])
    assert all(0 < record["swap_rate"] <= 1 for record in history.records)
    half = model()
    half.fit(x, epochs=2, batch_size=20, callbacks=[Checkpoint(tmp_path / "b")])
    resumed = model()
    resumed.fit(x, epochs=4, batch_size=20, resume=tmp_path / "b")
    for name, value in whole.parameters.items():
        assert np.array_equal(value.numpy(), resumed.parameters[name].numpy())
    assert np.array_equal(whole.chains.numpy(), resumed.chains.numpy())
    assert [r["swap_rate"] for r in history.records] == [r["swap_rate"] for r in resumed.history.records]
    copy = whole.clone()
    assert np.array_equal(copy.cd_gradient(x).numpy(), whole.cd_gradient(x).numpy())
    assert np.array_equal(copy.chains.numpy(), whole.chains.numpy())
    whole.save(tmp_path / "model")
    assert load(tmp_path / "model").ladder == (1.0, 0.5, 0.0)
    assert RBM(4, 3).swap_rates is None


@pytest.mark.parametrize(
    "tempering", [1, 0.5, [1.0], [0.9, 0.1], [1.0, 0.5, 0.5], [1.0, -0.1], [1.0, float("nan")], "x"]
)
def test_ladders_that_are_refused(tempering):
    expected = (
        f"RBM: tempering is {tempering!r}, expected a number of inverse temperatures from 2 to 2**16 - 1, or several "
        "that fall from 1 to 0 or above"
    )
    with pytest.raises(ValueError) as raised:
        RBM(4, 3, tempering=tempering)
    assert str(raised.value) == expected


def test_refused_samples():
    rbm = RBM(4, 3)
    with pytest.raises(ValueError, match=r"^sample_tempered: steps is 0, expected an integer from 1 to 2\*\*31 - 1$"):
        rbm.sample_tempered(2, 0)
    with pytest.raises(ValueError, match=r"^sample_tempered: tempering is None, expected inverse temperatures"):
        rbm.sample_tempered(2, 5, None)


def test_replicas_that_share_memory_with_the_variances():
    from dlcore import placement

    cpu = placement.placed(None)
    both = cpu.full((4,), 0.0, "float64")
    w, b, c, accepted = (cpu.full(shape, 0.0, "float64") for shape in [(1, 2), (1,), (2,), (1,)])
    units = ([("gaussian", 1, 1)], both.view(0, (1,)), "bernoulli")
    betas = cpu.from_numpy(np.array([1.0, 0.5]))
    with pytest.raises(ValueError, match=r"^rbm_temper: replicas shares memory with log_variance"):
        cpu.rbm_temper(both.view(0, (2, 1, 2)), w, b, c, b, betas, 1, 0, 0, accepted, units)
