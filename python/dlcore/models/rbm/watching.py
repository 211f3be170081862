"""The figures of an epoch of contrastive learning: errors, free energies, pseudo-likelihoods, the mixing of chains."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ... import ops
from ...ops import Generator
from ...tensor import Tensor, tensor
from ..base import Array
from .cases import Cases, completed, squared_error
from .likelihood import pseudo_log_likelihood
from .machine import Machine
from .mixing import effective_sample_size, r_hat
from .sparse import BLOCK
from .tempering import Ladder, Replicas

FIGURES = ("reconstruction_error",)
HELD_OUT_FIGURES = ("validation_reconstruction_error", "free_energy_gap", "free_energy_gap_error")
TEMPERED_FIGURES = ("swap_rate",)
WATCHED = {"pseudo_log_likelihood": ("pseudo_log_likelihood",), "chains": ("r_hat", "ess")}
MONITORED = 1000  # cases on which figures that need a pass of their own are computed, at most
WATCHED_DRAWS = 50  # of each chain, after an epoch


def check_watch(watch: Any, machine: Machine, persistent: bool) -> tuple[str, ...]:
    """What a fit watches beside its errors: names of `WATCHED`.

    Raises
    ------
    ValueError
        For other names, pseudo-likelihoods of other than Bernoulli units, or chains that do not persist.
    """
    names = (watch,) if isinstance(watch, str) else watch
    if not isinstance(names, Sequence) or not all(isinstance(name, str) and name in WATCHED for name in names):
        raise ValueError(f"fit: watch is {watch!r}, expected some of {', '.join(WATCHED)}")
    if "pseudo_log_likelihood" in names and not machine.is_plain:
        raise ValueError("fit: watch has 'pseudo_log_likelihood', which is for Bernoulli units")
    if "chains" in names and not persistent:
        raise ValueError("fit: watch has 'chains', but the model is neither persistent nor tempered")
    return tuple(dict.fromkeys(names))


def figure_names(held: bool, tempered: bool, watch: Sequence[str]) -> list[str]:
    """The figures of a fit, in the order of its history."""
    names = [*FIGURES, *(HELD_OUT_FIGURES if held else ()), *(TEMPERED_FIGURES if tempered else ())]
    for what in watch:
        names += WATCHED[what]
        if held and what == "pseudo_log_likelihood":
            names.append(f"validation_{what}")
    return [*names, "seconds"]


def reconstruction_error(machine: Machine, cases: Cases, generator: Generator) -> float:
    """Weighed mean over at most `MONITORED` cases of Σ (v − E[v | h])² over the values given, with h ~ p(h | v)."""
    given = cases.head(MONITORED)
    v = completed(machine, given, cases.holes, generator)
    restored = machine.visible(machine.sample_hidden(v, generator))
    if cases.weight is None:
        return float(squared_error(v, restored, given if cases.holes else None, None).item() / v.shape[0])
    weight = cases.weight.numpy()[: v.shape[0]].astype(np.float64)
    total = weight.sum()
    share = tensor(weight / total, v.dtype) if total > 0 else ops.full((v.shape[0],), 1.0 / v.shape[0], v.dtype.name)
    return float(squared_error(v, restored, given if cases.holes else None, share).item())


def held_out_figures(machine: Machine, cases: Cases, held: Cases, generator: Generator) -> tuple[float, float, float]:
    """The error on held-out data; how much higher their mean free energy is than that of as many training data; the
    standard error of this gap, √(variance / n + variance / n).

    References
    ----------
    Hinton (2010), section 6: monitoring the overfitting.
    """
    error = reconstruction_error(machine, held, generator)
    count = min(cases.count, held.count)
    seen, unseen = (np.concatenate(list(_free_energies(machine, x, count, generator))) for x in (cases, held))
    weight = np.ones(count) if cases.weight is None else cases.weight.numpy()[:count].astype(np.float64)
    weight = weight / weight.sum() if weight.sum() > 0 else np.full(count, 1.0 / count)
    mean = float(weight @ seen)
    spread = float(weight**2 @ (seen - mean) ** 2) + float(unseen.var()) / count
    return error, float(unseen.mean()) - mean, math.sqrt(spread)


def _free_energies(machine: Machine, cases: Cases, count: int, generator: Generator) -> Iterator[Array]:
    for start in range(0, count, BLOCK):
        v = completed(machine, cases.block(start, min(BLOCK, count - start)), cases.holes, generator)
        yield machine.free_energy(v).numpy().astype(np.float64)


def watched_figures(
    machine: Machine,
    watch: Sequence[str],
    cases: Cases,
    held: Cases | None,
    ladder: Ladder,
    chains: Tensor | None,
    generator: Generator,
) -> dict[str, float]:
    """The figures of `WATCHED`; copies of the chains are run on, so that watching changes nothing."""
    found: dict[str, float] = {}
    for what in watch:
        if what == "chains":
            assert chains is not None
            draws = draw_free_energies(machine, copied(ladder, chains), WATCHED_DRAWS, 1, generator)
            found |= {"r_hat": r_hat(draws), "ess": effective_sample_size(draws)}
            continue
        for prefix, data in (("", cases), ("validation_", held)):
            if data is not None:
                v = completed(machine, data.head(MONITORED), data.holes, generator)
                found[f"{prefix}{what}"] = float(pseudo_log_likelihood(machine, v).mean())
    return found


def draw_free_energies(machine: Machine, replicas: Replicas, draws: int, thin: int, generator: Generator) -> Array:
    """F(v) of the chains after each `thin` steps, (n_chains, draws) float64; moves the replicas on."""
    found = np.empty((replicas.states.shape[1], draws))
    for i in range(draws):
        found[:, i] = machine.free_energy(replicas.advance(machine, thin, generator)).numpy()
    return found


def copied(ladder: Ladder, chains: Tensor) -> Replicas:
    """Replicas at the states of chains (n_chains, n_hidden), or (temperatures, n_chains, n_hidden), which stay."""
    return shared(ladder, tensor(chains))


def shared(ladder: Ladder, chains: Tensor) -> Replicas:
    """Replicas whose states are the chains themselves."""
    return Replicas(ladder, Tensor(chains.array.view(0, (len(ladder), *chains.shape[-2:]))))
