"""Cases in the compressed sparse rows of SciPy, made dense a batch at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...tensor import Tensor, tensor
from ..base import Array
from .machine import Machine
from .units import is_plain

BLOCK = 1024  # rows made dense at a time where all are looked at


def is_sparse(x: Any) -> bool:
    """Whether x is one of SciPy's sparse matrices or arrays, or behaves like one."""
    return hasattr(x, "tocsr") and hasattr(x, "shape")


@dataclass(frozen=True)
class SparseCases:
    """A sparse matrix (n, columns): the values, their columns, and where each row's begin."""

    data: Tensor
    indices: Tensor
    indptr: Tensor
    shape: tuple[int, int]

    @classmethod
    def of(cls, x: Any, columns: int, who: str, dtype: str) -> SparseCases:
        """The compressed rows of a SciPy matrix or array of any format; entries of one place are added.

        Raises
        ------
        TypeError, ValueError
            Unless it has `columns` columns of real numbers and is whole: indptr rises from 0 to the number of entries,
            indices lie within the columns, and there are fewer than 2³¹ entries.
        """
        rows = x.tocsr()
        shape = tuple(rows.shape)
        if len(shape) != 2 or shape[1] != columns:
            raise ValueError(f"{who}: x has shape {shape}, expected (n, {columns})")
        values, place, starts = (np.asarray(part) for part in (rows.data, rows.indices, rows.indptr))
        if values.dtype.kind not in "fiub":
            raise TypeError(f"{who}: x has dtype {values.dtype}, expected real numbers")
        _require_whole(values, place, starts, shape, who)
        stored = int(starts[-1])
        if stored >= 2**31:
            raise ValueError(f"{who}: x has {stored} entries, expected fewer than 2**31")
        values, place, starts = _summed(values[:stored], place[:stored], starts)
        return cls(tensor(values, dtype), _int32(place), _int32(starts), (shape[0], columns))

    def require(self, machine: Machine, who: str) -> None:
        """Raise a ValueError with the first row of values that the machine's visible units cannot have."""
        if is_plain(machine.units):  # zeros are good, so the entries alone are looked at
            values = self.data.numpy()
            bad = np.flatnonzero(~((values >= 0.0) & (values <= 1.0)))
            if len(bad):
                row = int(np.searchsorted(self.indptr.numpy(), bad[0], side="right")) - 1
                raise ValueError(f"{who}: x has {values[bad[0]]} in row {row}, expected values in [0, 1]")
            return
        for first, block in self.blocks():
            machine.require_visible(block, who, f"x, counted from row {first},")

    def gather(self, rows: Tensor) -> Tensor:
        """The rows of these numbers (int32), dense: (count, columns)."""
        call = self.data.array.device.gather_csr
        return Tensor(call(self.data.array, self.indices.array, self.indptr.array, self.shape[1], rows.array))

    def rows(self, start: int, count: int) -> Tensor:
        """Rows start … start + count − 1, dense."""
        return self.gather(_int32(np.arange(start, start + count)))

    def blocks(self, size: int = BLOCK) -> Iterator[tuple[int, Tensor]]:
        """(first row, dense rows), so many at a time."""
        for first in range(0, self.shape[0], size):
            yield first, self.rows(first, min(size, self.shape[0] - first))


def _int32(x: Array) -> Tensor:
    return tensor(x, "int32")


def _require_whole(values: Array, place: Array, starts: Array, shape: tuple[int, ...], who: str) -> None:
    for name, part in (("indices", place), ("indptr", starts)):
        if part.ndim != 1 or part.dtype.kind not in "iu":
            raise ValueError(f"{who}: x.{name} is {part.ndim}-dimensional {part.dtype}, expected a row of integers")
    if values.shape != place.shape:
        raise ValueError(
            f"{who}: x.data has shape {values.shape}, x.indices {place.shape}, expected one for each entry"
        )
    if len(starts) != shape[0] + 1:
        raise ValueError(f"{who}: x.indptr has {len(starts)} numbers, expected {shape[0] + 1} for {shape[0]} rows")
    falls = np.flatnonzero(starts[1:] < starts[:-1])
    if starts[0] != 0 or len(falls) or starts[-1] > len(values):
        where = f"falls after row {falls[0]}" if len(falls) else f"goes from {starts[0]} to {starts[-1]}"
        raise ValueError(f"{who}: x.indptr {where}, expected it to rise from 0 to at most {len(values)} entries")
    used = place[: int(starts[-1])]
    bad = np.flatnonzero((used < 0) | (used >= shape[1]))
    if len(bad):
        raise ValueError(f"{who}: x.indices[{bad[0]}] is {used[bad[0]]}, expected 0 <= index < {shape[1]}")


def _summed(values: Array, place: Array, starts: Array) -> tuple[Array, Array, Array]:
    """The same matrix with one entry for each place, in the order of columns."""
    counts = np.diff(starts)
    row = np.repeat(np.arange(len(counts)), counts)
    if not len(place) or bool(((np.diff(place) > 0) | (np.diff(row) > 0)).all()):
        return values, place, starts
    order = np.lexsort((place, row))
    values, place, row = values[order], place[order], row[order]
    first = np.flatnonzero(np.r_[True, (np.diff(place) != 0) | (np.diff(row) != 0)])
    counts = np.bincount(row[first], minlength=len(counts))
    return np.add.reduceat(values, first), place[first], np.concatenate([[0], np.cumsum(counts)])
