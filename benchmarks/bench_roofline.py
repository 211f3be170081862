"""Where the hot kernels stand under the roofline of this machine: operations and bytes of each, and what it attains.

python benchmarks/bench_roofline.py [--threads N] [--json FILE]

Bytes are those that must move when every array is read and written once; an array may come from a cache, so that a
small kernel can stand above the line of main memory. Operations are additions, multiplications and comparisons; an
exponential counts as 20, a Philox block of four numbers as 60 (its integer multiplications and xors).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import native_roofline
import rbm_peers
import timing

Kernel = tuple[str, Callable[[], Any], float, float]  # name, call, operations, bytes
EXP, PHILOX = 20, 15  # of one element


def products(cpu: Any, given: Callable[..., Any]) -> Iterator[Kernel]:
    for name, m, n, k in (
        ("product 1024", 1024, 1024, 1024),
        ("product 256", 256, 256, 256),
        ("product 100x784x500", 100, 500, 784),
        ("product 128x500x10", 128, 10, 500),
        ("product 1x784x500", 1, 500, 784),
    ):
        a, b, c = given(m, k), given(k, n), given(m, n)
        yield name, lambda a=a, b=b, c=c: cpu.matmul(a, b, out=c), 2.0 * m * n * k, 4.0 * (m * k + k * n + m * n)


def convolutions(cpu: Any, given: Callable[..., Any]) -> Iterator[Kernel]:
    for name, n, c, size, filters, k, pad in (
        ("conv LeNet 1", 128, 1, 28, 6, 5, 2),
        ("conv LeNet 2", 128, 6, 14, 16, 5, 0),
        ("conv 32 to 64, 3x3", 64, 32, 32, 64, 3, 1),
    ):
        out = size + 2 * pad - k + 1
        x, w, bias, dy = given(n, c, size, size), given(filters, c, k, k), given(filters), given(n, filters, out, out)
        rest = ((1, 1), (pad, pad), (1, 1), 1)
        work = 2.0 * n * filters * out * out * c * k * k
        moved = 4.0 * (n * c * size * size + filters * c * k * k + n * filters * out * out)

        def forward(x: Any = x, w: Any = w, bias: Any = bias, rest: Any = rest) -> Any:
            return cpu.conv2d(x, w, bias, *rest, "relu")

        def by_filters(x: Any = x, dy: Any = dy, k: int = k, rest: Any = rest) -> Any:
            return cpu.conv2d_weight_grad(x, dy, (k, k), *rest)

        def by_images(dy: Any = dy, w: Any = w, size: int = size, rest: Any = rest) -> Any:
            return cpu.conv2d_input_grad(dy, w, (size, size), *rest)

        yield name, forward, work, moved
        yield f"{name}: dW", by_filters, work, moved
        if c > 1:
            yield f"{name}: dx", by_images, work, moved


def passes(cpu: Any, given: Callable[..., Any]) -> Iterator[Kernel]:
    """Kernels that touch each element once or a few times."""
    from dlcore.device import cpu as device

    images, pool = given(128, 6, 28, 28), ((2, 2), (2, 2), (0, 0))
    size = 128.0 * 6 * 28 * 28
    y, indices = cpu.max_pool2d(images, *pool)
    yield "max-pool", lambda: cpu.max_pool2d(images, *pool), 0.75 * size, 4 * size * 1.5
    yield "max-pool gradient", lambda: cpu.max_pool2d_grad(y, indices, (28, 28)), 0.25 * size, 4 * size * 1.5
    logits, labels = given(128, 10), device.full((128,), 3.0, "int32")
    losses = given(128)
    rows = 128.0 * 10
    yield "cross-entropy", lambda: cpu.softmax_cross_entropy(logits, labels), rows * (EXP + 3), 4 * rows
    backward = lambda: cpu.softmax_cross_entropy_grad(losses, logits, labels)  # noqa: E731
    yield "cross-entropy gradient", backward, rows * (EXP + 4), 8 * rows
    states, n = given(100, 784), 78_400.0
    yield "sigmoid", lambda: cpu.activation(states, "sigmoid", 0.0), n * (EXP + 3), 8 * n
    p = cpu.activation(states, "sigmoid", 0.0)
    yield "Bernoulli", lambda: cpu.bernoulli(0, 0, p), n * (PHILOX + 1), 8 * n
    yield "uniform", lambda: cpu.uniform(0, 0, (100, 784), 0.0, 1.0, "float32"), n * (PHILOX + 2), 4 * n


def contrastive() -> Iterator[Kernel]:
    """Ten batches of CD-1 in `fit`: five products each, counted in full though a state that is 0 needs no sum."""
    batches, n, v, h = 10, rbm_peers.BATCH, rbm_peers.VISIBLE, rbm_peers.HIDDEN
    call, _ = rbm_peers.dlcore_fit("float32", 1, False)
    # W is read three times, its statistics are added up and it is updated; the states are written and read.
    moved = 4.0 * (5 * v * h + 6 * n * (v + h))
    yield "CD-1, 10 batches", lambda: call(batches), batches * 5 * 2.0 * n * v * h, batches * moved


def adam(threads: int) -> Iterator[Kernel]:
    from bench_optimizer import gradient_and_parameters
    from dlcore import optim

    for millions in (10, 1):
        n = millions * 10**6
        gradient, parameters = gradient_and_parameters("float32", n)
        optimizer = optim.Adam(parameters, lr=1e-6)
        yield f"Adam, {millions} million", lambda o=optimizer, g=gradient: o.step(g), 14.0 * n, 28.0 * n


def main() -> None:
    options = timing.arguments(__doc__).parse_args()
    timing.limit_threads(options.threads)
    import numpy as np
    from dlcore.device import cpu

    rng = np.random.default_rng(0)

    def given(*shape: int) -> Any:
        return cpu.from_numpy(rng.standard_normal(shape).astype(np.float32))

    peaks = native_roofline.peaks(options.threads)
    print("peaks: " + ", ".join(f"{name} {value:.1f}" for name, value in peaks.items()))
    rows = []
    for source in (
        products(cpu, given),
        convolutions(cpu, given),
        passes(cpu, given),
        adam(options.threads),
        contrastive(),
    ):
        for name, call, operations, moved in source:
            if options.only not in name:
                continue
            timed = timing.interleaved({name: call}, options.seconds / 4, min_turns=options.turns)[name]
            record = {"name": name, "operations": operations, "bytes": moved, "seconds": timed.median}
            record["gflops"], record["gbytes"] = operations / timed.median / 1e9, moved / timed.median / 1e9
            print(f"{name:28} {record['gflops']:8.2f} GFLOP/s {record['gbytes']:8.2f} GB/s", flush=True)
            rows.append({key: v if isinstance(v, str) else float(f"{v:.4g}") for key, v in record.items()})
    timing.write_json(options.json, "roofline", options.threads, rows, peaks=peaks)


if __name__ == "__main__":
    main()
