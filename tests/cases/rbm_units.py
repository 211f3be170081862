"""Machines of several kinds of units, and their terms against the same chains in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
from case import Case
from mixed_chain import Chain, Layers

from cases.rbm import STEP

LABELS: Layers = (("bernoulli", 9, 1), ("softmax", 6, 3), ("bernoulli", 2, 1))
GAUSSIAN: Layers = (("gaussian", 13, 1),)
MIXED: Layers = (("gaussian", 3, 1), ("softmax", 4, 4), ("bernoulli", 5, 1), ("gaussian", 1, 1), ("softmax", 6, 2))
TALL: Layers = (("bernoulli", 50, 1), ("softmax", 40, 20), ("gaussian", 30, 1))


def parameters(rng: np.random.Generator, layers: Layers, n: int, hidden: int) -> list[np.ndarray]:
    """v, w, b, c, z."""
    columns = []
    for kind, count, group in layers:
        if kind == "softmax":
            columns.append(rng.dirichlet(np.ones(group), (n, count // group)).reshape(n, count))
        else:
            columns.append(rng.standard_normal((n, count)) if kind == "gaussian" else rng.random((n, count)).round(1))
    v = np.concatenate(columns, axis=1)
    gaussian = sum(count for kind, count, _ in layers if kind == "gaussian")
    size = v.shape[1]
    w = rng.standard_normal((size, hidden)) * 0.3
    return [v, w, rng.standard_normal(size), rng.standard_normal(hidden), 0.4 * rng.standard_normal(gaussian)]


def native_units(layers: Layers, z: Any, hidden: str) -> Any:
    return layers, z if z.shape[0] else None, hidden


def plain(name: str, layers: Layers, n: int, hidden: int, kind: str = "bernoulli") -> Case:
    """What is not random."""
    few = hidden <= 10 if kind == "bernoulli" else sum(count for _, count, _ in layers) <= 12

    def inputs(rng: np.random.Generator) -> list[Any]:
        h = (rng.random((n, hidden)) < 0.5).astype(float) if kind == "bernoulli" else rng.standard_normal((n, hidden))
        return [*parameters(rng, layers, n, hidden), h]

    def call(device: Any, v: Any, w: Any, b: Any, c: Any, z: Any, h: Any) -> Any:
        units = native_units(layers, z, kind)
        found = [device.rbm_hidden(v, w, c, units), device.rbm_visible(h, w, b, units)]
        found.append(device.rbm_free_energy(v, w, b, c, units))
        return (*found, device.rbm_log_partition(w, b, c, units=units) if few else 0.0)

    def reference(v: Any, w: Any, b: Any, c: Any, z: Any, h: Any) -> Any:
        chain = Chain(layers, kind, "float64", 0, w, b, c, z)
        return chain.hidden_mean(v), chain.visible_mean(h), chain.free_energy(v), chain.log_z() if few else 0.0

    def scale(v: Any, w: Any, b: Any, c: Any, z: Any, h: Any) -> Any:
        chain = Chain(layers, kind, "float64", 0, w, b, c, z)
        up = np.abs(v / chain.s) @ np.abs(w) + np.abs(c)
        down = np.abs(h) @ np.abs(w.T) + np.abs(b)
        own = np.where(chain.gaussian, (v - b) ** 2 / (2 * chain.s), np.abs(b * v)).sum(axis=1)
        terms = (1 + up + up**2 * (kind == "gaussian")).sum(axis=1)
        return up, down, own + terms, 30.0

    return Case(
        name=f"kinds of units: {name}",
        functions=("rbm_hidden", "rbm_visible", "rbm_free_energy", "rbm_log_partition"),
        inputs=inputs,
        call=call,
        reference=reference,
        tolerance=32.0,
        scale=scale,
    )


def chains(
    name: str,
    layers: Layers,
    n: int,
    hidden: int,
    k: int = 1,
    kind: str = "bernoulli",
    n_chains: int = 0,
    terms: Any = None,
) -> list[Case]:
    """rbm_cd with its terms, or without any draws and Gibbs steps of the same machine."""
    function = "rbm_cd" if terms is not None else "rbm_gibbs"

    def made(dtype: str) -> Case:
        def state(rng: np.random.Generator) -> list[np.ndarray]:
            size = sum(count for _, count, _ in layers)
            return [0.3 + 0.4 * rng.random(size + hidden), rng.random(hidden)]

        def run(key: int, v: Any, w: Any, b: Any, c: Any, z: Any, offsets: Any, activity: Any, h: Any) -> Any:
            chain = Chain(layers, kind, dtype, key, w, b, c, z)
            if function == "rbm_gibbs":
                mean = chain.hidden_mean(v)
                drawn = chain.draw_hidden(mean)
                below = chain.visible_mean(drawn)
                found = [mean, drawn, below, chain.draw_visible(below)]
                chain.step = STEP
                for _ in range(k):
                    below = chain.visible_mean(chain.draw_hidden(chain.hidden_mean(v)))
                    v = chain.draw_visible(below)
                return (*found, v, below), chain
            live = dict(terms)
            if "rate" in live:
                live["offsets"] = offsets
            if "cost" in live:
                live["activity"] = activity
            states = h if n_chains else None
            g, error, states = chain.contrast(v, k, states)
            found = [chain.with_terms(g, v, live), error]
            found += [live.get("offsets", offsets), live.get("activity", activity), states if n_chains else h]
            return tuple(found), chain

        def inputs(rng: np.random.Generator) -> list[Any]:
            arrays = [*parameters(rng, layers, n, hidden), *state(rng)]
            shape = (max(n_chains, 1), hidden)
            arrays.append(
                (rng.random(shape) < 0.5).astype(float) if kind == "bernoulli" else rng.standard_normal(shape)
            )
            for key in range(500):
                if run(key, *arrays)[1].margin > 1e-5:
                    return [key, *arrays]
            raise AssertionError("no key keeps every sample away from its probability")

        def call(
            device: Any, key: int, v: Any, w: Any, b: Any, c: Any, z: Any, offsets: Any, activity: Any, h: Any
        ) -> Any:
            units = native_units(layers, z, kind)
            if function == "rbm_gibbs":
                up = device.rbm_sample_hidden(v, w, c, key, STEP, units)
                down = device.rbm_sample_visible(up[1], w, b, key, (STEP + 1) % 2**64, units)
                return (*up, *down, *device.rbm_gibbs(v, w, b, c, k, key, STEP, units))
            given: dict[str, Any] = {"units": units, "chains": h if n_chains else None}
            given |= {"weight_decay": terms.get("weight_decay", 0.0), "fixed_variance": terms.get("fixed", False)}
            given["scaled_steps"] = terms.get("scaled", False)
            if "rate" in terms:
                given["centring"] = (offsets, terms["rate"])
            if "cost" in terms:
                given["sparsity"] = (activity, terms["target"], terms["cost"], terms["decay"])
            g, error = device.rbm_cd(v, w, b, c, k, key, STEP, **given)
            return g, 0.0 if error is None else error, offsets, activity, h

        def scale(key: int, v: Any, w: Any, b: Any, c: Any, z: Any, *rest: Any) -> Any:
            depth = 1 + np.abs(w).sum(axis=0).max() + np.abs(b).max() + np.abs(c).max() + 2 * (v**2).max(initial=0)
            return tuple(depth * np.maximum(np.abs(r), 1) for r in run(key, v, w, b, c, z, *rest)[0])

        functions = {"rbm_gibbs": ("rbm_sample_hidden", "rbm_sample_visible", "rbm_gibbs")}.get(function, (function,))
        return Case(
            name=f"{function}: {name}",
            functions=functions,
            inputs=inputs,
            call=call,
            reference=lambda *arguments: run(*arguments)[0],
            tolerance=16.0,
            scale=scale,
            dtypes=(dtype,),
        )

    return [made("float32"), made("float64")]


CENTRED = {"rate": 0.25}
SPARSE = {"target": 0.1, "cost": 0.7, "decay": 0.6}
BERNOULLI: Layers = (("bernoulli", 13, 1),)

CASES = [
    plain("labels", LABELS, 7, 5),
    plain("gaussian", GAUSSIAN, 7, 5),
    plain("mixed", MIXED, 9, 6),
    plain("gaussian hidden units", (("bernoulli", 3, 1), ("softmax", 6, 3)), 8, 5, "gaussian"),
    plain("many rows", TALL, 1500, 40),
    *chains("labels", LABELS, 7, 5, k=3),
    *chains("gaussian", GAUSSIAN, 7, 5, k=2),
    *chains("mixed", MIXED, 9, 6, k=2),
    *chains("gaussian hidden units", LABELS, 5, 4, kind="gaussian", k=2),
    *chains("labels", LABELS, 7, 5, k=2, terms={}),
    *chains("labels, persistent", LABELS, 7, 5, k=2, n_chains=9, terms={"weight_decay": 0.1}),
    *chains("gaussian", GAUSSIAN, 7, 5, terms={}),
    *chains("mixed, centred, sparse", MIXED, 9, 6, terms=CENTRED | SPARSE),
    *chains("mixed, persistent, centred", MIXED, 9, 6, n_chains=5, k=2, terms=CENTRED | {"fixed": True}),
    *chains("gaussian hidden units", LABELS, 8, 4, kind="gaussian", terms=CENTRED),
    *chains("centred, sparse", BERNOULLI, 12, 5, terms=CENTRED | SPARSE | {"weight_decay": 0.01}),
    *chains("mixed, scaled, centred, sparse", MIXED, 9, 6, terms=CENTRED | SPARSE | {"scaled": True}),
    *chains("mixed, scaled", MIXED, 8, 6, terms={"scaled": True}),
    *chains("persistent, centred", LABELS, 8, 6, k=2, n_chains=4, terms=CENTRED | {"weight_decay": 0.01}),
    *chains("sparse", BERNOULLI, 7, 6, terms=SPARSE),
    *chains("training shape", (("bernoulli", 90, 1),), 130, 40, terms={"weight_decay": 0.01}),
]
