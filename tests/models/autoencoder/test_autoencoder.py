"""Autoencoders: gradients, formulas, tied weights, sparsity, errors."""

import dlcore
import numpy as np
import pytest
from dlcore.data import load_digits_split
from dlcore.models import Autoencoder, SparseAutoencoder
from gradients import check_gradient

RNG = np.random.default_rng(0)
X = RNG.uniform(0, 1, (12, 6))


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("loss", ["binary_cross_entropy", "squared_error"])
@pytest.mark.parametrize("kind", [Autoencoder, SparseAutoencoder])
def test_gradient(kind, loss, tied):
    model = kind([6, 5, 3], "tanh", "softplus", loss=loss, tied=tied, seed=1, dtype="float64")
    check_gradient(model, dlcore.tensor(X))


def forward(model, x):
    """Code and output of a [6, 4] tanh model, in NumPy."""
    p = {name: value.numpy() for name, value in model.parameters.items()}
    code = np.tanh(x @ p["encoder.layers.0.weight"] + p["encoder.layers.0.bias"])
    back = p.get("decoder.layers.0.weight", p["encoder.layers.0.weight"].T)
    return code, code @ back + p["decoder.layers.0.bias"]


@pytest.mark.parametrize("tied", [False, True])
def test_formulas(tied):
    model = Autoencoder([6, 4], "tanh", tied=tied, dtype="float64")
    code, output = forward(model, X)
    restored = 1 / (1 + np.exp(-output))
    assert np.allclose(model.encode(X), code)
    assert np.allclose(model.transform(X, batch_size=5), code)
    assert np.allclose(model.reconstruct(X), restored)
    assert np.allclose(model.predict(X, 5), restored)
    assert np.allclose(model.decode(code), restored)
    loss = -(X * np.log(restored) + (1 - X) * np.log(1 - restored)).sum(1).mean()
    assert model.objective(dlcore.tensor(X)).item() == pytest.approx(loss)
    assert model.score(X) == pytest.approx(-loss)


def test_squared_error_and_sparsity_formulas():
    model = SparseAutoencoder([6, 4], "tanh", loss="squared_error", sparsity=0.7, dtype="float64")
    code, output = forward(model, X)
    loss = ((X - output) ** 2).sum(1).mean()
    assert np.allclose(model.reconstruct(X), output)
    assert model.objective(dlcore.tensor(X)).item() == pytest.approx(loss + 0.7 * abs(code).sum(1).mean())
    history = model.fit(X, epochs=1, optimizer="sgd", lr=0.0, validation_data=X)
    assert history["loss"][0] == pytest.approx(loss + 0.7 * abs(code).sum(1).mean())
    assert history["validation_loss"][0] == pytest.approx(loss)
    assert history["mean_activation"][0] == pytest.approx(abs(code).mean())
    assert history["near_zero"][0] == pytest.approx((abs(code) < 0.01).mean())


def test_tied_weights_are_one():
    tied, free = (Autoencoder([6, 5, 3], "tanh", tied=t) for t in (True, False))
    assert tied.parameters.size == 6 * 5 + 5 * 3 + (5 + 3) + (5 + 6)
    assert free.parameters.size == tied.parameters.size + 6 * 5 + 5 * 3
    tied.fit(X, epochs=2)
    assert [name for name in tied.parameters if "weight" in name] == [
        "encoder.layers.0.weight",
        "encoder.layers.1.weight",
    ]


def test_the_code_has_its_own_activation():
    model = Autoencoder([6, 5, 3], "relu", "identity")
    assert [layer.activation for layer in model.network.encoder.layers] == ["relu", "identity"]
    assert [layer.activation for layer in model.network.decoder.layers] == ["relu", "identity"]
    assert (model.encode(X) < 0).any()


def test_fit_learns_and_repeats():
    def run():
        model = Autoencoder([6, 12, 4], loss="squared_error", seed=3)
        return model.fit(X, epochs=60, batch_size=5, lr=0.01, validation_fraction=0.2)

    history = run()
    assert history["loss"][-1] < 0.5 * history["loss"][0]
    assert history["validation_loss"] == run()["validation_loss"]


def test_sparsity_on_digits():
    """More weight on Σ|h|: fewer active units, at the price of a larger reconstruction error."""
    train, test = load_digits_split()
    sparse, free = (SparseAutoencoder([64, 100], sparsity=s) for s in (0.3, 0.0))
    for model in (sparse, free):
        model.fit(train.x, epochs=8, lr=3e-3)
    assert sparse.history["near_zero"][-1] > free.history["near_zero"][-1] + 0.1
    assert sparse.history["mean_activation"][-1] < 0.5 * free.history["mean_activation"][-1]
    assert sparse.score(test.x) < free.score(test.x)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: m.fit(X * 2), r"fit: x has values from .* to .*, expected \[0, 1\]"),
        (lambda m: m.fit(X - 1), "fit: x has values from -"),
        (lambda m: m.fit(np.where(X > 0.9, np.nan, X)), "fit: x is not finite at row"),
        (
            lambda m: m.fit(X, validation_data=X[:, :2]),
            r"fit: validation_data: x has shape \(12, 2\), expected \(n, 6\)",
        ),
        (lambda m: m.fit(X, validation_data=X[:0]), "fit: validation_data has no cases"),
        (lambda m: m.fit(X[:0]), "there are no cases"),
        (lambda m: m.decode(X), r"decode: code has shape \(12, 6\), expected \(n, 3\)"),
        (lambda m: m.encode(X[:, 1:]), r"encode: x has shape \(12, 5\), expected \(n, 6\)"),
        (lambda m: m.score(X[:0]), "score: there are no cases"),
    ],
)
def test_errors(call, message):
    model = Autoencoder([6, 3])
    before = model.parameters.storage.numpy()
    with pytest.raises(ValueError, match=message):
        call(model)
    assert np.array_equal(model.parameters.storage.numpy(), before)


def test_fit_transform_is_fit_then_transform():
    one, two = Autoencoder([6, 3], seed=1), Autoencoder([6, 3], seed=1)
    two.fit(X, epochs=2)
    assert np.array_equal(one.fit_transform(X, epochs=2), two.transform(X))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Autoencoder([6]), r"Autoencoder: layer_sizes is \[6\]"),
        (
            lambda: Autoencoder([6, 3], loss="l2"),
            "Autoencoder: loss is 'l2', expected one of binary_cross_entropy, squared",
        ),
        (lambda: Autoencoder([6, 3], "rely"), "activation is 'rely'"),
        (lambda: Autoencoder([6, 3], tied="no"), "Autoencoder: tied is 'no', expected True or False"),
        (
            lambda: SparseAutoencoder([6, 3], sparsity=-1),
            "SparseAutoencoder: sparsity is -1, expected a finite number >= 0",
        ),
    ],
)
def test_constructor_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make()
