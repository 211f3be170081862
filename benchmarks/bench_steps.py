"""One training step through the Python API: dlcore against PyTorch eager, where it is installed.

python benchmarks/bench_steps.py [--threads N] [--json FILE]
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import timing


def mlp(*sizes: int) -> Any:
    from dlcore.nn import Linear, Sequential

    hidden = [Linear(a, b, "relu") for a, b in pairwise(sizes[:-1])]
    return Sequential(*hidden, Linear(sizes[-2], sizes[-1]))


def lenet() -> Any:
    from dlcore.nn import Conv2d, Flatten, Linear, MaxPool2d, Sequential

    return Sequential(
        Conv2d(1, 6, 5, padding=2, activation="relu"),
        MaxPool2d(2),
        Conv2d(6, 16, 5, activation="relu"),
        MaxPool2d(2),
        Flatten(),
        Linear(400, 120, "relu"),
        Linear(120, 84, "relu"),
        Linear(84, 10),
    )


def dlcore_step(net: Any, x: Any, y: Any) -> Callable[[], Any]:
    from dlcore import losses, optim, tensor, value_and_grad

    net.build(seed=0)
    optimizer = optim.Adam(net.parameters, lr=1e-3)
    gradient = value_and_grad(lambda a, b: losses.cross_entropy(net(a), b), net.parameters)
    inputs, labels = tensor(x), tensor(y, "int32")

    def step() -> None:
        _, g = gradient(inputs, labels)
        optimizer.step(g)

    return step


def torch_step(layers: list[Any], x: Any, y: Any, fused: bool) -> Callable[[], Any]:
    import torch

    net = torch.nn.Sequential(*layers)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3, fused=fused)
    inputs, labels = torch.from_numpy(x), torch.from_numpy(y).long()
    loss = torch.nn.CrossEntropyLoss()

    def step() -> None:
        optimizer.zero_grad()
        loss(net(inputs), labels).backward()
        optimizer.step()

    return step


def torch_mlp(*sizes: int) -> list[Any]:
    from torch.nn import Linear, ReLU

    layers: list[Any] = []
    for a, b in pairwise(sizes[:-1]):
        layers += [Linear(a, b), ReLU()]
    return [*layers, Linear(sizes[-2], sizes[-1])]


def torch_lenet() -> list[Any]:
    from torch.nn import Conv2d, Flatten, MaxPool2d, ReLU

    features = [Conv2d(1, 6, 5, padding=2), ReLU(), MaxPool2d(2), Conv2d(6, 16, 5), ReLU(), MaxPool2d(2), Flatten()]
    return [*features, *torch_mlp(400, 120, 84, 10)]


# name, our network, PyTorch's layers, shape of one case, batch
SETTINGS: list[tuple[str, Callable[[], Any], Callable[[], list[Any]], tuple[int, ...], int]] = [
    ("mlp 64-32-10, batch 32", lambda: mlp(64, 32, 10), lambda: torch_mlp(64, 32, 10), (64,), 32),
    ("mlp 784-500-500-10, batch 32", lambda: mlp(784, 500, 500, 10), lambda: torch_mlp(784, 500, 500, 10), (784,), 32),
    (
        "mlp 784-500-500-10, batch 128",
        lambda: mlp(784, 500, 500, 10),
        lambda: torch_mlp(784, 500, 500, 10),
        (784,),
        128,
    ),
    ("lenet-5, batch 128", lenet, torch_lenet, (1, 28, 28), 128),
]


def candidates(setting: tuple[Any, ...], threads: int) -> dict[str, Callable[[], Any]]:
    import numpy as np

    _, network, layers, shape, batch = setting
    rng = np.random.default_rng(0)
    x = rng.random((batch, *shape), dtype=np.float32)
    y = rng.integers(0, 10, batch).astype(np.int32)
    calls = {"dlcore": dlcore_step(network(), x, y)}
    try:
        import torch
    except ImportError:
        return calls
    torch.set_num_threads(threads)
    calls["torch"] = torch_step(layers(), x, y, fused=False)
    calls["torch, fused Adam"] = torch_step(layers(), x, y, fused=True)
    return calls


def main() -> None:
    options = timing.arguments(__doc__).parse_args()
    timing.limit_threads(options.threads)
    rows = []
    print(f"{'training step':32} {'median µs':>10}  speed against the best peer")
    for setting in SETTINGS:
        if options.only not in setting[0]:
            continue
        timings = timing.interleaved(candidates(setting, options.threads), options.seconds, burst_seconds=0.02)
        relative, best = timing.ratio(timings, "dlcore")
        microseconds = {name: 1e6 * timed.median for name, timed in timings.items()}
        peers = "  ".join(f"{name} {value:.0f}" for name, value in microseconds.items() if name != "dlcore")
        print(f"{setting[0]:32} {microseconds['dlcore']:10.1f}  {relative:5.2f}  ({peers})", flush=True)
        rows.append({"name": setting[0], "microseconds": microseconds, "ratio": relative, "peer": best})
    timing.write_json(options.json, "steps", options.threads, rows)


if __name__ == "__main__":
    main()
