"""Contrastive learning of a machine: the steps of an epoch and the figures that are watched."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from inspect import signature
from typing import Any

import numpy as np

from ... import ops, train
from ...ops import Generator
from ...ops.creation import is_integer, is_number
from ...optim import SGD, Optimizer
from ...tensor import Tensor, tensor
from ...train import Run
from ..base import Model, not_negative
from .cases import Cases, Completions
from .holes import clamped_gibbs
from .machine import Machine
from .phases import Phases
from .tempering import Ladder
from .terms import Terms
from .units import Segment, require_values
from .watching import (
    FIGURES,
    HELD_OUT_FIGURES,
    TEMPERED_FIGURES,
    held_out_figures,
    reconstruction_error,
    shared,
    watched_figures,
)

Momentum = float | Sequence[float] | None

RAMP = (0.5, 0.9)  # momentum in the first epochs and after them: Hinton (2010), section 9
RAMP_EPOCHS = 5
_WATCH = 2**32  # beyond the streams of the other figures of an epoch


def require_probabilities(x: Tensor, who: str, name: str) -> None:
    """Raise a ValueError with the first row that has a NaN or a value outside [0, 1]."""
    require_values(x, (Segment("bernoulli", 0, x.shape[-1], 1),), who, name)


def momentum_ramp(momentum: Momentum, optimizer: Any) -> tuple[float, float] | None:
    """Momentum in the first epochs and after; None where the optimizer is not "sgd" and has its own.

    Raises
    ------
    ValueError
        Unless one or two numbers in [0, 1) are given, or None.
    """
    if optimizer != "sgd":
        if momentum is not None:
            raise ValueError("fit: momentum is for the optimizer 'sgd'; give another its own options")
        return None
    several = isinstance(momentum, (Sequence, np.ndarray)) and np.ndim(momentum) == 1
    values: Any = RAMP if momentum is None else tuple(momentum) if several else (momentum, momentum)  # type: ignore[arg-type]
    if len(values) != 2 or not all(is_number(m) and 0 <= m < 1 for m in values):
        raise ValueError(f"fit: momentum is {momentum!r}, expected one or two numbers in [0, 1)")
    return float(values[0]), float(values[1])


def check_steps(k: Any, name: str) -> int:
    """A number of Gibbs steps, or of chains, as an int; ValueError unless it is one."""
    if not is_integer(k) or not 1 <= k < 2**31:
        raise ValueError(f"{name} is {k!r}, expected an integer from 1 to 2**31 - 1")
    return int(k)


def default_rate(machine: Machine, persistent: bool) -> float:
    """The learning rate of a fit by SGD that names none: 0.05 where all units are binary.

    Gaussian units are not bounded, and what a step changes in their means grows with the number of units on the other
    side: at most 0.01, ½ / (n_visible + n_hidden), and a fifth of that for persistent chains, which must keep up.
    """
    if machine.hidden == "bernoulli" and not machine.n_gaussian:
        return 0.05
    return min(0.01, (0.1 if persistent else 0.5) / (machine.n_visible + machine.n_hidden))


def prepare(
    model: Model,
    cases: int,
    epochs: Any = 10,
    batch_size: Any = 100,
    optimizer: train.OptimizerLike = "sgd",
    lr: train.LearningRate | None = None,
    schedule: str = "constant",
    momentum: Momentum = None,
    weight_decay: float = 2e-4,
    shuffle: bool = True,
    options: Mapping[str, Any] | None = None,
    default_lr: float = 0.05,
) -> tuple[Run, int, tuple[float, float] | None]:
    """The run of a contrastive fit, its batch size and its ramp of momentum; see `RBM.fit` for the arguments.

    `default_lr` is that of "sgd".

    Raises
    ------
    TypeError, ValueError
        For arguments that do not fit.
    """
    not_negative("fit", weight_decay=weight_decay)
    batch_size = train.check_batch_size(batch_size, cases)
    batches = -(-cases // batch_size)
    ramp = momentum_ramp(momentum, optimizer)
    given = dict(options or {})
    if ramp is not None:
        given["momentum"] = max(ramp)  # makes SGD keep a velocity
    if isinstance(optimizer, str):
        kinds = (train.OPTIMIZERS.get(optimizer, SGD), Optimizer)
        if any("weight_decay" in signature(kind).parameters for kind in kinds):
            given["weight_decay"] = 0.0  # the fit decays W itself and leaves the biases alone
    if lr is None and optimizer == "sgd":
        lr = default_lr
    total = int(epochs) * batches if is_integer(epochs) else 0  # Run says what is wrong with another
    made = train.make_optimizer(optimizer, model.trained_parameters, lr, given, schedule, total)
    settings = train.fit_settings(cases, batch_size, shuffle, optimizer, lr, given, schedule)
    settings |= {"weight_decay": float(weight_decay), "momentum": ramp if ramp is None else list(ramp)}
    return Run(model, epochs, made, model.generators, None, batches, settings), batch_size, ramp


def initialize_visible_bias(machine: Machine, cases: Cases) -> None:
    """The biases of the machine that has no weights and the data's means: of n cases, with Laplace's rule,

    log(p / (1 − p)) with p = (Σ v + 1) / (n + 2) for Bernoulli units, log p with p = (Σ v + 1) / (n + units) in a
    softmax group, the mean itself for Gaussian units. Missing values are left out, and cases weighed.

    References
    ----------
    Hinton (2010), A practical guide to training restricted Boltzmann machines, section 8.
    """
    total, n = cases.totals()
    bias = np.empty_like(total)
    for kind, begin, end, group in machine.units:
        part, count = total[begin:end], n[begin:end]
        if kind == "gaussian":
            bias[begin:end] = part / np.maximum(count, np.finfo(np.float64).tiny)
        elif kind == "softmax":
            bias[begin:end] = np.log((part + 1.0) / (count + group))
        else:
            mean = (part + 1.0) / (count + 2.0)
            bias[begin:end] = np.log(mean) - np.log1p(-mean)
    machine.visible_bias.array.assign(tensor(bias, machine.visible_bias.dtype).array)


@dataclass
class Steps:
    """An epoch of contrastive steps on a machine.

    Parameters
    ----------
    machine : what learns
    cases : to learn from, checked
    held : checked, cases that are only watched, or None
    k, terms : see `Machine.contrast`
    chains : persistent chains (n_chains, n_hidden), with several temperatures those of each; None: CD
    ladder : inverse temperatures of the chains, (1,) where they are not tempered
    generator : draws the order of the cases and all samples that are learned from
    monitor : gives each epoch a generator for the samples of the figures, so that watching changes nothing
    ramp : momentum for `RAMP_EPOCHS` epochs and after, where the optimizer is SGD
    weight_decay : λ of the penalty ½ λ Σ W²
    biased_start : whether the first epoch begins with `initialize_visible_bias`
    watch : see `dlcore.models.watching.check_watch`
    completions : of the missing values, where there may be some
    """

    machine: Machine
    cases: Cases
    held: Cases | None
    batch_size: int
    optimizer: Optimizer
    k: int
    chains: Tensor | None
    ladder: Ladder
    terms: Terms
    generator: Generator
    monitor: Generator
    ramp: tuple[float, float] | None
    weight_decay: float
    shuffle: bool
    biased_start: bool
    watch: tuple[str, ...] = ()
    completions: Completions | None = None

    def __post_init__(self) -> None:
        self.is_tempered = len(self.ladder) > 1
        self.replicas = None if self.chains is None else shared(self.ladder, self.chains)
        self._batches = _Batches(self)

    def __call__(self, run: Run) -> dict[str, float]:
        """Do the steps; the figures are those of `dlcore.models.watching.figure_names`, but for the seconds.

        Where a number is no longer finite the chains and the terms' state are again those before the epoch, so that the
        parameters of then can be gone on from.
        """
        carried = [*self.terms.state.values(), *([] if self.chains is None else [self.chains])]
        if self.completions is not None:
            carried.append(self.completions.state)
        before = [(x, x.array.copy()) for x in carried]
        theta = self.machine.parameters.storage
        try:
            found = self._steps(run)
            if not ops.all_finite(theta):
                raise FloatingPointError("a parameter is not finite")
        except BaseException as error:
            if isinstance(error, FloatingPointError) or not ops.all_finite(theta):
                for x, values in before:
                    x.array.assign(values)
            raise
        return self._figures(run, found)

    def _steps(self, run: Run) -> float:
        """The mean over the cases of their reconstruction errors, 0 with persistent chains."""
        optimizer, cases = self.optimizer, self.cases
        if run.epoch == 0:
            if self.biased_start:
                initialize_visible_bias(self.machine, cases)
            if self.completions is not None:
                self.completions.begin(self.machine)
        if self.ramp is not None and isinstance(optimizer, SGD):
            momentum = self.ramp[0] if run.epoch < RAMP_EPOCHS else self.ramp[1]
            if bool(momentum) != bool(optimizer.momentum):
                self._batches.forget()  # without momentum a step has no velocity
            optimizer.momentum = momentum
        if self.replicas is not None:
            self.replicas.reset()
        try:
            return self._batches.epoch(run, ops.permutation(self.generator, cases.count) if self.shuffle else None)
        finally:
            if self.replicas is not None:
                self.replicas.count(run.batch * self.k)

    def _figures(self, run: Run, error: float) -> dict[str, float]:
        machine, cases, held = self.machine, self.cases, self.held
        of_epoch, of_held, of_watch = (self.monitor.split(i + run.epoch * 2) for i in (0, 1, _WATCH))
        # Persistent chains reconstruct nothing, so the error takes a pass of its own.
        if self.chains is not None:
            error = reconstruction_error(machine, cases, of_epoch)
        figures = dict(zip(FIGURES, (error,), strict=True))
        if held is not None:
            found = held_out_figures(machine, cases, held, of_held)
            figures |= dict(zip(HELD_OUT_FIGURES, found, strict=True))
        if self.is_tempered and self.replicas is not None:
            figures |= dict(zip(TEMPERED_FIGURES, (float(self.replicas.rates.min()),), strict=True))
        return figures | watched_figures(machine, self.watch, cases, held, self.ladder, self.chains, of_watch)

    def gradient(self, v: Tensor, weight: Tensor | None, index: Tensor | None) -> tuple[Tensor | float | None, Tensor]:
        """The error and the gradient of a batch, and new completions of its cases, which `update` keeps."""
        machine, given = self.machine, None
        if weight is None and self.completions is None and not self.is_tempered:
            return machine.contrast(v, self.k, self.generator, self.chains, self.terms, self.weight_decay, True)[::-1]
        if self.completions is not None:
            assert index is not None
            given = v
            v, _ = clamped_gibbs(machine, given, self.completions.take(index), self.k, self.generator)
            self.completions.note(index, v)
        phases = Phases(machine, self.k, self.generator, self.replicas, self.terms)
        return phases.gradient(v, weight, given, self.weight_decay, scaled_steps=True)[::-1]

    def update(self, gradient: Tensor) -> None:
        """What follows a batch's gradient; nothing in it depends on values, so that a replay can repeat it."""
        self.optimizer.step(gradient)
        if not self.terms.fixed_variance:
            self.machine.bound_variances()
        if self.completions is not None:
            self.completions.keep()


class _Batches(train.Steps):
    """The steps of `Steps` on batches of its cases."""

    word = "the reconstruction error"

    def __init__(self, steps: Steps) -> None:
        self._steps: Any = weakref.proxy(steps)  # which owns this: no cycle keeps a call's memory
        super().__init__(steps.cases.columns(numbered=steps.completions is not None), steps.batch_size)

    def gradient_of(self, run: Run) -> Callable[..., tuple[Tensor | float | None, Tensor]]:
        return lambda *batch: self._steps.gradient(*self._steps.cases.batch(batch))

    def update(self, run: Run, gradient: Tensor) -> None:
        self._steps.update(gradient)
