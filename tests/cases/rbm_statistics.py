"""Statistics of weighed rows, and the terms of a contrastive gradient beside them."""

from __future__ import annotations

from typing import Any

import numpy as np
from case import Case

from cases.rbm import sigmoid
from cases.rbm_chains import GAUSSIAN_HIDDEN, MIXED, Units, layer, native


def statistics(n: int, visible: int, hidden: int, units: Any = None) -> Case:
    gaussian = Units(0, "float64", units, np.empty(0)).gaussian(visible)

    def inputs(rng: np.random.Generator) -> list[Any]:
        w, b, c = (rng.standard_normal(s) * 0.4 for s in [(visible, hidden), visible, hidden])
        return [
            rng.standard_normal(len(gaussian)) * 0.5,
            layer(rng, n, visible, units),
            rng.standard_normal(n),
            w,
            b,
            c,
        ]

    def terms(z: Any, v: Any, weights: Any, w: Any, b: Any, c: Any, size: Any) -> Any:
        x = Units(0, "float64", units, z)
        variance = x.variance(visible)
        scaled = v / variance
        field = c + scaled @ w
        p = field if x.hidden == "gaussian" else sigmoid(field)
        weights, scaled, p, w = size(weights), size(scaled), size(p), size(w)
        squares = ((v - b) ** 2 / (2 * variance))[:, gaussian]
        product = (scaled * (p @ w.T))[:, gaussian]
        slopes = weights @ (squares + product if size is np.abs else squares - product)
        return np.concatenate([((weights[:, None] * scaled).T @ p).reshape(-1), weights @ scaled, weights @ p, slopes])

    return Case(
        name=f"rbm_statistics: {n} rows, {visible} visible, {hidden} hidden, {units}",
        functions=("rbm_statistics",),
        inputs=inputs,
        call=lambda device, z, *arguments: device.rbm_statistics(*arguments, native(units, z)),
        reference=lambda *arguments: terms(*arguments, lambda x: x),
        tolerance=16.0,
        scale=lambda *arguments: terms(*arguments, np.abs) + 1e-30,
    )


def with_terms(n: int, data: int, visible: int, hidden: int, units: Any = None) -> Case:
    """Centring, sparsity and decay beside weighed rows: as those of rbm_cd, with the data's weighed means."""
    rates = {"rate": 0.3, "target": 0.1, "cost": 0.7, "decay": 0.6, "weight_decay": 0.02}

    def inputs(rng: np.random.Generator) -> list[Any]:
        w, b, c = (rng.standard_normal(s) * 0.4 for s in [(visible, hidden), visible, hidden])
        weights = rng.standard_normal(n)
        weights[:data] = -rng.random(data)
        z = rng.standard_normal(len(Units(0, "float64", units, np.empty(0)).gaussian(visible))) * 0.5
        return [z, layer(rng, n, visible, units), weights, w, b, c, rng.random(visible + hidden), rng.random(hidden)]

    def call(device: Any, z: Any, v: Any, weights: Any, w: Any, b: Any, c: Any, offsets: Any, q: Any) -> Any:
        gradient = device.rbm_statistics(
            v, weights, w, b, c, native(units, z), data, (offsets, rates["rate"]),
            (q, rates["target"], rates["cost"], rates["decay"]), rates["weight_decay"], True, True,
        )  # fmt: skip
        return gradient, offsets, q

    def reference(z: Any, v: Any, weights: Any, w: Any, b: Any, c: Any, offsets: Any, q: Any) -> Any:
        x = Units(0, "float64", units, z)
        s = x.variance(visible)
        p = sigmoid(c + v / s @ w)
        dw, db, dc = ((weights[:, None] * v / s).T @ p), weights @ (v / s), weights @ p
        share = weights[:data] / weights[:data].sum() if data else weights[:0]
        means = [share @ v[:data], share @ p[:data]]
        if data:
            offsets = offsets + rates["rate"] * (np.concatenate(means) - offsets)
            q = q + (1 - rates["decay"]) * (means[1] - q)
            mu, rest = offsets[:visible] / s, offsets[visible:]
            dw = s[:, None] * (dw - np.outer(mu, dc) - np.outer(db, rest))
            db = s * db - dw @ rest
            dc = dc - dw.T @ mu
            excess = rates["cost"] * (q - rates["target"])
            dw, dc = dw + np.outer(means[0], excess), dc + excess
        else:
            dw, db = s[:, None] * dw, s * db
        dw = dw + rates["weight_decay"] * w
        return np.concatenate([dw.reshape(-1), db, dc, np.zeros(len(z))]), offsets, q

    def scale(*arguments: Any) -> Any:
        z, v, weights = arguments[:3]
        most = (1 + np.abs(v).max()) ** 2 * (1 + visible + hidden) * np.exp(np.abs(z).sum())
        size = np.abs(weights).sum() * most + 1
        return tuple(np.full(r.shape, size) for r in reference(*arguments))

    return Case(
        name=f"rbm_statistics with terms: {n} rows, {data} of data, {visible} visible, {hidden} hidden, {units}",
        functions=("rbm_statistics",),
        inputs=inputs,
        call=call,
        reference=reference,
        tolerance=4.0,
        scale=scale,
    )


CASES = [
    *(statistics(*shape) for shape in [(0, 4, 3), (1, 1, 1), (7, 13, 5), (200, 150, 90)]),
    *(statistics(n, 15, 4, MIXED) for n in (1, 50)),
    statistics(9, 7, 4, GAUSSIAN_HIDDEN),
    *(with_terms(*shape) for shape in [(9, 4, 5, 3), (7, 0, 5, 3), (120, 70, 40, 30)]),
    with_terms(9, 4, 15, 4, MIXED),
]
