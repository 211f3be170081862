"""Sample weights: a case counts as if it were there so many times."""

import numpy as np
import pytest
from dlcore.models import RBM
from dlcore.train import Checkpoint
from machines import SIGMAS, drawn, small

COUNTS = np.array([3, 1, 0, 2])
DATA = np.array([[1, 0, 0, 1], [0, 0, 1, 1], [1, 1, 1, 1], [0, 1, 0, 0.5]])


def estimates(model, v, weight, repeats=120):
    return np.stack([model.cd_gradient(v, weight).numpy() for _ in range(repeats)])


def agree(a, b):
    """Two means of independent estimates do not differ."""
    error = np.sqrt(a.var(0, ddof=1) / len(a) + b.var(0, ddof=1) / len(b))
    assert (np.abs(a.mean(0) - b.mean(0)) <= SIGMAS * error + 1e-12).all()
    assert error.max() < 0.05


@pytest.mark.parametrize(
    "options",
    [{}, {"k": 3}, {"persistent": True, "n_chains": 40}, {"tempering": 3, "n_chains": 40}],
    ids=["CD-1", "CD-3", "PCD", "tempered"],
)
def test_weights_are_repeated_cases(options):
    """In expectation; the statistics of the data themselves are equal."""
    repeated = np.repeat(DATA, COUNTS, axis=0)
    weighed, model = (small(**options) for _ in range(2))
    a = estimates(weighed, np.tile(DATA, (20, 1)), np.tile(COUNTS * 7.0, 20))
    b = estimates(model, np.tile(repeated, (20, 1)), None)
    agree(a, b)


def test_a_weight_of_zero_leaves_a_case_out():
    a, b = (small(persistent=True, n_chains=5) for _ in range(2))
    kept = COUNTS > 0
    assert np.allclose(
        a.cd_gradient(DATA, COUNTS).numpy(), b.cd_gradient(DATA[kept], COUNTS[kept]).numpy(), rtol=0, atol=1e-13
    )


def test_equal_weights_change_nothing_but_rounding():
    for options in ({}, {"k": 2}, {"centered": True, "sparsity_target": 0.2}):
        a, b = (small(**options) for _ in range(2))
        assert np.allclose(a.cd_gradient(DATA, np.full(4, 5)).numpy(), b.cd_gradient(DATA).numpy(), rtol=0, atol=1e-13)


def test_centring_and_sparsity_take_the_weighed_means():
    terms = {"centered": True, "offset_rate": 1.0, "sparsity_target": 0.1, "sparsity_decay": 0.0}
    rbm = RBM(4, 3, visible="gaussian", sigma=0.7, weight_std=0.8, dtype="float64", **terms)
    rbm.cd_gradient(DATA, COUNTS)
    share = COUNTS / COUNTS.sum()
    w, c, s = (rbm.parameters[name].numpy() for name in ("weight", "hidden_bias", "log_variance"))
    p = 1 / (1 + np.exp(-(c + DATA / np.exp(s) @ w)))
    assert np.allclose(rbm.terms.offsets.numpy(), np.r_[share @ DATA, share @ p], rtol=1e-12)
    assert np.allclose(rbm.terms.activity.numpy(), share @ p, rtol=1e-12)


def test_fit_learns_the_weighed_cases(tmp_path):
    x = np.vstack([np.ones((30, 16)), np.zeros((30, 16))]).astype(np.float32)
    weight = np.r_[np.full(30, 1.0), np.full(30, 0.0)]

    def fit(**options):
        rbm = RBM(16, 4, seed=1)
        rbm.fit(x, sample_weight=weight, batch_size=20, weight_decay=0.0, **options)
        return rbm

    rbm = fit(epochs=6, callbacks=[Checkpoint(tmp_path / "whole")])
    assert rbm.free_energy(x[:1]).item() < rbm.free_energy(x[-1:]).item() - 10
    assert np.allclose(1 / (1 + np.exp(-fit(epochs=0).parameters["visible_bias"].numpy())), 0.5)
    fit(epochs=3, callbacks=[Checkpoint(tmp_path / "half")])
    resumed = fit(epochs=6, resume=tmp_path / "half")
    assert np.array_equal(rbm.parameters.storage.numpy(), resumed.parameters.storage.numpy())
    assert rbm.history.records[-1]["reconstruction_error"] < 0.5


def test_weights_that_are_refused():
    rbm = drawn(4, 3)

    def message(weight, who="cd_gradient"):
        with pytest.raises((TypeError, ValueError)) as raised:
            getattr(rbm, who)(DATA, sample_weight=weight)
        return str(raised.value)

    assert message([1, 2]) == "cd_gradient: sample_weight has shape (2,), expected (4,)"
    assert message([1, -1, 1, 1]) == "cd_gradient: sample_weight is -1.0 at index 1, expected a finite number >= 0"
    assert message(np.zeros(4), "fit") == "fit: sample_weight is 0 for all cases"
    assert (
        message(np.array(["a"] * 4), "partial_fit") == "partial_fit: sample_weight has dtype <U1, expected real numbers"
    )
