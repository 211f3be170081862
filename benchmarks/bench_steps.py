"""Training steps with Adam: step by step, as it is and traced, and inside `fit`; PyTorch, JAX and scikit-learn.

python benchmarks/bench_steps.py [--threads N] [--json FILE]

Every peer starts from the same parameters and learns the same batch; after three steps the changes of the parameters
must agree before anything is timed. `fit` and scikit-learn are timed as an epoch and shown as a step of it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import networks
import peers
import timing

CHECKED = 3  # steps before the parameters are compared
# Adam divides a gradient by its own size: where it is next to nothing, rounding decides about a step.
TOLERANCE = 2e-2


def mlp(*sizes: int) -> list[networks.Layer]:
    hidden = [("dense", a, b, "relu") for a, b in pairwise(sizes[:-1])]
    return [*hidden, ("dense", sizes[-2], sizes[-1], "identity")]


def lenet() -> list[networks.Layer]:
    return [("conv", 1, 6, 5, 2), ("pool",), ("conv", 6, 16, 5, 0), ("pool",), ("flatten",), *mlp(400, 120, 84, 10)]


def autoencoder(*sizes: int) -> list[networks.Layer]:
    """Logistic units, a linear code, and the way back."""
    there, back = list(pairwise(sizes)), list(pairwise(sizes[::-1]))
    ends = (len(there) - 1, len(there) + len(back) - 1)
    return [("dense", a, b, "identity" if i in ends else "sigmoid") for i, (a, b) in enumerate([*there, *back])]


# name, layers, shape of one case, batch, loss, steps of an epoch, unit
SETTINGS: list[tuple[str, list[networks.Layer], tuple[int, ...], int, str, int, str]] = [
    ("MLP 64-32-10, batch 32", mlp(64, 32, 10), (64,), 32, "cross_entropy", 1875, "us"),
    ("MLP 784-500-500-10, batch 32", mlp(784, 500, 500, 10), (784,), 32, "cross_entropy", 40, "ms"),
    ("MLP 784-500-500-10, batch 128", mlp(784, 500, 500, 10), (784,), 128, "cross_entropy", 20, "ms"),
    ("LeNet-5, batch 128", lenet(), (1, 28, 28), 128, "cross_entropy", 20, "ms"),
    (
        "autoencoder 784-1000-500-250-30, batch 128",
        autoencoder(784, 1000, 500, 250, 30),
        (784,),
        128,
        "reconstruction",
        10,
        "ms",
    ),
]


def compiles(torch: Any) -> bool:
    """Whether torch.compile works here: it needs a compiler and Python's headers."""
    try:
        torch.compile(lambda x: x.sin() + 1)(torch.zeros(3))
    except Exception as error:  # whatever its compiler raises
        print(f"torch.compile is left out: {type(error).__name__}: {str(error).splitlines()[0]}", flush=True)
        return False
    return True


def row(setting: tuple[Any, ...], threads: int, compiled: bool) -> timing.Row:
    import numpy as np

    name, layers, shape, batch, loss, steps, unit = setting
    rng = np.random.default_rng(0)
    # Grey pixels, and as many of them off as in handwritten digits.
    x = (rng.random((batch, *shape)) * (rng.random((batch, *shape)) < 0.2)).astype(np.float32)
    y = rng.integers(0, 10, batch).astype(np.int32)
    y[:10] = np.arange(10)
    task = networks.Task(layers, x, y, loss)
    makers: dict[str, Callable[[], networks.Maker]] = {
        "dlcore": lambda: networks.dlcore_steps(task),
        "dlcore traced": lambda: networks.dlcore_steps(task, replayed=True),
        "dlcore fit": lambda: networks.dlcore_fit(task, steps),
    }
    lengths = {"dlcore fit": steps, "scikit-learn fit": min(steps, 400)}  # half a millisecond a step there
    if torch := peers.torch(threads):
        makers["torch"] = lambda: networks.torch_steps(task, torch, fused=False)
        makers["torch, fused Adam"] = lambda: networks.torch_steps(task, torch, fused=True)
        if compiled and name.startswith("MLP 64") and compiles(torch):
            makers["torch, compiled"] = lambda: networks.torch_steps(task, torch, fused=True, compiled=True)
    if jax := peers.jax():
        makers["jax"] = lambda: networks.jax_steps(task, jax)
    if (sklearn := peers.sklearn()) and all(layer[0] == "dense" for layer in layers) and loss == "cross_entropy":
        makers["scikit-learn fit"] = lambda: networks.sklearn_fit(task, lengths["scikit-learn fit"], sklearn)
    start = networks.flat(task.initial)

    def change(maker: networks.Maker) -> Any:
        call, parameters = maker
        call(CHECKED)
        return parameters() - start

    made = {peer: make() for peer, make in makers.items()}
    return timing.Row(
        name,
        {peer: maker[0] for peer, maker in made.items()},
        unit,
        per={peer: float(lengths[peer]) for peer in made if peer in lengths},
        results={peer: partial(change, maker) for peer, maker in made.items()},
        tolerance=TOLERANCE,
    )


def main() -> None:
    parser = timing.arguments(__doc__)
    parser.add_argument("--compiled", action="store_true", help="also torch.compile, which takes half a minute")
    options = parser.parse_args()
    timing.limit_threads(options.threads)
    timing.run("steps", options, (partial(row, s, options.threads, options.compiled) for s in SETTINGS))


if __name__ == "__main__":
    main()
