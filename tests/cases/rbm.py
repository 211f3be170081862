"""Restricted Boltzmann machine against the same chain in NumPy, drawn with the same random words."""

from __future__ import annotations

from typing import Any

import numpy as np
from case import Case

from cases.random import unit_samples

STEP = 2**64 - 3  # the steps of a chain wrap around


def sigmoid(x: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-x))


class Chain:
    """Draws as the kernels do, and remembers how near a sample came to hanging on a rounding error."""

    def __init__(self, key: int, dtype: str) -> None:
        self.key, self.step, self.dtype, self.margin = key, STEP, dtype, 1.0

    def sample(self, p: np.ndarray) -> np.ndarray:
        u = unit_samples(self.key, self.step, p.size, self.dtype).reshape(p.shape)
        self.step = (self.step + 1) % 2**64
        if p.size:
            self.margin = min(self.margin, float(np.abs(u - p).min()))
        return (u < p).astype(float)


def gibbs(chain: Chain, v: Any, w: Any, b: Any, c: Any, k: int) -> Any:
    for _ in range(k):
        h = chain.sample(sigmoid(c + v @ w))
        p = sigmoid(b + h @ w.T)
        v = chain.sample(p)
    return v, p


def statistics(v: np.ndarray, p: np.ndarray) -> np.ndarray:
    return np.concatenate([(v.T @ p).reshape(-1), v.sum(0), p.sum(0)]) / len(v)


def cd(chain: Chain, v: Any, w: Any, b: Any, c: Any, k: int) -> Any:
    h0 = chain.sample(sigmoid(c + v @ w))
    p = sigmoid(b + h0 @ w.T)
    error = ((v - p) ** 2).sum() / len(v)
    end = gibbs(chain, chain.sample(p), w, b, c, k - 1)[0] if k > 1 else chain.sample(p)
    return statistics(end, sigmoid(c + end @ w)) - statistics(v, sigmoid(c + v @ w)), error


def pcd(chain: Chain, v: Any, w: Any, b: Any, c: Any, k: int, h: Any) -> Any:
    for _ in range(k):
        end = chain.sample(sigmoid(b + h @ w.T))
        p = sigmoid(c + end @ w)
        h = chain.sample(p)
    return statistics(end, p) - statistics(v, sigmoid(c + v @ w)), 1.0, h


def free_energy(v: Any, w: Any, b: Any, c: Any) -> Any:
    return -v @ b - np.logaddexp(0, c + v @ w).sum(axis=1)


def parameters(rng: np.random.Generator, n: int, visible: int, hidden: int, few: bool = False) -> list[np.ndarray]:
    """v, W, b, c; with `few` most states are 0, which products skip."""
    v = rng.random((n, visible))
    v[: n // 2] = v[: n // 2] > 0.6  # binary and grey cases
    w, b, c = rng.standard_normal((visible, hidden)), rng.standard_normal(visible), rng.standard_normal(hidden)
    if few:
        return [v * (rng.random(v.shape) < 0.3), w * 0.1, b - 3, c - 2]
    return [v, w * 0.3, b, c]


def sampled(
    function: str, n: int, visible: int, hidden: int, k: int = 1, n_chains: int = 0, name: str = "", few: bool = False
) -> list[Case]:
    """A sampling function in both dtypes, with the first key whose chain no rounding error can turn."""

    def made(dtype: str) -> Case:
        def run(key: int, v: Any, w: Any, b: Any, c: Any, *h: Any) -> Any:
            chain = Chain(key, dtype)
            if function == "rbm_sample_hidden":
                p = sigmoid(c + v @ w)
                return (p, chain.sample(p)), chain
            if function == "rbm_sample_visible":
                p = sigmoid(b + h[0] @ w.T)
                return (p, chain.sample(p)), chain
            if function == "rbm_gibbs":
                return gibbs(chain, v, w, b, c, k), chain
            return (pcd(chain, v, w, b, c, k, *h) if n_chains else cd(chain, v, w, b, c, k)), chain

        def inputs(rng: np.random.Generator) -> list[Any]:
            arrays = parameters(rng, n, visible, hidden, few)
            if n_chains or function == "rbm_sample_visible":
                arrays.append((rng.random((n_chains, hidden)) < 0.5).astype(float))
            for key in range(200):
                if run(key, *arrays)[1].margin > 1e-5:
                    return [key, *arrays]
            raise AssertionError("no key keeps every sample away from its probability")

        def call(device: Any, key: int, v: Any, w: Any, b: Any, c: Any, *h: Any) -> Any:
            if function == "rbm_sample_hidden":
                return device.rbm_sample_hidden(v, w, c, key, STEP)
            if function == "rbm_sample_visible":
                return device.rbm_sample_visible(h[0], w, b, key, STEP)
            if function == "rbm_gibbs":
                return device.rbm_gibbs(v, w, b, c, k, key, STEP)
            if not n_chains:
                return device.rbm_cd(v, w, b, c, k, key, STEP)
            out = device.empty((visible * hidden + visible + hidden,), v.dtype)
            error = device.rbm_cd(v, w, b, c, k, key, STEP, chains=h[0], out=out)[1]
            return out, float(error is None), h[0]

        def scale(key: int, v: Any, w: Any, b: Any, c: Any, *h: Any) -> Any:
            result = run(key, v, w, b, c, *h)[0]
            depth = 1 + np.abs(w).sum() / max(1, min(w.shape)) + np.abs(b).max(initial=0) + np.abs(c).max(initial=0)
            return tuple(depth * np.maximum(np.abs(r), 1) for r in result)

        shape = f"{n} cases, {visible} visible, {hidden} hidden, k = {k}, {n_chains} chains"
        return Case(
            name=f"{function}: {name or shape}",
            functions=(function,),
            inputs=inputs,
            call=call,
            reference=lambda *arguments: run(*arguments)[0],
            tolerance=4.0,
            scale=scale,
            dtypes=(dtype,),
        )

    return [made("float32"), made("float64")]


def of_sigmoid(p: np.ndarray, argument: np.ndarray) -> np.ndarray:
    """The magnitude of the errors of p = sigmoid(x), where those of x are of magnitude `argument`."""
    slope = p * (1 - p)
    return p + np.where(slope > 0, slope * argument, 0)  # a saturated p is exact, however large its argument


def conditional(name: str, n: int, visible: int, hidden: int, change: Any = None) -> Case:
    """The functions without randomness; `change` edits v, w, b, c, h in place."""

    def inputs(rng: np.random.Generator) -> list[Any]:
        arrays = [*parameters(rng, n, visible, hidden), (rng.random((n, hidden)) < 0.5).astype(float)]
        if change:
            change(*arrays)
        return arrays

    def call(device: Any, v: Any, w: Any, b: Any, c: Any, h: Any) -> Any:
        return device.rbm_hidden(v, w, c), device.rbm_visible(h, w, b), device.rbm_free_energy(v, w, b, c)

    @np.errstate(all="ignore")
    def reference(v: Any, w: Any, b: Any, c: Any, h: Any) -> Any:
        return sigmoid(c + v @ w), sigmoid(b + h @ w.T), free_energy(v, w, b, c)

    @np.errstate(all="ignore")
    def scale(v: Any, w: Any, b: Any, c: Any, h: Any) -> Any:
        up, down = np.abs(v) @ np.abs(w) + np.abs(c), h @ np.abs(w.T) + np.abs(b)
        hidden_p, visible_p, _ = reference(v, w, b, c, h)
        return of_sigmoid(hidden_p, up), of_sigmoid(visible_p, down), np.abs(v) @ np.abs(b) + (1 + up).sum(axis=1)

    return Case(
        name=f"conditionals and free energy: {name}",
        functions=("rbm_hidden", "rbm_visible", "rbm_free_energy"),
        inputs=inputs,
        call=call,
        reference=reference,
        tolerance=16.0,
        scale=scale,
    )


def not_finite(v: Any, w: Any, b: Any, c: Any, h: Any) -> None:
    v[1, 2] = np.nan
    w[3, 1], w[4, 2] = np.inf, np.nan
    b[0], c[0] = -np.inf, np.inf


def extreme(v: Any, w: Any, b: Any, c: Any, h: Any) -> None:
    b[:] = np.resize([1e4, -1e4, 1e30, -1e30, 80.0, -80.0], b.shape)
    c[:] = np.resize([-1e4, 1e4, -1e30, 1e30, -80.0, 80.0, 0.0], c.shape)


CASES = [
    conditional("no cases", 0, 4, 3),
    conditional("one unit each", 1, 1, 1),
    conditional("no hidden units", 3, 4, 0),
    conditional("no visible units", 3, 0, 4),
    conditional("ragged", 7, 13, 5),
    conditional("training shape", 100, 117, 90),
    conditional("free energy in several blocks", 3000, 20, 35),
    conditional("NaN and infinity stay in their rows and columns", 9, 11, 7, not_finite),
    conditional("extreme biases", 5, 40, 37, extreme),
    *(
        case
        for function in ("rbm_sample_hidden", "rbm_sample_visible")
        for shape in [(0, 4, 3), (1, 1, 1), (7, 13, 5), (100, 110, 95)]
        for case in sampled(function, *shape, n_chains=shape[0] if "visible" in function else 0)
    ),
    *(case for shape in [(0, 4, 3), (1, 1, 1), (7, 13, 5)] for case in sampled("rbm_gibbs", *shape, k=3)),
    *sampled("rbm_gibbs", 100, 90, 40, k=1),
    *(case for k in (1, 2, 5) for case in sampled("rbm_cd", 7, 13, 5, k=k)),
    *sampled("rbm_cd", 1, 1, 1),
    *sampled("rbm_cd", 3, 4, 0),
    *sampled("rbm_cd", 3, 0, 4),
    *sampled("rbm_cd", 100, 90, 40),
    *sampled("rbm_cd", 1500, 7, 3, name="many cases of few units"),
    *(case for k in (1, 3) for case in sampled("rbm_cd", 7, 13, 5, k=k, n_chains=7)),
    *sampled("rbm_cd", 5, 13, 5, n_chains=17),
    *sampled("rbm_cd", 60, 90, 40, n_chains=100),
    *(
        case
        for f in ("rbm_cd", "rbm_gibbs")
        for case in sampled(f, 40, 230, 70, k=2, few=True, name="most of 230 are 0")
    ),
    *sampled("rbm_cd", 20, 110, 9, n_chains=50, few=True, name="chains, most of 110 are 0"),
    # Of fewer hidden units the products to them are dense.
    *(case for f in ("rbm_cd", "rbm_gibbs") for case in sampled(f, 40, 150, 130, few=True, name="most of 150 are 0")),
    *sampled("rbm_cd", 20, 110, 130, n_chains=50, few=True, name="chains of many units, most are 0"),
]
