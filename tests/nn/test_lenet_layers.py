"""The layers of LeNet-5 as published, against their definitions in NumPy, with first and second derivatives."""

from __future__ import annotations

import itertools
import re
from typing import Any

import numpy as np
import pytest
from dlcore import tensor, value_and_grad
from dlcore.nn import (
    LENET5_TABLE,
    RBF,
    Conv2d,
    PartialConv2d,
    PixelFrame,
    Sequential,
    SubSample1d,
    SubSample2d,
    digit_bitmaps,
    initializers,
)
from functional import built, check_derivatives

RNG = np.random.default_rng(0)


def lecun_tanh(x: np.ndarray) -> np.ndarray:
    return 1.7159 * np.tanh(2 * x / 3)


@pytest.mark.parametrize(("kernel", "stride"), [((2, 2), (2, 2)), ((3, 2), (1, 2)), ((1, 4), (2, 3))])
def test_subsample2d_is_its_definition(kernel: tuple[int, int], stride: tuple[int, int]) -> None:
    layer = built(SubSample2d(3, kernel, stride))
    x = RNG.standard_normal((2, 3, 6, 9))
    w, b = layer.weight.numpy(), layer.bias.numpy()
    rows, columns = (6 - kernel[0]) // stride[0] + 1, (9 - kernel[1]) // stride[1] + 1
    expected = np.empty((2, 3, rows, columns))
    for i, c, r, s in itertools.product(range(2), range(3), range(rows), range(columns)):
        top, left = r * stride[0], s * stride[1]
        expected[i, c, r, s] = lecun_tanh(w[c] * x[i, c, top : top + kernel[0], left : left + kernel[1]].sum() + b[c])
    assert layer(tensor(x)).numpy() == pytest.approx(expected, abs=1e-13)


def test_subsample1d_is_its_definition() -> None:
    layer = built(SubSample1d(2, 3, 2, "sigmoid"))
    x = RNG.standard_normal((4, 2, 9))
    sums = np.stack([x[:, :, t : t + 3].sum(2) for t in (0, 2, 4, 6)], 2)
    expected = 1 / (1 + np.exp(-(layer.weight.numpy()[:, None] * sums + layer.bias.numpy()[:, None])))
    assert layer(tensor(x)).numpy() == pytest.approx(expected, abs=1e-14)


@pytest.mark.parametrize("activation", ["lecun_tanh", "identity", "softplus"])
def test_derivatives_of_subsampling(activation: str) -> None:
    check_derivatives(built(SubSample2d(2, (2, 3), 2, activation)), (2, 2, 4, 5))
    check_derivatives(built(SubSample1d(2, 2, None, activation)), (2, 2, 6))


TABLE = ((0, 2), (1,), (0, 1, 2), (2,))


def test_partial_convolution_is_one_with_zeros_where_nothing_is_connected() -> None:
    layer = built(PartialConv2d(3, TABLE, (3, 2), stride=(1, 2), padding=1, dilation=(2, 1), activation="lecun_tanh"))
    whole = Conv2d(3, 4, (3, 2), (1, 2), 1, (2, 1), activation="lecun_tanh").build(0, "float64")
    weight = np.zeros((4, 3, 3, 2))
    for filter_, (m, i) in zip(
        layer.weight.numpy(), [(m, i) for m, seen in enumerate(TABLE) for i in seen], strict=True
    ):
        weight[m, i] = filter_
    whole.weight, whole.bias = weight, layer.bias
    x = tensor(RNG.standard_normal((2, 3, 7, 6)))
    assert np.array_equal(layer(x).numpy(), whole(x).numpy())
    assert np.array_equal(layer.whole_weight().numpy(), weight)


def test_an_output_map_does_not_see_what_is_not_connected() -> None:
    layer = built(PartialConv2d(6, LENET5_TABLE, 5))
    x = RNG.standard_normal((1, 6, 6, 6))
    y = layer(tensor(x)).numpy()
    for i in range(6):
        changed = x.copy()
        changed[:, i] = RNG.standard_normal((6, 6))
        moved = (layer(tensor(changed)).numpy() != y).any((0, 2, 3))
        assert moved.tolist() == [i in maps for maps in LENET5_TABLE]


def test_the_table_is_the_published_one() -> None:
    # Table I read by rows: the maps of C3 that each map of S2 goes to.
    rows = [
        [0, 4, 5, 6, 9, 10, 11, 12, 14, 15],
        [0, 1, 5, 6, 7, 10, 11, 12, 13, 15],
        [0, 1, 2, 6, 7, 8, 11, 13, 14, 15],
        [1, 2, 3, 6, 7, 8, 9, 12, 14, 15],
        [2, 3, 4, 7, 8, 9, 10, 12, 13, 15],
        [3, 4, 5, 8, 9, 10, 11, 13, 14, 15],
    ]
    assert rows == [[m for m, seen in enumerate(LENET5_TABLE) if i in seen] for i in range(6)]
    assert PartialConv2d(6, LENET5_TABLE, 5).parameters.size == 1516


def test_derivatives_of_partial_convolution() -> None:
    check_derivatives(built(PartialConv2d(3, TABLE, 2, activation="lecun_tanh")), (2, 3, 3, 4))


def test_filters_are_drawn_with_the_fan_in_of_their_map() -> None:
    layer = PartialConv2d(50, [range(2), range(50)], 20, initializer=initializers.fan_in_uniform(2.4)).build(3)
    weight = layer.weight.numpy()
    for part, count in ((weight[:2], 2), (weight[2:], 50)):
        bound = 2.4 / (count * 400)
        assert abs(part).max() <= bound
        assert abs(part).max() > 0.98 * bound  # of at least 800 numbers: missed with probability 1e-7


def test_radial_basis_functions_are_squared_distances() -> None:
    centres = RNG.standard_normal((4, 5))
    layer = RBF(centres).build(0, "float64")
    x = RNG.standard_normal((3, 5))
    expected = -((x[:, None] - centres) ** 2).sum(2)
    assert layer(tensor(x)).numpy() == pytest.approx(expected, rel=1e-14)
    assert layer.parameters.size == 0
    assert layer.buffers["centres"].shape == (4, 5)
    near = RBF(1e4 * np.ones((1, 3))).build(0, "float32")  # ‖x‖² − 2 x·w + ‖w‖² would lose all of this
    assert near(tensor(np.array([[1e4, 1e4, 1e4 + 1 / 64]]), "float32")).item() == -(1 / 4096)


@pytest.mark.parametrize("trainable", [False, True])
def test_derivatives_of_radial_basis_functions(trainable: bool) -> None:
    layer = RBF(RNG.standard_normal((3, 4)), trainable).build(0, "float64")
    assert list(layer.parameters) == (["centres"] if trainable else [])
    check_derivatives(layer, (2, 4))


def test_trainable_centres_begin_where_they_were_put_and_are_learned() -> None:
    centres = RNG.standard_normal((3, 4))
    layer = RBF(centres, trainable=True).build(0, "float64")
    assert np.array_equal(layer.centres.numpy(), centres)
    x = RNG.standard_normal((1, 4))
    _, g = value_and_grad(lambda x: layer.forward(x).sum(), layer.parameters)(tensor(x))
    assert g.numpy().reshape(3, 4) == pytest.approx(2 * (x - centres), rel=1e-14)


def test_the_digits_are_apart() -> None:
    codes = digit_bitmaps()
    assert codes.shape == (10, 84)
    assert set(codes.ravel()) == {-1.0, 1.0}
    apart = (codes[:, None] != codes).sum(2)
    assert apart[~np.eye(10, dtype=bool)].min() == 10


def test_a_frame_scales_and_surrounds() -> None:
    x = RNG.uniform(0, 1, (2, 3, 4, 5))
    y = PixelFrame((1, 2))(tensor(x)).numpy()
    expected = np.full((2, 3, 6, 9), -0.1)
    expected[:, :, 1:-1, 2:-2] = -0.1 + 1.275 * x
    assert y == pytest.approx(expected, abs=1e-15)
    assert PixelFrame(0, 0.0, 1.0)(tensor(x)).numpy() == pytest.approx(x, abs=0)
    assert PixelFrame()(tensor(np.ones((1, 1, 28, 28)))).shape == (1, 1, 32, 32)
    check_derivatives(built(Sequential(PixelFrame(1), SubSample2d(2))), (1, 2, 2, 2))


REFUSED: list[tuple[Any, str]] = [
    (lambda: SubSample2d(0), "SubSample2d: channels is 0, expected a positive integer"),
    (lambda: SubSample2d(2, 0), "SubSample2d: kernel_size is 0, expected at least 1"),
    (lambda: SubSample1d(2, (2, 2)), "SubSample1d: kernel_size is (2, 2), expected an integer of at least 1"),
    (lambda: SubSample2d(2, activation="sin"), "SubSample2d: activation is 'sin', expected one of "),
    (
        lambda: SubSample2d(2)(tensor(np.ones((1, 3, 4, 4)))),
        "SubSample2d: x has shape (1, 3, 4, 4), expected (n, 2, height, width)",
    ),
    (
        lambda: SubSample1d(2)(tensor(np.ones((1, 2, 4, 4)))),
        "SubSample1d: x has shape (1, 2, 4, 4), expected (n, 2, length)",
    ),
    (lambda: PartialConv2d(2, [], 3), "PartialConv2d: connections is empty, expected a list of input maps for each"),
    (lambda: PartialConv2d(2, 5, 3), "PartialConv2d: connections is 5, expected a list of lists of input maps"),
    (
        lambda: PartialConv2d(2, [[0], []], 3),
        "PartialConv2d: connections[1] is [], expected input maps in ascending order from 0 to 1",
    ),
    (lambda: PartialConv2d(2, [[0, 2]], 3), "PartialConv2d: connections[0] is [0, 2], expected input maps in"),
    (lambda: PartialConv2d(2, [[1, 0]], 3), "PartialConv2d: connections[0] is [1, 0], expected input maps in"),
    (lambda: PartialConv2d(2, [[1, 1]], 3), "PartialConv2d: connections[0] is [1, 1], expected input maps in"),
    (lambda: PartialConv2d(2, [[0.5]], 3), "PartialConv2d: connections[0] is [0.5], expected input maps in"),
    (lambda: RBF([1.0, 2.0]), "RBF: centres has shape (2,), expected (units, inputs)"),
    (lambda: RBF([[1.0, np.inf]]), "RBF: centres are not all finite"),
    (lambda: RBF([[1.0, 2.0]])(tensor(np.ones((2, 3)))), "RBF: x has shape (2, 3), expected (n, 2)"),
    (lambda: PixelFrame(-1), "PixelFrame: padding is -1, expected at least 0"),
    (lambda: PixelFrame(2, np.nan), "PixelFrame: background is nan, expected a finite number"),
    (
        lambda: PixelFrame()(tensor(np.ones((2, 4)))),
        "PixelFrame: x has shape (2, 4), expected (n, channels, height, width)",
    ),
]


@pytest.mark.parametrize(("make", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_refused(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        make()
