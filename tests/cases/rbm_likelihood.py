"""log Z, annealed importance sampling and the pseudo-likelihood of an RBM against sums over its states in NumPy."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from case import Case

from cases.rbm import STEP, Chain, parameters, sigmoid


def states(units: int) -> np.ndarray:
    return ((np.arange(2**units)[:, None] >> np.arange(units)) & 1).astype(float)


def log_sum(x: np.ndarray) -> Any:
    top = x.max(initial=-np.inf)
    return top + np.log(np.exp(x - top).sum()) if np.isfinite(top) else top


def free(v: Any, w: Any, b: Any, c: Any) -> Any:
    """−F(v)"""
    return v @ b + np.logaddexp(0, c + v @ w).sum(axis=-1)


def total(on: Any, bias: Any) -> Any:
    """Σ of the biases of the units that are on; an infinite one of a unit that is off counts for nothing."""
    return np.where(on == 1, bias, 0).sum(axis=1)


def log_z(w: Any, b: Any, c: Any) -> Any:
    """By the energies of all pairs of states where that is possible, else by the smaller layer's free energies."""
    if sum(w.shape) <= 14:
        v, h = states(len(b)), states(len(c))
        return log_sum(total(v, b)[:, None] + total(h, c)[None, :] + v @ w @ h.T)
    return log_sum(free(states(len(b)), w, b, c) if len(b) <= len(c) else free(states(len(c)), w.T, c, b))


def partition(visible: int, hidden: int, spread: float = 1.0, change: Any = None, name: str = "") -> Case:
    def inputs(rng: np.random.Generator) -> list[Any]:
        arrays = [spread * a for a in parameters(rng, 0, visible, hidden)[1:]]
        if change:
            change(*arrays)
        return arrays

    def scale(*arrays: Any) -> Any:
        return 1 + sum(np.abs(a[np.isfinite(a)]).sum() for a in arrays)

    return Case(
        name=f"log Z: {name or f'{visible} visible, {hidden} hidden units of spread {spread}'}",
        functions=("rbm_log_partition",),
        inputs=inputs,
        call=lambda device, w, b, c: device.rbm_log_partition(w, b, c),
        reference=log_z,
        tolerance=2.0,
        scale=scale,
    )


def ranges(visible: int, hidden: int, edges: tuple[int, ...]) -> Case:
    """Sums over the states between the edges."""

    def reference(w: Any, b: Any, c: Any) -> Any:
        terms = free(states(visible), w, b, c) if visible <= hidden else free(states(hidden), w.T, c, b)
        return tuple(log_sum(terms[i:j]) for i, j in pairwise(edges))

    def call(device: Any, w: Any, b: Any, c: Any) -> Any:
        sums = (device.rbm_log_partition(w, b, c, i, j - i) for i, j in pairwise(edges[:-1]))
        return (*sums, device.rbm_log_partition(w, b, c, first=edges[-2]))

    return Case(
        name=f"log Z in ranges {edges}: {visible} visible, {hidden} hidden units",
        functions=("rbm_log_partition",),
        inputs=lambda rng: parameters(rng, 0, visible, hidden)[1:],
        call=call,
        reference=reference,
        tolerance=2.0,
        scale=lambda w, b, c: 1 + np.abs(w).sum() + np.abs(b).sum() + np.abs(c).sum(),
    )


def with_nan(w: Any, b: Any, c: Any) -> None:
    w[1, 2] = np.nan


def with_infinite_bias(w: Any, b: Any, c: Any) -> None:
    c[1] = np.inf


def with_impossible_units(w: Any, b: Any, c: Any) -> None:
    b[:2], c[1] = -np.inf, -np.inf


def annealed(n: int, visible: int, hidden: int, betas: tuple[float, ...], spread: float = 1.0) -> list[Case]:
    """A run in both dtypes, with the first key whose chains no rounding error can turn."""

    def run(dtype: str, key: int, v: Any, w: Any, b: Any, c: Any, base: Any) -> Any:
        chain, log_weights = Chain(key, dtype), np.arange(n) - 0.5

        def unnormalised(beta: float) -> Any:
            return v @ ((1 - beta) * base + beta * b) + np.logaddexp(0, beta * (c + v @ w)).sum(axis=1)

        for old, new in pairwise(betas):
            log_weights = log_weights + unnormalised(new) - unnormalised(old)
            h = chain.sample(sigmoid(new * (c + v @ w)))
            v = chain.sample(sigmoid((1 - new) * base + new * (b + h @ w.T)))
        return (v, log_weights), chain

    def made(dtype: str) -> Case:
        def inputs(rng: np.random.Generator) -> list[Any]:
            _, *rest = parameters(rng, n, visible, hidden)
            rest = [(spread * a).astype(dtype).astype(float) for a in rest]
            arrays = [(rng.random((n, visible)) < 0.5).astype(float), *rest, rng.standard_normal(visible)]
            arrays[-1] = arrays[-1].astype(dtype).astype(float)
            for key in range(200):
                if run(dtype, key, *arrays)[1].margin > 1e-5 * spread:
                    return [key, *arrays]
            raise AssertionError("no key keeps every sample away from its probability")

        def call(device: Any, key: int, v: Any, w: Any, b: Any, c: Any, base: Any) -> Any:
            log_weights = device.from_numpy(np.arange(n) - 0.5)
            device.rbm_ais(v, w, b, c, base, device.from_numpy(np.array(betas)), key, STEP, log_weights)
            return v, log_weights

        def scale(key: int, v: Any, w: Any, b: Any, c: Any, base: Any) -> Any:
            way = np.abs(np.diff(betas)).sum()
            size = np.abs(w).sum() + np.abs(c).sum() + np.abs(b).sum() + np.abs(base).sum()
            return np.ones_like(v), n + way * size + len(betas)

        return Case(
            name=f"annealing: {n} chains, {visible} visible, {hidden} hidden, {len(betas)} betas, spread {spread}",
            functions=("rbm_ais",),
            inputs=inputs,
            call=call,
            reference=lambda *arguments: run(dtype, *arguments)[0],
            tolerance=4.0,
            scale=scale,
            dtypes=(dtype,),
        )

    return [made("float32"), made("float64")]


def pseudo(name: str, n: int, visible: int, hidden: int, spread: float = 1.0, change: Any = None) -> Case:
    def inputs(rng: np.random.Generator) -> list[Any]:
        v, *rest = parameters(rng, n, visible, hidden)
        v[: n // 2] = v[: n // 2] > 0.5
        arrays = [v, *(spread * a for a in rest)]
        if change:
            change(*arrays[1:])
        return arrays

    def reference(v: Any, w: Any, b: Any, c: Any) -> Any:
        """By the definition: the two outcomes of each unit, weighed by its value."""
        total = np.zeros(len(v))
        for i in range(visible):
            on, off = v.copy(), v.copy()
            on[:, i], off[:, i] = 1, 0
            odds = free(on, w, b, c) - free(off, w, b, c)
            total += -v[:, i] * np.logaddexp(0, -odds) - (1 - v[:, i]) * np.logaddexp(0, odds)
        return total

    return Case(
        name=f"pseudo-likelihood: {name}",
        functions=("rbm_pseudo_log_likelihood",),
        inputs=inputs,
        call=lambda device, v, w, b, c: device.rbm_pseudo_log_likelihood(v, w, b, c),
        reference=reference,
        tolerance=4.0,
        scale=lambda v, w, b, c: visible * (1 + np.abs(w).sum() + np.abs(b).sum() + np.abs(c).sum()),
    )


UP = (0.0, 0.1, 0.4, 1.0)

CASES = [
    *(partition(*shape) for shape in [(1, 1), (4, 3), (3, 4), (6, 6), (0, 0), (0, 5), (5, 0), (8, 5), (1, 13)]),
    *(partition(*shape, spread) for shape in [(5, 9), (9, 5)] for spread in (30.0, 1e4)),
    *(partition(*shape, name=f"several segments, {shape}") for shape in [(14, 45), (45, 14), (12, 300)]),
    partition(5, 4, change=with_nan, name="NaN"),
    partition(5, 4, change=with_infinite_bias, name="an infinite bias"),
    partition(5, 4, change=with_impossible_units, name="units that are never on"),
    ranges(12, 21, (0, 1, 2, 1000, 1023, 2048, 4096)),
    ranges(21, 12, (0, 4095, 4096)),
    *(case for shape in [(0, 4, 3), (1, 1, 1), (3, 4, 0), (3, 0, 4), (7, 13, 5)] for case in annealed(*shape, UP)),
    *annealed(7, 13, 5, UP[::-1]),
    *annealed(5, 9, 6, (0.2, 0.2, 1.0, 0.0)),
    *annealed(5, 9, 6, UP, spread=100.0),
    *annealed(40, 130, 90, (0.3, 0.31, 0.33)),
    pseudo("no cases", 0, 4, 3),
    pseudo("one unit each", 2, 1, 1),
    pseudo("no hidden units", 3, 4, 0),
    pseudo("no visible units", 3, 0, 4),
    pseudo("ragged, binary and grey", 8, 13, 5),
    pseudo("several blocks of cases", 150, 30, 70),
    pseudo("large weights", 6, 9, 7, spread=1e4),
    pseudo("NaN", 6, 9, 7, change=with_nan),
]
