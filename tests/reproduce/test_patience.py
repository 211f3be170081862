"""The tutorials' rule of patience against the rule written out, and resumed."""

import numpy as np
import pytest
from dlcore.models import CNN, MLP
from dlcore.reproduce import PatienceInSteps
from dlcore.train import Checkpoint, Run, run_epochs

BATCHES = 10
ERRORS = [0.5, 0.4, 0.4, 0.399, 0.3, 0.31, 0.305, 0.3, 0.299, 0.3, 0.31, 0.29, 0.3, 0.3, 0.3, 0.3]


def plain(errors, steps, increase, threshold):
    """(epochs done, best epoch) by the loop of the tutorials, which validate once an epoch."""
    patience, best, best_epoch = steps, np.inf, -1
    for epoch, error in enumerate(errors):
        done = (epoch + 1) * BATCHES
        if error < best:
            if error < best * threshold:
                patience = max(patience, done * increase)
            best, best_epoch = error, epoch
        if patience <= done:
            break
    return epoch + 1, best_epoch


def drive(errors, *callbacks, resume=None):
    model = MLP([2, 2])
    run = Run(model, len(errors), batches=BATCHES)

    def epoch(run):
        theta = model.parameters.storage
        theta.array.assign(theta.array.device.from_numpy(np.full(theta.shape, run.epoch, theta.dtype)))
        return {"validation_accuracy": 1 - errors[run.epoch]}

    history = run_epochs(run, epoch, callbacks, progress=False, resume=resume)
    return len(history), int(model.parameters.storage.numpy()[0])


@pytest.mark.parametrize("steps", [10, 30, 55, 90, 1000])
@pytest.mark.parametrize("increase, threshold", [(2.0, 0.995), (1.5, 1.0), (3.0, 0.9)])
def test_the_rule(steps, increase, threshold):
    found = drive(ERRORS, PatienceInSteps(steps, increase, threshold))
    assert found == plain(ERRORS, steps, increase, threshold)


def test_a_resumed_run_has_the_same_patience(tmp_path):
    path = tmp_path / "run"
    whole = drive(ERRORS, PatienceInSteps(45))
    assert drive(ERRORS[:5], PatienceInSteps(45), Checkpoint(path)) == (5, 4)
    assert drive(ERRORS, PatienceInSteps(45), resume=path) == whole == (10, 8)  # 5 epochs allow 10, 4.5 would not


def test_the_best_epochs_running_statistics_come_back_too(tmp_path, rng):
    x, y = rng.random((30, 1, 4, 4)), rng.integers(0, 2, 30)
    layers = [CNN.conv(3, 2, activation="identity"), CNN.batch_norm()]
    held = (rng.random((8, 1, 4, 4)), rng.integers(0, 2, 8))

    def fit(epochs, **arguments):
        model = CNN((1, 4, 4), 2, layers)
        model.fit(x, y, epochs=epochs, batch_size=10, lr=0.1, validation_data=held, progress=False, **arguments)
        return model

    path, rule = tmp_path / "run", PatienceInSteps(100)
    stopped = fit(8, callbacks=[rule, Checkpoint(path)])
    best = fit(rule.best_epoch + 1)
    assert rule.best_epoch < 7 and list(best.buffers)
    for resumed in (stopped, fit(8, callbacks=[PatienceInSteps(100)], resume=path)):
        assert resumed.parameters.storage.numpy().tobytes() == best.parameters.storage.numpy().tobytes()
        for name, buffer in best.buffers.items():
            assert np.array_equal(resumed.buffers[name].numpy(), buffer.numpy()), name


def test_refusals():
    for arguments, text in (
        ((0,), "steps is 0, expected an integer >= 1"),
        ((5, 1.0), "increase is 1.0, expected a number > 1"),
        ((5, 2.0, 0.0), r"threshold is 0.0, expected a number in \(0, 1\]"),
    ):
        with pytest.raises(ValueError, match=f"PatienceInSteps: {text}"):
            PatienceInSteps(*arguments)
