"""Contrastive learning of a machine: the steps of an epoch and the figures that are watched."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from inspect import signature
from typing import Any

import numpy as np

from .. import ops, train
from ..ops import Generator
from ..ops.creation import is_integer, is_number
from ..optim import SGD, Optimizer
from ..tensor import Tensor, tensor
from ..train import Run
from .base import Model, not_negative
from .machine import Machine
from .native_epoch import is_native, walk
from .terms import Terms
from .units import Segment, require_values

Momentum = float | Sequence[float] | None

RAMP = (0.5, 0.9)  # momentum in the first epochs and after them: Hinton (2010), section 9
RAMP_EPOCHS = 5
FIGURES = ("reconstruction_error",)
HELD_OUT_FIGURES = ("validation_reconstruction_error", "free_energy_gap")
MOST_SPREAD = 5.0  # standard deviations of Gaussian data beyond which, or below its reciprocal, a fit warns
MONITORED = 1000  # cases on which figures that need a pass of their own are computed, at most


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


def initialize_visible_bias(machine: Machine, data: Tensor) -> None:
    """The biases of the machine that has no weights and the data's means: of n cases, with Laplace's rule,

    log(p / (1 − p)) with p = (Σ v + 1) / (n + 2) for Bernoulli units, log p with p = (Σ v + 1) / (n + units) in a
    softmax group, the mean itself for Gaussian units.

    References
    ----------
    Hinton (2010), A practical guide to training restricted Boltzmann machines, section 8.
    """
    total, n = ops.sum(data, 0).numpy().astype(np.float64), data.shape[0]
    bias = np.empty_like(total)
    for kind, begin, end, group in machine.units:
        part = total[begin:end]
        if kind == "gaussian":
            bias[begin:end] = part / n
        elif kind == "softmax":
            bias[begin:end] = np.log((part + 1.0) / (n + group))
        else:
            mean = (part + 1.0) / (n + 2.0)
            bias[begin:end] = np.log(mean) - np.log1p(-mean)
    machine.visible_bias.array.assign(tensor(bias, data.dtype).array)


def warn_of_scale(machine: Machine, data: Tensor) -> None:
    """Warn of Gaussian units whose data are far from standardised: σ begins at 1, and steps are for that."""
    if not machine.n_gaussian:
        return
    values = data.numpy()
    for kind, begin, end, _ in machine.units:
        if kind != "gaussian":
            continue
        spread = values[:, begin:end].std(0, dtype=np.float64)
        odd = np.flatnonzero((spread > MOST_SPREAD) | ((spread < 1 / MOST_SPREAD) & (spread > 0)))
        if len(odd):
            warnings.warn(
                f"fit: the data of the gaussian unit {begin + odd[0]} have the standard deviation "
                f"{spread[odd[0]]:.3g}; standardise them (mean 0, standard deviation 1), for which the default steps "
                "are made",
                stacklevel=3,
            )
            return


@dataclass
class Steps:
    """An epoch of contrastive steps on a machine.

    Parameters
    ----------
    machine : what learns
    data : (n, n_visible), checked
    held : (m, n_visible), checked, cases that are only watched
    k, chains, terms : see `Machine.contrast`
    generator : draws the order of the cases and all samples that are learned from
    monitor : gives each epoch a generator for the samples of the figures, so that watching changes nothing
    ramp : momentum for `RAMP_EPOCHS` epochs and after, where the optimizer is SGD
    weight_decay : λ of the penalty ½ λ Σ W²
    biased_start : whether the first epoch begins with `initialize_visible_bias`
    """

    machine: Machine
    data: Tensor
    held: Tensor | None
    batch_size: int
    optimizer: Optimizer
    k: int
    chains: Tensor | None
    terms: Terms
    generator: Generator
    monitor: Generator
    ramp: tuple[float, float] | None
    weight_decay: float
    shuffle: bool
    biased_start: bool

    def __call__(self, run: Run) -> dict[str, float]:
        """Do the steps; the figures are `FIGURES` and, with held-out cases, `HELD_OUT_FIGURES`."""
        optimizer = self.optimizer
        if self.biased_start and run.epoch == 0:
            initialize_visible_bias(self.machine, self.data)
        if self.ramp is not None and isinstance(optimizer, SGD):
            optimizer.momentum = self.ramp[0] if run.epoch < RAMP_EPOCHS else self.ramp[1]
        if is_native(optimizer, self.machine, run):
            assert isinstance(optimizer, SGD)
            order = ops.permutation(self.generator, self.data.shape[0]) if self.shuffle else None
            total = walk(
                run, self.machine, optimizer, self.data, order, self.batch_size, self.k, self.chains, self.generator,
                self.weight_decay, self.terms,
            )  # fmt: skip
        else:
            total = self._step_by_step(run)
        if self.chains is not None:  # they reconstruct nothing, so the error takes a pass of its own
            error = reconstruction_error(self.machine, self.data, self.monitor.split(2 * run.epoch))
        else:
            error = total / self.data.shape[0]
        if self.held is None:
            return dict(zip(FIGURES, (error,), strict=True))
        watched = held_out_figures(self.machine, self.data, self.held, self.monitor.split(2 * run.epoch + 1))
        return dict(zip((*FIGURES, *HELD_OUT_FIGURES), (error, *watched), strict=True))

    def _step_by_step(self, run: Run) -> float:
        """As `walk`, for any optimizer and callbacks."""
        weight = self.machine.weight.array
        hooks: list[Callable[[Run], None]] = train.batch_hooks(run)
        order = self.generator if self.shuffle else None
        total = 0.0
        for count, (v,) in train.batches([self.data], self.batch_size, order):
            gradient, error = self.machine.contrast(v, self.k, self.generator, self.chains, self.terms, True)
            if self.weight_decay:
                weight.device.axpy(self.weight_decay, weight, gradient.array.view(0, weight.shape))
            self.optimizer.step(gradient)
            self.machine.bound_variances()
            run.batch += 1
            if error is not None:
                if not math.isfinite(error):
                    raise FloatingPointError(f"the reconstruction error is {error} at batch {run.batch}")
                total += error * count
                run.batch_loss = error
            for hook in hooks:
                hook(run)
        return total


def reconstruction_error(machine: Machine, data: Tensor, generator: Generator) -> float:
    """Mean over the first cases, at most `MONITORED`, of Σ (v − p(v | h))² with h ~ p(h | v)."""
    v = train.rows(data, 0, min(data.shape[0], MONITORED))
    restored = machine.visible(machine.sample_hidden(v, generator))
    return ops.sum(ops.squared_error(v, restored)).item() / v.shape[0]


def held_out_figures(machine: Machine, data: Tensor, held: Tensor, generator: Generator) -> tuple[float, float]:
    """The error on held-out data, and how much higher their free energy is than that of as many training data.

    References
    ----------
    Hinton (2010), section 6: monitoring the overfitting.
    """
    cases = min(data.shape[0], held.shape[0])
    seen, unseen = (machine.free_energy(train.rows(x, 0, cases)) for x in (data, held))
    return reconstruction_error(machine, held, generator), (ops.mean(unseen) - ops.mean(seen)).item()
