"""Autoencoders that start at given layers."""

import itertools

import dlcore
import numpy as np
import pytest
from dlcore.models import RBM, Autoencoder, StackedAutoencoder

RNG = np.random.default_rng(0)
X = RNG.uniform(0, 1, (9, 6))


def layers(*widths):
    return [(RNG.normal(size=(m, n)), RNG.normal(size=n), RNG.normal(size=m)) for m, n in itertools.pairwise(widths)]


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


@pytest.mark.parametrize("tied", [False, True])
def test_formula(tied):
    """Hinton and Salakhutdinov's network: logistic units, a linear code."""
    (w1, b1, c1), (w2, b2, c2) = given = layers(6, 5, 2)
    model = Autoencoder.from_layers(given, activation="sigmoid", code_activation="identity", tied=tied, seed=3)
    assert model.config["dtype"] == "float64" and model.config["layer_sizes"] == [6, 5, 2]
    code = sigmoid(X @ w1 + b1) @ w2 + b2
    assert np.allclose(model.encode(X), code)
    assert np.allclose(model.reconstruct(X), sigmoid(sigmoid(code @ w2.T + c2) @ w1.T + c1))


def test_a_decoder_of_its_own():
    (w1, b1, c1), (w2, b2, c2) = layers(6, 5, 2)
    v1, v2 = RNG.normal(size=(5, 6)), RNG.normal(size=(2, 5))
    model = Autoencoder.from_layers([(w1, b1, c1, v1), (w2, b2, c2, v2)], activation="tanh", loss="squared_error")
    code = np.tanh(np.tanh(X @ w1 + b1) @ w2 + b2)
    assert np.allclose(model.reconstruct(X), np.tanh(code @ v2 + c2) @ v1 + c1)


def test_the_weights_of_a_machine_give_its_reconstructions():
    rbm = RBM(6, 4, seed=2)
    rbm.fit(X, epochs=2, batch_size=3)
    machine = rbm.machine
    model = Autoencoder.from_layers([(machine.weight, machine.hidden_bias, machine.visible_bias)], activation="sigmoid")
    assert model.dtype == "float32"
    assert np.allclose(model.reconstruct(X), rbm.reconstruct(X), atol=1e-6)


def test_a_stack_from_layers():
    given = layers(6, 5, 2)
    stack = StackedAutoencoder.from_layers(given, corruption=None)
    deep = Autoencoder.from_layers(given, activation="sigmoid")
    assert np.allclose(stack.reconstruct(X), deep.reconstruct(X), rtol=1e-12)


def test_given_layers_are_copied():
    given = layers(6, 3)
    before = given[0][0].copy()
    model = Autoencoder.from_layers(given)
    model.fit(X, epochs=2)
    assert np.array_equal(given[0][0], before)
    assert not np.array_equal(model.parameters["encoder.layers.0.weight"].numpy(), before)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "cg", "l-bfgs"])
def test_it_learns_from_there(optimizer, tmp_path):
    x = RNG.uniform(0, 1, (40, 8)) ** 3
    model = Autoencoder.from_layers(layers(8, 6, 3), activation="sigmoid", code_activation="identity")
    before = model.score(x)
    model.fit(x, epochs=8, batch_size=20, optimizer=optimizer, **({"lr": 0.02} if optimizer in ("sgd", "adam") else {}))
    assert model.score(x) > before
    model.save(tmp_path / "m")
    assert np.array_equal(dlcore.load(tmp_path / "m").reconstruct(x), model.reconstruct(x))


W, B, C = np.zeros((6, 3)), np.zeros(3), np.zeros(6)


@pytest.mark.parametrize(
    ("given", "options", "message"),
    [
        ([], {}, "Autoencoder.from_layers: layers is empty, expected at least one layer"),
        (
            [(W, B)],
            {},
            r"Autoencoder.from_layers: layer 0 has shapes \[\(6, 3\), \(3,\)\], expected \(inputs, units\), \(units,\)",
        ),
        ([(B, B, B)], {}, r"layer 0 has shapes \[\(3,\), \(3,\), \(3,\)\], expected \(inputs, units\)"),
        ([(W, C, B)], {}, r"layer 0 has shapes .*, expected \(6, 3\), \(3,\), \(6,\)"),
        ([(W, B, C), (W, B, C)], {}, "layer 1 takes 6 inputs, the one below has 3"),
        ([(W, B, C, W)], {}, r"layer 0 has shapes .*, expected \(6, 3\), \(3,\), \(6,\)"),
        ([(W, B, C, W.T)], {"tied": True}, "layer 0 has a decoder's weight of its own, but tied is True"),
    ],
)
def test_errors(given, options, message):
    with pytest.raises(ValueError, match=message):
        Autoencoder.from_layers(given, **options)
