"""`native/roofline.cpp`, compiled for this machine into a temporary folder; None without a compiler."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import timing

SOURCE = Path(__file__).parent / "native" / "roofline.cpp"
STREAM = 10_000_000  # numbers in an array: beyond every cache


@cache
def library() -> Any:
    compiler = os.environ.get("CXX") or shutil.which("g++") or shutil.which("c++")
    if compiler is None:
        print("no C++ compiler: the peaks and streams of this machine are left out", flush=True)
        return None
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "roofline.so"
        flags = ["-std=c++20", "-O3", "-march=native", "-ffp-contract=fast", "-fopenmp", "-shared", "-fPIC"]
        subprocess.run([compiler, *flags, str(SOURCE), "-o", str(target)], check=True)
        found = ctypes.CDLL(str(target))
    for name in ("fused_multiply_adds", "tile_products"):
        getattr(found, name).restype = ctypes.c_double
        getattr(found, name).argtypes = [ctypes.c_int64, ctypes.c_int]
    found.triad.argtypes = [ctypes.c_void_p] * 3 + [ctypes.c_int64, ctypes.c_int]
    found.adam_streams.argtypes = [ctypes.c_void_p] * 4 + [ctypes.c_int64, ctypes.c_int]
    return found


def adam_streams(n: int, threads: int) -> Any:
    """A call that moves what an Adam step on n parameters moves, or None."""
    import numpy as np

    native = library()
    if native is None:
        return None
    arrays = [np.zeros(n, np.float32) for _ in range(4)]
    addresses = [array.ctypes.data for array in arrays]
    return lambda arrays=arrays: native.adam_streams(*addresses, n, threads)


def peaks(threads: int) -> dict[str, float]:
    """GFLOP/s of float32 multiply-adds and (0 without the units) of bfloat16 tiles, and GB/s of STREAM's triad and of
    Adam's streams.

    The best of many: what the processor does when nothing disturbs it.
    """
    import numpy as np

    native = library()
    if native is None:
        return {}

    def best(call: Any, times: int) -> float:
        done: list[float] = []
        return max(1e-9 / timing.burst(lambda: done.append(call()), 1) * done[-1] for _ in range(times))

    a, b, c = (np.zeros(STREAM, np.float32) + 1 for _ in range(3))

    def triad() -> float:
        native.triad(a.ctypes.data, b.ctypes.data, c.ctypes.data, STREAM, threads)
        return 12.0 * STREAM

    streams = adam_streams(STREAM, threads)

    def streamed() -> float:
        streams()
        return 28.0 * STREAM

    return {
        "multiply_add_gflops": best(lambda: native.fused_multiply_adds(500_000, threads), 40),
        "bfloat16_tiles_gflops": best(lambda: native.tile_products(200_000, threads), 40),
        "triad_gbytes": best(triad, 40),
        "in_place_gbytes": best(streamed, 40),
    }
