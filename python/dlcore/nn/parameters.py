"""Parameters: all weights of a model as named views of one flat vector θ."""

from __future__ import annotations

import math
import weakref
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .. import ops, placement
from ..autodiff import is_recorded
from ..tensor import Tensor, moved, tensor_at

# Of a vector, what `below` made of it; moved with it.
_parts: weakref.WeakKeyDictionary[Parameters, weakref.WeakSet[Parameters]] = weakref.WeakKeyDictionary()


class Parameters(Mapping[str, Tensor]):
    """Named tensors that share one contiguous vector.

    An optimizer step is one kernel call over `storage`; a gradient (`value_and_grad(objective, parameters)`) is a
    vector of the same layout, of which :meth:`split` gives the named pieces.

    Parameters
    ----------
    shapes : name -> shape, in the order of θ
    dtype : "float32" or "float64"
    device : "cpu" or "cuda"; by default the current one

    Attributes
    ----------
    storage : Tensor, the vector that the named tensors are views of; writing to it changes them
    """

    __eq__ = object.__eq__  # a mapping's would compare tensors, which is done elementwise
    __hash__ = object.__hash__

    def __init__(
        self, shapes: Mapping[str, tuple[int, ...]], dtype: str = "float32", device: str | None = None
    ) -> None:
        self._shapes = dict(shapes)
        self._offsets: dict[str, int] = {}
        size = 0
        for name, shape in self._shapes.items():
            self._offsets[name] = size
            size += math.prod(shape)
        self.storage = Tensor(placement.placed(device).empty((size,), dtype))
        self._layout = [(self._offsets[name], shape) for name, shape in self._shapes.items()]
        self._tensors = self.split(self.storage)
        self._origin: tuple[Parameters, str] | None = None
        self._superseded = False
        self._start = 0  # within the origin

    @property
    def superseded(self) -> bool:
        """Whether the modules these tensors belonged to have been laid out in another vector since."""
        return self._superseded if self._origin is None else self._origin[0].superseded

    @superseded.setter
    def superseded(self, value: bool) -> None:
        self._superseded = value

    def require_current(self, who: str) -> None:
        """Raise a RuntimeError where writing here, or differentiating by these, would have no effect on the modules."""
        if self.superseded:
            raise RuntimeError(f"{who}: the modules were laid out in another vector since; use their new parameters")

    @property
    def theta(self) -> Tensor:
        """θ as one vector: the storage itself; to a transformation that differentiates by some of the parameters, the
        op that joins them."""
        tensors = self.tensors
        return self.concatenate(tensors) if any(is_recorded(x) for x in tensors) else self.storage

    @property
    def tensors(self) -> Sequence[Tensor]:
        """The views, in the order of θ."""
        return tuple(self._tensors.values())

    @property
    def size(self) -> int:
        """Number of parameters."""
        return self.storage.size

    def __getitem__(self, name: str) -> Tensor:
        return self._tensors[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)

    def __repr__(self) -> str:
        rows = ", ".join(f"{name}: {shape}" for name, shape in self._shapes.items())
        return f"Parameters({self.size} {self.storage.dtype}; {rows})"

    def split(self, vector: Tensor) -> dict[str, Tensor]:
        """Named views of a vector with θ's layout (a gradient, an optimizer's state)."""
        return {name: Tensor(vector.array.view(self._offsets[name], shape)) for name, shape in self._shapes.items()}

    def below(self, prefix: str) -> Parameters:
        """The parameters whose names start with `prefix` and a dot: the same tensors, a stretch of the same vector."""
        part = Parameters.__new__(Parameters)
        names = [name for name in self._shapes if name.startswith(prefix + ".")]
        short = [name[len(prefix) + 1 :] for name in names]
        start = self._offsets[names[0]] if names else 0
        part._shapes = {to: self._shapes[name] for to, name in zip(short, names, strict=True)}
        part._offsets = {to: self._offsets[name] - start for to, name in zip(short, names, strict=True)}
        part._tensors = {to: self._tensors[name] for to, name in zip(short, names, strict=True)}
        part._layout = [(part._offsets[name], shape) for name, shape in part._shapes.items()]
        part._origin, part._superseded = (self, prefix), False
        part._start = start
        part._take_stretch()
        _parts.setdefault(self, weakref.WeakSet()).add(part)
        return part

    @property
    def device(self) -> str:
        """Where θ is."""
        return self.storage.device

    def to(self, device: str) -> Parameters:
        """Move θ to a device, "cpu" or "cuda", in place: the tensors stay the same objects, on the other device.

        Raises
        ------
        ValueError, RuntimeError
            For an unknown device, one that cannot be used here, and a part of a vector (`below`), which does not move
            alone.
        """
        if self._origin is not None:
            raise ValueError("Parameters: to moves a whole vector, these are a part of one")
        if self.device != device:
            self.storage = Tensor(moved(self.storage.array, device))
            for name, tensor in self._tensors.items():
                tensor.array = self.storage.array.view(self._offsets[name], self._shapes[name])
            for part in _parts.get(self, ()):
                part._take_stretch()
        return self

    def _take_stretch(self) -> None:
        """Make the part of the origin's vector that the tensors are views of the storage."""
        assert self._origin is not None
        size = sum(math.prod(shape) for shape in self._shapes.values())
        self.storage = Tensor(self._origin[0].storage.array.view(self._start, (size,)))
        for part in _parts.get(self, ()):
            part._take_stretch()

    def new_gradient(self) -> tuple[Tensor, list[Any]]:
        """An uninitialised vector with θ's layout, and the arrays in it that belong to `tensors`."""
        self.require_current("grad")
        array = self.storage.array
        vector = array.device.empty(array.shape, array.dtype)
        return Tensor(vector), vector.views(self._layout)

    def concatenate(self, gradients: Sequence[Tensor | None]) -> Tensor:
        """The same vector as a recorded op of its parts (None: zeros)."""
        parts = []
        for tensor, gradient in zip(self.tensors, gradients, strict=True):
            whole = ops.zeros_like(tensor) if gradient is None else gradient
            parts.append(ops.reshape(whole, (tensor.size,)))
        return ops.concatenate(parts, 0) if parts else ops.zeros((0,), self.storage.dtype, self.storage.device)

    def assign(self, values: Mapping[str, Any]) -> None:
        """Overwrite parameters in place; names and shapes must be these.

        Raises
        ------
        ValueError
            For an unknown or missing name, or a shape that differs; nothing is written then.
        """
        if set(values) != set(self._shapes):
            missing, unknown = sorted(set(self._shapes) - set(values)), sorted(set(values) - set(self._shapes))
            raise ValueError(f"Parameters: missing {missing}, unknown {unknown}")
        dtype = self.storage.dtype
        new = {name: ops.cast(tensor_at(values[name], self.storage, "Parameters"), dtype) for name in self._shapes}
        for name, value in new.items():
            if value.shape != self._shapes[name]:
                raise ValueError(f"Parameters: {name} has shape {value.shape}, expected {self._shapes[name]}")
        for name, value in new.items():
            self._tensors[name].array.assign(value.array)

    def __reduce__(self) -> tuple[Any, ...]:
        # Tensors that a module shares with its Parameters are stored once; the views are made anew.
        if self._origin is not None:
            return Parameters.below, self._origin
        return _rebuild, (self._shapes, self.storage.array.dtype, list(self.tensors))


def _rebuild(shapes: Mapping[str, tuple[int, ...]], dtype: str, tensors: Sequence[Tensor]) -> Parameters:
    parameters = Parameters(shapes, dtype, tensors[0].device if tensors else None)
    parameters.assign(dict(zip(shapes, tensors, strict=True)))
    return parameters
