"""Rearranging elements; native in ``csrc/movement.cpp``. Every op here is linear: its gradient is its adjoint."""

from __future__ import annotations

import operator
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..autodiff import differentiable
from ..tape import Gradient, state
from ..tensor import Tensor, as_tensor, int32, tensor
from .broadcast import Result


def reshape(x: Tensor, *shape: Any) -> Tensor:
    """x with another shape of as many elements, sharing its memory; one size may be −1."""
    sizes = tuple(shape[0]) if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape
    if -1 in sizes:
        known = int(np.prod([size for size in sizes if size != -1], dtype=np.int64))
        if sizes.count(-1) > 1 or known == 0 or x.size % known:
            raise ValueError(f"reshape: {x.shape} has {x.size} elements, {sizes} does not fit")
        sizes = tuple(x.size // known if size == -1 else size for size in sizes)
    return _reshape(x, sizes)


@differentiable(1, saves=False)
def _reshape(x: Tensor, shape: tuple[int, ...]) -> Result:
    return Tensor(x.array.reshape(shape)), lambda dy: _reshape(dy, x.shape)


def transpose(x: Tensor, axes: Sequence[int] | None = None) -> Tensor:
    """The axes of x in another order; reversed by default."""
    return _transpose(x, tuple(range(x.ndim))[::-1] if axes is None else tuple(axes))


@differentiable(1)
def _transpose(x: Tensor, axes: tuple[int, ...]) -> Result:
    def dx(dy: Tensor) -> Tensor:
        inverse = [0] * len(axes)
        for position, axis in enumerate(axes):
            inverse[axis] = position
        return _transpose(dy, tuple(inverse))

    return Tensor(x.array.device.transpose(x.array, axes)), dx


@differentiable(1)
def narrow(x: Tensor, axis: int, start: int, length: int) -> Result:
    """Elements start … start + length − 1 of an axis."""
    size = x.shape[axis] if -x.ndim <= axis < x.ndim else 0
    return Tensor(x.array.device.narrow(x.array, axis, start, length)), lambda dy: embed(dy, axis, start, size)


@differentiable(1)
def embed(x: Tensor, axis: int, start: int, length: int) -> Result:
    """Zeros with x at `start` of an axis of `length`: the adjoint of `narrow`."""
    size = x.shape[axis] if -x.ndim <= axis < x.ndim else 0
    return Tensor(x.array.device.embed(x.array, axis, start, length)), lambda dy: narrow(dy, axis, start, size)


def concatenate(tensors: Sequence[Tensor], axis: int = 0) -> Tensor:
    """The tensors one after another along an axis."""
    if len(tensors) == 0:
        raise ValueError("concatenate: no tensors are given")
    like = next((x for x in tensors if isinstance(x, Tensor)), None)
    inputs = [as_tensor(x, like, "concatenate") for x in tensors]
    y = Tensor(inputs[0].array.device.concatenate([x.array for x in inputs], axis))
    if state.tape is not None:
        state.tape.record((y, *_parts(axis, [x.shape[axis] for x in inputs])), inputs)
    return y


def _parts(axis: int, lengths: list[int]) -> list[Gradient]:
    """For each part of an axis, the function that cuts it out."""
    starts = np.cumsum([0, *lengths]).tolist()
    return [
        lambda dy, start=start, length=length: narrow(dy, axis, start, length)
        for start, length in zip(starts[:-1], lengths, strict=True)
    ]


def stack(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors of one shape along a new first axis."""
    return concatenate([reshape(x, (1, *x.shape)) for x in tensors], 0)


def _indices(indices: Any, name: str, device: str | None = None) -> Tensor:
    """Integers as an int32 tensor, by default a new one on the current device."""
    if isinstance(indices, Tensor):
        if indices.dtype != int32:
            raise TypeError(f"{name}: indices have dtype {indices.dtype}, expected int32")
        return indices
    values = np.asarray(indices)
    if values.dtype.kind not in "iu" and values.size:
        raise TypeError(f"{name}: indices have dtype {values.dtype}, expected integers")
    return tensor(values, int32, device)


def gather(x: Tensor, indices: Any) -> Tensor:
    """Rows of the first axis: y[i] = x[indices[i]]."""
    return _gather(x, _indices(indices, "gather", x.device))


@differentiable(1)
def _gather(x: Tensor, indices: Tensor) -> Result:
    rows = x.shape[0] if x.ndim else 0
    return Tensor(x.array.device.gather(x.array, indices.array)), lambda dy: _scatter_add(dy, indices, rows)


def scatter_add(x: Tensor, indices: Any, rows: int) -> Tensor:
    """Zeros of `rows` rows with x[i] added to row indices[i], in the order of i: the adjoint of `gather`."""
    return _scatter_add(x, _indices(indices, "scatter_add", x.device), rows)


@differentiable(1)
def _scatter_add(x: Tensor, indices: Tensor, rows: int) -> Result:
    device = x.array.device
    start = device.full((rows, *x.shape[1:]), 0.0, x.array.dtype)
    return Tensor(device.scatter_add(start, indices.array, x.array)), lambda dy: _gather(dy, indices)


def one_hot(labels: Any, classes: int, dtype: Any = "float32", device: str | None = None) -> Tensor:
    """Rows that are 1 at the label and 0 elsewhere, (n, classes)."""
    index = _indices(labels, "one_hot", device)
    return Tensor(index.array.device.one_hot(index.array, classes, np.dtype(dtype).name))


@differentiable(1)
def warp2d(x: Tensor, maps: Tensor, field: Tensor | None = None, fill: float = 0.0) -> Result:
    """Images whose pixel (i, j) is x at map · (i, j, 1) + field(i, j), between pixels by bilinear interpolation.

    Parameters
    ----------
    x : (n, channels, height, width)
    maps : (n, 2, 3), rows first: (i, j, 1) to the row, then to the column, where a pixel comes from; a constant
    field : (n, 2, height, width), optional: added to the row and to the column, in pixels; a constant
    fill : what stands around the image
    """
    y = x.array.device.warp2d(x.array, maps.array, None if field is None else field.array, fill)
    return Tensor(y), lambda dy: _warp2d_grad(dy, maps, field)


@differentiable(1)
def _warp2d_grad(dy: Tensor, maps: Tensor, field: Tensor | None) -> Result:
    dx = dy.array.device.warp2d_grad(dy.array, maps.array, None if field is None else field.array)
    return Tensor(dx), lambda g: warp2d(g, maps, field)


def getitem(x: Tensor, index: Any) -> Tensor:
    """x[index] for integers, slices, an ellipsis, None, and one vector of integers.

    Raises
    ------
    IndexError
        For too many indices or one that is out of range, and where NumPy would move the axis of the vector.
    TypeError
        For anything else, masks included.
    """
    parts = list(index) if isinstance(index, tuple) else [index]
    kinds = "".join(_kind(part) for part in parts)
    used = len(kinds) - kinds.count("n") - kinds.count("e")
    if used > x.ndim:
        raise IndexError(f"getitem: {used} indices for a tensor of shape {x.shape}")
    if kinds.count("e") > 1 or kinds.count("v") > 1:
        raise IndexError("getitem: more than one ellipsis or vector of indices")
    if "v" in kinds and not re.fullmatch("[^iv]*i*vi*[^iv]*", kinds):
        raise IndexError("getitem: the integers and the vector are not side by side; index twice")
    if "e" in kinds:
        at = kinds.index("e")
        parts[at : at + 1] = [slice(None)] * (x.ndim - used)
    axis = 0
    for part in parts:
        kind = _kind(part)
        if kind == "i":
            x = _pick(x, axis, operator.index(part))
            continue
        if kind == "n":
            x = reshape(x, (*x.shape[:axis], 1, *x.shape[axis:]))
        elif kind == "s":
            x = _slice(x, axis, part)
        else:
            x = _take(x, axis, part)
        axis += 1
    return x


def _kind(part: Any) -> str:
    """n: None, e: ellipsis, s: slice, i: an integer, v: a vector of integers."""
    if part is None:
        return "n"
    if part is Ellipsis:
        return "e"
    if isinstance(part, slice):
        return "s"
    if isinstance(part, (int, np.integer)) and not isinstance(part, bool):
        return "i"
    if isinstance(part, Tensor):
        if part.dtype == int32 and part.ndim == 1:
            return "v"
        raise TypeError(f"getitem: an index has dtype {part.dtype} and shape {part.shape}, expected a vector of int32")
    values = np.asarray(part)
    if values.ndim == 1 and (values.dtype.kind in "iu" or not values.size):
        return "v"
    if values.ndim == 0 and values.dtype.kind in "iu":
        return "i"
    raise TypeError(f"getitem: an index has dtype {values.dtype} and shape {values.shape}, expected integers")


def _pick(x: Tensor, axis: int, position: int) -> Tensor:
    size = x.shape[axis]
    if not -size <= position < size:
        raise IndexError(f"getitem: index {position} is outside axis {axis} of {x.shape}")
    row = narrow(x, axis, position % size, 1)
    return reshape(row, x.shape[:axis] + x.shape[axis + 1 :])


def _slice(x: Tensor, axis: int, part: slice) -> Tensor:
    start, stop, step = part.indices(x.shape[axis])
    if step == 1:
        length = max(stop - start, 0)
        return x if length == x.shape[axis] else narrow(x, axis, start, length)
    return _take(x, axis, np.arange(start, stop, step, dtype=np.int32))


def _take(x: Tensor, axis: int, indices: Any) -> Tensor:
    if not isinstance(indices, Tensor):
        size = x.shape[axis]
        positions = np.asarray(indices)
        outside = (positions < -size) | (positions >= size)
        if outside.any():
            raise IndexError(f"getitem: index {positions[outside][0]} is outside axis {axis} of {x.shape}")
        indices = tensor(np.where(positions < 0, positions + size, positions), int32, x.device)
    if axis == 0:
        return gather(x, indices)
    order = (axis, *range(axis), *range(axis + 1, x.ndim))
    back = (*range(1, axis + 1), 0, *range(axis + 1, x.ndim))
    return transpose(gather(transpose(x, order), indices), back)
