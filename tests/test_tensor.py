"""The border: what may become a Tensor, in which dtype, and what comes back; see the guarantees in the docs."""

from __future__ import annotations

import copy
import pickle
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from dlcore import Tensor, float32, float64, get_default_device, int32, ops, tensor
from dlcore.tensor import as_tensor
from layouts import unaligned

BASE = np.arange(24, dtype=np.float32).reshape(4, 6)


def read_only(a: np.ndarray) -> np.ndarray:
    a = a.copy()
    a.flags.writeable = False
    return a


class Subclass(np.ndarray):
    pass


LAYOUTS = {
    "contiguous": lambda a: a.copy(),
    "Fortran order": np.asfortranarray,
    "transposed": lambda a: a.T,
    "every other": lambda a: a[::2, 1::2],
    "negative strides": lambda a: a[::-1, ::-2],
    "broadcast": lambda a: np.broadcast_to(a[:1], a.shape),
    "one element broadcast": lambda a: np.broadcast_to(a[2, 3], (3, 2)),
    "padded rows": lambda a: a[:, :5],
    "unaligned": unaligned,
    "byte-swapped": lambda a: a.astype(a.dtype.newbyteorder()),
    "read-only": read_only,
    "subclass": lambda a: a.view(Subclass),
    "matrix": lambda a: a.view(np.matrix),
    "no rows": lambda a: a[:0],
    "no columns": lambda a: a[:, :0],
    "no dimensions": lambda a: a[2, 3].copy(),
    "a window": lambda a: np.lib.stride_tricks.sliding_window_view(a, 3, axis=1),
    "unmasked": lambda a: np.ma.array(a, mask=False),
}


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
@pytest.mark.parametrize("dtype", ["f4", "f8", "i4", "i2", "u1", "f2", "?"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_layout_gives_the_numbers_of_a_contiguous_copy(layout: str, dtype: str) -> None:
    source = LAYOUTS[layout](BASE.astype(dtype))
    before = np.array(source)
    t = tensor(source)
    assert t.dtype == (np.float64 if dtype == "f8" else np.float32)
    assert t.shape == source.shape
    np.testing.assert_array_equal(t.numpy(), before)
    np.testing.assert_array_equal(np.asarray(source), before)
    if source.flags.writeable and source.size:
        source[...] = 0  # the tensor is a copy
        np.testing.assert_array_equal(t.numpy(), before)


@pytest.mark.parametrize(
    ("given", "dtype"),
    [
        (1.5, float32),
        (2, float32),
        (True, float32),
        ([1, 2.5], float32),
        ((1, 2), float32),
        (range(3), float32),
        ([], float32),
        ([[]], float32),
        (np.float64(1.5), float64),
        (np.float32(1.5), float32),
        (np.float16(1.5), float32),
        (np.int64(3), float32),
        (np.bool_(True), float32),
        (np.uint64(2**63), float32),
        ([np.float64(1.5)], float32),  # a list, whatever is in it
        (np.zeros((2, 0, 3)), float64),
    ],
)
def test_the_rule_for_dtypes(given: Any, dtype: Any) -> None:
    t = tensor(given)
    assert t.dtype == dtype
    assert t.numpy().dtype == dtype
    np.testing.assert_array_equal(t.numpy(), np.asarray(given, dtype))


@pytest.mark.parametrize("dtype", ["float32", np.float64, np.dtype("int32"), int32, np.dtype(">f4"), float])
def test_an_asked_dtype(dtype: Any) -> None:
    t = tensor([[1, -2], [3, 4]], dtype)
    assert t.dtype == np.dtype(dtype).newbyteorder("=")
    assert t.numpy().tolist() == [[1, -2], [3, 4]]
    assert tensor(t, "float64").numpy().dtype == np.float64


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (1 + 2j, TypeError, "tensor: dtype is complex128, expected real numbers"),
        (np.zeros(2, "c8"), TypeError, "tensor: dtype is complex64, expected real numbers"),
        (None, TypeError, "tensor: dtype is object, expected real numbers"),
        (object(), TypeError, "tensor: dtype is object, expected real numbers"),
        ([1, None], TypeError, "tensor: dtype is object, expected real numbers"),
        ([Fraction(1, 2)], TypeError, "tensor: dtype is object, expected real numbers"),
        (2**70, TypeError, "tensor: dtype is object, expected real numbers"),
        ("12", TypeError, "tensor: dtype is <U2, expected real numbers"),
        (b"12", TypeError, r"tensor: dtype is \|S2, expected real numbers"),
        (np.zeros(2, "M8[s]"), TypeError, r"tensor: dtype is datetime64\[s\], expected real numbers"),
        (np.zeros(2, "f4,f4"), TypeError, "expected real numbers"),
        ({"a": 1}, TypeError, "tensor: dtype is object, expected real numbers"),
        (np.ma.array([1.0, 2.0], mask=[True, False]), TypeError, "tensor: the array has masked elements"),
        ([[1], [2, 3]], ValueError, "tensor: .*inhomogeneous"),
        (np.zeros((1,) * 9), ValueError, "from_numpy: 9 dimensions, at most 8"),
    ],
)
def test_what_is_no_number_is_refused(given: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        tensor(given)


@pytest.mark.skipif(np.dtype(np.longdouble).itemsize == 8, reason="long double is float64 here")
def test_long_double_is_refused_unless_a_dtype_is_asked_for() -> None:
    with pytest.raises(TypeError, match="expected at most 64 bits"):
        tensor(np.ones(2, np.longdouble))
    assert tensor(np.ones(2, np.longdouble), "float64").numpy().tolist() == [1, 1]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([0.5], "values from 0.5 to 0.5 are not all 32-bit integers"),
        ([2**31], "are not all 32-bit integers"),
        ([-(2**31) - 1.0], "are not all 32-bit integers"),
        ([float("nan"), 1], "are not all 32-bit integers"),
        ([float("inf")], "are not all 32-bit integers"),
    ],
)
def test_int32_holds_exactly_what_is_given_or_nothing(given: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tensor(given, int32)


def test_int32_limits() -> None:
    assert tensor([2**31 - 1, -(2**31)], int32).numpy().tolist() == [2**31 - 1, -(2**31)]
    assert tensor([1.0, True], int32).numpy().tolist() == [1, 1]


@pytest.mark.parametrize("dtype", ["float16", "int64", "bool", "complex64", "object", "U3"])
def test_other_dtypes_cannot_be_asked_for(dtype: str) -> None:
    with pytest.raises(TypeError, match="is asked for, expected float32, float64 or int32"):
        tensor([1], dtype)


def test_special_values_come_back_bit_for_bit() -> None:
    for kind, bits in (("f4", "u4"), ("f8", "u8")):
        special = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, np.finfo(kind).tiny / 4, np.finfo(kind).max], kind)
        assert tensor(special).numpy().view(bits).tolist() == special.view(bits).tolist()


def test_as_tensor_follows_its_partner_unless_given_an_array_of_floats() -> None:
    like = tensor([1.0], "float64")
    assert as_tensor([1, 2], like).dtype == float64
    assert as_tensor(np.array([1, 2]), like).dtype == float64
    assert as_tensor(np.ones(2, "f4"), like).dtype == float32
    assert as_tensor(like) is like
    with pytest.raises(TypeError, match=r"^where: dtype is <U1"):
        as_tensor("a", like, "where")


def test_attributes_and_protocols() -> None:
    t = tensor(BASE)
    assert (t.shape, t.ndim, t.size, len(t), t.device) == ((4, 6), 2, 24, 4, get_default_device())
    assert repr(tensor([1.5, 2])) == "tensor([1.5, 2. ], dtype=float32)"
    assert [row.numpy().tolist() for row in tensor([[1, 2], [3, 4]])] == [[1, 2], [3, 4]]
    assert float(tensor([2.5])) == 2.5
    assert tensor([[3]], int32).item() == 3
    assert isinstance(tensor(3, int32).item(), int)
    assert bool(tensor([0.0])) is False
    for call, error, message in [
        (lambda: len(tensor(1.0)), TypeError, "len: the tensor has no dimensions"),
        (lambda: list(tensor(1.0)), TypeError, "len: the tensor has no dimensions"),
        (lambda: bool(tensor([1.0, 2.0])), ValueError, r"bool: the tensor has shape \(2,\), expected one element"),
        (lambda: tensor([1.0, 2.0]).item(), ValueError, r"item: the array has shape \(2,\), expected one element"),
    ]:
        with pytest.raises(error, match=message):
            call()


def test_numpy_sees_a_tensor() -> None:
    t = tensor(BASE)
    copied = np.asarray(t)
    copied[0, 0] = 9
    assert t.numpy()[0, 0] == 0
    assert np.asarray(t, dtype=np.float64).dtype == np.float64
    with pytest.raises(ValueError, match=r"np.from_dlpack"):
        t.__array__(copy=False)


def test_an_array_on_the_left_leaves_the_operator_to_the_tensor() -> None:
    t = tensor([1.0, 2.0])
    ones = np.ones(2, np.float32)
    for result in (ones + t, ones - t, ones * t, ones / t, ones**t, np.float32(1) + t, np.float64(1) * t):
        assert isinstance(result, Tensor)
        assert result.dtype == float32
    assert isinstance(np.ones((3, 2), "f4") @ t, Tensor)


def test_float32_and_float64_do_not_mix() -> None:
    with pytest.raises(TypeError, match="add: dtypes differ: a is float32, b is float64"):
        tensor([1.0]) + np.ones(1)


def test_pickle_and_copies_are_equal_and_separate() -> None:
    for dtype in ("float32", "float64", "int32"):
        t = tensor([[1, 2], [3, 4]], dtype)
        for other in (pickle.loads(pickle.dumps(t)), copy.deepcopy(t), copy.copy(t), tensor(t)):
            assert other.dtype == t.dtype
            assert other.numpy().tolist() == t.numpy().tolist()
            other.array.assign(ops.full((2, 2), 0, dtype).array)
            assert t.numpy().tolist() == [[1, 2], [3, 4]]
    shared = tensor([1.0])
    a, b = copy.deepcopy([shared, shared])
    assert a is b
