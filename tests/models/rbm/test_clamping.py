"""Clamped sampling and imputation against conditionals by enumeration."""

import numpy as np
import pytest
from dlcore.models import RBM
from machines import Exact, check_mean, drawn, states

NAN = np.nan
GIVEN = np.array([[1, NAN, NAN, 0], [NAN, NAN, 1, NAN], [0, 1, 1, 0], [NAN, NAN, NAN, NAN]])
N = 4000  # of each row


def conditional(rbm, row):
    """p(v | the numbers of the row) over all states of v."""
    exact = Exact(rbm)
    p = exact.p_v * (exact.v[:, ~np.isnan(row)] == row[~np.isnan(row)]).all(1)
    return exact.v, p / p.sum()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_clamped_samples_follow_the_conditional(dtype):
    rbm = drawn(4, 3, 1.2, seed=6, dtype=dtype)
    found = rbm.sample_clamped(np.repeat(GIVEN, N, axis=0), steps=40).reshape(4, N, 4)
    assert found.dtype == dtype
    for row, sampled in zip(GIVEN, found, strict=True):
        v, p = conditional(rbm, row)
        share = np.bincount((sampled @ 2 ** np.arange(3, -1, -1)).astype(int), minlength=16) / N
        check_mean(share, p, p * (1 - p), N)
        assert len(v) == 16


def test_masks_name_the_same_units():
    rbm = drawn(4, 3, 1.2, seed=6)
    held = ~np.isnan(GIVEN)
    a, b = rbm.clone(), rbm.clone()
    values = np.where(held, GIVEN, 0.25)
    assert np.array_equal(a.sample_clamped(GIVEN, steps=5), b.sample_clamped(values, mask=held, steps=5))
    one = b.sample_clamped(values, mask=[True, False, False, True], steps=5)
    assert np.array_equal(one[:, [0, 3]], values[:, [0, 3]])
    assert set(np.unique(one[:, 1:3])) <= {0.0, 1.0}
    means = b.sample_clamped(GIVEN, steps=5, binary=False)
    assert np.array_equal(means[held], GIVEN[held])
    assert ((means[~held] > 0) & (means[~held] < 1)).all()


def test_chains_begin_where_they_are_told():
    """With weights that hold every unit where it is, one step stays at the start."""
    rbm = RBM(2, 2, dtype="float64")
    rbm.parameters.assign({"weight": 80 * np.eye(2), "visible_bias": [-40, -40], "hidden_bias": [-40, -40]})
    given = np.full((4, 2), NAN)
    assert np.array_equal(rbm.sample_clamped(given, steps=3, start=states(2)), states(2))


def test_imputed_means_are_the_conditional_ones():
    rbm = drawn(4, 3, 1.2, seed=6)
    given = np.repeat(GIVEN, 500, axis=0)
    mean = rbm.impute(given, steps=30, draws=20).reshape(4, 500, 4)
    sample = rbm.impute(given, fill="sample", steps=30).reshape(4, 500, 4)
    for row, means, samples in zip(GIVEN, mean, sample, strict=True):
        v, p = conditional(rbm, row)
        exact = p @ v
        check_mean(means.mean(0), exact, means.var(0), 500)
        check_mean(samples.mean(0), exact, exact * (1 - exact), 500)
        assert np.array_equal(means[0][~np.isnan(row)], row[~np.isnan(row)])
        assert means.std(0).max() < 0.25  # a mean of 20 draws, not a sample


def test_softmax_and_gaussian_units():
    """The label given the other units is exact: p(y | v) ∝ exp(−F(v, y))."""
    rbm = RBM(5, 3, visible=[("softmax", 3), ("gaussian", 2)], dtype="float64", seed=3)
    rng = np.random.default_rng(1)
    rbm.parameters.assign({name: rng.standard_normal(p.shape) for name, p in rbm.parameters.items()})
    seen = np.array([0.7, -1.1])
    labels = np.c_[np.eye(3), np.tile(seen, (3, 1))]
    p = np.exp(-rbm.free_energy(labels))
    p /= p.sum()
    given = np.tile(np.r_[NAN, NAN, NAN, seen], (N, 1))
    found = rbm.sample_clamped(given, steps=40)
    assert np.array_equal(found[:, :3].sum(1), np.ones(N))
    check_mean(found[:, :3].mean(0), p, p * (1 - p), N)
    assert np.array_equal(found[:, 3:], given[:, 3:])


def test_refused():
    rbm = RBM(4, 3)

    def message(call):
        with pytest.raises((TypeError, ValueError)) as raised:
            call()
        return str(raised.value)

    bad = np.where(np.isnan(GIVEN), NAN, 2.0)
    assert message(lambda: rbm.impute(bad)) == "impute: x has 2.0 in row 0, expected values in [0, 1]"
    assert message(lambda: rbm.impute(GIVEN, "median")) == "impute: fill is 'median', expected 'mean' or 'sample'"
    assert message(lambda: rbm.impute(GIVEN, steps=0)) == "impute: steps is 0, expected an integer from 1 to 2**31 - 1"
    expected = "sample_clamped: mask is int64 of shape (4,), expected bool of (4, 4) or (4,)"
    assert message(lambda: rbm.sample_clamped(GIVEN, mask=np.arange(4))) == expected
    assert (
        message(lambda: rbm.sample_clamped(GIVEN, mask=np.ones(4, bool)))
        == "sample_clamped: values has NaN for a unit that mask holds"
    )
    assert (
        message(lambda: rbm.sample_clamped(GIVEN, start=np.zeros((2, 4))))
        == "sample_clamped: start has shape (2, 4), expected (4, 4)"
    )
    label = RBM(4, 3, visible=[("softmax:2", 4)])
    assert message(lambda: label.impute([[1.0, 0, NAN, 0]])) == (
        "impute: x has a part of the softmax group 2 to 3 in row 0, expected all of its units or none"
    )
