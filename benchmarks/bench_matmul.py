"""Matrix products: dlcore against NumPy's BLAS and, where it is installed, PyTorch.

python benchmarks/bench_matmul.py [--threads N] [--dtype float32|float64] [--json FILE]
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import timing

# name, rows, columns, depth, transpose_a, transpose_b
SHAPES = [
    *((f"{n} square", n, n, n, False, False) for n in (64, 128, 256, 512, 768, 1024, 2048)),
    ("forward (100x784)(784x500)", 100, 500, 784, False, False),
    ("dW = X^T dY (784x100)(100x500)", 784, 500, 100, True, False),
    ("dX = dY W^T (100x500)(500x784)", 100, 784, 500, False, True),
    ("forward (128x500)(500x10)", 128, 10, 500, False, False),
    ("dW (500x128)(128x10)", 500, 10, 128, True, False),
    ("dX (128x10)(10x500)", 128, 500, 10, False, True),
    ("forward (32x64)(64x32)", 32, 32, 64, False, False),
    ("dW (64x32)(32x32)", 64, 32, 32, True, False),
    ("dX (32x32)(32x64)", 32, 64, 32, False, True),
    ("forward (32x32)(32x10)", 32, 10, 32, False, False),
    ("dW (32x32)(32x10)", 32, 10, 32, True, False),
    ("dX (32x10)(10x32)", 32, 32, 10, False, True),
    ("one row (1x784)(784x500)", 1, 500, 784, False, False),
    ("one row (1x500)(500x784) W^T", 1, 784, 500, False, True),
    ("one column (784x500)(500x1)", 784, 1, 500, False, False),
    ("batch 10 (10x784)(784x500)", 10, 500, 784, False, False),
    ("batch 512 (512x784)(784x500)", 512, 500, 784, False, False),
    ("dW of batch 512 (784x512)(512x500)", 784, 500, 512, True, False),
    ("long depth (16x20000)(20000x150)", 16, 150, 20000, False, True),
]


def candidates(shape: tuple[Any, ...], dtype: str) -> dict[str, Callable[[], Any]]:
    """The same product in each library, written into a given array."""
    import dlcore.device
    import numpy as np

    _, m, n, k, transpose_a, transpose_b = shape
    rng = np.random.default_rng(0)
    a = rng.standard_normal((k, m) if transpose_a else (m, k)).astype(dtype)
    b = rng.standard_normal((n, k) if transpose_b else (k, n)).astype(dtype)
    cpu = dlcore.device.cpu
    device_a, device_b, device_c = cpu.from_numpy(a), cpu.from_numpy(b), cpu.empty((m, n), dtype)
    numpy_a, numpy_b, numpy_c = (a.T if transpose_a else a), (b.T if transpose_b else b), np.empty((m, n), dtype)
    calls: dict[str, Callable[[], Any]] = {
        "dlcore": lambda: cpu.matmul(device_a, device_b, transpose_a, transpose_b, out=device_c),
        "numpy": lambda: np.matmul(numpy_a, numpy_b, out=numpy_c),
    }
    try:
        import torch
    except ImportError:
        return calls
    torch_a, torch_b, torch_c = (
        torch.from_numpy(a),
        torch.from_numpy(b),
        torch.empty((m, n), dtype=getattr(torch, dtype)),
    )
    torch_a, torch_b = (torch_a.T if transpose_a else torch_a), (torch_b.T if transpose_b else torch_b)
    calls["torch"] = lambda: torch.mm(torch_a, torch_b, out=torch_c)
    return calls


def main() -> None:
    parser = timing.arguments(__doc__)
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    options = parser.parse_args()
    timing.limit_threads(options.threads)

    import dlcore.device

    print(f"dlcore {dlcore.device.isa}, {options.threads} threads, {options.dtype}: GFLOP/s, speed over the best peer")
    print(f"{'product':36} {'dlcore':>8} {'numpy':>8} {'torch':>8} {'ratio':>7}")
    rows = []
    for shape in SHAPES:
        name, m, n, k = shape[:4]
        if options.only not in name:
            continue
        timings = timing.interleaved(candidates(shape, options.dtype), options.seconds)
        rates = {library: timed.rate(2.0 * m * n * k) for library, timed in timings.items()}
        relative, best = timing.ratio(timings, "dlcore")
        shown = [f"{rates[library]:8.1f}" if library in rates else " " * 8 for library in ("dlcore", "numpy", "torch")]
        columns = " ".join(shown)
        print(f"{name:36} {columns} {relative:7.2f}  {best}  {1e6 * timings['dlcore'].best:9.1f} us", flush=True)
        rows.append({"name": name, "dtype": options.dtype, "gflops": rates, "ratio": relative, "peer": best})
    timing.write_json(options.json, "matmul", options.threads, rows)


if __name__ == "__main__":
    main()
