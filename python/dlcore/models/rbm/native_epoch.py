"""An epoch of contrastive steps with plain SGD in one native call, with the bits of a call for each step."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ...ops import Generator
from ...optim import SGD, Optimizer
from ...tensor import Tensor, tensor
from ...train import Run, batch_hooks
from ...train.progress import Bar
from ..base import Array
from .machine import Machine, gibbs_steps_at_once
from .terms import Terms


def is_native(optimizer: Optimizer, machine: Machine, run: Run) -> bool:
    """Whether `walk` can do the steps: θ is the machine's, the optimizer SGD without extras, no callback wants batches.

    A progress bar is content with news a few times a second.
    """
    plain = type(optimizer) is SGD and len(optimizer.groups) == 1 and optimizer.groups[0].is_whole
    if not plain or optimizer.groups[0].frozen or optimizer.maximize:
        return False
    assert isinstance(optimizer, SGD)
    limited = optimizer.max_grad_norm is not None or optimizer.max_grad_value is not None
    varied = callable(optimizer.dampening) or callable(optimizer.weight_decay) or optimizer.weight_decay != 0
    own = optimizer.parameters.storage.array
    theta = machine.parameters.storage.array
    same = own.shape == theta.shape and optimizer.parameters.tensors[0] is machine.weight
    return (
        same
        and not limited
        and not varied
        and all(isinstance(getattr(hook, "__self__", None), Bar) for hook in batch_hooks(run))
    )


def walk(
    run: Run,
    machine: Machine,
    optimizer: SGD,
    data: Tensor,
    order: Tensor | None,
    batch_size: int,
    k: int,
    chains: Tensor | None,
    generator: Generator,
    weight_decay: float,
    terms: Terms,
) -> float:
    """Do the steps of an epoch; the sum over the cases of their reconstruction errors, 0 with persistent chains.

    Whatever ends it early, θ, the optimizer, the chains, the terms and the generator are as after the last whole step.

    Parameters
    ----------
    order : (n,) int32, the cases in the order in which they come; None: as they stand
    """
    cases, total = data.shape[0], 0.0
    hooks: list[Callable[[Run], None]] = batch_hooks(run)
    at_once = -(-cases // batch_size)
    if hooks:
        at_once = min(at_once, gibbs_steps_at_once(machine, batch_size * (k + 2)))
    width = machine.n_visible
    for first in range(0, cases, at_once * batch_size):
        count = min(at_once * batch_size, cases - first)
        rows = data.array if order is not None else data.array.view(first * width, (count, width))
        index = None if order is None else order.array.view(first, (count,))
        batches = -(-count // batch_size)
        errors = _steps(
            run, machine, optimizer, rows, index, batches, batch_size, k, chains, generator, weight_decay, terms
        )
        sizes = np.full(batches, float(batch_size))
        sizes[-1] = count - (batches - 1) * batch_size
        total = float(np.cumsum(np.append(total, errors * sizes))[-1])  # in the order of the steps
        run.batch_loss = float(errors[-1])
        if not math.isfinite(total):
            error = errors[~np.isfinite(errors)][0]
            raise FloatingPointError(f"the reconstruction error is {error} at batch {run.batch}")
        for hook in hooks:
            for _ in range(batches):
                hook(run)
    return total


def _steps(
    run: Run,
    machine: Machine,
    optimizer: SGD,
    rows: Any,
    index: Any,
    batches: int,
    batch_size: int,
    k: int,
    chains: Tensor | None,
    generator: Generator,
    weight_decay: float,
    terms: Terms,
) -> Array:
    """One native call; the batches' errors."""
    group = optimizer.groups[0]
    rates, momenta = _numbers(optimizer, batches)
    momentum = group.options.get("momentum", optimizer.momentum)
    velocity = optimizer.state["velocity"].array if callable(momentum) or momentum else None
    dampening = optimizer.dampening
    assert not callable(dampening)
    theta = machine.parameters.storage.array
    done, errors = theta.device.full((1,), 0.0, "int32"), tensor(np.zeros(batches))
    try:
        theta.device.rbm_epoch(
            rows, index, theta, machine.n_hidden, batch_size, k, generator.key, generator.step, rates.array,
            momenta.array, done, errors.array, velocity, None if chains is None else chains.array, machine.native_units,
            weight_decay=weight_decay, dampening=float(dampening), nesterov=optimizer.nesterov and velocity is not None,
            first_step=group.steps == 0, **terms.arguments(scaled_steps=True),
        )  # fmt: skip
    finally:
        made = int(done.numpy()[0])
        if made:
            generator.take(2 * k * made)
        group.steps += made
        optimizer.steps += made
        run.batch += made
    return errors.numpy()


def _numbers(optimizer: SGD, batches: int) -> tuple[Tensor, Tensor]:
    """lr and momentum of the next steps, (batches,) float64 each; schedules are asked once a step."""
    group, start = optimizer.groups[0], optimizer.steps
    varies = callable(optimizer.lr) or callable(optimizer.momentum) or bool(group.options)
    found = []
    try:
        for i in range(batches if varies else 1):
            optimizer.steps = start + i
            values = optimizer.values(group)
            found.append((values["lr"], values["momentum"]))
    finally:
        optimizer.steps = start
    numbers = np.resize(np.array(found), (batches, 2))
    return tensor(np.ascontiguousarray(numbers[:, 0])), tensor(np.ascontiguousarray(numbers[:, 1]))
