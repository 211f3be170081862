"""Transposed convolution and nearest-neighbour enlargement against their definitions, and as what they undo."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from dlcore import grad, ops, tensor
from dlcore.nn import Conv2d, ConvTranspose2d, Upsample2d

Rng = np.random.Generator

GEOMETRIES: list[dict[str, Any]] = [
    {},
    {"stride": 2},
    {"stride": (1, 3), "padding": (2, 1)},
    {"stride": 2, "output_padding": 1},
    {"stride": (2, 3), "padding": 1, "output_padding": (0, 2)},
    {"dilation": (2, 1), "padding": 2},
    {"dilation": 3, "output_padding": 2},
    {"dilation": (4, 1), "stride": (2, 1), "output_padding": (3, 0), "padding": (1, 0)},
    {"groups": 2},
    {"groups": 2, "stride": 2, "padding": 1, "dilation": 2, "output_padding": 1},
]


def pair(value: Any) -> tuple[int, int]:
    return value if isinstance(value, tuple) else (value, value)


def by_definition(
    x: np.ndarray,
    w: np.ndarray,
    b: np.ndarray,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> np.ndarray:
    """Every x[n, c, i, j] adds w[c, o] to a patch of the output, which is then cut at its edges."""
    s, p, more, d = (pair(value) for value in (stride, padding, output_padding, dilation))
    n, channels, height, width = x.shape
    _, per_group, kh, kw = w.shape
    whole = [(x.shape[2 + i] - 1) * s[i] + d[i] * (w.shape[2 + i] - 1) + 1 for i in range(2)]
    y = np.zeros((n, per_group * groups, whole[0] + more[0], whole[1] + more[1]))
    for c, i, j, u, v in itertools.product(range(channels), range(height), range(width), range(kh), range(kw)):
        first = c // (channels // groups) * per_group
        for o in range(per_group):
            y[:, first + o, i * s[0] + u * d[0], j * s[1] + v * d[1]] += x[:, c, i, j] * w[c, o, u, v]
    y = y[:, :, p[0] : y.shape[2] - p[0], p[1] : y.shape[3] - p[1]]
    return y + b[:, None, None]


def filled(layer: Any, rng: Rng) -> Any:
    layer.build(1, "float64")
    layer.parameters.storage.array.assign(tensor(rng.standard_normal(layer.parameters.size)).array)
    return layer


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_against_the_definition(geometry: dict[str, Any], rng: Rng) -> None:
    x = rng.standard_normal((2, 4, 4, 5))
    layer = filled(ConvTranspose2d(4, 6, (3, 2), **geometry), rng)
    expected = by_definition(x, layer.weight.numpy(), layer.bias.numpy(), **geometry)
    found = layer(tensor(x))
    assert found.shape == expected.shape
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12, atol=1e-13)
    layer = filled(ConvTranspose2d(4, 6, (3, 2), **geometry, bias=False, activation="tanh"), rng)
    expected = np.tanh(by_definition(x, layer.weight.numpy(), np.zeros(6), **geometry))
    np.testing.assert_allclose(layer(tensor(x)).numpy(), expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_against_pytorch(geometry: dict[str, Any], rng: Rng) -> None:
    torch = pytest.importorskip("torch")
    x = rng.standard_normal((2, 4, 4, 5))
    layer = filled(ConvTranspose2d(4, 6, (3, 2), **geometry), rng)
    theirs = torch.nn.ConvTranspose2d(4, 6, (3, 2), **geometry).double()
    theirs.weight.data, theirs.bias.data = torch.tensor(layer.weight.numpy()), torch.tensor(layer.bias.numpy())
    given = torch.tensor(x, requires_grad=True)
    expected = theirs(given)
    np.testing.assert_allclose(layer(tensor(x)).numpy(), expected.detach().numpy(), rtol=1e-11, atol=1e-12)
    expected.pow(2).sum().backward()
    found = grad(lambda x, w, b: ops.sum(ops.square(ops.conv_transpose2d(x, w, b, **geometry))), (0, 1, 2))(
        tensor(x), tensor(layer.weight.numpy()), tensor(layer.bias.numpy())
    )
    for mine, other in zip(found, (given.grad, theirs.weight.grad, theirs.bias.grad), strict=True):
        np.testing.assert_allclose(mine.numpy(), other.numpy(), rtol=1e-10, atol=1e-10)


def test_it_is_the_transpose_of_a_convolution(rng: Rng) -> None:
    """⟨conv(x), y⟩ = ⟨x, convᵀ(y)⟩, with the weight as it is."""
    options: dict[str, Any] = {"stride": (2, 3), "padding": 1, "dilation": (1, 2), "groups": 2}
    down = filled(Conv2d(4, 6, 3, **options, bias=False), rng)
    x = rng.standard_normal((2, 4, 8, 9))
    y = rng.standard_normal(down(tensor(x)).shape)
    up = ConvTranspose2d(6, 4, 3, **options, output_padding=(1, 0), bias=False).build(0, "float64")
    up.weight = down.weight
    back = up(tensor(y))
    assert back.shape == (2, 4, 8, 9)
    assert (down(tensor(x)).numpy() * y).sum() == pytest.approx((x * back.numpy()).sum(), rel=1e-12)


def test_no_cases_and_one_pixel(rng: Rng) -> None:
    layer = filled(ConvTranspose2d(2, 3, 3), rng)
    assert layer(ops.zeros((0, 2, 4, 4), "float64")).shape == (0, 3, 6, 6)
    expected = np.einsum("nc,couv->nouv", np.ones((1, 2)), layer.weight.numpy()) + layer.bias.numpy()[:, None, None]
    np.testing.assert_allclose(layer(ops.ones((1, 2, 1, 1), "float64")).numpy(), expected, rtol=1e-13)


@pytest.mark.parametrize("factor", [1, 2, (3, 2)])
def test_upsample(factor: Any, rng: Rng) -> None:
    x = rng.standard_normal((2, 3, 4, 5))
    down, across = pair(factor)
    layer = Upsample2d(factor)
    np.testing.assert_array_equal(layer(tensor(x)).numpy(), x.repeat(down, 2).repeat(across, 3))
    weight = rng.standard_normal((2, 3, 4 * down, 5 * across))
    found = grad(lambda x: ops.sum(layer(x) * tensor(weight)))(tensor(x)).numpy()
    np.testing.assert_allclose(found, weight.reshape(2, 3, 4, down, 5, across).sum((3, 5)), rtol=1e-13)
    assert layer.describe() == f"Upsample2d({down}, {across})"


X, W = ops.ones((2, 2, 4, 4)), ops.ones((2, 3, 3, 3))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ConvTranspose2d(1, 0, 3), "^ConvTranspose2d: out_channels is 0, expected a positive integer"),
        (lambda: ConvTranspose2d(3, 4, 3, groups=2), "^ConvTranspose2d: 2 groups do not divide 3 and 4 channels"),
        (lambda: ConvTranspose2d(1, 1, 0), "^ConvTranspose2d: kernel_size is 0, expected at least 1"),
        (lambda: ConvTranspose2d(1, 1, 3, stride=0), "^ConvTranspose2d: stride is 0"),
        (lambda: ConvTranspose2d(1, 1, 3, padding=-1), "^ConvTranspose2d: padding is -1"),
        (lambda: ConvTranspose2d(1, 1, 3, dilation=(1, 0)), r"^ConvTranspose2d: dilation is \(1, 0\)"),
        (lambda: ConvTranspose2d(1, 1, 3, output_padding=-1), "^ConvTranspose2d: output_padding is -1"),
        (
            lambda: ConvTranspose2d(1, 1, 3, stride=2, output_padding=2),
            "^ConvTranspose2d: output_padding is 2, expected less than stride 2 or dilation 1",
        ),
        (lambda: ConvTranspose2d(1, 1, 3, activation="x"), "^ConvTranspose2d: activation is 'x'"),
        (lambda: Upsample2d(0), "^Upsample2d: factor is 0, expected at least 1"),
        (lambda: Upsample2d((2, 2, 2)), r"^Upsample2d: factor is \(2, 2, 2\), expected an integer or a pair"),
        (
            lambda: ops.conv_transpose2d(ops.ones((2, 3, 4, 4)), W),
            r"^conv_transpose2d: x is \(2, 3, 4, 4\), weight is \(2, 3, 3, 3\), expected \(n, in_channels, height, wi",
        ),
        (lambda: ops.conv_transpose2d(ops.ones((2, 4)), W), r"^conv_transpose2d: x is \(2, 4\), weight is"),
        (
            lambda: ops.conv_transpose2d(X, W, ops.ones((2,))),
            r"^conv_transpose2d: bias is \(2,\), expected \(3,\)",
        ),
        (
            lambda: ops.conv_transpose2d(X, W, output_padding=1),
            "^conv_transpose2d: output_padding is 1, expected at least 0 and less than stride 1 or dilation 1",
        ),
        (
            lambda: ops.conv_transpose2d(X, W, padding=(0, 3)),
            r"^conv_transpose2d: the output's width is 0 for x \(2, 2, 4, 4\) and weight \(2, 3, 3, 3\)",
        ),
        (lambda: ops.conv_transpose2d(X, W, stride=0), "^conv2d_input_grad: stride is"),
        (lambda: ops.upsample_nearest2d(X, 0), "^upsample_nearest2d: factor is 0, expected at least 1"),
        (lambda: ops.upsample_nearest2d(ops.ones((2, 2)), 2), r"^upsample_nearest2d: x is \(2, 2\), expected \(n, ch"),
    ],
)
def test_messages(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
