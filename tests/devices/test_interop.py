"""Memory shared with other libraries on CUDA: the protocols' fields, streams, and who gives memory back when.

The emulation reports itself as a CUDA device, as its memory is not for the host to touch.
"""

from __future__ import annotations

import gc
import weakref
from typing import Any

import dlcore
import numpy as np
import pytest
from dlcore import Tensor, placement, tensor


class Foreign:
    """Another library's array on the same device."""

    def __init__(self, x: Tensor, stream: int | None = 1, **changes: Any) -> None:
        self.x = x
        self.asked: list[Any] = []
        self.interface = {
            "shape": x.shape,
            "typestr": x.dtype.str,
            "data": (x.array.address(), False),
            "strides": None,
            "stream": stream,
            "version": 3,
        } | changes


class WithInterface(Foreign):
    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return self.interface


class WithDLPack(Foreign):
    def __dlpack__(self, stream: Any = None) -> Any:
        self.asked.append(stream)
        return self.x.__dlpack__(stream=stream)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.x.__dlpack_device__()


def test_a_tensor_on_the_cpu_has_no_cuda_interface() -> None:
    assert not hasattr(tensor([1.0]), "__cuda_array_interface__")
    assert tensor([1.0]).__dlpack_device__() == (1, 0)


@pytest.mark.parametrize(("dtype", "typestr"), [("float32", "<f4"), ("float64", "<f8"), ("int32", "<i4")])
def test_the_interface_describes_the_memory(other: str, dtype: str, typestr: str) -> None:
    x = tensor(np.arange(6).reshape(2, 3), dtype).to(other)
    found = x[1:].__cuda_array_interface__
    address, read_only = found.pop("data")
    assert found == {"shape": (1, 3), "typestr": typestr, "strides": None, "stream": found["stream"], "version": 3}
    assert found["stream"] != 0
    assert (address, read_only) == (x[1:].array.address(), False) or address % x.dtype.itemsize == 0
    assert Tensor(x.array.view(3, (3,))).__cuda_array_interface__["data"][0] == x.array.address() + 3 * x.dtype.itemsize


def test_the_interface_is_taken(other: str) -> None:
    x = tensor(np.arange(6.0).reshape(2, 3)).to(other)
    for stream in (None, 1, 2):
        y = dlcore.from_dlpack(WithInterface(x, stream))
        assert (y.device, y.shape, y.dtype) == (other, (2, 3), np.float64)
        y.array.assign((y + 1.0).array)
    assert x.numpy().tolist() == [[3.0, 4.0, 5.0], [6.0, 7.0, 8.0]]
    strided = dlcore.from_dlpack(WithInterface(x, strides=(24, 8)))
    assert strided.numpy().tolist() == x.numpy().tolist()


def test_memory_lives_as_long_as_it_is_shared(other: str) -> None:
    for kind in (WithInterface, WithDLPack):
        source = kind(tensor([1.0, 2.0]).to(other))
        alive = weakref.ref(source.x)
        y = dlcore.from_dlpack(source)
        del source
        gc.collect()
        assert y.numpy().tolist() == [1.0, 2.0]
        assert (alive() is None) is (kind is WithDLPack)  # DLPack keeps the memory, the other protocol the object
        del y
        gc.collect()
        assert alive() is None


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"typestr": "<f2"}, TypeError, "from_dlpack: typestr is '<f2', expected float32, float64 or int32"),
        ({"typestr": ">f8"}, TypeError, "from_dlpack: typestr is '>f8', expected float32, float64 or int32"),
        (
            {"strides": (8, 16)},
            ValueError,
            "from_dlpack: the array is not contiguous in row-major order; copy it first",
        ),
        ({"data": (64, True)}, ValueError, "from_dlpack: the array is read-only; copy it first"),
        ({"mask": object()}, TypeError, "from_dlpack: the array has a mask; fill it first"),
        ({"data": (0, False)}, ValueError, "from_pointer: the pointer is null"),
        (
            {"data": (68, False)},
            ValueError,
            "from_pointer: the data is not aligned to its element size; copy it with tensor()",
        ),
        ({"shape": (-1, 2)}, ValueError, "from_pointer: dimension -1 is negative"),
    ],
)
def test_what_cannot_be_shared_is_refused(other: str, changes: Any, error: type, message: str) -> None:
    source = WithInterface(tensor(np.ones((2, 2))).to(other), **changes)
    with pytest.raises(error) as caught:
        dlcore.from_dlpack(source)
    assert str(caught.value) == message


def test_dlpack_names_the_device_and_asks_for_our_stream(other: str) -> None:
    x = tensor([[1.0, 2.0]]).to(other)
    module = placement.find(other)
    assert x.__dlpack_device__() == module.device_place() == (2, x.__dlpack_device__()[1])
    source = WithDLPack(x)
    y = dlcore.from_dlpack(source)
    assert (y.device, y.numpy().tolist(), source.asked) == (other, [[1.0, 2.0]], [module.stream_handle()])
    for stream in (None, -1, 1, 2):
        again = Tensor(module.from_dlpack(x.__dlpack__(stream=stream)))
        assert again.array.address() == x.array.address()
    copied = Tensor(module.from_dlpack(x.__dlpack__(copy=True)))
    assert copied.array.address() != x.array.address()


def test_dlpack_of_another_device(other: str) -> None:
    x = tensor([1.0, 2.0]).to(other)
    with pytest.raises((BufferError, RuntimeError, ValueError)):
        np.from_dlpack(x)
    here = Tensor(dlcore.device.cpu.from_dlpack(x.__dlpack__(dl_device=(1, 0))))
    assert (here.device, here.numpy().tolist()) == ("cpu", [1.0, 2.0])
    with pytest.raises(BufferError, match=r"^__dlpack__: device \(1, 0\) is asked for, the data is on \(2, \d+\)$"):
        x.__dlpack__(dl_device=(1, 0), copy=False)
    with pytest.raises(BufferError, match=r"^__dlpack__: device \(10, 0\) is asked for, the data is on \(2, \d+\)$"):
        x.__dlpack__(dl_device=(10, 0))
    with pytest.raises(ValueError, match=r"^from_dlpack: the data is on device type 2, expected 1 \(CPU\)$"):
        dlcore.device.cpu.from_dlpack(x.__dlpack__())
    with pytest.raises(ValueError, match=r"^from_dlpack: the data is on device type 1, expected 2 \(CUDA\)$"):
        placement.find(other).from_dlpack(tensor([1.0]).__dlpack__())
