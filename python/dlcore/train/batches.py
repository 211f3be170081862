"""Cases cut into batches."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from .. import ops
from ..ops import Generator
from ..tensor import Tensor

# Bytes of cases brought into an epoch's order at a time: several small batches share a call, and stay in the cache.
_GATHERED = 2**19


def batches(
    data: Sequence[Tensor], batch_size: int, generator: Generator | None = None
) -> Iterator[tuple[int, list[Tensor]]]:
    """(number of cases, rows of each tensor), batch by batch; the last may be short.

    Parameters
    ----------
    data : tensors with as many rows each
    generator : draws the order of the cases; by default they come as they stand, without a copy
    """
    yield from ordered_batches(
        data, batch_size, None if generator is None else ops.permutation(generator, data[0].shape[0])
    )


def ordered_batches(
    data: Sequence[Tensor], batch_size: int, order: Tensor | None, first: int = 0
) -> Iterator[tuple[int, list[Tensor]]]:
    """`batches` in a given order (None: as they stand), from its place `first` on."""
    cases = data[0].shape[0]
    if order is None:
        yield from _cut(data, batch_size, first)
        return
    row_bytes = sum(x.size // max(cases, 1) * x.dtype.itemsize for x in data)
    stretch = batch_size * max(_GATHERED // max(batch_size * row_bytes, 1), 1)
    for start in range(first, cases, stretch):
        index = rows(order, start, min(stretch, cases - start))
        yield from _cut([ops.gather(x, index) for x in data], batch_size)


def _cut(data: Sequence[Tensor], batch_size: int, first: int = 0) -> Iterator[tuple[int, list[Tensor]]]:
    """Batches that share the data's memory; one view a tensor is all a batch costs."""
    cases = data[0].shape[0]
    parts = [(x.array, math.prod(x.shape[1:]), x.shape[1:]) for x in data]
    for start in range(first, cases, batch_size):
        count = min(batch_size, cases - start)
        yield count, [Tensor(array.view(start * size, (count, *tail))) for array, size, tail in parts]


def rows(x: Tensor, start: int, count: int) -> Tensor:
    """Rows start … start + count − 1, sharing x's memory."""
    shape = x.shape
    return Tensor(x.array.view(start * math.prod(shape[1:]), (count, *shape[1:])))
