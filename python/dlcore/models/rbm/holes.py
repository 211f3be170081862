"""Cases of which some units have no value: NaN, which Gibbs sampling of the others fills."""

from __future__ import annotations

import numpy as np

from ... import ops
from ...ops import Generator
from ...tensor import Tensor
from .machine import Machine


def clamped_gibbs(
    machine: Machine, given: Tensor, state: Tensor, k: int, generator: Generator
) -> tuple[Tensor, Tensor]:
    """k >= 1 steps v → h → v of Gibbs sampling of the units that are NaN in `given`, from their values in `state`.

    Returns
    -------
    the last v, and it with the means that its free units were drawn from
    """
    samples, means = given.array.device.rbm_clamped_gibbs(
        given.array, state.array, machine.weight.array, machine.visible_bias.array, machine.hidden_bias.array, k,
        generator.key, generator.step, machine.native_units,
    )  # fmt: skip
    generator.take(2 * k)
    return Tensor(samples), Tensor(means)


def filled(machine: Machine, given: Tensor) -> Tensor:
    """`given` with the machine's means without hidden units, E[v | h = 0], in place of NaN."""
    means = machine.visible(ops.zeros((1, machine.n_hidden), given.dtype, given.device))
    return ops.where(observed(given), given, ops.broadcast_to(means, given.shape))


def observed(given: Tensor) -> Tensor:
    """1 where a value is given, 0 where it is NaN."""
    return ops.equal(given, given)


def require_given(machine: Machine, given: Tensor, who: str, name: str) -> None:
    """Raise a ValueError with the first value that is neither NaN nor one that its unit can have.

    A softmax group is given as a whole or not at all.
    """
    values = given.numpy()
    for kind, begin, end, group in machine.units:
        if kind != "softmax":
            continue
        holes = np.isnan(values[:, begin:end]).reshape(len(values), -1, group).sum(2)
        bad = np.argwhere((holes > 0) & (holes < group))
        if len(bad):
            row, place = bad[0]
            first = begin + place * group
            raise ValueError(
                f"{who}: {name} has a part of the softmax group {first} to {first + group - 1} in row {row}, expected "
                "all of its units or none"
            )
    machine.require_visible(filled(machine, given), who, name)
