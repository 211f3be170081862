"""Writing in place between the recording of an op and the use of what its gradient saved is an error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from dlcore import (
    Tensor,
    grad,
    hvp,
    is_recording,
    jacobian,
    jvp,
    no_grad,
    ops,
    optim,
    placement,
    tensor,
    value_and_grad,
)
from dlcore.nn import Linear, Parameters, Sequential

MESSAGE = r"^{}: an array of shape .* that its gradient needs was written in place after the op ran"


def written(x: Tensor) -> None:
    x.array.assign(tensor(np.full(x.shape, 7.0), x.dtype).array)


@pytest.mark.parametrize(
    ("f", "name"),
    [
        (lambda x, c: ops.sum(x * c), "multiply"),
        (lambda x, c: ops.sum(x / c), "divide"),
        (lambda x, c: ops.sum(ops.square(x * 1.0 + c) * c), "multiply"),
        (lambda x, c: ops.sum(ops.maximum(x, c)), "maximum"),
        (lambda x, c: ops.sum(ops.matmul(x, c)), "matmul"),
        (lambda x, c: ops.sum(ops.linear(ops.reshape(x, (1, 3)), ops.reshape(c, (3, 1)), activation="tanh")), "linear"),
    ],
)
def test_a_saved_array_that_is_written(f: Callable[..., Tensor], name: str) -> None:
    constant = tensor([1.0, 2.0, 3.0])

    def spoiled(x: Tensor) -> Tensor:
        y = f(x, constant)
        written(constant)
        return y

    x = tensor([1.0, 1.0, 2.0])
    for call in (
        lambda: grad(spoiled)(x),
        lambda: jacobian(spoiled)(x),
        lambda: jvp(spoiled)(x, x),
        lambda: hvp(spoiled)(x, x),
        lambda: grad(lambda x: ops.sum(grad(spoiled)(x)))(x),
    ):
        constant.array.assign(tensor([1.0, 2.0, 3.0]).array)
        with pytest.raises(RuntimeError, match=MESSAGE.format(name)):
            call()
        assert not is_recording()


def test_the_result_of_an_op_that_is_written() -> None:
    def f(x: Tensor) -> Tensor:
        y = ops.exp(x)
        written(y)
        return ops.sum(y)

    with pytest.raises(RuntimeError, match=MESSAGE.format("exp")):
        grad(f)(tensor([1.0]))


@pytest.mark.parametrize(
    "make",
    [
        lambda p: optim.SGD(p, lr=0.1),
        lambda p: optim.SGD(p, lr=0.1, momentum=0.9),
        lambda p: optim.AdaGrad(p, lr=0.1),
        lambda p: optim.RMSProp(p, lr=0.1),
        lambda p: optim.Adam(p, lr=0.1),
        lambda p: optim.AdamW(p, lr=0.1),
    ],
)
def test_an_optimizer_step_before_the_gradient(make: Callable[[Parameters], Any]) -> None:
    model = Sequential(Linear(3, 4, "tanh"), Linear(4, 2)).build(0)
    optimizer = make(model.parameters)
    step = tensor(np.ones(model.parameters.size, np.float32))

    def f(x: Tensor) -> Tensor:
        y = ops.sum(ops.square(model(x)))
        optimizer.step(step)
        return y

    with pytest.raises(RuntimeError, match=MESSAGE.format("linear")):
        grad(f)(tensor(np.ones((2, 3), np.float32)))
    g = value_and_grad(lambda x: ops.sum(ops.square(model(x))), model.parameters)
    optimizer.step(g(np.ones((2, 3), np.float32))[1])  # in its place


def test_other_writers() -> None:
    device = placement.placed(None)
    weight = tensor(np.ones((2, 2), np.float32))
    writers: list[Callable[[], Any]] = [
        lambda: device.axpy(1.0, tensor(np.ones((2, 2), np.float32)).array, weight.array),
        lambda: device.matmul(*[tensor(np.ones((2, 2), np.float32)).array] * 2, out=weight.array),
        lambda: device.conv2d_weight_grad(
            tensor(np.ones((1, 2, 3, 3), np.float32)).array,
            tensor(np.ones((1, 2, 3, 3), np.float32)).array,
            (1, 1),
            (1, 1),
            (0, 0),
            (1, 1),
            1,
            out=weight.array.reshape((2, 2, 1, 1)),
        ),
        lambda: Parameters({"w": (2, 2)}),  # writes nothing of ours
    ]
    for i, write in enumerate(writers):

        def f(x: Tensor, write: Callable[[], Any] = write) -> Tensor:
            y = ops.sum(x @ weight)
            write()
            return y

        if i == len(writers) - 1:
            grad(f)(np.ones((2, 2), np.float32))
            continue
        with pytest.raises(RuntimeError, match=MESSAGE.format("matmul")):
            grad(f)(np.ones((2, 2), np.float32))


def test_chains_of_a_machine() -> None:
    device = placement.placed(None)
    ones = lambda *shape: tensor(np.ones(shape, np.float32))  # noqa: E731
    chains = ones(4, 2)

    def f(x: Tensor) -> Tensor:
        y = ops.sum(x * chains)
        device.rbm_cd(ones(4, 3).array, ones(3, 2).array, ones(3).array, ones(2).array, 1, 0, 0, chains.array)
        return y

    with pytest.raises(RuntimeError, match=MESSAGE.format("multiply")):
        grad(f)(ones(4, 2))


def test_harmless_writes() -> None:
    """Before the op, to what is read for its shape only, and to another stretch of the same vector."""
    p = Parameters({"a": (2,), "b": (2,)})
    p.assign({"a": [1, 2], "b": [3, 4]})

    def before(x: Tensor) -> Tensor:
        p.assign({"a": [1, 2], "b": [3, 4]})
        return ops.sum(x * p["a"])

    def neighbour(x: Tensor) -> Tensor:
        y = ops.sum(x * p["a"])
        written(p["b"])
        return y

    def shapes(x: Tensor) -> Tensor:
        y = ops.sum(ops.reshape(x + p["a"], (1, 2)))
        written(p["a"])
        return y

    def inner_training(x: Tensor) -> Tensor:
        with no_grad():
            for _ in range(3):
                g = grad(lambda: ops.sum(ops.square(p["b"])), p)()
                optim.SGD(p, lr=0.1).step(g)
        return ops.sum(x * p["b"])

    x = tensor([1.0, 1.0])
    assert grad(before)(x).numpy().tolist() == [1, 2]
    assert grad(neighbour)(x).numpy().tolist() == [1, 2]
    assert grad(shapes)(x).numpy().tolist() == [1, 1]
    written(p["b"])
    np.testing.assert_allclose(grad(inner_training)(x).numpy(), 7 * 0.8**3 * np.ones(2), rtol=1e-6)


def test_a_write_inside_an_inner_transformation() -> None:
    c = tensor([2.0])

    def outer(x: Tensor) -> Tensor:
        y = x * c
        grad(lambda z: (written(c), ops.sum(z))[1])(x)
        return ops.sum(y)

    with pytest.raises(RuntimeError, match=MESSAGE.format("multiply")):
        grad(outer)(tensor([1.0]))


def test_the_noted_writes() -> None:
    device = placement.placed(None)
    entries: list[int] = [0]
    a, b = tensor([1.0, 2.0]), tensor([1.0, 2.0])
    written(a)
    assert device.noted_writes() == 0
    device.watch_writes(entries)
    try:
        written(a)
        written(a)
        assert device.noted_writes() == 1
        assert device.is_overwritten(a.array, 0)
        assert not device.is_overwritten(a.array, 1)  # recorded after the write
        assert not device.is_overwritten(b.array, 0)
        written(Tensor(b.array.view(1, (1,))))
        assert device.is_overwritten(b.array, 0)
        assert not device.is_overwritten(b.array.view(0, (1,)), 0)
        for _ in range(10_000):
            written(a)
            written(b)
        assert device.noted_writes() == 3
        device.watch_writes([])
        assert device.noted_writes() == 0
        device.unwatch_writes()
        assert device.noted_writes() == 3
    finally:
        device.unwatch_writes()
    assert device.noted_writes() == 0
    with pytest.raises(ValueError, match=r"^unwatch_writes: nothing is watched"):
        device.unwatch_writes()
    with pytest.raises(TypeError, match=r"^watch_writes: entries is a tuple, expected a list"):
        device.watch_writes(())
