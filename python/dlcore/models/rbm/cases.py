"""What a contrastive fit learns from: dense or sparse cases, with weights, or with missing values."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ... import ops, train
from ...ops import Generator
from ...tensor import Tensor, tensor
from ..base import Array
from .holes import clamped_gibbs, filled, observed
from .machine import Machine
from .sparse import BLOCK, SparseCases


class Cases:
    """Rows (n, n_visible), and what belongs to each of them.

    Parameters
    ----------
    rows : dense, with NaN for missing values where `holes`, or sparse
    weight : (n,) of mean 1, or None: all alike
    holes : whether NaN are missing values
    """

    def __init__(self, rows: Tensor | SparseCases, weight: Tensor | None = None, holes: bool = False) -> None:
        self.rows, self.weight, self.holes = rows, weight, holes
        self.count = rows.shape[0]

    @property
    def is_plain(self) -> bool:
        """Whether they are dense, whole, and count alike."""
        return isinstance(self.rows, Tensor) and self.weight is None and not self.holes

    def head(self, count: int) -> Tensor:
        """The first cases, dense, at most so many."""
        return self.block(0, min(count, self.count))

    def block(self, start: int, count: int) -> Tensor:
        """Cases start … start + count − 1, dense."""
        return train.rows(self.rows, start, count) if isinstance(self.rows, Tensor) else self.rows.rows(start, count)

    def totals(self) -> tuple[Array, Array]:
        """Σ weight · v of each unit over the cases that have it, and Σ weight of these, (n_visible,) float64 each."""
        total, weights = np.zeros(self.rows.shape[1]), np.zeros(self.rows.shape[1])
        for start in range(0, self.count, BLOCK):
            v = self.block(start, min(BLOCK, self.count - start))
            if self.weight is None and not self.holes:
                total += ops.sum(v, 0).numpy()
                weights += v.shape[0]
                continue
            weight = np.ones(v.shape[0])
            if self.weight is not None:
                weight = self.weight.numpy()[start : start + v.shape[0]].astype(np.float64)
            values = v.numpy().astype(np.float64)
            known = ~np.isnan(values)
            total += weight @ np.where(known, values, 0.0)
            weights += weight @ known
        return total, weights

    def columns(self, numbered: bool) -> list[Tensor]:
        """What a batch is cut from, tensors with a row per case; `batch` knows them again.

        Parameters
        ----------
        numbered : whether the cases' numbers are needed, which those of sparse rows are anyway
        """
        self._numbered = numbered or isinstance(self.rows, SparseCases)
        columns = [tensor(np.arange(self.count), "int32")] if self._numbered else []
        return columns + [x for x in (self.rows, self.weight) if isinstance(x, Tensor)]

    def batch(self, columns: Sequence[Tensor]) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """The dense cases of a batch of `columns`, their weights or None, their numbers or None."""
        parts = list(columns)
        index = parts.pop(0) if self._numbered else None
        if isinstance(self.rows, Tensor):
            v = parts.pop(0)
        else:
            assert index is not None
            v = self.rows.gather(index)
        return v, parts[0] if parts else None, index


COMPLETING_STEPS = 20  # of Gibbs sampling, where completions are only looked at


def completed(machine: Machine, v: Tensor, holes: bool, generator: Generator) -> Tensor:
    """Cases with samples in place of their missing values, all made alike."""
    if not holes:
        return v
    return clamped_gibbs(machine, v, filled(machine, v), COMPLETING_STEPS, generator)[0]


class Completions:
    """The values that stand for the missing ones of all cases, moved on by Gibbs sampling whenever these are used.

    Parameters
    ----------
    given : (n, n_visible) with NaN for missing values
    state : (n, n_visible), the cases with their missing values; written at the end of each step
    """

    def __init__(self, given: Tensor, state: Tensor) -> None:
        self.given, self.state = given, state
        self._noted: tuple[Tensor, Tensor] | None = None

    def begin(self, machine: Machine) -> None:
        """Put E[v | h = 0] in place of all missing values."""
        self.state.array.assign(filled(machine, self.given).array)

    def take(self, index: Tensor) -> Tensor:
        """The completed cases of these numbers."""
        return ops.gather(self.state, index)

    def note(self, index: Tensor, completed: Tensor) -> None:
        """Have new completions of these cases, which are kept if the step is made."""
        self._noted = index, completed

    def keep(self) -> None:
        """Make what was noted the state."""
        assert self._noted is not None
        (index, completed), self._noted = self._noted, None
        self.state.array.device.assign_rows(self.state.array, index.array, completed.array)


def squared_error(v: Tensor, restored: Tensor, given: Tensor | None, weight: Tensor | None) -> Tensor:
    """Σ over the cases, weighed, of Σ (v − restored)² over the values that are given."""
    square = ops.squared_error(v, restored)
    if given is not None:
        square = square * observed(given)
    of_cases = ops.sum(square, 1)
    return ops.sum(of_cases if weight is None else of_cases * weight)
