"""Max-pooling of a ReLU's output: the gradient passes the ReLU before it is scattered (`ops.activation.scattered`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dlcore
import numpy as np
import pytest
from dlcore import Tensor, grad, ops, tensor
from test_tape import spent

Pair = tuple[int, int]
POOLS: list[tuple[Pair, Pair, Pair]] = [
    ((2, 2), (2, 2), (0, 0)),
    ((3, 3), (2, 2), (1, 1)),  # windows share places
    ((3, 2), (1, 3), (1, 0)),
]


def rough(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Small integers: sums are exact, ties and zeros are everywhere."""
    return rng.integers(-2, 3, shape).astype(np.float64)


def pooled_gradient(z: np.ndarray, c: np.ndarray, pool: tuple[Pair, Pair, Pair]) -> np.ndarray:
    """Of Σ c · max_pool2d(relu(z)) by z, window by window."""
    (height, width), (down, right), (top, left) = pool
    y = np.maximum(z, 0)
    around = ((0, 0), (0, 0), (top, top), (left, left))
    padded, dz = np.pad(y, around, constant_values=-np.inf), np.pad(np.zeros_like(z), around)
    for n, channel, i, j in np.ndindex(c.shape):
        window = padded[n, channel, i * down : i * down + height, j * right : j * right + width]
        row, column = np.unravel_index(np.argmax(window), window.shape)
        dz[n, channel, i * down + row, j * right + column] += c[n, channel, i, j]
    return dz[:, :, top : top + z.shape[2], left : left + z.shape[3]] * (z > 0)


@pytest.mark.parametrize("pool", POOLS, ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gradient(dtype: str, pool: tuple[Pair, Pair, Pair]) -> None:
    rng = np.random.default_rng(1)
    z = rough(rng, 3, 2, 6, 7)
    c = rough(rng, *ops.max_pool2d(tensor(z), *pool).shape)
    weights = tensor(c, dtype)
    found = grad(lambda z: ops.sum(ops.max_pool2d(ops.relu(z), *pool) * weights))(tensor(z, dtype))
    np.testing.assert_array_equal(found.numpy(), pooled_gradient(z, c, pool))


@pytest.mark.parametrize("pool", POOLS, ids=str)
def test_gradients_of_a_convolution(pool: tuple[Pair, Pair, Pair]) -> None:
    rng = np.random.default_rng(2)
    x, weight, bias = rough(rng, 4, 2, 7, 8), rough(rng, 3, 2, 2, 2), rough(rng, 3)
    arguments = [tensor(value) for value in (x, weight, bias)]
    c = tensor(rough(rng, *ops.max_pool2d(ops.conv2d(*arguments), *pool).shape))

    def value(between: Callable[[Tensor], Tensor], *arguments: Tensor) -> Tensor:
        y = between(ops.conv2d(*arguments, activation="relu"))
        return ops.sum(ops.max_pool2d(y, *pool) * c)

    found = grad(lambda *given: value(lambda y: y, *given), (0, 1, 2))(*arguments)
    apart = grad(lambda *given: value(lambda y: ops.affine(y, 1.0, 0.0), *given), (0, 1, 2))(*arguments)
    z = ops.conv2d(*arguments)
    dz = pooled_gradient(z.numpy(), c.numpy(), pool)
    np.testing.assert_array_equal(found[2].numpy(), dz.sum((0, 2, 3)))
    for one, other in zip(found, apart, strict=True):  # integers: exact, whatever the order of the sums
        np.testing.assert_array_equal(one.numpy(), other.numpy())


def test_an_output_with_another_use() -> None:
    """The two shares add up before the ReLU's gradient is taken of them."""
    z = tensor([[[[1.0, -1.0], [3.0, 2.0]]]], "float64")
    for kind in ("relu", "tanh"):

        def value(z: Tensor, kind: str = kind) -> Tensor:
            y = ops.activation(z, kind)
            return ops.sum(ops.max_pool2d(y, 2)) + 5.0 * ops.sum(y) + ops.sum(ops.max_pool2d(y, 1) * 7.0)

        y = ops.activation(z, kind).numpy()
        slope = np.where(y > 0, 1.0, 0.0) if kind == "relu" else 1.0 - y**2
        expected = slope * (12.0 + np.array([[[[0, 0], [1, 0]]]]))
        np.testing.assert_allclose(grad(value)(z).numpy(), expected, rtol=1e-14)


def test_what_was_rectified_before_the_transformation_is_a_variable_like_others() -> None:
    """At 0 a ReLU is flat; the pooling of its output is not."""
    y = ops.relu(tensor([[[[-1.0, -2.0], [-3.0, -4.0]]]]))
    pooled: Callable[[Any], Tensor] = lambda y: ops.sum(ops.max_pool2d(y, 2))  # noqa: E731
    assert grad(pooled)(y).numpy().ravel().tolist() == [1, 0, 0, 0]
    seen: list[list[float]] = []

    def outer(x: Tensor) -> Tensor:
        y = ops.relu(x)
        seen.append(grad(pooled)(y).numpy().ravel().tolist())
        return ops.sum(y)

    grad(outer)(tensor([[[[-1.0, -2.0], [-3.0, -4.0]]]]))
    assert seen == [[1, 0, 0, 0]]


def test_nan() -> None:
    z = tensor([[[[1.0, np.nan], [3.0, 2.0]]]])
    found = grad(lambda z: ops.sum(ops.max_pool2d(ops.relu(z), 2)))(z).numpy()
    apart = grad(lambda z: ops.sum(ops.max_pool2d(ops.affine(ops.relu(z), 1.0, 0.0), 2)))(z).numpy()
    assert found.tobytes() == apart.tobytes()


def test_nothing_is_held() -> None:
    image, kernel = tensor(np.ones((2, 1, 6, 6))), tensor(np.ones((2, 1, 3, 3)))
    kept: list[Tensor] = []

    def value(kernel: Tensor) -> Tensor:
        y = ops.conv2d(image, kernel, activation="relu")
        kept[:] = [y]
        return ops.sum(ops.max_pool2d(y, 2))

    derivative = grad(value)
    derivative(kernel)
    assert spent(lambda: derivative(kernel)) == 0


def test_in_a_second_derivative() -> None:
    """d²/dz² Σ max_pool2d(relu(z))³ = 6 y at the places that are chosen, away from kinks and ties."""
    z = tensor([[[[1.0, -1.0], [3.0, 2.0]]]])

    def value(z: Tensor) -> Tensor:
        y = ops.max_pool2d(ops.relu(z), 2)
        return ops.sum(y * y * y)

    found = dlcore.hvp(value)(np.ones((1, 1, 2, 2), np.float32), z)
    assert found.numpy().ravel().tolist() == [0, 0, 18, 0]
    found = grad(lambda z: ops.sum(grad(value)(z)))(z)
    assert found.numpy().ravel().tolist() == [0, 0, 18, 0]
