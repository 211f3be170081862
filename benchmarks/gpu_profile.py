"""Each hot kernel on a GPU once, for a profiler: ``ncu --set detailed python benchmarks/gpu_profile.py``."""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from dlcore import placement


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda", help="dlcore's device (default cuda)")
    parser.add_argument("--tiny", action="store_true", help="small sizes, to try the script")
    options = parser.parse_args()
    d = placement.find(options.device)
    unit = 8 if options.tiny else 1
    rng = np.random.default_rng(0)

    def array(*shape: int) -> Any:
        return d.from_numpy(rng.random(shape, np.float32))

    n = 4096 // unit // unit
    a, b = array(n, n), array(n, n)
    for transposed in ((False, False), (False, True), (True, False)):
        d.matmul(a, b, *transposed)
    x, dy = array(128, 784 // unit), array(128, 500 // unit)
    d.matmul(x, dy, True, False)  # a weight's gradient: the depth is cut
    images, filters = array(64, 128 // unit, 28, 28), array(128 // unit, 128 // unit, 3, 3)
    shape = ((1, 1), (1, 1), (1, 1), 1)
    out = d.conv2d(images, filters, None, *shape)
    d.conv2d_input_grad(out, filters, (28, 28), *shape)
    d.conv2d_weight_grad(images, out, (3, 3), *shape)
    pooled, indices = d.max_pool2d(images, (2, 2), (2, 2), (0, 0))
    d.max_pool2d_grad(pooled, indices, (28, 28))
    count = 10_000_000 // unit**5
    theta, gradient, first, second = (array(count) for _ in range(4))
    d.adam(theta, gradient, first, second, 3, 1e-3, 0.9, 0.999, 1e-8, 0.0)
    d.sum(theta, None, False)
    visible, hidden = 784 // unit, 500 // unit
    d.rbm_cd(array(100, visible), array(visible, hidden), array(visible), array(hidden), 1, 7, 1)
    print("done", float(theta.view(0, (1,)).numpy()[0]))


if __name__ == "__main__":
    main()
