"""The hot paths whose instructions `perf_gate.py` counts; run under callgrind with instrumentation off.

python tools/perf_gate_paths.py CLIENT.SO [PATH ...]

Every path is called once, so that it is in a steady state, then counted: the counts go to the dumps of callgrind, one
for each path, by name. Sizes are fixed, and small: under valgrind a multiply-add takes a hundred times as long.
"""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

Path = tuple[str, Callable[[], Any]]


def products(cpu: Any, given: Callable[..., Any]) -> Iterator[Path]:
    a, b, c = given(256, 256), given(256, 256), given(256, 256)
    yield "product 256", lambda: cpu.matmul(a, b, out=c)
    x, w, y = given(32, 784), given(784, 500), given(32, 500)
    dx, dw = given(32, 784), given(784, 500)

    def training() -> None:
        cpu.matmul(x, w, out=y)
        cpu.matmul(x, y, True, False, out=dw)
        cpu.matmul(y, w, False, True, out=dx)

    yield "products of a training step 32x784x500", training


def convolution(cpu: Any, given: Callable[..., Any]) -> Iterator[Path]:
    """LeNet's two convolutions on 16 images, and its first pooling."""
    layers = [((16, 1, 28, 28), 6, 2, 28), ((16, 6, 14, 14), 16, 0, 10)]
    made = []
    for shape, filters, pad, out in layers:
        x, w, bias = given(*shape), given(filters, shape[1], 5, 5), given(filters)
        made.append((x, w, bias, given(16, filters, out, out), ((1, 1), (pad, pad), (1, 1), 1)))

    def forward() -> None:
        for x, w, bias, _, rest in made:
            cpu.conv2d(x, w, bias, *rest, "relu")

    def backward() -> None:
        for x, _, _, dy, rest in made:
            cpu.conv2d_weight_grad(x, dy, (5, 5), *rest)
        _, w, _, dy, rest = made[1]
        cpu.conv2d_input_grad(dy, w, (14, 14), *rest)

    yield "LeNet convolutions forward", forward
    yield "LeNet convolutions backward", backward
    images, window = given(16, 6, 28, 28), ((2, 2), (2, 2), (0, 0))
    y, indices = cpu.max_pool2d(images, *window)

    def pooling() -> None:
        cpu.max_pool2d(images, *window)
        cpu.max_pool2d_grad(y, indices, (28, 28))

    yield "max-pooling both ways", pooling


def passes(cpu: Any, given: Callable[..., Any]) -> Iterator[Path]:
    from dlcore import optim, tensor
    from dlcore.nn import Parameters

    logits, labels, losses = given(128, 10), cpu.full((128,), 3.0, "int32"), given(128)

    def cross_entropy() -> None:
        cpu.softmax_cross_entropy(logits, labels)
        cpu.softmax_cross_entropy_grad(losses, logits, labels)

    yield "softmax cross-entropy both ways", cross_entropy
    parameters = Parameters({"w": (100_000,)})
    parameters.storage.array.assign(tensor(np.zeros(100_000), "float32").array)
    gradient, optimizer = tensor(np.ones(100_000), "float32"), optim.Adam(parameters, lr=1e-3)
    yield "Adam 100 000", lambda: optimizer.step(gradient)
    p = cpu.activation(given(100, 784), "sigmoid", 0.0)
    yield "Bernoulli 100x784", lambda: cpu.bernoulli(0, 0, p)


def traced_steps() -> Iterator[Path]:
    """Twenty steps of one's own loop, replayed."""
    import dlcore
    from dlcore import losses, nn, optim, tensor

    rng = np.random.default_rng(0)
    x, y = tensor(rng.random((32, 64), dtype=np.float32)), tensor(np.arange(32) % 10, "int32")
    net = nn.Sequential(nn.Linear(64, 32, "relu"), nn.Linear(32, 10)).build(seed=0)
    optimizer = optim.Adam(net.parameters)
    gradient = dlcore.value_and_grad(lambda x, y: losses.cross_entropy(net(x), y), net.parameters)

    @dlcore.traced
    def step(x: Any, y: Any) -> Any:
        loss, g = gradient(x, y)
        optimizer.step(g)
        return loss

    def twenty() -> None:
        for _ in range(20):
            step(x, y)

    yield "MLP 64-32-10, 20 traced steps", twenty


def fits() -> Iterator[tuple[str, Callable[[int], Any]]]:
    """Fits of so many steps: what is counted is the difference of two lengths."""
    from dlcore.models import MLP, RBM

    rng = np.random.default_rng(0)
    pixels = (rng.random((40, 784)) * (rng.random((40, 784)) < 0.2)).astype(np.float32)
    rbm = RBM(784, 500)
    plain: dict[str, Any] = {"epochs": 1, "shuffle": False, "progress": False}
    yield "CD-1 step 784-500, batch 20", lambda n: rbm.fit(pixels[: 20 * n], batch_size=20, **plain)
    x, y = rng.random((32 * 40, 64), dtype=np.float32), np.tile(np.arange(10, dtype=np.int32), 128)
    mlp = MLP([64, 32, 10])
    cases = 20 * 32  # twenty steps, counted as one
    yield "MLP 64-32-10, 20 steps in fit", lambda n: mlp.fit(x[: cases * n], y[: cases * n], batch_size=32, **plain)


def main(library: str, wanted: list[str]) -> None:
    native = ctypes.CDLL(library)
    gc.disable()

    def is_wanted(name: str) -> bool:
        return not wanted or name in wanted

    def count(name: str, call: Callable[[], Any]) -> None:
        native.begin()
        call()
        native.end(name.encode())

    def load() -> None:
        import dlcore  # noqa: F401

    count("import", load)
    from dlcore.device import cpu

    rng = np.random.default_rng(0)

    def given(*shape: int) -> Any:
        return cpu.from_numpy(rng.standard_normal(shape).astype(np.float32))

    for source in (products(cpu, given), convolution(cpu, given), passes(cpu, given), traced_steps()):
        for name, call in source:
            if is_wanted(name):
                call()
                count(name, call)
    for name, fit in fits():
        if is_wanted(name):
            fit(2)
            count(f"{name}: 1", partial(fit, 1))
            count(f"{name}: 2", partial(fit, 2))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
