"""What a fit's history and `chain_diagnostics` say about chains, and stopping by the free energies' gap."""

import numpy as np
import pytest
from dlcore.models import RBM, effective_sample_size, r_hat
from dlcore.train import Checkpoint, EarlyStopping
from machines import bars, small


def test_chains_of_a_machine_that_mixes_agree():
    rbm = small(persistent=True, n_chains=20)
    rbm.cd_gradient(np.zeros((1, 4)))
    before = rbm.chains.numpy()
    found = rbm.chain_diagnostics(draws=300)
    assert np.array_equal(rbm.chains.numpy(), before)
    assert found.free_energy.shape == (20, 300)
    assert found.r_hat == r_hat(found.free_energy) < 1.01
    assert found.ess_bulk == effective_sample_size(found.free_energy) > 1000
    assert found.ess_tail == effective_sample_size(found.free_energy, "tail")
    exact = rbm.free_energy(np.array(list(np.ndindex(2, 2, 2, 2)), float))
    p = np.exp(-exact) / np.exp(-exact).sum()
    error = np.sqrt((p @ exact**2 - (p @ exact) ** 2) / effective_sample_size(found.free_energy, "mean"))
    assert abs(found.free_energy.mean() - p @ exact) < 5.5 * error


def test_chains_that_are_stuck_in_unlike_modes_disagree():
    rbm = RBM(16, 4, dtype="float64", persistent=True, n_chains=8)
    w = np.full((16, 4), 1.5)
    rbm.parameters.assign({"weight": w, "visible_bias": -w.sum(1) / 2 + 0.2, "hidden_bias": -w.sum(0) / 2})
    start = np.repeat([np.zeros(16), np.ones(16)], 4, axis=0)
    assert rbm.chain_diagnostics(draws=100, start=start).r_hat > 1.2
    assert rbm.chain_diagnostics(draws=100, start=start).ess_bulk < 40


def test_the_history_watches_what_it_is_told():
    x, held = bars(80), bars(40, seed=1)
    rbm = RBM(16, 5, seed=1, tempering=3, n_chains=10)
    history = rbm.fit(x, epochs=2, validation_data=held, watch=["chains", "pseudo_log_likelihood"])
    assert list(history.last) == [
        "reconstruction_error", "validation_reconstruction_error", "free_energy_gap", "free_energy_gap_error",
        "swap_rate", "r_hat", "ess", "pseudo_log_likelihood", "validation_pseudo_log_likelihood", "seconds",
    ]  # fmt: skip
    last = history.last
    assert last["pseudo_log_likelihood"] == rbm.pseudo_log_likelihood(x)
    assert last["validation_pseudo_log_likelihood"] == rbm.pseudo_log_likelihood(held)
    assert 0.9 < last["r_hat"] < 1.5
    assert 10 < last["ess"] <= 10 * 50 * np.log10(500)
    seen, unseen = rbm.free_energy(x[:40]).astype(float), rbm.free_energy(held).astype(float)
    assert last["free_energy_gap_error"] == pytest.approx(np.sqrt(seen.var() / 40 + unseen.var() / 40), rel=1e-6)


def test_watching_changes_nothing():
    a, b = (RBM(16, 5, seed=1, persistent=True, n_chains=10) for _ in range(2))
    a.fit(bars(60), epochs=2)
    b.fit(bars(60), epochs=2, watch=["chains", "pseudo_log_likelihood"])
    assert np.array_equal(a.parameters.storage.numpy(), b.parameters.storage.numpy())
    assert np.array_equal(a.chains.numpy(), b.chains.numpy())


def overfitting():
    """30 cases without structure to learn by heart, and 300 others."""
    rng = np.random.default_rng(3)
    return (rng.random((30, 16)) < 0.5).astype(np.float32), (rng.random((30, 16)) < 0.5).astype(np.float32)


def test_a_rising_gap_stops_the_fit():
    x, held = overfitting()
    rbm = RBM(16, 30, seed=2)
    stopping = EarlyStopping("free_energy_gap", patience=5)
    history = rbm.fit(x, epochs=400, batch_size=10, lr=0.1, validation_data=held, early_stopping=stopping)
    gap, error = history["free_energy_gap"], history["free_energy_gap_error"]
    assert 10 < len(history) < 400
    lowest = min(gap[: stopping.best_epoch + 1])
    assert gap[stopping.best_epoch] < lowest + 2 * error[stopping.best_epoch]
    assert all(g >= lowest + 2 * e for g, e in zip(gap[-5:], error[-5:], strict=True))
    assert len(history) == stopping.best_epoch + 6
    found = rbm.free_energy(held).mean(dtype=float) - rbm.free_energy(x).mean(dtype=float)
    assert found == pytest.approx(gap[stopping.best_epoch], abs=1e-4)  # the parameters of that epoch


def test_a_gap_that_does_not_rise_does_not():
    x = bars(400)
    rbm = RBM(16, 6, seed=2)
    history = rbm.fit(x[:200], epochs=25, lr=0.1, validation_data=x[200:], early_stopping=5)
    assert len(history) == 25


def test_early_stopping_goes_on_from_a_checkpoint(tmp_path):
    x, held = overfitting()

    def fit(epochs, **arguments):
        rbm = RBM(16, 30, seed=2)
        rbm.fit(x, epochs=epochs, batch_size=10, lr=0.1, validation_data=held, early_stopping=5, **arguments)
        return rbm

    whole = fit(400)
    fit(8, callbacks=[Checkpoint(tmp_path / "a")])
    resumed = fit(400, resume=tmp_path / "a")
    assert len(resumed.history) == len(whole.history)
    assert np.array_equal(whole.parameters.storage.numpy(), resumed.parameters.storage.numpy())


def test_refused():
    def message(call):
        with pytest.raises((TypeError, ValueError)) as raised:
            call()
        return str(raised.value)

    x = bars(10)
    assert (
        message(lambda: RBM(16, 3).fit(x, early_stopping=3))
        == "fit: early stopping on 'free_energy_gap' needs validation_data"
    )
    assert (
        message(lambda: RBM(16, 3).fit(x, watch=["chain"]))
        == "fit: watch is ['chain'], expected some of pseudo_log_likelihood, chains"
    )
    assert (
        message(lambda: RBM(16, 3).fit(x, watch="chains"))
        == "fit: watch has 'chains', but the model is neither persistent nor tempered"
    )
    assert (
        message(lambda: RBM(16, 3, visible="gaussian").fit(x, watch="pseudo_log_likelihood"))
        == "fit: watch has 'pseudo_log_likelihood', which is for Bernoulli units"
    )
    assert (
        message(lambda: RBM(16, 3).chain_diagnostics())
        == "chain_diagnostics: there are no persistent chains before the first gradient; give a start"
    )
    assert (
        message(lambda: RBM(16, 3).chain_diagnostics(draws=3, start=x))
        == "chain_diagnostics: draws is 3, expected at least 4"
    )
    assert message(lambda: EarlyStopping(tolerance=-1)) == (
        "EarlyStopping: tolerance is -1, expected a finite number >= 0"
    )
    assert "monitor is 'loss'" in message(lambda: RBM(16, 3).fit(x, early_stopping=EarlyStopping("loss")))
