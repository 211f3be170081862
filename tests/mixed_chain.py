"""A machine of several kinds of units in NumPy, which draws with the kernels' random words."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from cases.random import box_muller, unit_samples
from cases.rbm import STEP, sigmoid

NORMAL_STREAM = 0x9E3779B97F4A7C15
Layers = tuple[tuple[str, int, int], ...]


@dataclass
class Chain:
    """A machine that draws as the kernels do, and remembers how near a draw came to hanging on a rounding error."""

    layers: Layers
    hidden: str
    dtype: str
    key: int
    w: np.ndarray
    b: np.ndarray
    c: np.ndarray
    z: np.ndarray
    step: int = STEP
    margin: float = 1.0
    kinds: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.kinds = np.concatenate([np.full(n, kind) for kind, n, _ in self.layers])

    @property
    def gaussian(self) -> np.ndarray:
        return self.kinds == "gaussian"

    @property
    def s(self) -> np.ndarray:
        s = np.ones(len(self.kinds))
        s[self.gaussian] = np.exp(self.z)
        return s

    def groups(self) -> list[tuple[int, int]]:
        found, first = [], 0
        for kind, n, group in self.layers:
            if kind == "softmax":
                found += [(i, i + group) for i in range(first, first + n, group)]
            first += n
        return found

    def hidden_mean(self, v: np.ndarray) -> np.ndarray:
        x = self.c + (v / self.s) @ self.w
        return sigmoid(x) if self.hidden == "bernoulli" else x

    def visible_mean(self, h: np.ndarray) -> np.ndarray:
        x = self.b + h @ self.w.T
        mean = np.where(self.gaussian, x, sigmoid(x))
        for first, last in self.groups():
            e = np.exp(x[:, first:last] - x[:, first:last].max(axis=1, keepdims=True))
            mean[:, first:last] = e / e.sum(axis=1, keepdims=True)
        return mean

    def _uniform(self, mean: np.ndarray) -> np.ndarray:
        return unit_samples(self.key, self.step, mean.size, self.dtype).reshape(mean.shape)

    def _normal(self, shape: tuple[int, int]) -> np.ndarray:
        n = shape[0] * shape[1]
        return box_muller(self.key ^ NORMAL_STREAM, self.step, n, self.dtype)[0].reshape(shape)

    def _near(self, distance: np.ndarray) -> None:
        if distance.size:
            self.margin = min(self.margin, float(np.abs(distance).min()))

    def draw_hidden(self, mean: np.ndarray) -> np.ndarray:
        if self.hidden == "gaussian":
            h = mean + self._normal((len(mean), mean.shape[1]))
        else:
            u = self._uniform(mean)
            self._near(u - mean)
            h = (u < mean).astype(float)
        self.step = (self.step + 1) % 2**64
        return h

    def draw_visible(self, mean: np.ndarray) -> np.ndarray:
        u, v = self._uniform(mean), mean.copy()
        binary = self.kinds == "bernoulli"
        self._near((u - mean)[:, binary])
        v[:, binary] = (u < mean)[:, binary]
        for first, last in self.groups():
            sums = np.cumsum(mean[:, first:last], axis=1)
            self._near((u[:, [first]] - sums)[:, :-1])
            v[:, first:last] = np.eye(last - first)[np.minimum((u[:, [first]] >= sums).sum(axis=1), last - first - 1)]
        count = int(self.gaussian.sum())
        v[:, self.gaussian] += np.exp(self.z / 2) * self._normal((len(mean), count))
        self.step = (self.step + 1) % 2**64
        return v

    def statistics(self, v: np.ndarray, p: np.ndarray) -> np.ndarray:
        scaled = v / self.s
        z = ((v - self.b) ** 2 / (2 * self.s) - scaled * (p @ self.w.T))[:, self.gaussian]
        parts = [(scaled.T @ p).reshape(-1), scaled.sum(axis=0), p.sum(axis=0), z.sum(axis=0)]
        return np.concatenate(parts) / len(v)

    def contrast(self, v: np.ndarray, k: int, chains: np.ndarray | None) -> tuple[np.ndarray, float, Any]:
        h = self.draw_hidden(self.hidden_mean(v)) if chains is None else chains
        error = 0.0
        for i in range(k):
            mean = self.visible_mean(h)
            if i == 0 and chains is None:
                error = float(((v - mean) ** 2).sum() / len(v))
            end = self.draw_visible(mean)
            if i + 1 < k or chains is not None:
                h = self.draw_hidden(self.hidden_mean(end))
        difference = self.statistics(end, self.hidden_mean(end)) - self.statistics(v, self.hidden_mean(v))
        return difference, error, h

    def with_terms(self, g: np.ndarray, v: np.ndarray, terms: Any) -> np.ndarray:
        """The gradient with centring, sparsity and weight decay, whose states move."""
        n, m = self.w.shape
        w, b, c, z = np.split(g, [n * m, n * m + n, n * m + n + m])
        w = w.reshape(n, m)
        scale = self.s if terms.get("scaled") else np.ones(n)
        if "offsets" in terms:
            data = np.concatenate([v.mean(axis=0), self.hidden_mean(v).mean(axis=0)])
            terms["offsets"] = terms["offsets"] + terms["rate"] * (data - terms["offsets"])
            mu, lam = terms["offsets"][:n] / self.s, terms["offsets"][n:]
            w = scale[:, None] * (w - np.outer(mu, c) - np.outer(b, lam))
            b, c = scale * b - w @ lam, c - w.T @ mu
        else:
            w, b = scale[:, None] * w, scale * b
        if "activity" in terms:
            q = terms["activity"]
            terms["activity"] = q = q + (1 - terms["decay"]) * (self.hidden_mean(v).mean(axis=0) - q)
            excess = terms["cost"] * (q - terms["target"])
            w, c = w + np.outer((v * scale / self.s).mean(axis=0), excess), c + excess
        w = w + terms.get("weight_decay", 0.0) * self.w
        return np.concatenate([w.reshape(-1), b, c, 0 * z if terms.get("fixed") else z])

    def free_energy(self, v: np.ndarray) -> np.ndarray:
        x = self.c + (v / self.s) @ self.w
        own = np.where(self.gaussian, (v - self.b) ** 2 / (2 * self.s), -self.b * v).sum(axis=1)
        if self.hidden == "bernoulli":
            return own - np.logaddexp(0, x).sum(axis=1)
        return own - 0.5 * (x**2 + np.log(2 * np.pi)).sum(axis=1)

    def log_z(self) -> float:
        """By the hidden states, or the visible ones where the hidden units are Gaussian."""
        if self.hidden == "gaussian":
            axes: list[Any] = []
            for kind, n, group in self.layers:
                axes += [np.eye(group)] * (n // group) if kind == "softmax" else [np.array([[0.0], [1.0]])] * n
            v = np.array([np.concatenate(parts) for parts in itertools.product(*axes)])
            return float(np.logaddexp.reduce(-self.free_energy(v)))
        h = np.array(list(itertools.product([0.0, 1.0], repeat=len(self.c)))).reshape(-1, len(self.c))
        x = self.b + h @ self.w.T
        binary, g, s = self.kinds == "bernoulli", self.gaussian, self.s
        total = h @ self.c + np.logaddexp(0, x[:, binary]).sum(axis=1)
        for first, last in self.groups():
            total += np.logaddexp.reduce(x[:, first:last], axis=1)
        total += ((x[:, g] ** 2 - self.b[g] ** 2) / (2 * s[g]) + 0.5 * np.log(2 * np.pi * s[g])).sum(axis=1)
        return float(np.logaddexp.reduce(total))
