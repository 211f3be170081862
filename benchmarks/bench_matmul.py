"""Matrix products: dlcore against NumPy's BLAS and, where they are installed, PyTorch and JAX.

python benchmarks/bench_matmul.py [--threads N] [--dtype float32|float64] [--json FILE]

A binary operand holds the states 0 and 1 of units, as in a Gibbs step of an RBM.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import peers
import timing

# name, rows, columns, depth, transpose_a, transpose_b, whether a is binary, whether compare.py shows it
Shape = tuple[str, int, int, int, bool, bool, bool, bool]
SHAPES: list[Shape] = [
    *(
        (f"{n} square", n, n, n, False, False, False, n in (256, 512, 1024, 2048))
        for n in (64, 128, 256, 512, 768, 1024, 2048)
    ),
    ("(100x784)(784x500)", 100, 500, 784, False, False, False, True),
    ("(784x100)(100x500), a transposed", 784, 500, 100, True, False, False, True),
    ("(100x500)(500x784), b transposed", 100, 784, 500, False, True, False, True),
    ("(128x500)(500x500)", 128, 500, 500, False, False, False, True),
    ("(500x128)(128x500), a transposed", 500, 500, 128, True, False, False, True),
    ("(128x500)(500x500), b transposed", 128, 500, 500, False, True, False, True),
    ("(128x500)(500x10)", 128, 10, 500, False, False, False, True),
    ("(500x128)(128x10), a transposed", 500, 10, 128, True, False, False, True),
    ("(128x10)(10x500), b transposed", 128, 500, 10, False, True, False, False),
    ("(32x64)(64x32)", 32, 32, 64, False, False, False, False),
    ("(64x32)(32x32), a transposed", 64, 32, 32, True, False, False, False),
    ("(32x32)(32x64), b transposed", 32, 64, 32, False, True, False, False),
    ("(32x32)(32x10)", 32, 10, 32, False, False, False, False),
    ("(32x32)(32x10), a transposed", 32, 10, 32, True, False, False, False),
    ("(32x10)(10x32), b transposed", 32, 32, 10, False, True, False, False),
    ("(1x784)(784x500)", 1, 500, 784, False, False, False, True),
    ("(1x500)(500x784), b transposed", 1, 784, 500, False, True, False, True),
    ("(784x500)(500x1)", 784, 1, 500, False, False, False, False),
    ("(10x784)(784x500)", 10, 500, 784, False, False, False, False),
    ("(512x784)(784x500)", 512, 500, 784, False, False, False, False),
    ("(784x512)(512x500), a transposed", 784, 500, 512, True, False, False, False),
    ("(16x20000)(20000x150), b transposed", 16, 150, 20000, False, True, False, False),
    ("binary (100x784)(784x500)", 100, 500, 784, False, False, True, True),
    ("binary (100x500)(500x784), b transposed", 100, 784, 500, False, True, True, True),
]


def row(shape: Shape, dtype: str, threads: int) -> timing.Row:
    """The same product in each library, written into a given array (by JAX into a new one)."""
    import dlcore.device
    import numpy as np

    name, m, n, k, transpose_a, transpose_b, binary, short = shape
    rng = np.random.default_rng(0)
    a = rng.standard_normal((k, m) if transpose_a else (m, k)).astype(dtype)
    if binary:
        a = (a > 0).astype(dtype)
    b = rng.standard_normal((n, k) if transpose_b else (k, n)).astype(dtype)
    cpu = dlcore.device.cpu
    device_a, device_b, device_c = cpu.from_numpy(a), cpu.from_numpy(b), cpu.empty((m, n), dtype)
    numpy_a, numpy_b, numpy_c = (a.T if transpose_a else a), (b.T if transpose_b else b), np.empty((m, n), dtype)
    calls: dict[str, Callable[[], Any]] = {
        "dlcore": lambda: cpu.matmul(device_a, device_b, transpose_a, transpose_b, out=device_c),
        "numpy": lambda: np.matmul(numpy_a, numpy_b, out=numpy_c),
    }
    results: dict[str, Callable[[], Any]] = {
        "float64": lambda: numpy_a.astype(np.float64) @ numpy_b.astype(np.float64),
        "dlcore": lambda: calls["dlcore"]().numpy(),
        "numpy": calls["numpy"],
    }
    if torch := peers.torch(threads):
        torch_a, torch_b = torch.from_numpy(a), torch.from_numpy(b)
        torch_a, torch_b = (torch_a.T if transpose_a else torch_a), (torch_b.T if transpose_b else torch_b)
        torch_c = torch.empty((m, n), dtype=getattr(torch, dtype))
        results["torch"] = calls["torch"] = lambda: torch.mm(torch_a, torch_b, out=torch_c)
    if (jax := peers.jax()) and dtype == "float32":
        jax_a, jax_b = jax.numpy.asarray(a), jax.numpy.asarray(b)
        product = jax.jit(lambda p, q: (p.T if transpose_a else p) @ (q.T if transpose_b else q))
        results["jax"] = calls["jax"] = lambda: product(jax_a, jax_b).block_until_ready()
    tolerance = 2e-6 if dtype == "float32" else 1e-14
    return timing.Row(name, calls, "GFLOP/s", 2.0 * m * n * k, {}, results, tolerance, short)


def main() -> None:
    parser = timing.arguments(__doc__)
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    options = parser.parse_args()
    timing.limit_threads(options.threads)
    timing.run("matmul", options, (partial(row, shape, options.dtype, options.threads) for shape in SHAPES))


if __name__ == "__main__":
    main()
