"""Steps of the optimizers: bytes a second against STREAM-like kernels and PyTorch in the same run.

python benchmarks/bench_optimizer.py [--threads N] [--dtype float64] [--json FILE]

Each array that a step reads or writes counts once a direction, as STREAM counts: Adam's 4 arrays read and 3 written are
28 bytes a parameter in float32. The yardsticks move arrays of the same size in turn with the step: `copy` is NumPy's
copyto (the C library's memcpy, which streams past the cache where it finds that worth while), `triad` is c = a + b
(plain stores, which also read the lines they write), `in place` is a += b (what it writes was read, as in a step), each
thread a share of its own; `same streams` is a native loop over the arrays of an Adam step with hardly any arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise
from typing import Any

import native_roofline
import peers
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


def gradient_and_parameters(dtype: str, n: int = PARAMETERS) -> tuple[Any, Any]:
    import numpy as np
    from dlcore import tensor
    from dlcore.nn import Parameters

    rng = np.random.default_rng(0)
    parameters = Parameters({"w": (n,)}, dtype)
    parameters.storage.array.assign(tensor(rng.standard_normal(n), dtype).array)
    return tensor(rng.standard_normal(n), dtype), parameters


def adam_row(n: int, threads: int) -> timing.Row:
    """Adam on n float32 parameters in one array, as dlcore keeps them, by each library."""
    from dlcore import optim

    gradient, parameters = gradient_and_parameters("float32", n)
    start = parameters.storage.numpy().copy()
    optimizer = optim.Adam(parameters, lr=1e-3)
    calls: dict[str, Callable[[], Any]] = {"dlcore": lambda: optimizer.step(gradient)}
    after: dict[str, Callable[[], Any]] = {"dlcore": parameters.storage.numpy}
    if torch := peers.torch(threads):
        for kind in ("fused", "foreach"):
            theta = torch.nn.Parameter(torch.from_numpy(start.copy()))
            theta.grad = torch.from_numpy(gradient.numpy())
            calls[f"torch {kind}"] = torch.optim.Adam([theta], lr=1e-3, **{kind: True}).step
            after[f"torch {kind}"] = lambda theta=theta: theta.detach().numpy()

    def change(peer: str) -> Any:
        calls[peer]()
        return after[peer]() - start

    results = {peer: partial(change, peer) for peer in after}
    if streams := native_roofline.adam_streams(n, threads):
        calls["same streams"] = streams
    name = f"Adam, {n // 10**6} million parameters"
    return timing.Row(name, calls, "GB/s", 28.0 * n, {}, results, 1e-4)


def optimizer_row(
    name: str, make: Callable[[], Callable[[], Any]], arrays: int, dtype: str, threads: int
) -> timing.Row:
    import numpy as np

    size = np.dtype(dtype).itemsize
    a, b, c = (np.zeros(PARAMETERS, dtype) + 1 for _ in range(3))
    calls = {
        "dlcore": make(),
        "copy": shares(threads, lambda part: np.copyto(c[part], a[part])),
        "triad": shares(threads, lambda part: np.add(a[part], b[part], out=c[part])),
        "in place": shares(threads, lambda part: np.add(a[part], b[part], out=a[part])),
    }
    moved = {"dlcore": arrays, "copy": 2, "triad": 3, "in place": 3}
    work = {key: float(count * PARAMETERS * size) for key, count in moved.items()}
    return timing.Row(f"{name} and yardsticks", calls, "GB/s", work, short=False)


def main() -> None:
    parser = timing.arguments(__doc__)
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    options = parser.parse_args()
    timing.limit_threads(options.threads)
    from dlcore import optim

    rows: list[Callable[[], timing.Row]] = [partial(adam_row, n, options.threads) for n in (10**7, 10**6)]
    if not options.short:
        gradient, parameters = gradient_and_parameters(options.dtype)

        def ema() -> Callable[[], Any]:
            average = optim.EMA(parameters, 0.999)
            average.update()
            return average.update

        def stepper(kind: str, given: dict[str, Any]) -> Callable[[], Any]:
            optimizer = getattr(optim, kind)(parameters, lr=1e-6, **given)
            return lambda: optimizer.step(gradient)

        makers: list[tuple[str, Callable[[], Callable[[], Any]], int]] = [
            (name, partial(stepper, kind, given), read + written) for name, kind, given, read, written in ROWS
        ]
        makers.append(("SGD, clipped to a norm", partial(stepper, "SGD", {"max_grad_norm": 1.0}), 4))
        makers.append(("EMA", ema, 3))
        makers.append(("norm", lambda: lambda: optim.grad_norm(gradient), 1))
        rows += [partial(optimizer_row, *maker, options.dtype, options.threads) for maker in makers]
    timing.run("optimizer", options, rows)


if __name__ == "__main__":
    main()
