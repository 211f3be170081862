"""Sampling of some units given the others, row by row, and the filling of missing values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ... import ops
from ...ops import Generator
from ...tensor import Tensor, tensor
from ..base import Array
from .contrastive import check_steps
from .holes import clamped_gibbs, filled, observed, require_given
from .machine import Machine

FILLS = ("mean", "sample")


class Clamping:
    """The methods of an RBM that sample some units given others; a part of `dlcore.models.RBM`."""

    sample_generator: Generator

    if TYPE_CHECKING:  # of RBM

        @property
        def machine(self) -> Machine: ...
        def as_cases(self, x: Any, who: str, to_read: bool = False) -> Tensor: ...

    def sample_clamped(
        self, values: Any, mask: Any = None, steps: int = 1000, start: Any = None, binary: bool = True
    ) -> Array:
        """Samples of p(v_free | v_held), one for each row of `values`, (n, n_visible), by Gibbs sampling.

        Parameters
        ----------
        values : (n, n_visible); without a mask, NaN marks the free units
        mask : (n, n_visible) or (n_visible,) of bool: which units of which rows are held at their values
        steps : int >= 1, after which the chains are taken to have forgotten their start
        start : (n, n_visible), where the free units begin; by default at E[v | h = 0]
        binary : whether free units are given as samples, or as the means that these were drawn from

        Raises
        ------
        TypeError, ValueError
            For arguments that do not fit: a softmax group is held as a whole or not at all.
        """
        who = "sample_clamped"
        machine = self.machine
        given = self._given(values, mask, who)
        steps = check_steps(steps, f"{who}: steps")
        state = filled(machine, given)
        if start is not None:
            begin = self.as_cases(start, f"{who}: start")
            if begin.shape != given.shape:
                raise ValueError(f"{who}: start has shape {begin.shape}, expected {given.shape}")
            machine.require_visible(begin, f"{who}: start", "x")
            state = ops.where(observed(given), given, begin)
        return clamped_gibbs(machine, given, state, steps, self.sample_generator)[0 if binary else 1].numpy()

    def impute(self, x: Any, fill: str = "mean", steps: int = 100, draws: int = 100) -> Array:
        """x (n, n_visible) with its NaN filled: E[v_missing | v_observed], or a sample of it.

        The mean is that of the units' means over `draws` Gibbs steps after the first `steps`: it needs fewer steps than
        a mean of samples.

        Parameters
        ----------
        fill : "mean" or "sample"
        steps : int >= 1, Gibbs steps from E[v | h = 0]
        draws : int >= 1, further steps that a mean is made of

        Raises
        ------
        TypeError, ValueError
            For arguments that do not fit: a softmax group is missing as a whole or not at all.
        """
        if fill not in FILLS:
            raise ValueError(f"impute: fill is {fill!r}, expected {' or '.join(map(repr, FILLS))}")
        machine, generator = self.machine, self.sample_generator
        given = self._given(x, None, "impute")
        steps, draws = check_steps(steps, "impute: steps"), check_steps(draws, "impute: draws")
        samples, means = clamped_gibbs(machine, given, filled(machine, given), steps, generator)
        if fill == "sample":
            return samples.numpy()
        total = np.zeros(means.shape)
        for _ in range(draws):
            samples, means = clamped_gibbs(machine, given, samples, 1, generator)
            total += means.numpy()
        known = given.numpy()
        return np.where(np.isnan(known), (total / draws).astype(known.dtype), known)

    def _given(self, x: Any, mask: Any, who: str) -> Tensor:
        """Values with NaN where they are free, checked."""
        given = self.as_cases(x, who)
        if mask is not None:
            held = np.asarray(mask)
            if held.dtype != np.bool_ or held.shape not in (given.shape, given.shape[1:]):
                raise ValueError(
                    f"{who}: mask is {held.dtype} of shape {held.shape}, expected bool of {given.shape} or "
                    f"{given.shape[1:]}"
                )
            values = given.numpy()
            if np.isnan(values[np.broadcast_to(held, values.shape)]).any():
                raise ValueError(f"{who}: values has NaN for a unit that mask holds")
            given = tensor(np.where(held, values, np.nan), given.dtype)
        require_given(self.machine, given, who, "x")
        return given
