"""Convolutional autoencoders: shapes restored, the value against NumPy, gradients, errors."""

import dlcore
import numpy as np
import pytest
from dlcore.data import load_digits_split
from dlcore.models import ConvolutionalAutoencoder, sparsity_report
from gradients import check_gradient

RNG = np.random.default_rng(0)
X = RNG.uniform(0, 1, (5, 1, 8, 8))
conv, pool, dense, dropout = (
    ConvolutionalAutoencoder.conv,
    ConvolutionalAutoencoder.pool,
    ConvolutionalAutoencoder.dense,
    ConvolutionalAutoencoder.dropout,
)
LAYERS = {
    "default": None,
    "pools": [conv(4, 3, padding=1), pool(2), conv(6, 3, padding=1), pool((2, 4), "average")],
    "rounding": [conv(4, 3, stride=3), conv(4, 2, stride=2), dense(3)],
    "dilated, grouped": [conv(4, 3, dilation=2, padding=1), conv(4, 3, groups=2, stride=(1, 2)), dropout(0.1)],
}


@pytest.mark.parametrize("decoder", ["transpose", "nearest"])
@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("size", [(8, 8), (12, 16), (7, 9)])
def test_the_decoder_restores_the_shape(size, name, decoder):
    channels = 2
    try:
        model = ConvolutionalAutoencoder((channels, *size), LAYERS[name], decoder=decoder, activation="tanh")
    except ValueError as error:
        known = ("use decoder 'transpose'", "windows must stand side by side")
        assert any(text in str(error) for text in known), error
        assert size == (7, 9) or decoder == "nearest"
        return
    x = RNG.uniform(0, 1, (3, channels, *size))
    code = model.encode(x)
    assert code.shape == (3, *model.code_shape)
    assert model.reconstruct(x).shape == x.shape
    assert np.allclose(model.decode(code), model.reconstruct(x))
    assert np.allclose(model.decode(code.reshape(3, -1)), model.reconstruct(x.reshape(3, -1)))
    assert model.decode(code[:0]).shape == (0, channels, *size)
    assert model.summary().splitlines()[-1].split("(n, ")[1].startswith(f"{channels}, {size[0]}, {size[1]})")


@pytest.mark.parametrize("decoder", ["transpose", "nearest"])
def test_gradient(decoder):
    layers = [conv(3, 3, stride=2, padding=1), pool(2), dense(4)]
    model = ConvolutionalAutoencoder((1, 8, 8), layers, "tanh", decoder, "squared_error", seed=1, dtype="float64")
    check_gradient(model, dlcore.tensor(X))
    check_gradient(model, dlcore.tensor(X), dlcore.tensor(RNG.uniform(0, 2, 5)))


def test_value():
    """One convolution of stride 2 and its transpose, written out in NumPy."""
    model = ConvolutionalAutoencoder((1, 8, 8), [conv(3, 2, stride=2)], "tanh", dtype="float64")
    p = {name: value.numpy() for name, value in model.parameters.items()}
    patches = X.reshape(5, 4, 2, 4, 2).transpose(0, 1, 3, 2, 4)  # (n, row, column, 2, 2)
    w, b = p["encoder.layers.0.weight"][:, 0], p["encoder.layers.0.bias"]
    code = np.tanh(np.einsum("nijuv,cuv->ncij", patches, w) + b[:, None, None])
    assert np.allclose(model.encode(X), code)
    v, c = p["decoder.layers.0.weight"][:, 0], p["decoder.layers.0.bias"]
    output = np.einsum("ncij,cuv->niujv", code, v).reshape(5, 1, 8, 8) + c
    restored = 1 / (1 + np.exp(-output))
    assert np.allclose(model.reconstruct(X), restored)
    loss = -(X * np.log(restored) + (1 - X) * np.log(1 - restored)).sum((1, 2, 3)).mean()
    assert -model.score(X) == pytest.approx(loss)


def test_activations_are_mirrored():
    layers = [conv(3, 3, activation="relu"), pool(2), conv(4, 3, activation="elu"), dense(5, activation="identity")]
    model = ConvolutionalAutoencoder((1, 8, 8), layers)
    found = [layer.activation for layer in model.coder.decoder.layers if hasattr(layer, "activation")]
    assert found == ["elu", "relu", "identity"]


@pytest.mark.parametrize("decoder", ["transpose", "nearest"])
def test_it_learns_and_removes_noise(decoder):
    train, test = load_digits_split()
    model = ConvolutionalAutoencoder(
        (1, 8, 8), [conv(8, 3, stride=2, padding=1), dense(32)], decoder=decoder, corruption="masking", level=0.3
    )
    model.fit(train.x, epochs=5, lr=5e-3, batch_size=32)
    noisy = model.corrupt(test.x)
    assert noisy.shape == (len(test.x), 1, 8, 8)
    error = np.square(model.reconstruct(noisy)[:, 0] - test.x.reshape(-1, 8, 8)).sum((1, 2)).mean()
    assert error < 0.75 * np.square(noisy[:, 0] - test.x.reshape(-1, 8, 8)).sum((1, 2)).mean()
    assert sparsity_report(model, test.x).units == 32
    assert model.pixel_weights().shape == (8, 1, 3, 3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: ConvolutionalAutoencoder((8, 8)),
            r"ConvolutionalAutoencoder: input_shape is \(8, 8\), expected at lea",
        ),
        (lambda: ConvolutionalAutoencoder((1, 1, 8, 8)), r"input_shape is \(1, 1, 8, 8\), expected \(channels, height"),
        (
            lambda: ConvolutionalAutoencoder((1, 8, 8), decoder="x"),
            "decoder is 'x', expected one of transpose, nearest",
        ),
        (lambda: ConvolutionalAutoencoder((1, 8, 8), []), "layers has neither a convolution nor a dense layer"),
        (lambda: ConvolutionalAutoencoder((1, 8, 8), [pool(2)]), "layers has neither a convolution nor a dense layer"),
        (lambda: ConvolutionalAutoencoder((1, 8, 8), [conv(2, 9)]), r"layer 0 \(conv\): the kernel spans 9"),
        (
            lambda: ConvolutionalAutoencoder((1, 8, 8), [conv(2, 3), pool(3, stride=2)]),
            r"MaxPool2d\(\(3, 3\)\) has no mirror image: its windows .* cover \(6, 6\) exactly",
        ),
        (
            lambda: ConvolutionalAutoencoder((1, 8, 8), [pool(3), dense(2)]),
            r"MaxPool2d\(\(3, 3\)\) has no mirror image",
        ),
        (
            lambda: ConvolutionalAutoencoder((1, 7, 7), [conv(2, 3, stride=2, padding=1)], decoder="nearest"),
            r"decoder 'nearest' cannot mirror Conv2d\(1 → 2, 3×3, relu\): 4 rep.*; use decoder 'transpose'",
        ),
        (lambda: ConvolutionalAutoencoder((1, 8, 8), corruption="x"), "corruption is 'x', expected one of masking"),
        (lambda: ConvolutionalAutoencoder((1, 8, 8), loss="x"), "loss is 'x', expected one of binary_cross_entropy"),
        (
            lambda: ConvolutionalAutoencoder((1, 8, 8)).corrupt(X),
            "corrupt: this ConvolutionalAutoencoder learns without",
        ),
        (
            lambda: ConvolutionalAutoencoder((1, 8, 8)).decode(X),
            r"decode: code has shape \(5, 1, 8, 8\), expected \(n, 32\)",
        ),
    ],
)
def test_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make()
