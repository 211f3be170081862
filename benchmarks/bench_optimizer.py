"""Steps of the optimizers on 10 million parameters: bytes a second against STREAM-like copies in the same run.

python benchmarks/bench_optimizer.py [--threads N] [--dtype float64] [--json FILE]

Each array that a step reads or writes counts once a direction, as STREAM counts: Adam's 4 arrays read and 3 written are
28 bytes a parameter in float32. The yardsticks move arrays of the same size through NumPy, each
thread a share of its own, in turn with the step: `copy` is a copyto (the C library's memcpy, which streams past the
cache where it finds that worth while), `triad` is c = a + b (plain stores, which also read the lines they write),
`in place` is a += b (what it writes was read, as in a step).
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import timing

PARAMETERS = 10_000_000

# name, class, options, arrays read, arrays written
ROWS: list[tuple[str, str, dict[str, Any], int, int]] = [
    ("SGD", "SGD", {}, 2, 1),
    ("SGD, momentum", "SGD", {"momentum": 0.9}, 3, 2),
    ("SGD, Nesterov, decay", "SGD", {"momentum": 0.9, "nesterov": True, "weight_decay": 1e-4}, 3, 2),
    ("AdaGrad", "AdaGrad", {}, 3, 2),
    ("RMSProp", "RMSProp", {}, 3, 2),
    ("RMSProp, centred, momentum", "RMSProp", {"centered": True, "momentum": 0.9}, 5, 4),
    ("AdaDelta", "AdaDelta", {}, 4, 3),
    ("Adam", "Adam", {}, 4, 3),
    ("AdamW", "AdamW", {}, 4, 3),
    ("AMSGrad", "Adam", {"amsgrad": True}, 5, 4),
    ("NAdam", "NAdam", {}, 4, 3),
    ("Rprop", "Rprop", {}, 4, 3),
    ("Lion", "Lion", {}, 3, 2),
]


def shares(threads: int, call: Callable[[slice], Any]) -> Callable[[], Any]:
    """The call on as many stretches of the arrays as there are threads, at the same time."""
    cuts = [PARAMETERS * i // threads for i in range(threads + 1)]
    parts = [slice(a, b) for a, b in pairwise(cuts)]
    if threads == 1:
        return lambda: call(parts[0])
    pool = ThreadPoolExecutor(threads)
    return lambda: list(pool.map(call, parts))


def gradient_and_parameters(dtype: str) -> tuple[Any, Any]:
    import numpy as np
    from dlcore import tensor
    from dlcore.nn import Parameters

    rng = np.random.default_rng(0)
    parameters = Parameters({"w": (PARAMETERS,)}, dtype)
    parameters.storage.array.assign(tensor(rng.standard_normal(PARAMETERS), dtype).array)
    return tensor(rng.standard_normal(PARAMETERS), dtype), parameters


def main() -> None:
    parser = timing.arguments(__doc__)
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    options = parser.parse_args()
    timing.limit_threads(options.threads)
    import numpy as np
    from dlcore import optim

    size = np.dtype(options.dtype).itemsize
    a, b, c = (np.zeros(PARAMETERS, options.dtype) + 1 for _ in range(3))
    yardsticks = {
        "copy": (shares(options.threads, lambda part: np.copyto(c[part], a[part])), 2 * PARAMETERS * size),
        "triad": (shares(options.threads, lambda part: np.add(a[part], b[part], out=c[part])), 3 * PARAMETERS * size),
        "in place": (
            shares(options.threads, lambda part: np.add(a[part], b[part], out=a[part])),
            3 * PARAMETERS * size,
        ),
    }
    gradient, parameters = gradient_and_parameters(options.dtype)

    def ema() -> Callable[[], Any]:
        average = optim.EMA(parameters, 0.999)
        average.update()
        return average.update

    def stepper(kind: str, given: dict[str, Any]) -> Callable[[], Any]:
        optimizer = getattr(optim, kind)(parameters, lr=1e-6, **given)
        return lambda: optimizer.step(gradient)

    makers: list[tuple[str, Callable[[], Callable[[], Any]], int]] = [
        (name, lambda kind=kind, given=given: stepper(kind, given), read + written)  # type: ignore[misc]
        for name, kind, given, read, written in ROWS
    ]
    makers.append(("SGD, clipped to a norm", lambda: stepper("SGD", {"max_grad_norm": 1.0}), 4))
    makers.append(("EMA", ema, 3))
    makers.append(("norm", lambda: lambda: optim.grad_norm(gradient), 1))

    print(f"{PARAMETERS} parameters, {options.dtype}, {options.threads} threads")
    rows = []
    for name, make, arrays in makers:
        if options.only not in name:
            continue
        moved = {"step": arrays * PARAMETERS * size} | {key: count for key, (_, count) in yardsticks.items()}
        calls = {"step": make()} | {key: call for key, (call, _) in yardsticks.items()}
        timings = timing.interleaved(calls, options.seconds, burst_seconds=0.01)
        rate = {key: moved[key] / timed.median / 1e9 for key, timed in timings.items()}
        # The median over turns of how the rates of neighbouring bursts compare.
        against = {}
        for key in yardsticks:
            pairs = zip(timings["step"].turns, timings[key].turns, strict=True)
            ratios = sorted(moved["step"] / moved[key] * theirs / ours for ours, theirs in pairs)
            against[key] = ratios[len(ratios) // 2]
        shown = ", ".join(f"{against[key]:.0%} of {key} ({rate[key]:.1f})" for key in yardsticks)
        print(f"  {name:26} {timings['step'].median * 1e3:7.2f} ms {rate['step']:6.1f} GB/s: {shown}", flush=True)
        rows.append({"name": name, "seconds": timings["step"].median, "rate": rate, "against": against})
    timing.write_json(options.json, "optimizer", options.threads, rows)


if __name__ == "__main__":
    main()
