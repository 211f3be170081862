"""`traced` steps that raise, are interrupted, saved or called by several threads leave what plain ones leave."""

import os
import signal
import threading

import dlcore
import numpy as np
import pytest
from dlcore import Tensor, device, ops, tensor
from dlcore.train import replay
from tracing import Learner, X, Y


def plus_one(x):
    return x + 1.0


def test_a_refused_label_leaves_what_a_plain_step_leaves():
    """The same message, and the same draws made, at each place; then the loop goes on."""
    found = []
    for trace in (False, True):
        for bad in (1, 2, 5):
            learner = Learner(dropout=0.3)
            step = dlcore.traced(learner.step) if trace else learner.step
            messages, values = [], []
            for i in range(9):
                labels = np.where(np.arange(7) == 3, 3, Y[i]).astype(np.int32) if i == bad else Y[i]
                before = learner.everything()
                try:
                    values.append(float(step(tensor(X[i]), tensor(labels, "int32"))))
                except ValueError as error:
                    messages.append(str(error))
                    assert learner.everything()[:4] == before[:4]
            found.append((messages, values, learner.everything()))
    assert found[:3] == found[3:]
    assert found[0][0] == ["softmax_cross_entropy: target 3 at index 3 is outside [0, 3)"]


def test_a_norm_that_is_not_finite():
    found = []
    for trace in (False, True):
        learner = Learner(max_grad_norm=1.0)
        step = dlcore.traced(learner.step) if trace else learner.step
        for i in range(9):
            x = X[i] * np.float32(np.inf if i == 6 else 1)
            if i == 6:
                with pytest.raises(FloatingPointError) as caught:
                    step(tensor(x), tensor(Y[i], "int32"))
            else:
                step(tensor(x), tensor(Y[i], "int32"))
        found.append((str(caught.value), learner.everything()))
    assert found[0] == found[1] and found[0][0] == "Adam: the norm of the gradient is nan"


def test_a_schedule_out_of_its_range_changes_nothing():
    learner = Learner(lr=lambda step: 0.1 if step < 5 else -1.0)
    step = dlcore.traced(learner.step)
    for i in range(5):
        step(X[i], Y[i])
    before = learner.everything()
    with pytest.raises(ValueError) as caught:
        step(X[5], Y[5])
    assert str(caught.value) == "Adam: lr is -1.0, expected a finite number >= 0"
    assert learner.everything() == before


def test_saved_and_loaded_right_after_replayed_steps():
    learner, whole = Learner(dropout=0.3), Learner(dropout=0.3)
    step = dlcore.traced(learner.step)
    for i in range(5):
        step(X[i], Y[i])
    resumed = Learner(dropout=0.3)
    resumed.net.parameters.assign({name: value.numpy() for name, value in learner.net.parameters.items()})
    resumed.optimizer.load_state_dict(learner.optimizer.state_dict())
    resumed.net.layers[1].generator.step = learner.net.layers[1].generator.step
    again = dlcore.traced(resumed.step)
    for i in range(5, 9):
        again(X[i], Y[i])
    for i in range(9):
        whole.step(tensor(X[i]), tensor(Y[i], "int32"))
    assert resumed.everything() == whole.everything() and again.replays == 2


def test_two_threads():
    learner, plain = Learner(), Learner()
    step = dlcore.traced(learner.step)
    threads = [threading.Thread(target=lambda: [step(X[0], Y[0]) for _ in range(100)]) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for _ in range(200):
        plain.step(tensor(X[0]), tensor(Y[0], "int32"))
    assert learner.everything() == plain.everything() and step.replays == 198


def test_a_forked_child_replays():
    learner, plain = Learner(), Learner()
    step = dlcore.traced(learner.step)
    for i in range(4):
        step(X[i], Y[i])
    taken = threading.Event()
    done = threading.Event()

    def hold():
        with step._lock:
            taken.set()
            done.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    taken.wait()
    child = os.fork()
    if child == 0:
        for i in range(4, 9):
            step(X[i], Y[i])
        for i in range(9):
            plain.step(tensor(X[i]), tensor(Y[i], "int32"))
        os._exit(int(learner.everything() != plain.everything() or step.replays != 7))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    done.set()
    thread.join()


@pytest.mark.parametrize("calls", [0, 1, 40])
def test_ctrl_c_leaves_whole_steps(calls):
    """Interrupted while it runs as it is, while it is recorded, and amid replays."""
    learner, plain = Learner(dropout=0.2), Learner(dropout=0.2)
    step = dlcore.traced(learner.step)
    for _ in range(calls):
        step(X[0], Y[0])
    with pytest.raises(KeyboardInterrupt):
        if calls < 40:
            learner.optimizer.step = lambda gradient: signal.raise_signal(signal.SIGINT)
            step(X[0], Y[0])
        timer = threading.Timer(0.05, signal.raise_signal, (signal.SIGINT,))
        timer.start()
        while True:
            step(X[0], Y[0])
    made = learner.optimizer.steps
    assert made == calls if calls < 40 else made > calls
    learner.optimizer.__dict__.pop("step", None)
    for _ in range(made):
        plain.step(tensor(X[0]), tensor(Y[0], "int32"))
    if calls == 40:
        assert learner.everything() == plain.everything()
    device.cpu.Plan().begin()  # no recording was left open
    step(X[0], Y[0])


def test_a_step_that_raises():
    class WrongError(Exception):
        pass

    raising = [False]

    def step(x):
        y = x + 1.0
        if raising[0]:
            raise WrongError
        return y

    run = dlcore.traced(step)
    for i in range(12):
        raising[0] = i in (0, 2, 5)
        if raising[0]:
            with pytest.raises(WrongError):
                run(ops.ones((1,)))
        else:
            assert float(run(ops.ones((1,)))) == 2.0
    assert run.traced is None and run.replays >= 5


def test_no_memory_is_taken_by_replays():
    learner = Learner()
    step = dlcore.traced(learner.step)
    x, y = tensor(X[0]), tensor(Y[0], "int32")
    for _ in range(10):
        step(x, y)
    before = device.memory_stats()
    for _ in range(2000):
        step(x, y)
    assert device.memory_stats() == before
    del step, learner
    assert device.memory_stats()["in_use"] < before["in_use"]


def test_switched_off(monkeypatch):
    monkeypatch.setattr(replay, "enabled", False)
    step = dlcore.traced(lambda x: x + 1.0)
    for _ in range(4):
        step(ops.ones((1,)))
    assert step.traced == "replay is switched off" and step.replays == 0


def test_refused_arguments():
    with pytest.raises(TypeError) as caught:
        dlcore.traced(3)
    assert str(caught.value) == "traced: step is a int, expected a function"
    for wrong in (0, 1.5, True):
        with pytest.raises(ValueError) as refused:
            dlcore.traced(plus_one, wrong)
        assert str(refused.value) == f"traced: signatures is {wrong}, expected an integer >= 1"
    step = dlcore.traced(plus_one)
    with pytest.raises(TypeError) as complex_:
        step(np.zeros(2, complex))
    assert str(complex_.value) == "tensor: dtype is complex128, expected real numbers"
    with pytest.raises(TypeError) as masked:
        step(np.ma.masked_array(np.ones(2, np.float32), [True, False]))
    assert str(masked.value) == "tensor: the array has masked elements; fill them first"
    with pytest.raises(TypeError) as missing:
        step()
    assert str(missing.value) == "plus_one() missing 1 required positional argument: 'x'"
    assert isinstance(step(tensor(X[0])), Tensor)
