"""Convolution and pooling: dlcore against PyTorch, where it is installed.

python benchmarks/bench_conv.py [--threads N] [--dtype float32|float64] [--only TEXT] [--json FILE]

PyTorch is given images in its own order (NCHW, dlcore's too) and with the channels last (NHWC).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import peers
import timing

SHORT = ("LeNet", "64x32x32x32", "1x1")  # what compare.py shows
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


def layer_row(layer: tuple[Any, ...], what: str, dtype: str, threads: int) -> timing.Row:
    """One direction of a layer; "both gradients" are those by the images and by the filters."""
    import dlcore.device
    import numpy as np

    cpu, torch = dlcore.device.cpu, peers.torch(threads)
    name, shape, filters, k, s, p = layer
    rng = np.random.default_rng(0)
    size = [(n + 2 * p - k) // s + 1 for n in shape[2:]]
    shapes = (shape, (filters, shape[1], k, k), (filters,), (shape[0], filters, *size))
    host = [rng.standard_normal(n).astype(dtype) for n in shapes]
    x, weight, bias, dy = (cpu.from_numpy(a) for a in host)
    options = ((s, s), (p, p), (1, 1), 1)
    wanted = {"dx": (True, False), "dW": (False, True), "both gradients": (True, True)}

    def backward(by_images: bool, by_filters: bool) -> list[Any]:
        found = []
        if by_images:
            found.append(cpu.conv2d_input_grad(dy, weight, shape[2:], *options))
        if by_filters:
            found.append(cpu.conv2d_weight_grad(x, dy, (k, k), *options))
        return found

    def torch_call(channels_last: bool) -> Callable[[], Any]:
        tx, tweight, tbias, tdy = (torch.from_numpy(a) for a in host)
        if channels_last:
            order = torch.channels_last
            tx, tweight, tdy = (t.contiguous(memory_format=order) for t in (tx, tweight, tdy))
        if what == "forward, relu":
            return lambda: torch.relu_(torch.nn.functional.conv2d(tx, tweight, tbias, s, p))
        arguments = (tdy, tx, tweight, [filters], [s, s], [p, p], [1, 1], False, [0, 0], 1, [*wanted[what], False])
        return lambda: torch.ops.aten.convolution_backward(*arguments)

    if what == "forward, relu":
        calls: dict[str, Callable[[], Any]] = {"dlcore": lambda: cpu.conv2d(x, weight, bias, *options, "relu")}
    else:
        calls = {"dlcore": lambda: backward(*wanted[what])}
    results = {"dlcore": lambda: joined([a.numpy() for a in listed(calls["dlcore"]())])}
    if torch is not None:
        for order in ("NCHW", "NHWC"):
            call = calls[f"torch {order}"] = torch_call(order == "NHWC")
            results[f"torch {order}"] = lambda call=call: joined([t.numpy() for t in listed(call()) if t is not None])
    work = 2.0 * host[3].size * shape[1] * k * k * (1 if what not in wanted else sum(wanted[what]))
    last = "dW" if shape[1] == 1 else "both gradients"  # nobody asks the first layer for dx
    short = name.startswith(SHORT) and what in ("forward, relu", last)
    tolerance = 1e-5 if dtype == "float32" else 1e-13
    return timing.Row(f"{name}: {what}", calls, "GFLOP/s", work, {}, results, tolerance, short)


def listed(found: Any) -> list[Any]:
    return list(found) if isinstance(found, (list, tuple)) else [found]


def joined(arrays: list[Any]) -> Any:
    import numpy as np

    return np.concatenate([a.ravel() for a in arrays])


def pool_row(pool: tuple[Any, ...], what: str, dtype: str, threads: int) -> timing.Row:
    import dlcore.device
    import numpy as np

    cpu, torch = dlcore.device.cpu, peers.torch(threads)
    name, shape, k, s, p = pool
    host = np.random.default_rng(0).standard_normal(shape).astype(dtype)
    x, options = cpu.from_numpy(host), ((k, k), (s, s), (p, p))
    y, indices = cpu.max_pool2d(x, *options)
    ours: dict[str, Callable[[], Any]] = {
        "max": lambda: cpu.max_pool2d(x, *options),
        "max gradient": lambda: cpu.max_pool2d_grad(y, indices, shape[2:]),
        "average": lambda: cpu.avg_pool2d(x, *options),
        "average gradient": lambda: cpu.avg_pool2d_grad(y, *options, shape[2:]),
    }
    calls = {"dlcore": ours[what]}
    results = {"dlcore": lambda: listed(ours[what]())[0].numpy()}
    if torch is not None:
        aten, tx, geometry = torch.ops.aten, torch.from_numpy(host), ([k, k], [s, s], [p, p])
        ty, chosen = aten.max_pool2d_with_indices(tx, *geometry)
        average = torch.from_numpy(y.numpy())
        theirs: dict[str, Callable[[], Any]] = {
            "max": lambda: aten.max_pool2d_with_indices(tx, *geometry),
            "max gradient": lambda: aten.max_pool2d_with_indices_backward(ty, tx, *geometry, [1, 1], False, chosen),
            "average": lambda: aten.avg_pool2d(tx, *geometry),
            "average gradient": lambda: aten.avg_pool2d_backward(average, tx, *geometry, False, True, None),
        }
        calls["torch NCHW"] = theirs[what]
        results["torch NCHW"] = lambda: listed(theirs[what]())[0].numpy()
    short = name.startswith("LeNet") and what.startswith("max")
    return timing.Row(f"{name}: {what}", calls, "us", results=results, tolerance=1e-6, short=short)


def main() -> None:
    parser = timing.arguments(__doc__)
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    options = parser.parse_args()
    timing.limit_threads(options.threads)
    rest = (options.dtype, options.threads)
    directions = ("forward, relu", "dx", "dW", "both gradients")
    rows = [partial(layer_row, layer, what, *rest) for layer in LAYERS for what in directions]
    poolings = ("max", "max gradient", "average", "average gradient")
    rows += [partial(pool_row, pool, what, *rest) for pool in POOLS for what in poolings]
    timing.run("conv", options, rows)


if __name__ == "__main__":
    main()
