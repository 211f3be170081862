"""DLPack: memory shared both ways, and the layouts that are refused."""

from __future__ import annotations

import ctypes
import threading
import time
from typing import Any

import dlcore
import numpy as np
import pytest
from dlcore import Tensor, from_dlpack, ops, tensor
from layouts import unaligned


@pytest.mark.parametrize("dtype", ["f4", "f8", "i4"])
@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (0, 2), (3, 0), (2, 0, 3), (0,), (2, 1, 3)])
def test_dlpack_shares_memory_both_ways(dtype: str, shape: tuple[int, ...]) -> None:
    source = np.arange(int(np.prod(shape)), dtype=dtype).reshape(shape)
    t = from_dlpack(source)
    assert t.shape == shape
    assert t.dtype == np.dtype(dtype)
    back = np.from_dlpack(t)
    np.testing.assert_array_equal(back, source)
    if source.size:
        source[...] = 7
        assert (back == 7).all()
        assert (t.numpy() == 7).all()
        assert back.ctypes.data == source.ctypes.data
    np.testing.assert_array_equal(np.from_dlpack(tensor(t)), source)


def test_dlpack_keeps_the_owner_alive() -> None:
    view = np.from_dlpack(tensor(np.arange(1000.0)))
    for _ in range(20):
        tensor(np.zeros(1000))
    assert (view == np.arange(1000.0)).all()
    t = from_dlpack(np.arange(1000.0))
    for _ in range(20):
        np.zeros(1000)
    assert (t.numpy() == np.arange(1000.0)).all()


def test_an_unused_capsule_releases_its_array() -> None:
    before = dlcore.memory_stats()["in_use"]
    capsule = tensor(np.zeros(1000)).__dlpack__()
    assert dlcore.memory_stats()["in_use"] > before
    del capsule
    assert dlcore.memory_stats()["in_use"] == before


def test_dlpack_copy_and_device() -> None:
    t = tensor([1.0, 2.0])
    assert t.__dlpack_device__() == (1, 0)
    capsule = t.__dlpack__(copy=True, dl_device=(1, 0))
    t.array.assign(ops.zeros((2,)).array)
    assert Tensor(t.array.device.from_dlpack(capsule)).numpy().tolist() == [1, 2]
    with pytest.raises(BufferError, match=r"device \(2, 0\) is asked for"):
        t.__dlpack__(dl_device=(2, 0))


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        (lambda: np.ones((3, 4), "f4").T, ValueError, "not contiguous in row-major order; copy it with tensor"),
        (lambda: np.ones((3, 4), "f4")[:, :2], ValueError, "not contiguous"),
        (lambda: np.ones(6, "f4")[::-1], ValueError, "not contiguous"),
        (lambda: np.ones(6, "f4")[::2], ValueError, "not contiguous"),
        (lambda: np.ones(3, "i8"), TypeError, "type code 0 with 64 bits, expected float32, float64 or int32"),
        (lambda: np.ones(3, "f2"), TypeError, "type code 2 with 16 bits"),
        (lambda: np.ones(3, "u4"), TypeError, "type code 1 with 32 bits"),
        (lambda: np.ones(3, "?"), TypeError, "expected float32, float64 or int32"),
        (lambda: unaligned(np.ones(3, "f4")), ValueError, "not aligned to its element size"),
        (lambda: np.ones(3, ">f4"), BufferError, "DLPack"),
        (lambda: np.ones((1,) * 9, "f4"), ValueError, "9 dimensions, expected 0 to 8"),
        (lambda: [1.0], TypeError, "from_dlpack: list has no __dlpack__ method"),
    ],
)
def test_dlpack_refuses_other_layouts(source: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        from_dlpack(source())


class TensorOfDlpack(ctypes.Structure):
    """`DLManagedTensor` of the specification (github.com/dmlc/dlpack, dlpack.h), one field a line."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
        ("context", ctypes.c_void_p),
        ("deleter", ctypes.c_void_p),
    )


def new_capsule(managed: TensorOfDlpack, name: bytes | None) -> Any:
    new = ctypes.pythonapi.PyCapsule_New
    new.restype, new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    return new(ctypes.addressof(managed), name, None)


@pytest.mark.parametrize(
    ("shape", "ndim", "name", "message"),
    [
        ((2, 3), 2, None, "the capsule has no name, expected an unused 'dltensor'"),
        ((2, 3), 2, b"arrow_array", "the capsule is named 'arrow_array', expected an unused 'dltensor'"),
        ((2, 3), -1, b"dltensor", "-1 dimensions, expected 0 to 8"),
        ((2, -3), 2, b"dltensor", "dimension -3 is negative"),
        ((2**32, 2**30), 2, b"dltensor", r"an array of shape \(4294967296, 1073741824\) has more than 2\*\*63 bytes"),
    ],
)
def test_a_capsule_that_cannot_be_right_is_refused(
    shape: tuple[int, ...], ndim: int, name: bytes | None, message: str
) -> None:
    numbers = np.zeros(6, "f4")
    managed = TensorOfDlpack(
        numbers.ctypes.data, 1, 0, ndim, 2, 32, 1, (ctypes.c_int64 * len(shape))(*shape), None, 0, None, None
    )
    capsule = new_capsule(managed, name)
    with pytest.raises(ValueError, match=f"^from_dlpack: {message}$"):
        tensor([1.0]).array.device.from_dlpack(capsule)


def test_a_capsule_is_used_once() -> None:
    module = tensor([1.0]).array.device
    capsule = tensor([1.0]).__dlpack__()
    module.from_dlpack(capsule)
    with pytest.raises(ValueError, match="from_dlpack"):
        module.from_dlpack(capsule)


@pytest.mark.parametrize("kernel", ["gather", "scatter_add", "one_hot", "max_pool2d_grad", "max_pool2d_gather"])
def test_indices_changed_by_another_thread_during_a_call_reach_no_foreign_memory(kernel: str) -> None:
    indices = np.zeros((1, 1, 400, 500), np.int32)
    shared = from_dlpack(indices)
    flat = ops.reshape(shared, (indices.size,)).array
    images, rows = ops.zeros((1, 1, 10, 10)).array, ops.zeros((100, 1)).array
    device, many = images.device, ops.zeros((indices.size, 1)).array
    dy = ops.zeros(indices.shape).array
    calls = {
        "gather": lambda: device.gather(rows, flat),
        "scatter_add": lambda: device.scatter_add(rows, flat, many),
        "one_hot": lambda: device.one_hot(flat, 3, "float32"),
        "max_pool2d_grad": lambda: device.max_pool2d_grad(dy, shared.array, (10, 10)),
        "max_pool2d_gather": lambda: device.max_pool2d_gather(images, shared.array),
    }
    stop = threading.Event()

    def disturb() -> None:
        while not stop.is_set():
            indices[...] = 2**31 - 1  # without the second check: a fault, gigabytes away
            indices[...] = 0

    thread = threading.Thread(target=disturb)
    thread.start()
    done = refused = 0
    end = time.monotonic() + 0.5
    while time.monotonic() < end:
        try:
            calls[kernel]()
            done += 1
        except ValueError:
            refused += 1
    stop.set()
    thread.join()
    assert done + refused > 0
