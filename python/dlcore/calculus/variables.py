"""What a transformation differentiates by, an argument or a model's Parameters, seen as one flat vector."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import ops
from ..autodiff import Differentiable, argument_leaves
from ..level import Level
from ..mutation import Entries
from ..tensor import Tensor, as_tensor

Variable = int | Differentiable


def require_variable(wrt: Any, who: str) -> None:
    """Raise a TypeError unless `wrt` is an argument's position or Parameters."""
    if isinstance(wrt, bool) or not (isinstance(wrt, int) or hasattr(type(wrt), "new_gradient")):
        raise TypeError(f"{who}: wrt is a {type(wrt).__name__}, expected an argument's position or Parameters")


def place(found: dict[int, Tensor], destinations: dict[int, Any]) -> None:
    """Write what a walk starts from at a leaf itself to its destination."""
    for index in found.keys() & destinations.keys():
        destinations[index].assign(found[index].array)


class Leaves:
    """The leaves of one transformation, and the way between a tensor of the variable's shape (flat for Parameters) and
    one tensor a leaf.

    Attributes
    ----------
    args : the arguments to call the function with
    tensors, indices : the leaves
    shape, size : of the variable
    """

    def __init__(
        self,
        level: Level,
        wrt: Variable,
        tensors: Sequence[Tensor],
        indices: Sequence[int],
        args: tuple[Any, ...] = (),
        who: str = "",
    ) -> None:
        self.level, self.wrt, self.tensors, self.indices, self.args, self.who = level, wrt, tensors, indices, args, who
        self.size = sum(x.size for x in tensors)
        self.shape = tensors[0].shape if isinstance(wrt, int) else (self.size,)

    @classmethod
    def of(cls, level: Level, wrt: Variable, args: tuple[Any, ...], who: str) -> Leaves:
        """New leaves for an argument or for parameters."""
        if isinstance(wrt, int):
            args = argument_leaves(level, (wrt,), args, who)
            return cls(level, wrt, [args[wrt]], [args[wrt]._index], args, who)
        return cls(level, wrt, wrt.tensors, level.leaves_in_place(wrt.tensors), args, who)

    def join(self, parts: Sequence[Tensor | None], like: Tensor) -> Tensor:
        """One part a leaf (None: zeros) as one recorded tensor of the variable's shape."""
        if not isinstance(self.wrt, int):
            return self.wrt.concatenate(parts)
        return ops.zeros(self.shape, like.dtype, like.device) if parts[0] is None else parts[0]

    def split(self, v: Any, name: str, like: Tensor) -> list[Tensor]:
        """v, a direction of the variable's shape, as one tensor a leaf."""
        vector = as_tensor(v, like, self.who)
        if vector.shape != self.shape:
            raise ValueError(f"{self.who}: {name} is {vector.shape}, expected the variable's shape {self.shape}")
        if vector.dtype != like.dtype:
            raise TypeError(f"{self.who}: {name} has dtype {vector.dtype}, expected {like.dtype}")
        if isinstance(self.wrt, int):
            return [vector]
        parts, start = [], 0
        for x in self.tensors:
            parts.append(ops.reshape(ops.narrow(vector, 0, start, x.size), x.shape))
            start += x.size
        return parts

    def gradient(self, found: dict[int, Tensor], like: Tensor, entries: Entries | None = None) -> Tensor:
        """The gradient of what a walk starts from (`Level.seeds`); in place where no transformation is around this."""
        level = self.level
        if isinstance(self.wrt, int) or not level.outermost:
            return self.join(level.walk(found, self.indices, None, entries), like)
        flat, views = self.wrt.new_gradient()
        destinations = dict(zip(self.indices, views, strict=True))
        place(found, destinations)
        for view, part in zip(views, level.walk(found, self.indices, destinations, entries), strict=True):
            if part is None:
                view.assign(view.device.full(view.shape, 0.0, view.dtype))
        return flat
