"""The report of a code's sparsity, and what the sparse autoencoders gain at equal reconstruction error."""

import numpy as np
import pytest
from dlcore.data import load_digits_split
from dlcore.models import Autoencoder, SparseAutoencoder, sparsity_report, sparsity_table

RNG = np.random.default_rng(0)
X = RNG.uniform(0, 1, (12, 6))


def linear_code(code):
    """A model whose code of the unit vectors is this matrix (6, units), and which restores it as its first 6 units."""
    units = code.shape[1]
    layers = [(code, np.zeros(units), np.zeros(6), np.eye(units, 6))]
    return Autoencoder.from_layers(layers, activation="identity", loss="squared_error")


def test_figures_by_hand():
    code = np.zeros((6, 4))
    code[0] = [3, 0, -4, 0]
    code[1, 0] = 0.005
    code[2, :3] = 1
    found = sparsity_report(linear_code(code), np.eye(6))
    assert (found.cases, found.units) == (6, 4)
    restored = np.hstack([code, np.zeros((6, 2))])
    assert found.reconstruction_error == pytest.approx(((restored - np.eye(6)) ** 2).sum() / 6)
    assert found.mean_activation == pytest.approx(abs(code).mean())
    assert found.exact_zero == 18 / 24 and found.near_zero == 19 / 24
    rms = np.sqrt((code**2).mean())
    assert found.scaled_mean == pytest.approx(abs(code).mean() / rms)
    assert found.scaled_near_zero == 19 / 24
    hoyer = [2 - 7 / 5, 1, 2 - 3 / np.sqrt(3), 0, 0, 0]
    assert found.hoyer == pytest.approx(np.mean(hoyer))
    assert found.silent_units == 1 / 4 and found.active_units == 5 / 6
    scaled = sparsity_report(linear_code(1000 * code), np.eye(6))
    assert scaled.mean_activation == pytest.approx(1000 * found.mean_activation)
    for name in ("exact_zero", "scaled_mean", "scaled_near_zero", "hoyer", "silent_units"):
        assert getattr(scaled, name) == pytest.approx(getattr(found, name))


def test_a_code_of_zeros_and_a_code_of_one_unit():
    zeros = sparsity_report(linear_code(np.zeros((6, 3))), X)
    assert (zeros.exact_zero, zeros.hoyer, zeros.scaled_mean, zeros.silent_units) == (1, 0, 0, 1)
    assert sparsity_report(linear_code(np.ones((6, 1))), X).hoyer == 0


def test_table():
    one = sparsity_report(linear_code(np.eye(6, 4)), np.eye(6))
    lines = sparsity_table({"plain": one, "sparse": one}).splitlines()
    assert lines[0].split() == ["plain", "sparse"]
    assert lines[1].split() == ["cases", "6", "6"]
    assert lines[5].split() == ["exact", "zero", "83.3", "%", "83.3", "%"]
    assert len({len(line) for line in lines}) == 1
    assert str(one).splitlines()[0].split() == ["cases", "6"]


def report(model, epochs):
    train, test = load_digits_split()
    model.fit(train.x, epochs=epochs, lr=3e-3, batch_size=32, schedule="cosine")
    return sparsity_report(model, test.x)


@pytest.fixture(scope="module")
def sparse():
    return report(SparseAutoencoder([64, 128], sparsity=0.3, loss="squared_error"), 20)


@pytest.mark.parametrize(
    ("units", "epochs"), [(18, 20), (128, 4)], ids=["fewer units", "the same units, stopped early"]
)
def test_sparse_against_plain_at_equal_reconstruction_error(sparse, units, epochs):
    """On held-out digits, the plain one brought to the sparse one's error, or to more, in either of two ways."""
    plain = report(Autoencoder([64, units], loss="squared_error"), epochs)
    assert plain.reconstruction_error == pytest.approx(sparse.reconstruction_error, rel=0.1)
    assert sparse.exact_zero > plain.exact_zero + 0.25
    assert sparse.near_zero > plain.near_zero + 0.25
    assert sparse.mean_activation < 0.2 * plain.mean_activation
    assert sparse.scaled_mean < 0.5 * plain.scaled_mean
    assert sparse.hoyer > plain.hoyer + 0.25


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: sparsity_report(m, X[:0]), "sparsity_report: there are no cases"),
        (lambda m: sparsity_report(m, X, 0), "sparsity_report: threshold is 0, expected a finite number > 0"),
        (lambda m: sparsity_report(m, X, "x"), "sparsity_report: threshold is 'x', expected a finite number > 0"),
        (lambda m: sparsity_report(m, X, np.inf), "sparsity_report: threshold is inf, expected a finite number > 0"),
        (lambda m: sparsity_report(m, X[:, :2]), r"sparsity_report: x has shape \(12, 2\), expected \(n, 6\)"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call(linear_code(np.eye(6)))
