"""A transformation's level of the tape, and the walk down its entries: what every derivative is made of.

A level's leaves are what it differentiates by, and its walk ends at them, so that nested transformations do not see
each other's variables.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from . import placement
from .mutation import Entries, Guarded, require_unchanged
from .tape import Gradient, Tape, differentiable, identity
from .tape import state as _state
from .tensor import Tensor

_TAKES_OUT = (None,)  # the default arguments of a gradient function that can write in place


@differentiable(2)
def accumulate(a: Tensor, b: Tensor) -> tuple[Any, ...]:
    return Tensor(a.array.device.add(a.array, b.array)), identity, identity


def _noted_writes() -> bool:
    return any(device.noted_writes() for device in placement.loaded)


class Differentiable(Protocol):
    """What a set of parameters offers `value_and_grad`: see `dlcore.nn.Parameters`."""

    @property
    def tensors(self) -> Sequence[Tensor]: ...

    def new_gradient(self) -> tuple[Tensor, list[Any]]:
        """An uninitialised vector with θ's layout, and the views of it that belong to `tensors`."""

    def concatenate(self, gradients: Sequence[Tensor | None]) -> Tensor:
        """The same vector as a recorded op of its parts."""


class Level:
    """One transformation: its leaves on the thread's tape (a new one when it is the outermost)."""

    def __enter__(self) -> Level:
        tape = _state.tape
        self.outermost = tape is None
        if tape is None:
            tape = _state.tape = Tape()
            self._watched = placement.loaded
            for device in self._watched:
                device.watch_writes(tape.entries)
        else:
            self._twice_before = tape.twice
            tape.nested += 1
            tape.twice = True
        self.tape = tape
        self.start = len(tape.entries)
        self._saved: list[tuple[int, int]] = []
        return self

    def __exit__(self, *exception: object) -> None:
        tape = self.tape
        if self.outermost:
            _state.tape = None
            for device in self._watched:
                device.unwatch_writes()
            tape.entries.clear()  # breaks the cycles tensor -> tape -> gradient function -> tensor
            tape.leaves.clear()
            return
        for key, index in reversed(self._saved):
            if index < 0:
                del tape.leaves[key]
            else:
                tape.leaves[key] = index
        tape.nested -= 1
        tape.twice = self._twice_before
        _state.tape = tape

    def leaf(self, x: Tensor) -> Tensor:
        """A fresh alias of x to differentiate by."""
        alias = Tensor(x.array)
        alias._tape = self.tape
        alias._index = self.tape.add_leaf(self.tape.index_of(x))
        return alias

    def leaves_in_place(self, tensors: Sequence[Tensor]) -> Sequence[int]:
        """Differentiate by the tensors themselves, wherever the function finds them; their indices."""
        tape = self.tape
        if self.outermost and not tape.entries:  # the usual case, and the quickest
            tape.leaves = dict(zip(map(id, tensors), range(len(tensors)), strict=True))
            tape.entries.extend([()] * len(tensors))
            return range(len(tensors))
        indices = []
        for x in tensors:
            self._saved.append((id(x), tape.leaves.get(id(x), -1)))
            indices.append(tape.add_leaf(tape.index_of(x)))
            tape.leaves[id(x)] = indices[-1]
        return indices

    def backward(
        self, y: Tensor, dy: Tensor, leaves: Sequence[int], destinations: dict[int, Any] | None = None
    ) -> list[Tensor | None]:
        """Gradients of sum(dy * y) with respect to `leaves`; None where y does not depend on one.

        `destinations` maps leaves to arrays that receive the gradient in place (unrecorded walks only).
        """
        index = self.tape.index_of(y)
        if destinations is not None and index in destinations:  # y is a parameter itself
            destinations[index].assign(dy.array)
        return self.walk({index: dy} if index >= self.start else {}, leaves, destinations)

    def seeds(self, pairs: Iterable[tuple[Tensor | None, Tensor]]) -> dict[int, Tensor]:
        """What a walk starts from: dy by the index of y, for those y that belong to this transformation."""
        found: dict[int, Tensor] = {}
        for y, dy in pairs:
            index = self.tape.index_of(y)
            if index >= self.start:
                found[index] = accumulate(found[index], dy) if index in found else dy
        return found

    def path(self, leaves: Sequence[int]) -> Entries:
        """The record of what depends on `leaves` alone, for several walks; nothing that it saved was overwritten."""
        kept: list[Sequence[tuple[int, Gradient]]] = [()] * self.start
        entries, reached = self.tape.entries, set(leaves)
        written = _noted_writes()
        for i in range(self.start, len(entries)):
            parents = () if i in reached else [entry for entry in entries[i] if entry[0] in reached]
            if parents:
                reached.add(i)
                if written:
                    require_unchanged(parents, i)
            kept.append(parents)
        return kept

    def walk(
        self,
        found: dict[int, Tensor],
        leaves: Sequence[int],
        destinations: dict[int, Any] | None = None,
        entries: Entries | None = None,
        record: bool | None = None,
    ) -> list[Tensor | None]:
        """Gradients with respect to `leaves` of what `found` starts from; see `backward`, `seeds` and `path`. Where it
        starts at a leaf itself, the destination holds the gradient already.

        What is computed is recorded, unless no other transformation is open or `record` says that none needs it.
        """
        tape, start = self.tape, self.start
        if entries is None:
            entries = self.path(leaves) if tape.has_inner_leaves else tape.entries
            if _noted_writes():
                entries = Guarded(entries)
        if record is None:
            record = not self.outermost
        owned: set[int] = set()  # gradients made here by addition, which nobody else holds
        ends = set(leaves)
        _state.tape = tape if record else None
        try:
            for i in range(len(entries) - 1, start - 1, -1):
                if i in ends:
                    continue
                gradient_of_i = found.pop(i, None)
                if gradient_of_i is None:
                    continue
                for parent, gradient in entries[i]:
                    if parent < start:
                        continue  # a value of an enclosing transformation
                    if destinations is not None and parent in destinations:
                        self._write(found, parent, gradient, gradient_of_i, destinations[parent])
                        continue
                    share = gradient(gradient_of_i)
                    if share is None:
                        continue
                    previous = found.get(parent)
                    if previous is None:
                        found[parent] = share
                    elif parent in owned:
                        previous.array.device.axpy(1.0, share.array, previous.array)
                    else:
                        found[parent] = accumulate(previous, share)
                        if not record:
                            owned.add(parent)
        finally:
            _state.tape = tape
        return [found.get(leaf) for leaf in leaves]

    @staticmethod
    def _write(found: dict[int, Tensor], parent: int, gradient: Gradient, dy: Tensor, destination: Any) -> None:
        if parent not in found and gradient.__defaults__ == _TAKES_OUT:
            gradient(dy, destination)
            found[parent] = Tensor(destination)
            return
        share = gradient(dy)
        if share is None:
            return
        if parent in found:
            destination.device.axpy(1.0, share.array, destination)
        else:
            destination.assign(share.array)
            found[parent] = Tensor(destination)


class SecondOrderLevel(Level):
    """One transformation that walks down what its own first walk recorded."""

    def __enter__(self) -> SecondOrderLevel:
        super().__enter__()
        self.tape.twice = True
        return self
