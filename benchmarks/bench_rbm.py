"""An epoch of an RBM, 60 000 cases of 784-500 in batches of 100: against scikit-learn and a plain PyTorch loop.

python benchmarks/bench_rbm.py [--threads N] [--json FILE]

A call is one batch, data to updated parameters; an epoch is 600 of them. scikit-learn's BernoulliRBM does PCD-1, in
float64 unless its data is float32.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable
from typing import Any

import timing

CASES, BATCH, VISIBLE, HIDDEN = 60_000, 100, 784, 500
BATCHES_MADE = 60  # different ones; enough not to stay in a cache
RATE = 0.05


def data(dtype: str) -> Any:
    """Grey pixels, most of them 0, like those of handwritten digits."""
    import numpy as np

    rng = np.random.default_rng(0)
    pixels = rng.random((BATCHES_MADE * BATCH, VISIBLE)) * (rng.random((BATCHES_MADE * BATCH, VISIBLE)) < 0.2)
    return pixels.astype(dtype)


def dlcore_step(dtype: str, persistent: bool) -> Callable[[], Any]:
    import numpy as np
    from dlcore.device import cpu

    v = cpu.from_numpy(data(dtype))
    size = VISIBLE * HIDDEN
    theta = np.zeros(size + VISIBLE + HIDDEN)
    theta[:size] = np.random.default_rng(1).normal(0, 0.01, size)
    theta = cpu.from_numpy(theta.astype(dtype))
    gradient = cpu.empty(theta.shape, dtype)
    weight = theta.view(0, (VISIBLE, HIDDEN))
    visible_bias, hidden_bias = theta.view(size, (VISIBLE,)), theta.view(size + VISIBLE, (HIDDEN,))
    chains = cpu.from_numpy(np.zeros((BATCH, HIDDEN), dtype)) if persistent else None
    steps = itertools.count()

    def step() -> None:
        i = next(steps)
        batch = v.view(i % BATCHES_MADE * BATCH * VISIBLE, (BATCH, VISIBLE))
        cpu.rbm_cd(batch, weight, visible_bias, hidden_bias, 1, 0, 2 * i, chains=chains, out=gradient)
        cpu.sgd(theta, gradient, None, RATE, 0.0, 0.0, False, 0.0)

    return step


def torch_step(dtype: str, persistent: bool) -> Callable[[], Any]:
    import torch

    v = torch.from_numpy(data(dtype)).split(BATCH)
    weight = torch.randn(VISIBLE, HIDDEN, dtype=v[0].dtype) * 0.01
    visible_bias, hidden_bias = torch.zeros(VISIBLE, dtype=v[0].dtype), torch.zeros(HIDDEN, dtype=v[0].dtype)
    batches = itertools.cycle(v)
    chains = torch.zeros(BATCH, HIDDEN, dtype=v[0].dtype)

    @torch.no_grad()
    def step() -> None:
        v0 = next(batches)
        p0 = torch.sigmoid(torch.addmm(hidden_bias, v0, weight))
        h = chains if persistent else torch.bernoulli(p0)
        v1 = torch.bernoulli(torch.sigmoid(torch.addmm(visible_bias, h, weight.T)))
        p1 = torch.sigmoid(torch.addmm(hidden_bias, v1, weight))
        if persistent:
            torch.bernoulli(p1, out=chains)
        weight.addmm_(v0.T, p0, alpha=RATE / BATCH).addmm_(v1.T, p1, alpha=-RATE / BATCH)
        visible_bias.add_((v0 - v1).mean(0), alpha=RATE)
        hidden_bias.add_((p0 - p1).mean(0), alpha=RATE)

    return step


def sklearn_step(dtype: str) -> Callable[[], Any]:
    """What each batch of BernoulliRBM.fit does, without the checks of a call to partial_fit."""
    import numpy as np
    from sklearn.neural_network import BernoulliRBM

    v = data(dtype)
    model = BernoulliRBM(HIDDEN, learning_rate=RATE, batch_size=BATCH, n_iter=1, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(v[: 2 * BATCH])
    batches = itertools.cycle(np.split(v, BATCHES_MADE))
    random = np.random.RandomState(0)
    return lambda: model._fit(next(batches), random)


def candidates(persistent: bool, threads: int) -> dict[str, Callable[[], Any]]:
    calls = {"dlcore": dlcore_step("float32", persistent), "dlcore float64": dlcore_step("float64", persistent)}
    try:
        import torch

        torch.set_num_threads(threads)
        calls["torch"] = torch_step("float32", persistent)
        calls["torch float64"] = torch_step("float64", persistent)
    except ImportError:
        pass
    if persistent:
        try:
            calls["sklearn"] = sklearn_step("float32")
            calls["sklearn float64"] = sklearn_step("float64")
        except ImportError:
            pass
    return calls


def main() -> None:
    options = timing.arguments(__doc__).parse_args()
    timing.limit_threads(options.threads)
    rows = []
    for name, persistent in (("CD-1", False), ("PCD-1", True)):
        if options.only not in name:
            continue
        timings = timing.interleaved(candidates(persistent, options.threads), options.seconds, burst_seconds=0.02)
        seconds = {peer: CASES / BATCH * timed.median for peer, timed in timings.items()}
        print(f"{name} epoch of {CASES} cases, {VISIBLE}-{HIDDEN}, batch {BATCH}, {options.threads} threads")
        for peer, epoch in seconds.items():
            relative = timing.ratio({"dlcore": timings["dlcore"], peer: timings[peer]}, "dlcore")[0]
            speed = "" if peer == "dlcore" else f"  dlcore float32 is {relative:.2f} times as fast"
            print(f"  {peer:16} {epoch:7.2f} s{speed}", flush=True)
        rows.append({"name": name, "epoch_seconds": seconds})
    timing.write_json(options.json, "rbm", options.threads, rows)


if __name__ == "__main__":
    main()
