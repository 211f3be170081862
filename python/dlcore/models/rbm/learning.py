"""Fitting a restricted Boltzmann machine: from the arguments to cases and steps."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from ... import ops, train
from ...ops import Generator
from ...tensor import Tensor, tensor
from ...train import Callback, EarlyStopping, History, Run
from ..fitting import EarlyStoppingLike, check_weights
from .cases import Cases, Completions
from .contrastive import Momentum, Steps, default_rate, prepare
from .holes import require_given
from .machine import Machine
from .phases import Phases
from .sparse import SparseCases, is_sparse
from .tempering import Ladder, Replicas, fresh_states
from .terms import Terms
from .watching import MONITORED, check_watch, figure_names, shared

CHAIN_STREAM, MONITOR_STREAM = 2**33 + 3, 2**33 + 4  # beyond the streams of Model
MISSING = ("error", "nan")
MOST_SPREAD = 5.0  # standard deviations of Gaussian data beyond which, or below its reciprocal, a fit warns


def warn_of_scale(machine: Machine, cases: Cases) -> None:
    """Warn of Gaussian units whose data are far from standardised: σ begins at 1, and steps are for that."""
    if not machine.n_gaussian:
        return
    values = cases.head(cases.count if isinstance(cases.rows, Tensor) else MONITORED).numpy()
    for kind, begin, end, _ in machine.units:
        if kind != "gaussian":
            continue
        part = values[:, begin:end]
        spread = np.nanstd(np.where(np.isnan(part).all(0), 0.0, part), 0, dtype=np.float64)
        odd = np.flatnonzero((spread > MOST_SPREAD) | ((spread < 1 / MOST_SPREAD) & (spread > 0)))
        if len(odd):
            warnings.warn(
                f"fit: the data of the gaussian unit {begin + odd[0]} have the standard deviation "
                f"{spread[odd[0]]:.3g}; standardise them (mean 0, standard deviation 1), for which the default steps "
                "are made",
                stacklevel=3,
            )
            return


class Learning:
    """The methods of an RBM that learn; a part of `dlcore.models.RBM`."""

    config: dict[str, Any]
    chains: Tensor | None
    fit_generator: Generator
    k: int
    label: str
    ladder: Ladder
    n_chains: int
    n_hidden: int
    persistent: bool
    replicas: Replicas | None
    stream: Any
    terms: Terms

    if TYPE_CHECKING:  # of RBM and Model

        @property
        def machine(self) -> Machine: ...
        @property
        def dtype(self) -> str: ...
        def as_cases(self, x: Any, who: str, to_read: bool = False) -> Tensor: ...

    def cd_gradient(self, v: Any, sample_weight: Any = None) -> Tensor:
        """The CD-k (or PCD-k) estimate of ∇ Σ w (−log p(v)) / Σ w, a value with θ's layout for one ``optimizer.step``.

        θ is [W row by row, visible biases, hidden biases]: the negative of ⟨v h⟩_data − ⟨v h⟩_chain, and so on. Visible
        units of the chains are sampled throughout, so that the mean is exactly that of the k-step Markov chain. With
        tempering the chains are those at β = 1.

        Parameters
        ----------
        v : (n, n_visible), at least one case, dense or a SciPy sparse matrix, values that the units can have
        sample_weight : (n,), finite and >= 0, w of each case: as if it were there so many times
        """
        cases = self.fit_cases(v, "cd_gradient", sample_weight)
        if cases.count == 0:
            raise ValueError("cd_gradient: there are no cases")
        rows, terms, chains = cases.head(cases.count), self._terms(cases), self._chains()
        if cases.weight is None and len(self.ladder) == 1:
            return self.machine.contrast(rows, self.k, self.fit_generator, chains, terms)[0]
        replicas = self.replicas if self.replicas is not None else None if chains is None else shared((1.0,), chains)
        return Phases(self.machine, self.k, self.fit_generator, replicas, terms).gradient(rows, cases.weight)[0]

    def _terms(self, cases: Cases) -> Terms:
        """The terms of the gradient; their state begins at the data's means, λ at that of unbiased units, q at its
        target."""
        terms = self.terms
        if self.config["centered"] and terms.offsets is None:
            total, count = cases.totals()
            hidden = np.full(self.n_hidden, 0.5 if self.machine.hidden == "bernoulli" else 0.0)
            terms.offsets = tensor(np.concatenate([total / np.maximum(count, 1e-300), hidden]), self.dtype)
        if self.config["sparsity_target"] is not None and terms.activity is None:
            terms.activity = ops.full((self.n_hidden,), terms.sparsity_target, self.dtype)
        return terms

    def _chains(self) -> Tensor | None:
        """The persistent chains, begun if there are none yet; None for CD."""
        if self.persistent and self.chains is None:
            generator = Generator(self.config["seed"]).split(CHAIN_STREAM)
            states = fresh_states(self.machine, len(self.ladder), self.n_chains, generator)
            self.chains = states if len(self.ladder) > 1 else Tensor(states.array.view(0, states.shape[1:]))
        if self.chains is not None and len(self.ladder) > 1 and self.replicas is None:
            self.replicas = Replicas(self.ladder, self.chains)
        return self.chains

    def fit_cases(self, x: Any, who: str, sample_weight: Any = None, missing: str = "error") -> Cases:
        """Cases to learn from, checked.

        Raises
        ------
        TypeError, ValueError
            For values that the units cannot have, weights that are not finite or below 0, malformed sparse matrices.
        """
        if missing not in MISSING:
            raise ValueError(f"{who}: missing is {missing!r}, expected {' or '.join(map(repr, MISSING))}")
        rows: Tensor | SparseCases
        if is_sparse(x):
            rows = SparseCases.of(x, self.machine.n_visible, who, self.dtype)
            rows.require(self.machine, who)
        else:
            rows = self.as_cases(x, who)
            if missing == "nan":
                require_given(self.machine, rows, who, "x")
            else:
                self.machine.require_visible(rows, who, "x")
        model: Any = self
        weight = None if sample_weight is None else check_weights(sample_weight, model, rows.shape[0], who)
        return Cases(rows, weight, missing == "nan" and isinstance(rows, Tensor) and not ops.all_finite(rows))

    def steps_of(
        self,
        run: Run,
        cases: Cases,
        batch_size: int,
        ramp: tuple[float, float] | None,
        weight_decay: float,
        shuffle: bool,
        init_visible_bias: bool,
        held: Cases | None = None,
        watch: tuple[str, ...] = (),
    ) -> Steps:
        """The steps of an epoch; what they carry on is the run's state from here."""
        assert run.optimizer is not None
        assert isinstance(cases.rows, Tensor) or not cases.holes
        chains, terms = self._chains(), self._terms(cases)
        run.state = terms.state | ({} if chains is None else {"chains": chains})
        completions = None
        if cases.holes:
            assert isinstance(cases.rows, Tensor)
            completions = Completions(cases.rows, ops.zeros(cases.rows.shape, self.dtype))
            run.state["completions"] = completions.state
        steps = Steps(
            self.machine, cases, held, batch_size, run.optimizer, self.k, chains, self.ladder, terms,
            self.fit_generator, Generator(self.config["seed"]).split(MONITOR_STREAM), ramp, float(weight_decay),
            bool(shuffle), bool(init_visible_bias) and not self.machine.visible_bias.numpy().any(), watch, completions,
        )  # fmt: skip
        if steps.is_tempered:
            self.replicas = steps.replicas
        return steps

    def fit(
        self,
        x: Any,
        y: Any = None,
        *,
        epochs: int = 10,
        batch_size: int = 100,
        optimizer: train.OptimizerLike = "sgd",
        lr: train.LearningRate | None = None,
        schedule: str = "constant",
        momentum: Momentum = None,
        weight_decay: float = 2e-4,
        init_visible_bias: bool = True,
        sample_weight: Any = None,
        missing: str = "error",
        validation_data: Any = None,
        early_stopping: EarlyStoppingLike = None,
        watch: str | Iterable[str] = (),
        callbacks: Iterable[Callback] = (),
        progress: bool | None = None,
        shuffle: bool = True,
        resume: str | os.PathLike[str] | None = None,
        **options: Any,
    ) -> History:
        """Learn from cases; a second fit goes on from the parameters there are, with a fresh optimizer.

        Parameters
        ----------
        x : (n, n_visible), values that the units can have; dense, or a SciPy sparse matrix or array, of which batches
            are made dense
        y : ignored
        epochs, batch_size, optimizer, schedule, callbacks, progress, shuffle, resume, options :
            see `dlcore.models.fitting.FitOptions`
        lr : by default another optimizer's own, and for "sgd" 0.05, or with Gaussian units in a layer ½ / (n_visible +
            n_hidden), a fifth of it with persistent chains, at most 0.01
        momentum : of "sgd": a number in [0, 1), or two, of which the first holds for 5 epochs; (0.5, 0.9) by default
        weight_decay : λ >= 0; the gradient of ½ λ Σ W² is added, biases are left alone
        init_visible_bias : whether visible biases that are all 0 begin at log(p / (1 − p)), p = (Σ x + 1) / (n + 2)
        sample_weight : (n,), finite and >= 0: a case counts as if it were there so many times, their mean made 1
        missing : "error", or "nan": NaN in x (and the validation data) are missing values, which k steps of Gibbs
            sampling given the others move on before each gradient, from where they were in the epoch before; the
            gradient is that of log p(observed values)
        validation_data : (m, n_visible), cases held out
        early_stopping : an EarlyStopping, or the patience in epochs of one on ``free_energy_gap``
        watch : what else the history has, at the cost of a pass over 1000 cases, or 50 Gibbs steps of the chains, after
            each epoch: "pseudo_log_likelihood", "chains" or both

        Returns
        -------
        History with ``reconstruction_error`` (mean over the cases of Σ (v − p(v | h))²; with persistent chains over the
        first 1000 cases, after the epoch), ``seconds``, and with validation data
        ``validation_reconstruction_error`` and ``free_energy_gap``: the mean free energy of validation data minus that
        of as many training data, which grows when the model overfits, with its standard error
        ``free_energy_gap_error``. With tempering ``swap_rate`` is the lowest share of exchanges that neighbouring
        temperatures made. Watched: ``pseudo_log_likelihood`` of the first 1000 cases; ``r_hat`` and ``ess`` of the free
        energy of the persistent chains

        Raises
        ------
        TypeError, ValueError
            For arguments that do not fit; the model is unchanged then.
        FloatingPointError
            When a parameter is no longer finite; the parameters are those after the last finite epoch.

        References
        ----------
        Hinton (2010), sections 4 to 10.
        """
        cases = self.fit_cases(x, "fit", sample_weight, missing)
        held = None if validation_data is None else self.fit_cases(
            validation_data, "fit: validation_data", missing=missing
        )  # fmt: skip
        if held is not None and held.count == 0:
            raise ValueError("fit: validation_data has no cases")
        what = check_watch(watch, self.machine, self.persistent)
        if not isinstance(callbacks, Iterable):
            raise TypeError(f"fit: callbacks is {callbacks!r}, expected a list of Callback")
        stopping = [] if early_stopping is None else [
            early_stopping
            if isinstance(early_stopping, EarlyStopping)
            else EarlyStopping("free_energy_gap", early_stopping)
        ]  # fmt: skip
        if held is None and any(c.monitor in ("free_energy_gap", "validation_reconstruction_error") for c in stopping):
            raise ValueError(f"fit: early stopping on {stopping[0].monitor!r} needs validation_data")
        model: Any = self
        run, batch_size, ramp = prepare(
            model, cases.count, epochs, batch_size, optimizer, lr, schedule, momentum, weight_decay, shuffle, options,
            default_rate(self.machine, self.persistent),
        )  # fmt: skip
        warn_of_scale(self.machine, cases)
        run.settings |= {"weighed": cases.weight is not None, "missing": cases.holes}
        run.label, run.figures = self.label, figure_names(held is not None, len(self.ladder) > 1, what)
        terms, before = self.terms, (self.chains, self.replicas, self.terms.offsets, self.terms.activity)
        steps = self.steps_of(run, cases, batch_size, ramp, weight_decay, shuffle, init_visible_bias, held, what)
        assert run.optimizer is not None
        try:
            history = train.run_epochs(run, steps, [*stopping, *callbacks], progress, resume)
        except BaseException:
            if run.optimizer.steps == 0:  # refused before the first step: what was begun here is none of the model's
                self.chains, self.replicas, terms.offsets, terms.activity = before
            raise
        self.stream = None
        return history
