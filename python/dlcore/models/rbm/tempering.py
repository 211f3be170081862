"""Parallel tempering: chains at several temperatures that exchange their states; see ``csrc/rbm/chains.h``."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ... import ops
from ...ops import Generator
from ...ops.creation import is_integer
from ...tensor import Tensor, tensor
from ..base import Array, sizes
from .machine import Machine

Ladder = tuple[float, ...]
STEPS = 3  # draws of a generator to a step: v, h, the exchanges


def check_ladder(tempering: Any, who: str) -> Ladder | None:
    """Inverse temperatures that fall from 1; a number of them is spread evenly from 1 to 0; None stays None.

    Raises
    ------
    ValueError
    """
    if tempering is None:
        return None
    if is_integer(tempering) and 2 <= tempering < 2**16:
        return tuple(np.linspace(1.0, 0.0, int(tempering)).tolist())
    found = np.empty(0)
    if not is_integer(tempering):
        try:
            found = np.array(tempering, np.float64)
        except (TypeError, ValueError):
            found = np.empty(0)
    if found.ndim != 1 or len(found) < 2 or found[0] != 1 or not (np.diff(found) < 0).all() or not found[-1] >= 0:
        raise ValueError(
            f"{who}: tempering is {tempering!r}, expected a number of inverse temperatures from 2 to 2**16 - 1, or "
            "several that fall from 1 to 0 or above"
        )
    return tuple(found.tolist())


def base_of_tempering(machine: Machine) -> Tensor:
    """Visible biases at β = 0, (n_visible,): 0 for Bernoulli and softmax units, the machine's own for Gaussian ones."""
    if not machine.n_gaussian:
        return ops.zeros((machine.n_visible,), machine.weight.dtype, machine.device)
    own = np.concatenate([np.full(s.end - s.begin, float(s.kind == "gaussian")) for s in machine.units])
    return machine.visible_bias * tensor(own, machine.weight.dtype, machine.device)


class Replicas:
    """Ensembles of replicas of a machine, and how many exchanges were made of how many tried.

    Parameters
    ----------
    ladder : inverse temperatures that fall from 1; one alone makes the chains of PCD
    states : (temperatures, n_chains, n_hidden), hidden states, changed in place

    Attributes
    ----------
    accepted : (temperatures − 1,) exchanges between neighbours since the last `reset`
    tried : to how many each of them is to be compared
    """

    def __init__(self, ladder: Ladder, states: Tensor) -> None:
        self.betas, self.states = tensor(np.array(ladder), "float64", states.device), states
        self.accepted = ops.zeros((len(ladder) - 1,), "float64", states.device)
        self.tried = 0

    def reset(self) -> None:
        """Count exchanges from here."""
        self.accepted.array.assign(ops.zeros_like(self.accepted).array)
        self.tried = 0

    def count(self, steps: int) -> None:
        """So many steps, replayed or not, were made since the last `reset`."""
        self.tried = steps * self.states.shape[1]

    @property
    def rates(self) -> Array:
        """Share of the exchanges between neighbours that were made, (temperatures − 1,); NaN before the first."""
        return self.accepted.numpy() / (self.tried or math.nan)

    def advance(self, machine: Machine, k: int, generator: Generator) -> Tensor:
        """k steps of all replicas; the visible states (n_chains, n_visible) at β = 1."""
        v = self.states.array.device.rbm_temper(
            self.states.array, machine.weight.array, machine.visible_bias.array, machine.hidden_bias.array,
            base_of_tempering(machine).array, self.betas.array, k, generator.key, generator.step,
            self.accepted.array, machine.native_units,
        )  # fmt: skip
        generator.take(STEPS * k)
        self.tried += k * self.states.shape[1]
        return Tensor(v)


def fresh_states(machine: Machine, replicas: int, n_chains: int, generator: Generator) -> Tensor:
    """Hidden states (replicas, n_chains, n_hidden) of no fields: coins, or normal ones."""
    shape, dtype, device = (replicas, n_chains, machine.n_hidden), machine.weight.dtype.name, machine.device
    if machine.hidden == "gaussian":
        return ops.normal(generator, shape, dtype=dtype, device=device)
    return ops.bernoulli(generator, ops.full(shape, 0.5, dtype, device))


class Tempered:
    """The methods of an RBM that temper its chains; a part of `dlcore.models.RBM`."""

    sample_generator: Generator
    replicas: Replicas | None

    if TYPE_CHECKING:  # of RBM

        @property
        def machine(self) -> Machine: ...

    @property
    def swap_rates(self) -> Array | None:
        """Share of exchanges made between neighbouring temperatures in the last epoch or since; None without tempering.

        Ensembles mix where all of them are well above 0; around 0.2 to 0.6 is good.
        """
        return None if self.replicas is None else self.replicas.rates

    def sample_tempered(self, n: int, steps: int = 1000, tempering: Any = 10) -> Array:
        """n independent fantasies (n, n_visible), states at β = 1 after `steps` steps of parallel tempering.

        Parameters
        ----------
        steps : int >= 1
        tempering : inverse temperatures that fall from 1, or how many, from 1 to 0

        Raises
        ------
        ValueError
            For arguments that do not fit.

        References
        ----------
        Desjardins, Courville, Bengio, Vincent, Delalleau (2010), Tempered Markov chain Monte Carlo for training of
        restricted Boltzmann machines.
        """
        (n,) = sizes([n], "sample_tempered", "n", 1)
        if not is_integer(steps) or not 1 <= steps < 2**31:
            raise ValueError(f"sample_tempered: steps is {steps!r}, expected an integer from 1 to 2**31 - 1")
        ladder = check_ladder(tempering, "sample_tempered")
        if ladder is None:
            raise ValueError("sample_tempered: tempering is None, expected inverse temperatures or their number")
        states = fresh_states(self.machine, len(ladder), n, self.sample_generator)
        return Replicas(ladder, states).advance(self.machine, int(steps), self.sample_generator).numpy()
