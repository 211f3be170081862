"""How well the persistent chains of an RBM mix, told from their free energies; what a fit may watch beside its errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..ops import Generator
from ..tensor import Tensor, tensor
from .base import Array
from .contrastive import check_steps
from .machine import Machine
from .mixing import LEAST_DRAWS, effective_sample_size, r_hat
from .tempering import Ladder, Replicas

WATCHED_DRAWS = 50  # of each chain, after an epoch


@dataclass(frozen=True)
class ChainDiagnostics:
    """What draws of the free energy say about chains.

    Attributes
    ----------
    r_hat : see `dlcore.models.r_hat`; above 1.01 the chains do not agree
    ess_bulk, ess_tail : see `dlcore.models.effective_sample_size`, of all chains together
    free_energy : (n_chains, draws), F(v) in nats
    """

    r_hat: float
    ess_bulk: float
    ess_tail: float
    free_energy: Array


def draw_free_energies(machine: Machine, replicas: Replicas, draws: int, thin: int, generator: Generator) -> Array:
    """F(v) of the chains after each `thin` steps, (n_chains, draws) float64; moves the replicas on."""
    found = np.empty((replicas.states.shape[1], draws))
    for i in range(draws):
        found[:, i] = machine.free_energy(replicas.advance(machine, thin, generator)).numpy()
    return found


def copied(ladder: Ladder, chains: Tensor) -> Replicas:
    """Replicas at the states of chains (n_chains, n_hidden), or (temperatures, n_chains, n_hidden), which stay."""
    states = tensor(chains.numpy())
    return Replicas(ladder, Tensor(states.array.view(0, (len(ladder), *states.shape[-2:]))))


def watched_chains(machine: Machine, ladder: Ladder, chains: Tensor, generator: Generator) -> tuple[float, float]:
    """R̂ and bulk effective sample size of `WATCHED_DRAWS` draws of F by copies of the chains."""
    draws = draw_free_energies(machine, copied(ladder, chains), WATCHED_DRAWS, 1, generator)
    return r_hat(draws), effective_sample_size(draws)


class Diagnostics:
    """The methods of an RBM that look at its chains; a part of `dlcore.models.RBM`."""

    sample_generator: Generator
    chains: Tensor | None

    if TYPE_CHECKING:  # of RBM

        @property
        def machine(self) -> Machine: ...
        @property
        def ladder(self) -> Ladder: ...
        def _check(self, x: Any, who: str) -> Tensor: ...

    def chain_diagnostics(self, draws: int = 200, thin: int = 1, start: Any = None) -> ChainDiagnostics:
        """R̂ and effective sample sizes of the free energy F(v) of the persistent chains.

        Copies of the chains are run on with the parameters as they are; the chains themselves stay where they are. With
        tempering the draws are those at β = 1.

        Parameters
        ----------
        draws : int >= 4, for each chain
        thin : int >= 1, Gibbs steps to a draw
        start : (n_chains, n_visible), cases where chains begin, for a model that has none

        Raises
        ------
        ValueError
            For arguments that do not fit, and where there are neither chains nor a start.

        References
        ----------
        Vehtari, Gelman, Simpson, Carpenter, Bürkner (2021), Rank-normalization, folding, and localization: an improved
        R̂ for assessing convergence of MCMC.
        """
        who = "chain_diagnostics"
        draws, thin = check_steps(draws, f"{who}: draws"), check_steps(thin, f"{who}: thin")
        if draws < LEAST_DRAWS:
            raise ValueError(f"{who}: draws is {draws}, expected at least {LEAST_DRAWS}")
        ladder, chains = self.ladder, self.chains
        if start is not None:
            ladder, chains = (1.0,), self.machine.sample_hidden(self._check(start, f"{who}: start"), self.sample_generator)
        if chains is None:
            raise ValueError(f"{who}: there are no persistent chains before the first gradient; give a start")
        found = draw_free_energies(self.machine, copied(ladder, chains), draws, thin, self.sample_generator)
        return ChainDiagnostics(
            r_hat(found), effective_sample_size(found), effective_sample_size(found, "tail"), found
        )
