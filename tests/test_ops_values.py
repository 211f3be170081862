"""What ops add to the kernels in Python: operators, indexing, conversions, generators; the kernels have tests/cases."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from dlcore import Generator, Tensor, float32, float64, ops, tensor

A = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
T = tensor(A)


@pytest.mark.parametrize(
    "index",
    [
        0,
        -1,
        np.int64(1),
        np.array(1),
        (),
        ...,
        None,
        slice(None),
        slice(1, None),
        slice(5, 2),
        slice(None, None, 2),
        slice(None, None, -1),
        slice(-1, -9, -2),
        (0, 1, 2),
        (0, ..., -1),
        (..., 2),
        (slice(None), 1),
        (slice(None), slice(0, 2), slice(1, 4, 2)),
        (None, 0, None, ..., None),
        [1, 0, 1],
        [],
        [-1],
        np.array([1, 0], np.uint8),
        (0, [2, 0]),
        ([1, 0], 2),
        (slice(None), [2, -3, 2]),
        (..., [3, 1]),
        (slice(None), slice(None, None, -1), [0, 3]),
        (None, [1, 0]),
    ],
    ids=str,
)
def test_indexing_is_numpy_s(index: Any) -> None:
    expected = A[index]
    found = T[index]
    assert found.shape == expected.shape
    np.testing.assert_array_equal(found.numpy(), expected)


def test_indexing_with_a_tensor() -> None:
    np.testing.assert_array_equal(T[tensor([1, 0, 0], "int32")].numpy(), A[[1, 0, 0]])


@pytest.mark.parametrize(
    ("index", "error", "message"),
    [
        (2, IndexError, r"^getitem: index 2 is outside axis 0 of \(2, 3, 4\)"),
        (-3, IndexError, r"^getitem: index -3 is outside axis 0"),
        ((0, 3), IndexError, r"^getitem: index 3 is outside axis 0 of \(3, 4\)"),
        ((0, 0, 0, 0), IndexError, r"^getitem: 4 indices for a tensor of shape \(2, 3, 4\)"),
        ([0, 2], IndexError, "^getitem: index 2 is outside axis 0"),
        ([2**32], IndexError, "^getitem: index 4294967296 is outside axis 0"),
        ((..., ...), IndexError, "^getitem: more than one ellipsis or vector"),
        (([0], [1]), IndexError, "^getitem: more than one ellipsis or vector"),
        ((0, slice(None), [1]), IndexError, "^getitem: the integers and the vector are not side by side"),
        (True, TypeError, "^getitem: an index has dtype bool"),
        ([True, False], TypeError, "^getitem: an index has dtype bool"),
        (A[:, 0, 0] > 0, TypeError, "^getitem: an index has dtype bool"),
        ([0.5], TypeError, "^getitem: an index has dtype float64"),
        ([[0]], TypeError, r"^getitem: an index has dtype int64 and shape \(1, 1\)"),
        ("a", TypeError, "^getitem: an index has dtype <U1"),
        (tensor([0.0]), TypeError, "^getitem: an index has dtype float32"),
    ],
    ids=str,
)
def test_indexing_refuses(index: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        T[index]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_operators_are_numpy_s(dtype: str) -> None:
    a, b = np.array([1.5, -2, 0.5], dtype), np.array([2, 3, -1.25], dtype)
    s, t = tensor(a), tensor(b)
    for f in (
        lambda x, y: x + y,
        lambda x, y: x - y,
        lambda x, y: x * y,
        lambda x, y: x / y,
        lambda x, y: x + 2,
        lambda x, y: 2 - x,
        lambda x, y: x - 0.5,
        lambda x, y: 3 * x,
        lambda x, y: x / 4,
        lambda x, y: 1 / x,
        lambda x, y: x**2,
        lambda x, y: x**3,
        lambda x, y: 2.0**y,
        lambda x, y: -x,
        lambda x, y: abs(x),
        lambda x, y: x @ y,
        lambda x, y: x.sum() + y.mean(),
        lambda x, y: x.reshape(3, 1).T,
        lambda x, y: x + np.float64(2),
        lambda x, y: x + True,
    ):
        found, expected = f(s, t), f(a, b)
        assert found.dtype == np.dtype(dtype)
        np.testing.assert_allclose(found.numpy(), expected, rtol=4 * np.finfo(dtype).eps)


def test_lists_and_arrays_as_operands() -> None:
    t = tensor([1.0, 2.0])
    for found in (
        ops.add(t, [1, 2]),
        t * (1, 2),
        (1, 2) * t,
        t * np.array([1, 2]),
        ops.add([1, 1], t),
        ops.divide([2, 4], t),
    ):
        assert found.dtype == float32
    assert ops.divide([2, 4], 2.0).numpy().tolist() == [1, 2]
    assert ops.exp([0.0]).numpy().tolist() == [1]
    assert ops.where(np.array([True, False]), 1.0, [2.0, 3.0]).numpy().tolist() == [1, 3]
    assert ops.where([1, 0], tensor([1.0, 1.0], "float64"), 5).dtype == float64


def test_a_product_with_a_number_keeps_the_sign_of_zero() -> None:
    x = np.array([0.0, -0.0, np.inf, np.nan], np.float32)
    np.testing.assert_array_equal(np.signbit((tensor(x) * 1.0).numpy()), np.signbit(x))
    np.testing.assert_array_equal(np.signbit((tensor(x) * -1.0).numpy()), np.signbit(x * -1))


def test_cast() -> None:
    x = tensor([1.5, -2.5])
    assert ops.cast(x, "float32") is x
    assert ops.cast(x, float64).dtype == float64
    assert ops.cast(tensor([1, 2], "int32"), "float64").numpy().tolist() == [1, 2]


def test_accuracy() -> None:
    scores = tensor([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7], [0.5, 0.5]])
    assert ops.accuracy(scores, tensor([1, 0, 0, 0], "int32")) == 0.75
    with pytest.raises(ValueError, match=r"^accuracy: scores are \(4, 2\), labels are \(3,\)"):
        ops.accuracy(scores, tensor([1, 0, 0], "int32"))
    with pytest.raises(ValueError, match=r"^accuracy: scores are"):
        ops.accuracy(scores[:0], tensor([], "int32"))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: ops.reshape(T, (5, -1)), ValueError, r"^reshape: \(2, 3, 4\) has 24 elements, \(5, -1\) does not fit"),
        (lambda: ops.reshape(T, (-1, -1)), ValueError, "does not fit"),
        (lambda: ops.reshape(T, (0, -1)), ValueError, "does not fit"),
        (lambda: T.reshape(5, 5), ValueError, r"^reshape: \(2, 3, 4\) has 24 elements, \(5, 5\) has 25"),
        (lambda: T.reshape(-2, -12), ValueError, "^reshape: dimension -2 is negative"),
        (lambda: ops.sum(T, 3), ValueError, "^sum: axis 3 is outside 3 dimensions"),
        (lambda: ops.mean(T, (0, -4)), ValueError, "^mean: axis -4 is outside 3 dimensions"),
        (lambda: ops.mean(T[:0]), ValueError, r"^mean: nothing to average: x is \(0, 3, 4\), axis None"),
        (lambda: ops.mean(T[:, :0], 1), ValueError, "^mean: nothing to average"),
        (lambda: ops.matmul(T, T), ValueError, r"^matmul: a is \(2, 3, 4\), b is \(2, 3, 4\), expected matrices or v"),
        (lambda: ops.matmul(T[0], T[0]), ValueError, r"^matmul: inner dimensions differ: a is \(3, 4\), b is \(3, 4\)"),
        (lambda: ops.dot(T, T[0]), ValueError, r"^dot: shapes differ: a is \(2, 3, 4\), b is \(3, 4\)"),
        (lambda: T + T[:, :2], ValueError, "^add: "),
        (lambda: ops.concatenate([]), ValueError, "^concatenate: no tensors are given"),
        (lambda: ops.concatenate([T, T[0]]), ValueError, "^concatenate: "),
        (lambda: ops.stack([T, T[0]]), ValueError, "^concatenate: "),
        (lambda: ops.gather(T, [0.5]), TypeError, "^gather: indices have dtype float64, expected integers"),
        (lambda: ops.gather(T, tensor([0.0])), TypeError, "^gather: indices have dtype float32, expected int32"),
        (lambda: ops.gather(T, [2]), ValueError, "^gather: "),
        (lambda: ops.gather(T, [2**31]), ValueError, "32-bit"),
        (lambda: ops.scatter_add(T, [0, 1], 1), ValueError, "^scatter_add: "),
        (lambda: ops.one_hot([0, 3], 3), ValueError, "^one_hot: "),
        (lambda: ops.leaky_relu(T, 0), ValueError, "^leaky_relu: slope is 0, expected more than 0"),
        (lambda: ops.elu(T, -1), ValueError, "^elu: alpha is -1, expected more than 0"),
        (lambda: ops.activation(T, "elu", -1.0), ValueError, "^activation: parameter is -1.0, expected at least 0"),
        (lambda: ops.activation(T, "swish"), ValueError, "^activation: activation is 'swish', expected identity"),
        (lambda: ops.dropout(T, 1.0, Generator()), ValueError, "^dropout: p is 1.0, expected 0 <= p < 1"),
        (lambda: ops.dropout(T, None, Generator()), ValueError, "^dropout: p is None"),
        (lambda: ops.conv2d(T, T), ValueError, "^conv2d: "),
        (lambda: ops.conv2d(T, T, stride="x"), ValueError, "^conv2d: stride is 'x', expected an integer or a pair"),
        (lambda: ops.max_pool2d(T, (1, 2, 3)), ValueError, r"^max_pool2d: kernel_size is \(1, 2, 3\), expected an int"),
        (lambda: ops.avg_pool1d(T, 9), ValueError, "^avg_pool2d: "),
        (lambda: ops.full((2,), 1.0, "float16"), TypeError, "^full: dtype is 'float16'"),
        (lambda: ops.exp(tensor([1], "int32")), TypeError, "^exp: x has dtype int32, expected float32 or float64"),
        (lambda: tensor([1], "int32") + 1, TypeError, "^affine: x has dtype int32"),
        (lambda: ops.exp("a"), TypeError, "^exp: dtype is <U1, expected real numbers"),
        (lambda: ops.add(T, None), TypeError, "^add: dtype is object, expected real numbers"),
        (lambda: T * None, TypeError, "^multiply: dtype is object"),
    ],
)
def test_messages(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


# --- generators ---


def test_a_draw_is_a_function_of_seed_and_step() -> None:
    a, b = Generator(7), Generator(7)
    first = ops.uniform(a, (4,)).numpy()
    assert ops.uniform(b, (4,)).numpy().tobytes() == first.tobytes()
    assert ops.uniform(a, (4,)).numpy().tobytes() != first.tobytes()
    assert ops.uniform(Generator(7, step=0), (4,)).numpy().tobytes() == first.tobytes()
    assert (a.step, b.step) == (2, 1)
    c = pickle.loads(pickle.dumps(a))
    assert (c.key, c.step, repr(c)) == (7, 2, "Generator(seed=7, step=2)")
    assert ops.normal(a, (3,)).numpy().tobytes() == ops.normal(c, (3,)).numpy().tobytes()


def test_splits_are_streams_of_their_own() -> None:
    root = Generator(7)
    keys = {root.split(i).key for i in range(1000)} | {Generator(8).split(i).key for i in range(1000)}
    assert len(keys) == 2000
    assert root.step == 0
    assert root.split(3).key == Generator(7).split(3).key
    a, b = (ops.normal(root.split(i), (100_000,)).numpy() for i in (0, 1))
    assert abs((a * b).mean()) < 5 / np.sqrt(100_000)


def test_the_step_wraps() -> None:
    g = Generator(0, 2**64 - 1)
    assert g.take(3) == 2**64 - 1
    assert g.step == 2


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((-1,), ValueError, r"^Generator: seed is -1, expected 0 <= seed < 2\*\*64"),
        ((2**64,), ValueError, "^Generator: seed is 18446744073709551616"),
        ((1.0,), TypeError, "^Generator: seed is 1.0, expected an integer"),
        ((True,), TypeError, "^Generator: seed is True, expected an integer"),
        ((0, -1), ValueError, "^Generator: step is -1"),
    ],
)
def test_generator_messages(arguments: tuple[Any, ...], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Generator(*arguments)


def test_a_refused_draw_leaves_the_generator() -> None:
    g = Generator(1)
    draws: list[Callable[[], Tensor]] = [
        lambda: ops.uniform(g, (-1,)),
        lambda: ops.uniform(g, (2,), 1.0, 0.0),
        lambda: ops.normal(g, (2,), 0.0, -1.0),
        lambda: ops.normal(g, (2,), dtype="int32"),
        lambda: ops.bernoulli(g, tensor([2.0])),
        lambda: ops.permutation(g, -1),
        lambda: ops.dropout(tensor([1], "int32"), 0.5, g),
    ]
    for draw in draws:
        with pytest.raises((ValueError, TypeError)):
            draw()
        assert g.step == 0
