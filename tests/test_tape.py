"""What a transformation leaves behind in its thread, in memory and in others: nothing."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable
from typing import Any

import dlcore
import numpy as np
import pytest
from dlcore import Tensor, autodiff, grad, hessian, is_recording, no_grad, ops, tensor, value_and_grad
from dlcore.nn import Linear, Module, Sequential


def value(x: Any) -> Any:
    return x.numpy().tolist()


def network(dtype: str = "float32") -> Module:
    return Sequential(Linear(3, 4, "tanh"), Linear(4, 2)).build(1, dtype)


def loss(model: Module) -> Callable[[Any], Tensor]:
    return lambda x: ops.sum(ops.square(model(x)))


def spent(call: Callable[[], Any]) -> int:
    """Bytes of arrays still in use after `call`, with the cycle collector off."""
    gc.collect()
    gc.disable()
    try:
        before = dlcore.memory_stats()["in_use"]
        call()
        return dlcore.memory_stats()["in_use"] - before
    finally:
        gc.enable()


def test_no_cycles_hold_memory() -> None:
    model = network()
    x = tensor(np.ones((5, 3), np.float32))
    image = tensor(np.ones((2, 1, 6, 6), np.float32))
    kernel = tensor(np.ones((2, 1, 3, 3), np.float32))

    def convolve(x: Tensor) -> Tensor:
        y = ops.max_pool2d(ops.conv2d(x, kernel, None, activation="tanh"), 2)
        return ops.logsumexp(ops.reshape(ops.max(y, 3) * ops.softmax(ops.min(y, 2)), (-1,)))

    step = value_and_grad(loss(model), model.parameters)
    calls: list[Callable[[], Any]] = [
        lambda: loss(model)(x),
        lambda: step(x),
        lambda: value_and_grad(loss(model))(x),
        lambda: grad(convolve)(image),
        lambda: grad(lambda x: ops.sum(grad(convolve)(x)))(image),
        lambda: hessian(loss(model), model.parameters)(x),
        lambda: dlcore.hvp(loss(model))(x, x),
        lambda: dlcore.jvp(model)(x, x),
        lambda: dlcore.gnvp(model)(x, x),
        lambda: dlcore.jacobian(model, mode="forward")(x),
        lambda: dlcore.hvp(lambda x: convolve(x), 0)(image, image),
    ]
    for call in calls:
        call()
        assert spent(call) == 0


def test_results_do_not_hold_the_computation() -> None:
    kept: list[Any] = []
    x = tensor(np.ones(100_000, np.float32))
    step = value_and_grad(lambda x: ops.sum(ops.tanh(ops.exp(x) * 2.0)))
    step(x)
    assert spent(lambda: kept.append(step(x))) < 1.3 * 400_000  # the gradient, and a scalar


def test_an_error_leaves_nothing_behind() -> None:
    x = tensor([1.0, 2.0])
    model = network()

    def fails(x: Tensor) -> Tensor:
        y = x * 2.0
        with no_grad():
            grad(lambda z: ops.sum(z * y) + ops.sum(ops.reshape(z, (3,))))(x)
        return y

    def call() -> None:
        for f in (grad(fails), grad(grad(fails)), grad(fails, model.parameters), dlcore.jacobian(fails)):
            with pytest.raises(ValueError, match="reshape"):
                f(x)
            assert not is_recording()

    call()
    gc.collect()
    assert value(grad(lambda x: ops.sum(x * x))(x)) == [2, 4]
    g = grad(loss(model), model.parameters)(np.ones((1, 3), np.float32))
    assert np.isfinite(g.numpy()).all()


def test_an_error_in_a_gradient_function_leaves_nothing_behind() -> None:
    @autodiff.differentiable(1)
    def broken(x: Tensor) -> tuple[Any, ...]:
        def dx(dy: Tensor) -> Tensor:
            raise ZeroDivisionError

        return Tensor(x.array), dx

    for f in (grad(broken), grad(grad(broken))):
        with pytest.raises(ZeroDivisionError):
            f(tensor(1.0))
        assert not is_recording()


def test_threads_share_a_model_without_a_trace() -> None:
    model = network("float64")
    inputs = [np.full((4, 3), 0.1 * i) for i in range(8)]
    expected = [value(grad(loss(model), model.parameters)(x)) for x in inputs]
    found: dict[int, list[Any]] = {i: [] for i in range(8)}

    def work(i: int) -> None:
        for _ in range(50):
            found[i].append(value(grad(loss(model), model.parameters)(inputs[i])))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for i in range(8):
        assert found[i] == [expected[i]] * 50


def test_a_thread_started_inside_a_transformation_does_not_record() -> None:
    seen: list[Any] = []

    def f(x: Tensor) -> Tensor:
        t = threading.Thread(target=lambda: seen.append((is_recording(), x * 2.0)))
        t.start()
        t.join()
        return ops.sum(x * seen[0][1])

    assert value(grad(f)(tensor([3.0]))) == [6]
    assert seen[0][0] is False
