"""How well the persistent chains of an RBM mix, told from their free energies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...ops import Generator
from ...tensor import Tensor
from ..base import Array
from .contrastive import check_steps
from .machine import Machine
from .mixing import LEAST_DRAWS, effective_sample_size, r_hat
from .tempering import Ladder
from .watching import copied, draw_free_energies


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
            v = self._check(start, f"{who}: start")
            ladder, chains = (1.0,), self.machine.sample_hidden(v, self.sample_generator)
        if chains is None:
            raise ValueError(f"{who}: there are no persistent chains before the first gradient; give a start")
        found = draw_free_energies(self.machine, copied(ladder, chains), draws, thin, self.sample_generator)
        return ChainDiagnostics(r_hat(found), effective_sample_size(found), effective_sample_size(found, "tail"), found)
