"""Restricted Boltzmann machine."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ... import ops
from ...ops import Generator
from ...ops.creation import is_number
from ...tensor import Tensor, tensor, tensor_at
from ...train import register
from ..base import Array, Model, check_share, flag, not_negative, sizes
from .clamping import Clamping
from .contrastive import check_steps
from .diagnostics import Diagnostics
from .learning import Learning
from .likelihood import Likelihoods
from .machine import Machine
from .sparse import SparseCases, is_sparse
from .streaming import Streaming
from .tempering import Ladder, Replicas, Tempered, check_ladder
from .terms import Terms

_SAMPLE_STREAM = 2**33 + 2  # beyond the streams of Model


@register
class RBM(Learning, Streaming, Tempered, Clamping, Diagnostics, Likelihoods, Model):
    """p(v, h) ∝ exp(b·v + c·h + v W h), for binary v and h, learned by contrastive divergence.

    Data of Bernoulli units may also be probabilities in [0, 1], such as grey values. With other units the energy is
    that of `dlcore.models.machine.Machine`: softmax groups take values that add to 1, Gaussian units any numbers.

    Parameters
    ----------
    n_visible, n_hidden : int
    k : int >= 1, Gibbs steps for each gradient
    persistent : whether the chains go on from step to step (PCD) instead of starting at the data (CD)
    n_chains : int >= 1, number of persistent chains
    weight_std : standard deviation >= 0 of the initial weights
    seed : int in [0, 2⁶⁴): decides the initial weights, the order of the cases and all samples
    dtype : "float32" or "float64"
    visible : kinds of the visible units: "bernoulli", "gaussian", "softmax" (one group of all units) or "softmax:g"
        (groups of g) for all; or a list of (kind, units), in order, such as [("bernoulli", 500), ("softmax", 10)]
    hidden : "bernoulli", or "gaussian": real values of unit variance
    sigma : "learned", from 1 and not below 0.1, or a number > 0 that stays: the Gaussian visible units' σ
    centered : whether gradients are centred
    offset_rate : in [0, 1]: by how much a gradient moves the offsets of the centred units to its cases' means
    sparsity_target : in [0, 1]: the mean that Bernoulli hidden units are drawn to, or None
    sparsity_cost : >= 0, how strongly
    sparsity_decay : in [0, 1], share of the running mean that each gradient keeps
    tempering : inverse temperatures that fall from 1, or how many from 1 to 0: each persistent chain is one of several
        replicas that exchange their states (parallel tempering), and the gradient takes those at 1. Implies persistent

    Attributes
    ----------
    chains : Tensor (n_chains, n_hidden), with tempering (temperatures, n_chains, n_hidden), hidden states of the
        persistent chains, or None before the first gradient; a checkpoint and a copy keep them, the model's file does
        not

    References
    ----------
    Hinton (2002), Training products of experts by minimizing contrastive divergence; Tieleman (2008), Training
    restricted Boltzmann machines using approximations to the likelihood gradient; Hinton (2010), A practical guide to
    training restricted Boltzmann machines; Cho, Ilin, Raiko (2011), Improved learning of Gaussian-Bernoulli restricted
    Boltzmann machines; Melchior, Fischer, Wiskott (2016), How to center deep Boltzmann machines; Lee, Ekanadham, Ng
    (2008), Sparse deep belief net model for visual area V2; Desjardins, Courville, Bengio, Vincent, Delalleau (2010),
    Tempered Markov chain Monte Carlo for training of restricted Boltzmann machines; Cho, Raiko, Ilin (2010), Parallel
    tempering is efficient for learning restricted Boltzmann machines.
    """

    def __init__(
        self,
        n_visible: int,
        n_hidden: int,
        k: int = 1,
        persistent: bool = False,
        n_chains: int = 100,
        weight_std: float = 0.01,
        seed: int = 0,
        dtype: str = "float32",
        visible: str | Sequence[tuple[str, int]] = "bernoulli",
        hidden: str = "bernoulli",
        sigma: str | float = "learned",
        centered: bool = False,
        offset_rate: float = 0.01,
        sparsity_target: float | None = None,
        sparsity_cost: float = 0.1,
        sparsity_decay: float = 0.9,
        tempering: int | Sequence[float] | None = None,
    ) -> None:
        who = type(self).__name__
        n_visible, n_hidden = sizes([n_visible, n_hidden], who, "(n_visible, n_hidden)", 2)
        k, n_chains = check_steps(k, f"{who}: k"), check_steps(n_chains, f"{who}: n_chains")
        flag(who, persistent=persistent, centered=centered)
        not_negative(who, weight_std=weight_std, sparsity_cost=sparsity_cost)
        check_share(who, offset_rate=offset_rate, sparsity_decay=sparsity_decay)
        if sparsity_target is not None:
            check_share(who, sparsity_target=sparsity_target)
            if hidden != "bernoulli":
                raise ValueError(f"{who}: sparsity_target is given for {hidden} hidden units, expected bernoulli ones")
        if sigma != "learned" and (isinstance(sigma, str) or not is_number(sigma) or not 0 < sigma < math.inf):
            raise ValueError(f"{who}: sigma is {sigma!r}, expected 'learned' or a finite number above 0")
        first = 1.0 if isinstance(sigma, str) else float(sigma)
        machine = Machine(n_visible, n_hidden, weight_std, visible, hidden, first)
        ladder = check_ladder(tempering, who)
        config = {
            "n_visible": n_visible,
            "n_hidden": n_hidden,
            "k": k,
            "persistent": persistent,
            "n_chains": n_chains,
            "weight_std": weight_std,
            "seed": seed,
            "dtype": dtype,
            "visible": visible if isinstance(visible, str) else [list(part) for part in visible],
            "hidden": hidden,
            "sigma": sigma,
            "centered": centered,
            "offset_rate": offset_rate,
            "sparsity_target": sparsity_target,
            "sparsity_cost": sparsity_cost,
            "sparsity_decay": sparsity_decay,
            "tempering": tempering,
        }
        super().__init__(config, machine, (n_visible,))
        self.n_visible, self.n_hidden, self.k, self.n_chains = n_visible, n_hidden, k, n_chains
        self.ladder: Ladder = ladder or (1.0,)
        self.persistent = bool(persistent) or ladder is not None
        self.chains: Tensor | None = None
        self.replicas: Replicas | None = None
        self.stream = None
        self.terms = Terms(
            offset_rate=float(offset_rate),
            sparsity_target=0.0 if sparsity_target is None else float(sparsity_target),
            sparsity_cost=float(sparsity_cost),
            sparsity_decay=float(sparsity_decay),
            fixed_variance=sigma != "learned",
        )
        self.sample_generator = Generator(seed).split(_SAMPLE_STREAM)
        self.label = who  # what a fit's progress is called

    @classmethod
    def of_machine(cls, machine: Machine, fit: Generator, sample: Generator, **config: Any) -> RBM:
        """An RBM on a larger model's machine, which has its parameters already, and generators; all are shared."""
        rbm = cls(machine.n_visible, machine.n_hidden, **config)
        rbm._network, rbm._is_built, rbm.fit_generator, rbm.sample_generator = machine, True, fit, sample
        return rbm

    @property
    def machine(self) -> Machine:
        """The network."""
        network = self.network
        assert isinstance(network, Machine)
        return network

    @property
    def generators(self) -> dict[str, Generator]:
        return super().generators | {"sample": self.sample_generator}

    def own_tensors(self) -> Iterator[Tensor]:
        replicas = self.replicas
        ladder = () if replicas is None else (replicas.betas, replicas.states, replicas.accepted)
        kept = (self.chains, self.terms.offsets, self.terms.activity, *ladder)
        return (x for x in kept if x is not None)

    def __getstate__(self) -> dict[str, Any]:
        kept = {"chains": self.chains, "offsets": self.terms.offsets, "activity": self.terms.activity}
        arrays = {name: None if x is None else x.numpy() for name, x in kept.items()}
        return super().__getstate__() | arrays | {"stream": self.stream_state()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        kept = {name: state.get(name) for name in ("chains", "offsets", "activity")}
        found = {name: None if x is None else tensor(x) for name, x in kept.items()}
        self.chains, self.terms.offsets, self.terms.activity = found["chains"], found["offsets"], found["activity"]
        self.replicas = None
        self.restore_stream(state.get("stream"))

    # --- learning ---

    def fit_transform(self, x: Any, y: Any = None, **arguments: Any) -> Array:
        """The features of `transform` of the cases that `fit` has learned from, with the arguments of `fit`."""
        self.fit(x, y, **arguments)
        return self.transform(x)

    # --- using ---

    def transform(self, x: Any, batch_size: int = 1024) -> Array:
        """p(h = 1 | v) of cases (n, n_visible), dense or sparse: features (n, n_hidden)."""
        return self._by_blocks(self.machine, x, "transform", batch_size)

    def inverse_transform(self, h: Any, batch_size: int = 1024) -> Array:
        """p(v = 1 | h) of hidden states or probabilities (n, n_hidden): (n, n_visible)."""
        machine = self.machine
        return self.map_batches(machine.visible, self._hidden(h, "inverse_transform"), batch_size)

    def reconstruct(self, x: Any, batch_size: int = 1024) -> Array:
        """p(v = 1 | h) with h = p(h = 1 | x), (n, n_visible): there and back without sampling."""
        machine = self.machine
        return self.map_batches(lambda v: machine.visible(machine(v)), self._check(x, "reconstruct"), batch_size)

    def gibbs(self, v: Any, k: int = 1) -> Array:
        """A sample of v (n, n_visible) after k >= 1 steps v → h → v of Gibbs sampling."""
        cases = self._check(v, "gibbs")
        return self.machine.gibbs(cases, check_steps(k, "gibbs: k"), self.sample_generator)[0].numpy()

    def sample(self, n: int, steps: int = 1000, start: Any = None, binary: bool = False) -> Array:
        """n fantasies (n, n_visible) after `steps` >= 1 steps of Gibbs sampling.

        Parameters
        ----------
        start : (n, n_visible), where the chains begin; by default v ~ sigmoid(b)
        binary : whether to return states in {0, 1} instead of the probabilities they were drawn from
        """
        (n,) = sizes([n], "sample", "n", 1)
        machine, generator = self.machine, self.sample_generator
        steps = check_steps(steps, "sample: steps")
        if start is None:
            off = ops.zeros((n, self.n_hidden), self.dtype)
            v = machine.sample_visible(off, generator)
        else:
            v = self._check(start, "sample: start")
            if v.shape[0] != n:
                raise ValueError(f"sample: start has {v.shape[0]} cases, expected {n}")
        return machine.gibbs(v, steps, generator)[0 if binary else 1].numpy()

    def free_energy(self, v: Any) -> Array:
        """F(v) = −b·v − Σ softplus(c + v W), (n,), in nats; lower is more probable."""
        return self._by_blocks(self.machine.free_energy, v, "free_energy", 2**62)

    def energy(self, v: Any, h: Any) -> Array:
        """E(v, h) = −b·v − c·h − v W h of pairs of rows, (n,)."""
        visible, hidden = self._check(v, "energy"), self._hidden(h, "energy")
        if visible.shape[0] != hidden.shape[0]:
            raise ValueError(f"energy: v has {visible.shape[0]} rows, h has {hidden.shape[0]}")
        return self.machine.energy(visible, hidden).numpy()

    def _by_blocks(self, function: Callable[[Tensor], Tensor], x: Any, who: str, batch_size: int) -> Array:
        """A function of cases, dense or sparse, so many at a time."""
        if not is_sparse(x):
            return self.map_batches(function, self._check(x, who), batch_size)
        rows = SparseCases.of(x, self.n_visible, who, self.dtype)
        rows.require(self.machine, who)
        parts = [self.map_batches(function, block, batch_size) for _, block in rows.blocks()]
        return np.concatenate(parts) if parts else self.map_batches(function, rows.rows(0, 0), batch_size)

    def _check(self, x: Any, who: str) -> Tensor:
        cases = self.as_cases(x, who)
        self.machine.require_visible(cases, who, "x")
        return cases

    def _hidden(self, h: Any, who: str) -> Tensor:
        states = ops.cast(tensor_at(h, self.parameters.storage, f"{who}: h"), self.dtype)
        if states.ndim != 2 or states.shape[1] != self.n_hidden:
            raise ValueError(f"{who}: h has shape {states.shape}, expected (n, {self.n_hidden})")
        self.machine.require_hidden(states, who, "h")
        return states
