"""Layers against NumPy, and convolution against its definition in loops."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from dlcore import Generator, grad, ops, tensor
from dlcore.nn import (
    Activation,
    AvgPool1d,
    AvgPool2d,
    Conv1d,
    Conv2d,
    Dropout,
    Flatten,
    Linear,
    MaxPool1d,
    MaxPool2d,
    Module,
    Reshape,
    Sequential,
    Softmax,
)

ACTIVATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "identity": lambda x: x,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, 0),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.01 * x),
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    "softplus": lambda x: np.logaddexp(0, x),
    "lecun_tanh": lambda x: 1.7159 * np.tanh(2 * x / 3),
}


def test_every_activation_is_here() -> None:
    assert sorted(ACTIVATIONS) == sorted(ops.ACTIVATIONS)


def built(module: Any, rng: np.random.Generator) -> Any:
    """The module in float64, with random values (biases too)."""
    module.build(1, "float64")
    module.parameters.storage.array.assign(tensor(rng.standard_normal(module.parameters.size)).array)
    return module


def conv_by_definition(
    x: np.ndarray,
    w: np.ndarray,
    b: np.ndarray | None,
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int, int] = (0, 0),
    dilation: tuple[int, int] = (1, 1),
    groups: int = 1,
) -> np.ndarray:
    """y[n, o, i, j] = b[o] + Σ x[n, c, i s + u d − p, j s + v d − p] w[o, c, u, v], over the group's channels."""
    x = np.pad(x, ((0, 0), (0, 0), (padding[0],) * 2, (padding[1],) * 2))
    n, _, height, width = x.shape
    out, per_group, kh, kw = w.shape
    oh = (height - dilation[0] * (kh - 1) - 1) // stride[0] + 1
    ow = (width - dilation[1] * (kw - 1) - 1) // stride[1] + 1
    y = np.zeros((n, out, oh, ow))
    for i, o, r, c in itertools.product(range(n), range(out), range(oh), range(ow)):
        first = o // (out // groups) * per_group
        total = 0.0 if b is None else b[o]
        for channel, u, v in itertools.product(range(per_group), range(kh), range(kw)):
            at = x[i, first + channel, r * stride[0] + u * dilation[0], c * stride[1] + v * dilation[1]]
            total += at * w[o, channel, u, v]
        y[i, o, r, c] = total
    return y


def close(found: Any, expected: np.ndarray) -> None:
    assert found.shape == expected.shape
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_linear(activation: str, rng: np.random.Generator) -> None:
    x, f = rng.standard_normal((5, 3)), ACTIVATIONS[activation]
    layer = built(Linear(3, 4, activation), rng)
    close(layer(tensor(x)), f(x @ layer.weight.numpy() + layer.bias.numpy()))
    layer = built(Linear(3, 4, activation, bias=False), rng)
    assert list(layer.parameters) == ["weight"]
    close(layer(tensor(x)), f(x @ layer.weight.numpy()))
    close(layer(tensor(np.zeros((0, 3)))), np.zeros((0, 4)))
    close(Activation(activation)(tensor(x)), f(x))


def test_activation_parameters() -> None:
    x = np.array([-2.0, 3.0])
    close(Activation("leaky_relu", 0.5)(tensor(x)), np.array([-1.0, 3.0]))
    close(Activation("elu", 2.0)(tensor(x)), np.array([2 * np.expm1(-2.0), 3.0]))
    for call in (lambda: Activation("elu", -1.0)(tensor(x)), lambda: ops.leaky_relu(tensor(x), -0.1)):
        with pytest.raises(ValueError, match="expected"):
            call()


CONVOLUTIONS: list[dict[str, Any]] = [
    {},
    {"stride": 2},
    {"stride": (1, 3), "padding": (2, 1)},
    {"dilation": (2, 1), "padding": 2},
    {"groups": 2},
    {"groups": 2, "stride": 2, "padding": 1, "dilation": 2},
]


def pairs(options: dict[str, Any]) -> dict[str, Any]:
    return {k: v if k == "groups" or isinstance(v, tuple) else (v, v) for k, v in options.items()}


@pytest.mark.parametrize("options", CONVOLUTIONS, ids=str)
def test_conv2d(options: dict[str, Any], rng: np.random.Generator) -> None:
    x = rng.standard_normal((2, 4, 7, 6))
    layer = built(Conv2d(4, 6, (3, 2), **options), rng)
    w, b = layer.weight.numpy(), layer.bias.numpy()
    close(layer(tensor(x)), conv_by_definition(x, w, b, **pairs(options)))
    layer = built(Conv2d(4, 6, (3, 2), **options, bias=False, activation="tanh"), rng)
    close(layer(tensor(x)), np.tanh(conv_by_definition(x, layer.weight.numpy(), None, **pairs(options))))


@pytest.mark.parametrize(
    "options",
    [{}, {"stride": 3}, {"padding": 2, "dilation": 2}, {"groups": 2, "stride": 2, "padding": 1}],
    ids=str,
)
def test_conv1d(options: dict[str, Any], rng: np.random.Generator) -> None:
    x = rng.standard_normal((2, 4, 9))
    layer = built(Conv1d(4, 6, 3, **options), rng)
    flat = {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1)}
    flat |= {k: (flat[k][0], v) for k, v in options.items() if k != "groups"}
    w, b = layer.weight.numpy()[:, :, None], layer.bias.numpy()
    expected = conv_by_definition(x[:, :, None], w, b, groups=options.get("groups", 1), **flat)[:, :, 0]
    close(layer(tensor(x)), expected)


def windows(x: np.ndarray, kernel: int, stride: int, padding: int, fill: float) -> np.ndarray:
    """(n, channels, rows, columns, kernel, kernel) of a padded image."""
    x = np.pad(x, ((0, 0), (0, 0), (padding,) * 2, (padding,) * 2), constant_values=fill)
    return np.lib.stride_tricks.sliding_window_view(x, (kernel, kernel), (2, 3))[:, :, ::stride, ::stride]


@pytest.mark.parametrize(("kernel", "stride", "padding"), [(2, None, 0), (3, 2, 1), (3, 1, 0)])
def test_pooling(kernel: int, stride: int | None, padding: int, rng: np.random.Generator) -> None:
    x = rng.standard_normal((2, 3, 7, 6))
    step = stride or kernel
    close(MaxPool2d(kernel, stride, padding)(tensor(x)), windows(x, kernel, step, padding, -np.inf).max((4, 5)))
    close(AvgPool2d(kernel, stride, padding)(tensor(x)), windows(x, kernel, step, padding, 0).mean((4, 5)))
    line = x[:, :, 0]
    padded = np.pad(line, ((0, 0), (0, 0), (padding, padding)), constant_values=-np.inf)
    view = np.lib.stride_tricks.sliding_window_view(padded, kernel, 2)[:, :, ::step]
    close(MaxPool1d(kernel, stride, padding)(tensor(line)), view.max(3))
    close(AvgPool1d(kernel, stride, padding)(tensor(line)), np.where(np.isinf(view), 0, view).mean(3))


def test_shapes_and_softmax(rng: np.random.Generator) -> None:
    x = rng.standard_normal((2, 3, 4))
    close(Flatten()(tensor(x)), x.reshape(2, 12))
    close(Flatten()(tensor(x[:0])), x[:0].reshape(0, 12))
    close(Reshape(4, 3)(tensor(x)), x.reshape(2, 4, 3))
    e = np.exp(x)
    close(Softmax()(tensor(x)), e / e.sum(-1, keepdims=True))
    net = built(Sequential(Flatten(), Linear(12, 3), Softmax()), rng)
    assert len(net) == 3
    assert net[1] is net.layers[1]
    logits = x.reshape(2, 12) @ net[1].weight.numpy() + net[1].bias.numpy()
    close(net(tensor(x)), np.exp(logits) / np.exp(logits).sum(1, keepdims=True))


# --- dropout ---


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_dropout_keeps_the_mean_and_drops_the_share(p: float) -> None:
    n = 200_000
    layer = Dropout(p).build(4).train()
    y = layer(ops.ones((n,))).numpy()
    kept = y[y != 0]
    np.testing.assert_allclose(kept, 1 / (1 - p), rtol=1e-6)
    assert kept.min() == kept.max()
    assert abs((y == 0).mean() - p) < 5 * math.sqrt(p * (1 - p) / n)
    again = layer(ops.ones((n,))).numpy()
    agree = p * p + (1 - p) * (1 - p)  # the next mask is independent of this one
    assert abs((y == again).mean() - agree) < 5 * math.sqrt(agree * (1 - agree) / n)


def test_dropout_gradient_uses_the_same_mask() -> None:
    layer = Dropout(0.5).build(4).train()
    x = tensor(np.random.default_rng(0).standard_normal((50, 40)))
    step = layer.generator.step
    g = grad(lambda x: ops.sum(layer(x)))(x).numpy()
    assert layer.generator.step == step + 1  # the backward pass draws nothing
    layer.generator.step = step
    np.testing.assert_array_equal(g, np.where(layer(x).numpy() != 0, 2, 0))


def test_dropout_is_the_identity_outside_of_training() -> None:
    x = ops.ones((10,))
    layer = Dropout(0.5).eval()
    assert layer(x) is x
    assert Dropout(0.0).train()(x) is x
    assert layer.generator.step == 0
    assert ops.dropout(x, 0.0, Generator(0)) is x


# --- messages ---


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Linear(0, 3), "^Linear: inputs is 0, expected a positive integer"),
        (lambda: Linear(3, 2.0), "^Linear: outputs is 2.0, expected a positive integer"),
        (lambda: Linear(True, 3), "^Linear: inputs is True"),
        (lambda: Linear(3, 3, "swish"), "^Linear: activation is 'swish', expected one of identity, sigmoid"),
        (lambda: Conv2d(1, 0, 3), "^Conv2d: out_channels is 0"),
        (lambda: Conv2d(3, 4, 3, groups=2), "^Conv2d: 2 groups do not divide 3 and 4 channels"),
        (lambda: Conv2d(1, 1, (3,)), r"^Conv2d: kernel_size is \(3,\), expected an integer or a pair"),
        (lambda: Conv2d(1, 1, 3, stride=1.5), "^Conv2d: stride is 1.5, expected an integer or a pair"),
        (lambda: Conv2d(1, 1, 3, activation="x"), "^Conv2d: activation is 'x'"),
        (lambda: Conv2d(1, 1, 0), "^Conv2d: kernel_size is 0"),
        (lambda: Conv2d(1, 1, 3, stride=0), "^Conv2d: stride is 0"),
        (lambda: Conv2d(1, 1, 3, padding=-1), "^Conv2d: padding is -1"),
        (lambda: Conv2d(1, 1, 3, dilation=(1, 0)), r"^Conv2d: dilation is \(1, 0\)"),
        (lambda: Conv1d(1, 1, 0), "^Conv1d: kernel_size is 0, expected a positive integer"),
        (lambda: Conv1d(3, 4, 3, groups=2), "^Conv1d: 2 groups do not divide"),
        (lambda: Conv1d(1, 1, 3, stride=0), "^Conv1d: stride is 0"),
        (lambda: MaxPool2d(0), "^MaxPool2d: kernel_size is 0"),
        (lambda: MaxPool2d(2, 0), "^MaxPool2d: stride is 0"),
        (lambda: AvgPool2d(2, padding=-1), "^AvgPool2d: padding is -1"),
        (lambda: MaxPool2d(2, padding=2), "^MaxPool2d: padding is 2, expected at most half of kernel_size 2"),
        (lambda: AvgPool2d((4, 2), padding=(2, 2)), r"^AvgPool2d: padding is \(2, 2\), expected at most half"),
        (lambda: AvgPool1d(3, padding=2), "^AvgPool1d: padding is 2, expected at most half of kernel_size 3"),
        (lambda: MaxPool1d(2.5), "^MaxPool1d: kernel_size is 2.5"),
        (lambda: AvgPool1d(2, 0), "^AvgPool1d: stride is 0"),
        (lambda: Dropout(1.0), "^Dropout: p is 1.0, expected 0 <= p < 1"),
        (lambda: Dropout("x"), "^Dropout: p is 'x', expected 0 <= p < 1"),
        (lambda: Dropout(float("nan")), "^Dropout: p is nan"),
        (lambda: Activation("x"), "^Activation: activation is 'x'"),
        (lambda: MaxPool1d(2)(ops.ones((2, 2))), r"^max_pool1d: x is \(2, 2\), expected \(n, channels, length\)"),
        (lambda: Conv1d(2, 2, 3)(ops.ones((2, 2))), r"^conv1d: x is \(2, 2\), weight is \(2, 2, 3\), expected 3"),
    ],
)
def test_messages(make: Callable[[], Module], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_arrays_are_accepted_as_inputs(rng: np.random.Generator) -> None:
    images = rng.standard_normal((2, 3, 6, 6)).astype(np.float32)
    for layer in (Conv2d(3, 2, 3), MaxPool2d(2), AvgPool2d(2), Flatten(), Reshape(-1), Softmax(), Activation("tanh")):
        np.testing.assert_array_equal(layer(images).numpy(), layer(tensor(images)).numpy())
    for layer in (Conv1d(3, 2, 3), MaxPool1d(2), Dropout().train(False)):
        np.testing.assert_array_equal(np.asarray(layer(images[:, :, 0])), layer(tensor(images[:, :, 0])).numpy())
