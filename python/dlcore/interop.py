"""Arrays of other libraries whose memory tensors share: DLPack and ``__cuda_array_interface__``."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from . import device as _device
from . import placement
from .tensor import CPU, CUDA, DTYPES, Tensor


def from_dlpack(source: Any) -> Tensor:
    """A tensor that shares the memory of any array with ``__dlpack__``, or with ``__cuda_array_interface__`` alone, on
    the CPU or on the CUDA device in use: contiguous, of float32, float64 or int32.

    On CUDA, dlcore's work waits for what the source has issued, and memory is given back when dlcore needs it no more.

    Raises
    ------
    TypeError, ValueError
        For what is no such array.
    RuntimeError
        For an array on CUDA where this build or machine has none.
    """
    if hasattr(source, "__dlpack__"):
        place = tuple(int(x) for x in source.__dlpack_device__()) if hasattr(source, "__dlpack_device__") else CPU
        if place[0] != CUDA:
            return Tensor(_device.cpu.from_dlpack(source.__dlpack__()))
        device = _cuda(place)
        return Tensor(device.from_dlpack(source.__dlpack__(stream=device.stream_handle())))
    if hasattr(source, "__cuda_array_interface__"):
        return _from_interface(source)
    raise TypeError(f"from_dlpack: {type(source).__name__} has no __dlpack__ method")


def _cuda(place: tuple[int, ...]) -> Any:
    """The module of CUDA arrays: one that is in use, else that of "cuda"."""
    found = [device for device in placement.loaded if device.device_place() == place]
    return found[-1] if found else placement.find("cuda")


def _from_interface(source: Any) -> Tensor:
    """A tensor that shares the memory that ``__cuda_array_interface__`` (version 2 or 3) describes."""
    given = source.__cuda_array_interface__
    cuda = [device for device in placement.loaded if device.device_place()[0] == CUDA]
    device = cuda[-1] if cuda else placement.find("cuda")
    dtype = np.dtype(given["typestr"])
    if dtype.name not in DTYPES or not dtype.isnative:
        raise TypeError(f"from_dlpack: typestr is {given['typestr']!r}, expected float32, float64 or int32")
    if given.get("mask") is not None:
        raise TypeError("from_dlpack: the array has a mask; fill it first")
    shape, (pointer, read_only) = tuple(given["shape"]), given["data"]
    expected = tuple((math.prod(shape[i + 1 :]) * dtype.itemsize) for i in range(len(shape)))
    strides = given.get("strides")
    if (
        strides is not None
        and math.prod(shape)
        and any(size > 1 and have != want for size, have, want in zip(shape, strides, expected, strict=True))
    ):
        raise ValueError("from_dlpack: the array is not contiguous in row-major order; copy it first")
    if read_only:
        raise ValueError("from_dlpack: the array is read-only; copy it first")
    return Tensor(device.from_pointer(pointer or 0, shape, dtype.name, source, given.get("stream")))
