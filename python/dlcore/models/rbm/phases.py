"""A contrastive gradient by its two phases: weights, missing values and tempering beside CD and PCD."""

from __future__ import annotations

from dataclasses import dataclass

from ... import ops
from ...ops import Generator
from ...tensor import Tensor
from .cases import squared_error
from .machine import Machine
from .tempering import Replicas
from .terms import Terms


@dataclass
class Phases:
    """The gradient of the mean of −log p(v): the model's statistics less those of the data, with the terms.

    The statistics of case i count weight_i / n in the data, and in CD so do those of the chain that begins there.
    Chains that stand for the model by themselves count Σ weight / n together.

    Parameters
    ----------
    k : Gibbs steps of the chains
    generator : of all samples
    replicas : persistent chains, tempered or at one temperature; None: CD
    terms : see `dlcore.models.terms.Terms`
    """

    machine: Machine
    k: int
    generator: Generator
    replicas: Replicas | None
    terms: Terms

    def gradient(
        self,
        v: Tensor,
        weight: Tensor | None = None,
        given: Tensor | None = None,
        weight_decay: float = 0.0,
        scaled_steps: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """The gradient, with θ's layout, and for CD the weighed mean of Σ (v − E[v | h])² over the values given.

        Parameters
        ----------
        v : (n >= 1, n_visible), complete
        weight : (n,), None: 1 for all
        given : (n, n_visible), NaN where v was not given
        weight_decay, scaled_steps : see `dlcore.models.machine.Machine.contrast` and ``csrc/rbm.h``
        """
        machine, n = self.machine, v.shape[0]
        dtype = v.dtype.name
        share = ops.full((n,), 1.0 / n, dtype, v.device) if weight is None else weight * (1.0 / n)
        error = None
        if self.replicas is None:
            chain, means = machine.gibbs(v, 1, self.generator)
            error = squared_error(v, means, given, share)
            if self.k > 1:
                chain, _ = machine.gibbs(chain, self.k - 1, self.generator)
            mirrored = share
        else:
            chain = self.replicas.advance(machine, self.k, self.generator)
            each, shape = 1.0 / chain.shape[0], (chain.shape[0],)
            mirrored = (
                ops.full(shape, each, dtype, v.device)
                if weight is None
                else ops.broadcast_to(ops.sum(share) * each, shape)
            )
        rows, weights = ops.concatenate([v, chain], 0), ops.concatenate([ops.negative(share), mirrored], 0)
        gradient = v.array.device.rbm_statistics(
            rows.array, weights.array, machine.weight.array, machine.visible_bias.array, machine.hidden_bias.array,
            machine.native_units, data=n, weight_decay=weight_decay, **self.terms.arguments(scaled_steps),
        )  # fmt: skip
        return Tensor(gradient), error
