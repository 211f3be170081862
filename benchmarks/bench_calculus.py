"""What products with the Hessian and the Gauss–Newton matrix cost, in gradients of the same function.

python benchmarks/bench_calculus.py [--threads N] [--json FILE]
"""

from __future__ import annotations

from typing import Any

import timing
from bench_steps import lenet, mlp

LIMIT = 4.0  # gradients that a Hessian-vector product may cost


def candidates(net: Any, shape: tuple[int, ...], batch: int) -> dict[str, Any]:
    import numpy as np
    from dlcore import gnvp, grad, hvp, jvp, kinks, losses, tensor

    net.build(seed=0)
    rng = np.random.default_rng(0)
    x, y = tensor(rng.random((batch, *shape), dtype=np.float32)), tensor(rng.integers(0, 10, batch), "int32")
    v = tensor(rng.standard_normal(net.parameters.size).astype(np.float32))

    def loss(outputs: Any) -> Any:
        return losses.cross_entropy(outputs, y)

    gradient = grad(lambda x: loss(net(x)), net.parameters)
    hessian_product = hvp(lambda x: loss(net(x)), net.parameters)
    push, gauss_newton_product = jvp(net, net.parameters), gnvp(net, loss, net.parameters)

    def without_check() -> Any:
        with kinks("zero"):
            return hessian_product(v, x)

    return {
        "gradient": lambda: gradient(x),
        "hvp": lambda: hessian_product(v, x),
        "hvp, kinks('zero')": without_check,
        "gnvp": lambda: gauss_newton_product(v, x),
        "jvp": lambda: push(v, x),
    }


def main() -> None:
    options = timing.arguments(__doc__).parse_args()
    timing.limit_threads(options.threads)
    rows = []
    settings = [
        ("mlp 64-32-10, batch 32", mlp(64, 32, 10), (64,), 32),
        ("mlp 784-500-500-10, batch 100", mlp(784, 500, 500, 10), (784,), 100),
        ("lenet-5, batch 100", lenet(), (1, 28, 28), 100),
    ]
    for name, net, shape, batch in settings:
        if options.only not in name:
            continue
        timings = timing.interleaved(candidates(net, shape, batch), options.seconds)
        base = timings["gradient"].turns
        print(f"{name}: gradient {1e6 * timings['gradient'].median:.0f} µs")
        for product, timed in timings.items():
            ratios = sorted(mine / theirs for mine, theirs in zip(timed.turns, base, strict=True))
            ratio = ratios[len(ratios) // 2]
            if product != "gradient":
                verdict = "" if not product.startswith("hvp") else f"  (limit {LIMIT:g})"
                print(f"  {product:20} {ratio:5.2f} gradients{verdict}", flush=True)
                rows.append({"name": name, "product": product, "gradients": ratio})
    timing.write_json(options.json, "calculus", options.threads, rows)


if __name__ == "__main__":
    main()
