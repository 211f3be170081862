"""Memory is pooled, steady, and given back when something fails."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from typing import Any

import dlcore
import numpy as np
import pytest
from dlcore import Generator, nn, ops, optim, tensor, value_and_grad
from processes import LINUX, python


def training() -> tuple[nn.Module, optim.Optimizer, Callable[[], Any]]:
    model = nn.Sequential(nn.Linear(20, 16, "relu"), nn.Dropout(0.2), nn.Linear(16, 4)).build(0).train()
    optimizer = optim.Adam(model.parameters, 1e-3)
    rng = np.random.default_rng(0)
    x, y = tensor(rng.standard_normal((8, 20)), "float32"), tensor(rng.integers(0, 4, 8), "int32")
    step = value_and_grad(lambda: ops.mean(ops.softmax_cross_entropy(model(x), y)), model.parameters)

    def train() -> Any:
        loss, gradient = step()
        optimizer.step(gradient)
        return loss

    return model, optimizer, train


def convolutional() -> Callable[[], Any]:
    model = nn.Sequential(nn.Conv2d(1, 4, 3, activation="tanh"), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 3)).build(
        0
    )
    optimizer = optim.SGD(model.parameters, 0.1, momentum=0.9)
    x = tensor(np.random.default_rng(0).standard_normal((8, 1, 8, 8)), "float32")
    step = value_and_grad(lambda: ops.mean(ops.square(model(x))), model.parameters)
    return lambda: optimizer.step(step()[1])


@pytest.mark.parametrize("make", [lambda: training()[2], convolutional], ids=["perceptron", "convolutional"])
def test_a_steady_step_asks_nothing_of_the_system(make: Callable[[], Callable[[], Any]], device: Any) -> None:
    device.set_num_threads(2)
    train = make()
    for _ in range(3):
        train()
    before = dlcore.memory_stats()
    for _ in range(50):
        train()
    after = dlcore.memory_stats()
    assert after["system_allocations"] == before["system_allocations"]
    assert after["in_use"] == before["in_use"]


def test_cached_memory_is_given_back() -> None:
    x = ops.zeros((100_000,))
    used = dlcore.memory_stats()["in_use"]
    del x
    stats = dlcore.memory_stats()
    assert stats["in_use"] <= used - 400_000
    assert stats["cached"] >= 400_000
    dlcore.release_cached_memory()
    assert dlcore.memory_stats()["cached"] == 0


def test_sizes_that_keep_changing_do_not_pile_up_in_the_cache() -> None:
    code = """
        import dlcore.device
        device, peak, most = dlcore.device.cpu, 0, 0
        for mebibytes in (20, 300, 30, 250, 41, 120, 60, 200, 99, 150, 300, 75, 25, 175):
            array = device.empty((mebibytes, 2**18), "float32")
            stats = device.memory_stats()
            peak, most = max(peak, stats["in_use"]), max(most, stats["in_use"] + stats["cached"])
            del array
        print(most <= 1.25 * peak + 2**26, most > peak)
        device.release_cached_memory()
        device.empty((200, 2**18), "float32")
        device.empty((100, 2**18), "float32")  # the peak is measured anew: both are within 1.25 * 200 + 64
        print(device.memory_stats()["cached"] <= 1.25 * 224 * 2**20 + 2**26)
    """
    assert python(code) == "True True\nTrue"


def test_a_large_steady_step_asks_nothing_of_the_system() -> None:
    code = """
        import numpy as np, dlcore
        from dlcore import nn, ops, optim, value_and_grad
        model = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1, activation="relu"), nn.MaxPool2d(2), nn.Flatten()).build(0)
        optimizer = optim.SGD(model.parameters, 0.1)
        x = ops.ones((256, 1, 64, 64))
        step = value_and_grad(lambda: ops.mean(ops.square(model(x))), model.parameters)
        def train(n):
            for _ in range(n):
                optimizer.step(step()[1])
            return dlcore.memory_stats()["system_allocations"]
        print(train(3) == train(3), dlcore.memory_stats()["cached"] > 2**26)
    """
    assert python(code, DLCORE_NUM_THREADS="1") == "True True"


@pytest.mark.parametrize("on", [False, True], ids=["", "with allocation checks"])
def test_an_allocation_that_fails_changes_nothing(on: bool, device: Any) -> None:
    model, optimizer, train = training()
    train()
    generator = model[1].generator  # type: ignore[index]
    device.set_allocation_checks(on)
    try:
        for n in range(1000):
            theta, state, drawn = model.parameters.theta.numpy(), optimizer.state_dict(), generator.step
            in_use = dlcore.memory_stats()["in_use"]
            device.fail_allocation_after(n)
            try:
                train()
                break
            except MemoryError:
                pass  # the traceback, which holds the arrays of the failed step, ends here
            assert model.parameters.theta.numpy().tobytes() == theta.tobytes()
            assert optimizer.steps == state["steps"]
            for name, values in state["state"].items():
                assert optimizer.state[name].numpy().tobytes() == values.tobytes()
            assert dlcore.memory_stats()["in_use"] == in_use
            assert not dlcore.is_recording()
            generator.step = drawn  # the next attempt draws the same mask
        assert 10 < n < 999
    finally:
        device.fail_allocation_after(-1)
        device.set_allocation_checks(False)
    expected_model, _, expected = training()
    expected()
    expected()
    assert model.parameters.theta.numpy().tobytes() == expected_model.parameters.theta.numpy().tobytes()


def test_the_error_names_the_bytes(device: Any) -> None:
    try:
        device.fail_allocation_after(0)
        with pytest.raises(MemoryError, match=r"^12 bytes could not be allocated$"):
            ops.zeros((3,))
    finally:
        device.fail_allocation_after(-1)


def test_a_failed_draw_or_build_leaves_the_state(device: Any) -> None:
    generator = Generator(3)
    draws: list[Callable[[], Any]] = [
        lambda: ops.uniform(generator, (3,)),
        lambda: ops.normal(generator, (3,)),
        lambda: ops.permutation(generator, 3),
        lambda: ops.dropout(ops.ones((3,)), 0.5, generator),
        lambda: ops.bernoulli(generator, ops.full((3,), 0.5)),
    ]
    try:
        for draw in draws:
            step = generator.step
            for n in range(10):
                device.fail_allocation_after(n)
                try:
                    draw()
                except MemoryError:
                    assert generator.step == step
                else:
                    break
            assert n > 0
            assert generator.step == step + 1
        model = nn.Sequential(nn.Linear(3, 2), nn.Dropout(), nn.Linear(2, 2))
        for n in range(100):
            device.fail_allocation_after(n)
            try:
                model.build(5)
            except MemoryError:
                continue
            break
        assert n > 3
    finally:
        device.fail_allocation_after(-1)
    again = nn.Sequential(nn.Linear(3, 2), nn.Dropout(), nn.Linear(2, 2)).build(5)
    assert model.parameters.theta.numpy().tobytes() == again.parameters.theta.numpy().tobytes()


GROWTH = """
    import numpy as np, dlcore
    from dlcore import nn, ops, optim, tensor, value_and_grad

    def resident():
        return int(open("/proc/self/statm").read().split()[1]) * 4096

    model = nn.Sequential(nn.Linear(4, 3, "tanh"), nn.Linear(3, 2)).build(0)
    optimizer = optim.Adam(model.parameters, 1e-3)
    x, y = np.ones((2, 4), np.float32), tensor([0, 1], "int32")
    step = value_and_grad(lambda x: ops.sum(ops.softmax_cross_entropy(model(x), y)), model.parameters)

    def train(n):
        for _ in range(n):
            optimizer.step(step(x)[1])

    def fail(n):
        bad = [
            lambda: ops.matmul(ops.ones((2, 3)), ops.ones((2, 3))),
            lambda: tensor([1]) + np.ones(1),
            lambda: tensor("x"),
            lambda: step(np.ones((2, 5), np.float32)),
            lambda: dlcore.grad(lambda x: x)([1.0, 2.0]),
            lambda: ops.uniform(dlcore.Generator(0), (-1,)),
            lambda: model.build(dtype="int32"),
            lambda: tensor(np.ones(3))[7],
        ]
        failed = 0
        for i in range(n):
            try:
                bad[i % len(bad)]()
            except (ValueError, TypeError, IndexError):
                failed += 1
        assert failed == n
"""


@LINUX
@pytest.mark.parametrize(
    ("work", "warm", "n"),
    [
        ("train", 2000, 10_000),
        ("fail", 1000, 5_000),
        pytest.param("fail", 1000, 100_000, marks=pytest.mark.slow),
        pytest.param("train", 2000, 100_000, marks=pytest.mark.slow),
    ],
)
def test_memory_does_not_grow(work: str, warm: int, n: int) -> None:
    run = f"{work}({warm})\nbefore = resident()\n{work}({n})\nprint(resident() - before)"
    grown = int(python(textwrap.dedent(GROWTH) + run, DLCORE_NUM_THREADS="1"))
    assert grown < 4 * 2**20, f"{n} times {work}: {grown / 2**20:.1f} MiB more"
