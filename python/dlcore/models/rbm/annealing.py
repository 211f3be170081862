"""Annealed importance sampling of the partition function of a restricted Boltzmann machine; see ``csrc/rbm.h``."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ... import ops
from ...ops import Generator
from ...tensor import Tensor, tensor, tensor_at
from ..base import Array
from .machine import Machine

_PIECE = 10**8  # multiply-adds in a native call: a tenth of a second, so that Ctrl-C is answered
_DRAW = 50  # what a unit's draw takes in this measure


@dataclass(frozen=True)
class AISResult:
    """An estimate of log Z by annealed importance sampling.

    Attributes
    ----------
    log_z : estimate in nats; log Z_base + log mean(w) forward, log Z_base − log mean(w) in reverse. Its expectation is
        at most log Z forward, and at least log Z in reverse where the starts were drawn from the model
    standard_error : of log_z, sd(w) / (mean(w) √n) by the delta method; honest only where `ess` is not small
    ess : effective sample size (Σ w)² / Σ w², from 1 to n
    log_weights : (n,) float64, log w of each chain
    log_z_base : log Z of the base, exact
    steps : number of annealing steps
    reverse : whether the chains went from the model to the base
    """

    log_z: float
    standard_error: float
    ess: float
    log_weights: Array
    log_z_base: float
    steps: int
    reverse: bool

    @classmethod
    def of_weights(cls, log_weights: Array, log_z_base: float, steps: int, reverse: bool) -> AISResult:
        """The estimate from each chain's log w (n >= 2,)."""
        largest = float(log_weights.max())
        weights = np.exp(log_weights - largest)
        mean, n = float(weights.mean()), len(weights)
        log_mean = largest + math.log(mean)
        return cls(
            log_z=log_z_base + (-log_mean if reverse else log_mean),
            standard_error=float(weights.std(ddof=1)) / (mean * math.sqrt(n)),
            ess=float(weights.sum() ** 2 / (weights**2).sum()),
            log_weights=log_weights,
            log_z_base=log_z_base,
            steps=steps,
            reverse=reverse,
        )


def check_betas(betas: Any, who: str) -> Array:
    """Inverse temperatures from 0 to 1, (steps + 1,) float64; a number of steps makes them equidistant.

    Raises
    ------
    ValueError
    """
    if isinstance(betas, (int, np.integer)) and not isinstance(betas, bool):
        if not 1 <= betas < 2**31:
            raise ValueError(f"{who}: betas is {betas}, expected at least one step, fewer than 2**31")
        return np.linspace(0.0, 1.0, int(betas) + 1)
    try:
        found = np.array(betas, dtype=np.float64)
    except (TypeError, ValueError):
        found = np.empty(0)
    rising = found.ndim == 1 and len(found) >= 2 and bool((np.diff(found) > 0).all())
    if not rising or found[0] != 0 or found[-1] != 1:
        raise ValueError(f"{who}: betas is {betas!r}, expected a number of steps or numbers that rise from 0 to 1")
    return found


def base_bias(machine: Machine, base: Any, who: str) -> Tensor:
    """Visible biases (n_visible,) of the machine without weights that annealing begins at.

    Parameters
    ----------
    base : "visible_bias", those of the machine itself; "uniform", 0; (n_visible,), biases; (n >= 1, n_visible), cases
        whose base rates p = (Σ v + 1) / (n + 2) give log(p / (1 − p))

    Raises
    ------
    ValueError
    """
    if isinstance(base, str):
        if base not in ("visible_bias", "uniform"):
            raise ValueError(f"{who}: base is {base!r}, expected 'visible_bias', 'uniform', biases or cases")
        if base == "visible_bias":
            return machine.visible_bias
        return ops.zeros((machine.n_visible,), machine.weight.dtype, machine.device)
    given = ops.cast(tensor_at(base, machine.weight, f"{who}: base"), machine.weight.dtype)
    if given.ndim not in (1, 2) or given.shape[-1] != machine.n_visible or given.shape[0] == 0:
        raise ValueError(
            f"{who}: base has shape {given.shape}, expected ({machine.n_visible},) or (n, {machine.n_visible})"
        )
    if not given.array.device.all_finite(given.array):
        raise ValueError(f"{who}: base has numbers that are not finite")
    if given.ndim == 1:
        return given
    values = given.numpy()
    if values.min() < 0 or values.max() > 1:
        raise ValueError(f"{who}: base has cases with values from {values.min()} to {values.max()}, expected [0, 1]")
    rate = (values.sum(0, dtype=np.float64) + 1.0) / (len(values) + 2.0)
    return tensor(np.log(rate) - np.log1p(-rate), machine.weight.dtype, machine.device)


def anneal(machine: Machine, v: Tensor, base: Tensor, betas: Array, generator: Generator) -> Array:
    """log w (n,) of chains that begin at v (n, n_visible) and follow the betas, which rise or fall; v is overwritten.

    The native calls are of so many steps that Ctrl-C is answered between them; they have the bits of one call.
    """
    n, steps = v.shape[0], len(betas) - 1
    device = v.array.device
    log_weights = tensor(np.zeros(n))
    work = n * (2 * machine.n_visible * machine.n_hidden + _DRAW * (machine.n_visible + machine.n_hidden)) + 10**4
    at_once = max(1, 2 * _PIECE // work)
    for first in range(0, steps, at_once):
        piece = tensor(betas[first : first + at_once + 1], device=machine.device)
        device.rbm_ais(
            v.array, machine.weight.array, machine.visible_bias.array, machine.hidden_bias.array, base.array,
            piece.array, generator.key, (generator.step + 2 * first) % 2**64, log_weights.array,
        )  # fmt: skip
    generator.take(2 * steps)
    return log_weights.numpy()


def log_z_of_base(machine: Machine, base: Tensor) -> float:
    """log Z of the machine at β = 0: n_hidden log 2 + Σ softplus(base)."""
    return machine.n_hidden * math.log(2) + float(np.logaddexp(0, base.numpy().astype(np.float64)).sum())


def base_samples(machine: Machine, n: int, base: Tensor, generator: Generator) -> Tensor:
    """n independent v ~ sigmoid(base)."""
    probabilities = ops.broadcast_to(ops.sigmoid(base), (n, machine.n_visible))
    return ops.bernoulli(generator, probabilities)
