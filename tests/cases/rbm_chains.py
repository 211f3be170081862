"""Tempered and clamped chains against the same chains in NumPy, of the same random words."""

from __future__ import annotations

from typing import Any

import numpy as np
from case import Case

from cases.random import box_muller, unit_samples
from cases.rbm import STEP, Chain, sigmoid

NORMAL_STREAM = 0x9E3779B97F4A7C15  # csrc/rbm.h: rbm_normal_stream
PLAIN = None
MIXED = ((("bernoulli", 5, 1), ("softmax", 6, 3), ("gaussian", 4, 1)), "bernoulli")
GAUSSIAN_HIDDEN = ((("softmax", 4, 2), ("bernoulli", 3, 1)), "gaussian")


class Units(Chain):
    """Layers of several kinds of units, drawn as the kernels draw them."""

    def __init__(self, key: int, dtype: str, units: Any, z: np.ndarray) -> None:
        super().__init__(key, dtype)
        self.visible, self.hidden = units or (None, "bernoulli")
        self.z = z

    def parts(self, n: int) -> list[tuple[str, slice, int]]:
        found, begin = [], 0
        for kind, count, group in self.visible or (("bernoulli", n, 1),):
            found.append((kind, slice(begin, begin + count), group))
            begin += count
        return found

    def gaussian(self, n: int) -> list[int]:
        return [i for kind, part, _ in self.parts(n) for i in range(*part.indices(n)) if kind == "gaussian"]

    def variance(self, n: int) -> np.ndarray:
        s = np.ones(n)
        s[[i for kind, part, _ in self.parts(n) for i in range(*part.indices(n)) if kind == "gaussian"]] = np.exp(
            self.z
        )
        return s

    def means(self, field: np.ndarray) -> np.ndarray:
        result = field.copy()
        for kind, part, group in self.parts(field.shape[1]):
            x = field[:, part]
            if kind == "bernoulli":
                result[:, part] = sigmoid(x)
            elif kind == "softmax":
                e = np.exp(x.reshape(len(x), -1, group))
                result[:, part] = (e / e.sum(2, keepdims=True)).reshape(x.shape)
        return result

    def normal(self, shape: tuple[int, ...]) -> np.ndarray:
        return box_muller(self.key ^ NORMAL_STREAM, self.step, int(np.prod(shape)), self.dtype)[0].reshape(shape)

    def draw_visible(self, p: np.ndarray) -> np.ndarray:
        n = p.shape[1]
        u = unit_samples(self.key, self.step, p.size, self.dtype).reshape(p.shape)
        z = self.normal((len(p), len(self.z)))
        v, sigma = p.copy(), np.sqrt(self.variance(n))
        for kind, part, group in self.parts(n):
            x, w = p[:, part], u[:, part]
            if kind == "bernoulli":
                self.near(w - x)
                v[:, part] = w < x
            elif kind == "softmax":
                sums, first = x.reshape(len(x), -1, group).cumsum(2), w[:, ::group, None]
                self.near(first - sums[:, :, :-1])
                on = (first >= sums[:, :, :-1]).sum(2)
                v[:, part] = (on[:, :, None] == np.arange(group)).reshape(x.shape)
            else:
                v[:, part] = x + sigma[part] * z
        self.step = (self.step + 1) % 2**64
        return v

    def draw_hidden(self, field: np.ndarray) -> np.ndarray:
        if self.hidden == "bernoulli":
            return self.sample(sigmoid(field))
        h = field + self.normal(field.shape)
        self.step = (self.step + 1) % 2**64
        return h

    def near(self, gap: np.ndarray) -> None:
        if gap.size:
            self.margin = min(self.margin, float(np.abs(gap).min()))


def temper(x: Units, h: Any, w: Any, b: Any, c: Any, base: Any, betas: Any, k: int) -> Any:
    count, chains, hidden = h.shape
    h = h.reshape(-1, hidden).copy()
    beta = np.repeat(betas, chains)[:, None]
    accepted = np.zeros(count - 1)
    for _ in range(k):
        v = x.draw_visible(x.means((1 - beta) * base + beta * (b + h @ w.T)))
        scaled = v / x.variance(len(b))
        field = c + scaled @ w
        h = x.draw_hidden(beta * field)
        energy = -scaled @ (b - base) - (h * field).sum(1)
        u = unit_samples(x.key, x.step, (count - 1) * chains, "float64").reshape(count - 1, chains)
        x.step = (x.step + 1) % 2**64
        for chain in range(chains):
            for pair in [*range(0, count - 1, 2), *range(1, count - 1, 2)]:
                s, t = pair * chains + chain, (pair + 1) * chains + chain
                probability = np.exp(min(0.0, (betas[pair] - betas[pair + 1]) * (energy[s] - energy[t])))
                x.near(np.array([u[pair, chain] - probability]))
                if u[pair, chain] < probability:
                    accepted[pair] += 1
                    for states in (v, h, energy):
                        states[[s, t]] = states[[t, s]]
    return v[:chains], h.reshape(count, chains, hidden), accepted


def clamped(x: Units, given: Any, state: Any, w: Any, b: Any, c: Any, k: int) -> Any:
    v = np.where(np.isnan(given), state, given)
    for _ in range(k):
        h = x.draw_hidden(c + v / x.variance(len(b)) @ w)
        p = x.means(b + h @ w.T)
        v = np.where(np.isnan(given), x.draw_visible(p), given)
    return v, np.where(np.isnan(given), p, given)


def native(units: Any, z: Any) -> Any:
    return None if units is None else (units[0], z if z.shape[0] else None, units[1])


def layer(rng: np.random.Generator, n: int, visible: int, units: Any) -> np.ndarray:
    """Values that the units can have; softmax groups have probabilities."""
    v = rng.random((n, visible))
    begin = 0
    for kind, count, group in units[0] if units else ():
        part = v[:, begin : begin + count]
        if kind == "gaussian":
            part[:] = rng.standard_normal(part.shape)
        if kind == "softmax":
            groups = part.reshape(n, -1, group)
            part[:] = (groups / groups.sum(2, keepdims=True)).reshape(part.shape)
        begin += count
    return v


def drawn(function: str, n: int, visible: int, hidden: int, k: int, units: Any = None, betas: int = 0) -> list[Case]:
    gaussian = sum(count for kind, count, _ in (units[0] if units else ()) if kind == "gaussian")

    def made(dtype: str) -> Case:
        def run(key: int, z: Any, *arguments: Any) -> tuple[Any, Units]:
            x = Units(key, dtype, units, z)
            return (temper if betas else clamped)(x, *arguments, k), x

        def inputs(rng: np.random.Generator) -> list[Any]:
            w, b, c = (rng.standard_normal(s) * 0.4 for s in [(visible, hidden), visible, hidden])
            z = rng.standard_normal(gaussian) * 0.5
            if betas:
                ladder = np.linspace(1, 0.2, betas) if betas > 1 else np.ones(1)
                arrays = [
                    z,
                    rng.integers(0, 2, (betas, n, hidden)) * 1.0,
                    w,
                    b,
                    c,
                    rng.standard_normal(visible),
                    ladder,
                ]
            else:
                given = layer(rng, n, visible, units)
                for _, part, group in Units(0, dtype, units, z).parts(visible):
                    hole = rng.random((n, (part.stop - part.start) // group)) < 0.5
                    given[:, part][np.repeat(hole, group, axis=1)] = np.nan
                arrays = [z, given, layer(rng, n, visible, units), w, b, c]
            for key in range(300):
                if run(key, *arrays)[1].margin > 1e-5:
                    return [key, *arrays]
            raise AssertionError("no key keeps every sample away from its probability")

        def call(device: Any, key: int, z: Any, *arguments: Any) -> Any:
            if not betas:
                return device.rbm_clamped_gibbs(*arguments, k, key, STEP, native(units, z))
            h, *rest, ladder = arguments
            double = device.cast(ladder, "float64")
            accepted = device.full((betas - 1,), 0.0, "float64")
            v = device.rbm_temper(h, *rest, double, k, key, STEP, accepted, native(units, z))
            return v, h, accepted

        def scale(key: int, *arguments: Any) -> Any:
            return tuple(8 * np.maximum(np.abs(r), 1) for r in run(key, *arguments)[0])

        return Case(
            name=f"{function}: {n} rows, {visible} visible, {hidden} hidden, k = {k}, {betas} betas, {units}",
            functions=(function,),
            inputs=inputs,
            call=call,
            reference=lambda *arguments: run(*arguments)[0],
            tolerance=8.0,
            scale=scale,
            dtypes=(dtype,),
        )

    return [made("float32"), made("float64")]


CASES = [
    *(
        case
        for shape in [(0, 4, 3, 1), (1, 1, 1, 2), (3, 13, 5, 3)]
        for betas in (1, 2, 5)
        for case in drawn("rbm_temper", *shape, betas=betas)
    ),
    *drawn("rbm_temper", 40, 60, 50, 1, betas=6),
    *drawn("rbm_temper", 3, 15, 4, 2, MIXED, betas=3),
    *drawn("rbm_temper", 3, 7, 4, 2, GAUSSIAN_HIDDEN, betas=3),
    *(case for shape in [(0, 4, 3, 1), (1, 1, 1, 2), (5, 13, 5, 3)] for case in drawn("rbm_clamped_gibbs", *shape)),
    *drawn("rbm_clamped_gibbs", 90, 100, 40, 1),
    *drawn("rbm_clamped_gibbs", 3, 15, 4, 2, MIXED),
    *drawn("rbm_clamped_gibbs", 3, 7, 4, 2, GAUSSIAN_HIDDEN),
]
