"""`traced` steps on another device: its kernels recorded and replayed, by graphs where it makes them."""

from __future__ import annotations

from typing import Any

import dlcore
import numpy as np
import pytest
from dlcore import losses, nn, ops, optim, tensor, value_and_grad

RNG = np.random.default_rng(0)
X = [RNG.standard_normal((7, 5)).astype(np.float32) for _ in range(6)]
Y = [RNG.integers(0, 3, 7).astype(np.int32) for _ in range(6)]


class Learner:
    """A network and a training step of one's own."""

    def __init__(self, device: str, optimizer: Any = optim.Adam, **options: Any) -> None:
        self.net = nn.Sequential(nn.Linear(5, 6, "relu"), nn.Dropout(0.3), nn.Linear(6, 3)).build(seed=1).to(device)
        self.optimizer = optimizer(self.net.parameters, **options)
        self.gradient = value_and_grad(lambda x, y: losses.cross_entropy(self.net(x), y), self.net.parameters)

    def step(self, x: Any, y: Any) -> Any:
        loss, gradient = self.gradient(x, y)
        self.optimizer.step(gradient)
        return loss

    def everything(self) -> tuple[Any, ...]:
        saved = self.optimizer.state_dict()
        state = {name: value.tobytes() for name, value in saved.pop("state").items()}
        return self.net.parameters.storage.numpy().tobytes(), state, saved, self.net.layers[1].generator.step


def plan_of(step: Any) -> Any:
    """Of the recording made last."""
    return [known.recording._plan for known in step._known.values() if known.recording is not None][-1]


def run(step: Any, device: str, arrays: bool = False, calls: range = range(6)) -> list[float]:
    found = []
    for i in calls:
        x, y = (X[i], Y[i]) if arrays else (tensor(X[i], device=device), tensor(Y[i], "int32", device=device))
        found.append(float(step(x, y)))
    return found


@pytest.mark.parametrize("arrays", [False, True], ids=["tensors", "arrays"])
@pytest.mark.parametrize("options", [{}, {"optimizer": optim.SGD, "momentum": 0.9, "max_grad_norm": 0.1}])
def test_the_bits_of_plain_steps(other: str, arrays: bool, options: dict[str, Any]) -> None:
    """Arrays go to the device of the network that the step captures."""
    plain, fast = Learner(other, **options), Learner(other, **options)
    step = dlcore.traced(fast.step)
    assert run(step, other, arrays) == run(plain.step, other)
    assert fast.everything() == plain.everything()
    assert (step.traced, step.recordings, step.replays) == (None, 1, 4)
    plan = plan_of(step)
    assert (plan.steps_by_graphs, plan.graphs, plan.launches_on_host) == (4, 1, 0)


def test_a_check_of_values_raises_in_its_call(other: str) -> None:
    plain, fast = Learner(other), Learner(other)
    step = dlcore.traced(fast.step)
    messages = []
    for learner, call in ((plain, plain.step), (fast, step)):
        run(call, other, calls=range(4))
        before = learner.net.parameters.storage.numpy().tobytes()
        with pytest.raises(ValueError, match="is outside") as caught:
            call(tensor(X[4], device=other), tensor(np.full(7, 3, np.int32), "int32", device=other))
        messages.append(str(caught.value))
        assert learner.net.parameters.storage.numpy().tobytes() == before
        run(call, other, calls=range(4, 6))
    assert messages[0] == messages[1]
    assert fast.everything() == plain.everything()


def test_a_check_behind_an_update_leaves_what_was_done(other: str) -> None:
    """In the order of plain code, although a graph had gone on."""

    def learner() -> tuple[Any, Any]:
        total = ops.zeros((1,), device=other)

        def step(p: Any) -> Any:
            total.array.assign((total + 1.0).array)
            coin = ops.bernoulli(generator, p)
            total.array.assign((total + 10.0).array)
            return coin

        generator = dlcore.Generator(1)
        return total, step

    found = []
    for trace in (False, True):
        total, step = learner()
        step = dlcore.traced(step) if trace else step
        for p in (0.0, 1.0, 1.0, 0.0):
            assert step(tensor([p], device=other)).item() == p
        with pytest.raises(ValueError, match="bernoulli: probabilities is 2 at"):
            step(tensor([2.0], device=other))
        found.append(total.item())
        assert not trace or step.replays == 2
    assert found == [45.0, 45.0]


def test_a_network_that_moves_is_recorded_anew(other: str) -> None:
    learner = Learner("cpu")
    step = dlcore.traced(learner.step)
    for device in ("cpu", other, "cpu", other):
        learner.net.to(device)
        before = step.replays
        run(step, device, arrays=True)
        assert step.traced is None and step.replays >= before + 4
        assert learner.net.parameters.storage.device == device
        assert (plan_of(step).steps_by_graphs > 0) == (device == other)
    plain = Learner("cpu")
    for device in ("cpu", other, "cpu", other):
        plain.net.to(device)
        run(plain.step, device)
    assert learner.everything() == plain.everything()


def test_arrays_follow_the_network_that_is_captured_now(other: str) -> None:
    nets = {device: nn.Sequential(nn.Linear(5, 3)).build(seed=1).to(device) for device in ("cpu", other)}
    net = nets["cpu"]
    step = dlcore.traced(lambda x: net(x))
    for device in ("cpu", other, "cpu"):
        net = nets[device]
        assert {step(x).device for x in X} == {device} and step.traced is None
    assert (step.recordings, step.replays) == (2, 4 + 4 + 6)  # the first recording holds again


def test_the_current_device_is_that_of_what_captures_nothing(other: str) -> None:
    step = dlcore.traced(lambda x: ops.exp(x) + 1.0)
    with dlcore.on_device(other):
        found = [step(X[i]) for i in range(5)]
    assert {x.device for x in found} == {other} and step.replays == 3
    found = [step(X[i]) for i in range(5)]
    assert {x.device for x in found} == {"cpu"} and step.replays == 6


def test_a_step_on_two_devices_is_not_replayed(other: str) -> None:
    here, there = tensor([1.0]), tensor([2.0], device=other)

    def both(x: Any) -> Any:
        return x + there, ops.exp(here)

    step = dlcore.traced(both)
    for i in range(4):
        a, b = step(tensor([float(i)], device=other))
        assert (a.item(), a.device, b.device) == (i + 2.0, other, "cpu")
    assert (step.traced, step.replays) == ("it computes on two devices", 0)
    step = dlcore.traced(lambda x: ops.exp(x.to("cpu")))
    for i in range(4):
        assert step(tensor([float(i)], device=other)).item() == pytest.approx(np.exp(i), rel=1e-6)
    assert (step.traced, step.replays) == ("it computes on two devices", 0)
    step = dlcore.traced(lambda x, y: (ops.exp(x), ops.exp(y)))
    assert [x.device for x in step(here, there)] == ["cpu", other]
    assert step.traced == "arguments are on several devices"


def test_devices_that_differ_are_an_error_as_in_plain_code(other: str) -> None:
    learner = Learner(other)
    step = dlcore.traced(learner.step)
    for call in (learner.step, step, step, step):
        with pytest.raises(ValueError, match=f"devices differ: .* {other}"):
            call(tensor(X[0]), tensor(Y[0], "int32"))


def test_a_recording_is_seen_from_every_device(other: str) -> None:
    """A traced step within the recording of another runs as it is."""
    inner = dlcore.traced(lambda x: x * 2.0)
    outer = dlcore.traced(lambda x: inner(x) + 1.0)
    for i in range(5):
        assert outer(tensor([float(i)], device=other)).item() == 2.0 * i + 1
    assert outer.replays == 3 and outer.traced is None
