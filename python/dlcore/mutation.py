"""What was written in place between the recording of an op and the use of what its gradient saved.

The native modules note in-place writes of a thread while it records, each with the number of entries that the tape had
(``watch_writes``); recording an op costs nothing. A walk looks at the saved arrays only when something was noted.
Writes by other libraries through shared memory (DLPack), and by other threads, cannot be seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import FunctionType
from typing import Any

from .tape import Gradient, shape_readers
from .tensor import Tensor

Entries = Sequence[Sequence[tuple[int, Gradient]]]


class Guarded(Sequence[Any]):
    """The entries of a tape; one that saved an array written since raises a RuntimeError when it is asked for."""

    def __init__(self, entries: Entries) -> None:
        self._entries = entries

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, i: Any) -> Any:
        entry = self._entries[i]
        require_unchanged(entry, i)
        return entry


def require_unchanged(entry: Sequence[tuple[int, Gradient]], index: int) -> None:
    """Raise a RuntimeError if an array that these gradient functions saved was written after they were recorded."""
    for _, gradient in entry:
        name = getattr(gradient, "__qualname__", "").split(".<locals>")[0]
        if f"{getattr(gradient, '__module__', '')}.{name}" in shape_readers:
            continue
        for array in _saved(gradient, set()):
            if array.device.is_overwritten(array, index):
                raise RuntimeError(
                    f"{name.lstrip('_')}: an array of shape {array.shape} that its gradient needs was written in place "
                    "after the op ran; write to a copy, or after the transformation"
                )


def _saved(value: Any, seen: set[int]) -> Iterator[Any]:
    """The arrays that a gradient function captures, itself or through functions and tuples that it captures.

    A list is what it may fill while it runs, with arrays that are younger than the record.
    """
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, Tensor):
        yield value.array
    elif hasattr(type(value), "device_name"):
        yield value
    elif isinstance(value, tuple):
        for part in value:
            yield from _saved(part, seen)
    elif isinstance(value, FunctionType):
        for cell in value.__closure__ or ():
            try:
                part = cell.cell_contents
            except ValueError:  # a variable that was never set
                continue
            yield from _saved(part, seen)
        yield from _saved(value.__defaults__ or (), seen)
