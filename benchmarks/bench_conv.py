"""Convolution and pooling: dlcore against PyTorch, where it is installed.

python benchmarks/bench_conv.py [--threads N] [--dtype float32|float64] [--only TEXT] [--json FILE]
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import timing

# name, images (n, channels, height, width), filters, kernel, stride, padding
LAYERS = [
    ("LeNet conv1", (128, 1, 28, 28), 6, 5, 1, 2),
    ("LeNet conv2", (128, 6, 14, 14), 16, 5, 1, 0),
    ("LeNet conv3", (128, 16, 5, 5), 120, 5, 1, 0),
    ("20@5x5", (128, 1, 28, 28), 20, 5, 1, 0),
    ("50@5x5", (128, 20, 12, 12), 50, 5, 1, 0),
    ("digits 16@3x3", (64, 1, 8, 8), 16, 3, 1, 1),
    ("digits 32@3x3", (64, 16, 4, 4), 32, 3, 1, 1),
    ("64x32x32x32 to 64 3x3", (64, 32, 32, 32), 64, 3, 1, 1),
    ("32x64x16x16 to 64 3x3", (32, 64, 16, 16), 64, 3, 1, 1),
    ("16x256x8x8 to 256 3x3", (16, 256, 8, 8), 256, 3, 1, 1),
    ("stride 2", (32, 32, 32, 32), 64, 3, 2, 1),
    ("1x1", (32, 64, 32, 32), 64, 1, 1, 0),
    ("one image conv1", (1, 1, 28, 28), 6, 5, 1, 2),
    ("one image conv2", (1, 6, 14, 14), 16, 5, 1, 0),
]
# name, images, kernel, stride, padding
POOLS = [
    ("LeNet pool1", (128, 6, 28, 28), 2, 2, 0),
    ("LeNet pool2", (128, 16, 10, 10), 2, 2, 0),
    ("20x24x24 pool", (128, 20, 24, 24), 2, 2, 0),
    ("64x32x32 pool", (64, 64, 32, 32), 2, 2, 0),
    ("overlapping pool 3x3", (64, 64, 32, 32), 3, 2, 1),
    ("digits pool", (64, 16, 8, 8), 2, 2, 0),
]

Row = tuple[str, float, dict[str, Callable[[], Any]]]  # name, flops, candidates


def torch_or_none() -> Any:
    try:
        import torch
    except ImportError:
        return None
    return torch


def layer_rows(layer: tuple[Any, ...], dtype: str) -> Iterator[Row]:
    import dlcore.device
    import numpy as np

    cpu, torch = dlcore.device.cpu, torch_or_none()
    name, shape, filters, k, s, p = layer
    rng = np.random.default_rng(0)
    size = [(n + 2 * p - k) // s + 1 for n in shape[2:]]
    host = [
        rng.standard_normal(n).astype(dtype)
        for n in (shape, (filters, shape[1], k, k), (filters,), (shape[0], filters, *size))
    ]
    x, weight, bias, dy = (cpu.from_numpy(a) for a in host)
    options = ((s, s), (p, p), (1, 1), 1)
    flops = 2.0 * host[3].size * shape[1] * k * k
    calls: list[dict[str, Callable[[], Any]]] = [
        {"dlcore": lambda: cpu.conv2d(x, weight, bias, *options, "relu")},
        {"dlcore": lambda: cpu.conv2d_input_grad(dy, weight, shape[2:], *options)},
        {"dlcore": lambda: cpu.conv2d_weight_grad(x, dy, (k, k), *options)},
    ]
    if torch is not None:
        tx, tweight, tbias, tdy = (torch.from_numpy(a) for a in host)

        def backward(*wanted: bool) -> Callable[[], Any]:
            arguments = (tdy, tx, tweight, [filters], [s, s], [p, p], [1, 1], False, [0, 0], 1, [*wanted, False])
            return lambda: torch.ops.aten.convolution_backward(*arguments)

        calls[0]["torch"] = lambda: torch.relu_(torch.nn.functional.conv2d(tx, tweight, tbias, s, p))
        calls[1]["torch"] = backward(True, False)
        calls[2]["torch"] = backward(False, True)
    for what, candidates in zip(("forward, relu", "dx", "dW"), calls, strict=True):
        yield f"{name}: {what}", flops, candidates


def pool_rows(pool: tuple[Any, ...], dtype: str) -> Iterator[Row]:
    import dlcore.device
    import numpy as np

    cpu, torch = dlcore.device.cpu, torch_or_none()
    name, shape, k, s, p = pool
    host = np.random.default_rng(0).standard_normal(shape).astype(dtype)
    x, options = cpu.from_numpy(host), ((k, k), (s, s), (p, p))
    y, indices = cpu.max_pool2d(x, *options)
    calls: list[dict[str, Callable[[], Any]]] = [
        {"dlcore": lambda: cpu.max_pool2d(x, *options)},
        {"dlcore": lambda: cpu.max_pool2d_grad(y, indices, shape[2:])},
        {"dlcore": lambda: cpu.avg_pool2d(x, *options)},
        {"dlcore": lambda: cpu.avg_pool2d_grad(y, *options, shape[2:])},
    ]
    if torch is not None:
        aten, tx = torch.ops.aten, torch.from_numpy(host)
        ty, tindices = aten.max_pool2d_with_indices(tx, [k, k], [s, s], [p, p])
        geometry = ([k, k], [s, s], [p, p])
        calls[0]["torch"] = lambda: aten.max_pool2d_with_indices(tx, *geometry)
        calls[1]["torch"] = lambda: aten.max_pool2d_with_indices_backward(ty, tx, *geometry, [1, 1], False, tindices)
        calls[2]["torch"] = lambda: aten.avg_pool2d(tx, *geometry)
        calls[3]["torch"] = lambda: aten.avg_pool2d_backward(ty, tx, *geometry, False, True, None)
    for what, candidates in zip(("max", "max gradient", "average", "average gradient"), calls, strict=True):
        yield f"{name}: {what}", 0.0, candidates


def main() -> None:
    parser = timing.arguments(__doc__)
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    options = parser.parse_args()
    timing.limit_threads(options.threads)

    import dlcore.device

    print(f"dlcore {dlcore.device.isa}, {options.threads} threads, {options.dtype}; ratio: speed over PyTorch")
    print(f"{'call':38} {'dlcore us':>10} {'torch us':>10} {'GFLOP/s':>8} {'ratio':>7}")
    rows = []
    sources = [(layer_rows, layer) for layer in LAYERS] + [(pool_rows, pool) for pool in POOLS]
    for make_rows, what in sources:
        if options.only not in what[0]:
            continue
        for name, flops, candidates in make_rows(what, options.dtype):
            timings = timing.interleaved(candidates, options.seconds)
            relative, best = timing.ratio(timings, "dlcore")
            micros = {library: 1e6 * timed.best for library, timed in timings.items()}
            rate = timings["dlcore"].rate(flops)
            theirs = f"{micros['torch']:10.1f}" if "torch" in micros else " " * 10
            print(f"{name:38} {micros['dlcore']:10.1f} {theirs} {rate:8.1f} {relative:7.2f}", flush=True)
            rows.append({"name": name, "dtype": options.dtype, "us": micros, "ratio": relative, "peer": best})
    timing.write_json(options.json, "conv", options.threads, rows)


if __name__ == "__main__":
    main()
