"""dlcore on a GPU against PyTorch (cuBLAS, cuDNN), a family a call: ``python benchmarks/bench_gpu.py gemm``.

The figures are medians over turns timed by CUDA events (`gpu_clock`); `tools/gpu_check.py` runs all families.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from gpu_clock import Clock, Row
from gpu_training import rbm_rows, step_rows

SQUARES = (1024, 2048, 4096, 8192)
# (rows, inputs, outputs) of dense layers, and their two gradients
LAYERS = ((128, 784, 500), (128, 4096, 4096), (1024, 4096, 4096), (100, 784, 500))
# (batch, channels, side, filters, kernel, padding)
CONVOLUTIONS = {
    "LeNet, first": (128, 1, 28, 6, 5, 2),
    "LeNet, second": (128, 6, 14, 16, 5, 0),
    "CIFAR, first": (128, 3, 32, 32, 3, 1),
    "CIFAR, second": (128, 32, 16, 64, 3, 1),
    "128 channels": (64, 128, 28, 128, 3, 1),
}


def on(clock: Clock, values: Any) -> tuple[Any, Any]:
    """An array on dlcore's device and, where there is one, on PyTorch's."""
    from dlcore import tensor

    values = np.asarray(values, np.float32)
    there = None if clock.torch is None else clock.torch.from_numpy(values).cuda()
    return tensor(values, device=clock.device).array, there


def gemm_rows(clock: Clock, tiny: bool) -> Iterator[Row]:
    """Float32 products: squares, and the three products of dense layers. PyTorch's own without TF32, and with it."""
    shapes = [(f"{n} x {n} x {n}", n, n, n, False, False) for n in ((32,) if tiny else SQUARES)]
    for m, k, n in ((8, 12, 10),) if tiny else LAYERS:
        shapes += [
            (f"layer {m} x {k} x {n}", m, k, n, False, False),
            (f"its weight gradient {k} x {m} x {n}", k, m, n, True, False),
            (f"its input gradient {m} x {n} x {k}", m, n, k, False, True),
        ]
    rng = np.random.default_rng(0)
    for name, m, k, n, ta, tb in shapes:
        a, ta_ = on(clock, rng.standard_normal((k, m) if ta else (m, k)))
        b, tb_ = on(clock, rng.standard_normal((n, k) if tb else (k, n)))
        device, out = clock.module, clock.module.empty((m, n), "float32")
        calls: dict[str, Callable[[], Any]] = {"dlcore": _call(device.matmul, a, b, ta, tb, out=out)}
        results: dict[str, Callable[[], Any]] = {}
        if clock.torch is not None:
            torch = clock.torch
            x, y, z = ta_.T if ta else ta_, tb_.T if tb else tb_, torch.empty((m, n), device="cuda")
            calls["cuBLAS float32"] = _call(torch.mm, x, y, out=z)
            calls["cuBLAS TF32"] = _with_tf32(torch, _call(torch.mm, x, y, out=z))
            if m * k * n <= 2**33:
                results["float64"] = _result(lambda x=x, y=y: (x.double() @ y.double()).cpu().numpy())
                results["cuBLAS float32"] = _result(lambda x=x, y=y: (x @ y).cpu().numpy())
        results["dlcore"] = _result(
            lambda a=a, b=b, ta=ta, tb=tb, device=device: device.matmul(a, b, ta, tb).numpy()  # type: ignore[misc]
        )
        yield Row(f"gemm {name}", calls, "TFLOP/s", 2.0 * m * k * n, results)


def _call(function: Callable[..., Any], *arguments: Any, **options: Any) -> Callable[[], Any]:
    return lambda: function(*arguments, **options)


def _result(function: Callable[[], Any]) -> Callable[[], Any]:
    return function


def _with_tf32(torch: Any, call: Callable[[], Any]) -> Callable[[], Any]:
    def allowed() -> None:
        torch.backends.cuda.matmul.allow_tf32 = True
        call()
        torch.backends.cuda.matmul.allow_tf32 = False

    return allowed


def conv_rows(clock: Clock, tiny: bool) -> Iterator[Row]:
    """A convolution and its two gradients."""
    rng = np.random.default_rng(0)
    layers = {"tiny": (2, 2, 6, 3, 3, 1)} if tiny else CONVOLUTIONS
    for name, (batch, channels, side, filters, kernel, padding) in layers.items():
        out = side + 2 * padding - kernel + 1
        x, tx = on(clock, rng.standard_normal((batch, channels, side, side)))
        w, tw = on(clock, rng.standard_normal((filters, channels, kernel, kernel)))
        dy, tdy = on(clock, rng.standard_normal((batch, filters, out, out)))
        rest = ((1, 1), (padding, padding), (1, 1), 1)
        d = clock.module
        forms: dict[str, tuple[Callable[[], Any], Callable[[], Any] | None]] = {
            "forward": (_call(d.conv2d, x, w, None, *rest), None),
            "input gradient": (_call(d.conv2d_input_grad, dy, w, (side, side), *rest), None),
            "weight gradient": (_call(d.conv2d_weight_grad, x, dy, (kernel, kernel), *rest), None),
        }
        if clock.torch is not None:
            torch = clock.torch
            grad = torch.nn.grad
            forms = {
                "forward": (forms["forward"][0], _call(torch.nn.functional.conv2d, tx, tw, padding=padding)),
                "input gradient": (
                    forms["input gradient"][0], _call(grad.conv2d_input, tx.shape, tw, tdy, padding=padding)),
                "weight gradient": (
                    forms["weight gradient"][0], _call(grad.conv2d_weight, tx, tw.shape, tdy, padding=padding)),
            }  # fmt: skip
        flops = 2.0 * batch * filters * out * out * channels * kernel * kernel
        for form, (ours, theirs) in forms.items():
            calls = {"dlcore": ours} | ({} if theirs is None else {"cuDNN float32": theirs})
            results = {"dlcore": lambda ours=ours: ours().numpy()}
            if theirs is not None:
                results = {"cuDNN float32": lambda theirs=theirs: theirs().cpu().numpy()} | results
            yield Row(f"conv {name}, {form}", calls, "TFLOP/s", flops, results)


def optimizer_rows(clock: Clock, tiny: bool) -> Iterator[Row]:
    """Adam on 10 million parameters: bytes moved (28 a parameter: θ, two moments, gradient), and a copy of as many."""
    n = 1000 if tiny else 10_000_000
    rng = np.random.default_rng(0)
    arrays = [on(clock, rng.standard_normal(n) ** (2 if i == 3 else 1)) for i in range(4)]
    theta, gradient, first, second = (a for a, _ in arrays)
    half = 14 * n // 4  # floats: read once and written once
    source, target = (clock.module.full((half,), 1.0, "float32") for _ in range(2))
    device = clock.module
    calls: dict[str, Callable[[], Any]] = {
        "dlcore Adam": _call(device.adam, theta, gradient, first, second, 3, 1e-3, 0.9, 0.999, 1e-8, 0.0),
        "dlcore copy": _call(target.assign, source),
    }
    if clock.torch is not None:
        torch = clock.torch
        parameter = torch.nn.Parameter(arrays[0][1].clone())
        parameter.grad = arrays[1][1].clone()
        method = torch.optim.Adam([parameter], fused=True)
        a, b = torch.ones(half, device="cuda"), torch.empty(half, device="cuda")
        calls |= {"PyTorch fused Adam": method.step, "PyTorch copy": _call(b.copy_, a)}
    yield Row(f"Adam, {n} parameters", calls, "GB/s", 28.0 * n)


FAMILIES: dict[str, Callable[[Clock, bool], Iterator[Row]]] = {
    "gemm": gemm_rows,
    "conv": conv_rows,
    "optimizer": optimizer_rows,
    "rbm": rbm_rows,
    "steps": step_rows,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("family", choices=FAMILIES)
    parser.add_argument("--device", default="cuda", help="dlcore's device (default cuda)")
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--tiny", action="store_true", help="small sizes, to try the script")
    parser.add_argument("--alone", action="store_true", help="dlcore without its peers")
    parser.add_argument("--json", type=Path, help="write the figures here, after each row")
    options = parser.parse_args()
    clock = Clock(
        options.device, options.turns if not options.tiny else 1, 0.0 if options.tiny else 0.02, options.alone
    )
    rows: list[dict[str, Any]] = []
    failed = 0
    for row in FAMILIES[options.family](clock, options.tiny):
        try:
            record = clock.measure(row)
        except Exception as error:
            record, failed = {"name": row.name, "error": f"{type(error).__name__}: {error}"[:500]}, failed + 1
        failed += "errors" in record
        rows.append(record)
        print(json.dumps(record), flush=True)
        if options.json:
            options.json.write_text(json.dumps(rows), encoding="utf-8")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
