"""Random numbers: uniform ones, and states of units drawn from their sigmoids, against PyTorch, JAX and NumPy.

python benchmarks/bench_random.py [--threads N] [--json FILE]

No two libraries draw the same numbers: means and variances are compared, which 78 400 draws give within 0.01.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial
from typing import Any

import peers
import timing

SHAPE = (100, 784)
DRAWS = SHAPE[0] * SHAPE[1]
TOLERANCE = 0.02  # of (mean, variance)


def moments(values: Any) -> Any:
    import numpy as np

    values = np.asarray(values, np.float64)
    return np.array([values.mean(), values.var()])


def uniform_row(threads: int) -> timing.Row:
    import dlcore.device
    import numpy as np

    cpu, steps, rng = dlcore.device.cpu, itertools.count(), np.random.Generator(np.random.SFC64(0))
    drawn = np.empty(SHAPE, np.float32)
    calls: dict[str, Callable[[], Any]] = {
        "dlcore": lambda: cpu.uniform(0, next(steps), SHAPE, 0.0, 1.0, "float32"),
        "numpy SFC64": lambda: rng.random(out=drawn, dtype=np.float32),
    }
    results = {"exact": lambda: [1 / 2, 1 / 12], "dlcore": lambda: moments(calls["dlcore"]().numpy())}
    results["numpy SFC64"] = lambda: moments(calls["numpy SFC64"]())
    if torch := peers.torch(threads):
        out = torch.empty(SHAPE)
        calls["torch"] = lambda: torch.rand(SHAPE, out=out)
        results["torch"] = lambda: moments(calls["torch"]().numpy())
    if jax := peers.jax():
        draw = jax.jit(lambda key: jax.random.uniform(key, SHAPE))
        keys = itertools.cycle(jax.random.split(jax.random.key(0), 16))
        calls["jax"] = lambda: draw(next(keys)).block_until_ready()
        results["jax"] = lambda: moments(calls["jax"]())
    return timing.Row("uniform, 78 400", calls, "G/s", DRAWS, {}, results, TOLERANCE)


def states_row(threads: int) -> timing.Row:
    import dlcore.device
    import numpy as np

    cpu, steps = dlcore.device.cpu, itertools.count()
    logits = np.random.default_rng(0).standard_normal(SHAPE).astype(np.float32)
    x = cpu.from_numpy(logits)
    mean = float((1 / (1 + np.exp(-logits.astype(np.float64)))).mean())
    calls: dict[str, Callable[[], Any]] = {
        "dlcore": lambda: cpu.bernoulli(0, next(steps), cpu.activation(x, "sigmoid", 0.0)),
    }
    results = {"exact": lambda: [mean, mean * (1 - mean)], "dlcore": lambda: moments(calls["dlcore"]().numpy())}
    if torch := peers.torch(threads):
        z = torch.from_numpy(logits)
        calls["torch"] = lambda: torch.bernoulli(torch.sigmoid(z))
        results["torch"] = lambda: moments(calls["torch"]().numpy())
    if jax := peers.jax():
        draw = jax.jit(lambda key, z: jax.random.bernoulli(key, jax.nn.sigmoid(z)).astype(z.dtype))
        keys, jax_z = itertools.cycle(jax.random.split(jax.random.key(0), 16)), jax.numpy.asarray(logits)
        calls["jax"] = lambda: draw(next(keys), jax_z).block_until_ready()
        results["jax"] = lambda: moments(calls["jax"]())
    return timing.Row("sigmoid and Bernoulli, 78 400", calls, "G/s", DRAWS, {}, results, TOLERANCE)


def main() -> None:
    options = timing.arguments(__doc__).parse_args()
    timing.limit_threads(options.threads)
    timing.run("random", options, [partial(uniform_row, options.threads), partial(states_row, options.threads)])


if __name__ == "__main__":
    main()
