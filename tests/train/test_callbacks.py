"""Hooks, early stopping and checkpoints, driven by runs whose figures are made up."""

import math

import dlcore
import numpy as np
import pytest
from dlcore.models import MLP, RBM, SparseAutoencoder
from dlcore.train import Callback, Checkpoint, EarlyStopping, History, Run, run_epochs


def drive(figures, *callbacks, epochs=None, name="validation_loss"):
    """A run whose epochs report these figures; θ's first element counts the epochs from 1."""
    model = MLP([2, 2])
    run = Run(model, len(figures) if epochs is None else epochs)

    def epoch(run):
        model.parameters["layers.0.bias"][0:1]
        theta = model.parameters.storage
        values = theta.numpy()
        values[0] = run.epoch + 1
        theta.array.assign(theta.array.device.from_numpy(values))
        return {"loss": 1.0, name: figures[run.epoch]}

    history = run_epochs(run, epoch, callbacks, progress=False)
    return run, history, model.parameters.storage.numpy()[0]


def test_hooks_are_called_in_order():
    calls = []

    class Watch(Callback):
        def on_train_begin(self, run):
            calls.append(("begin", run.epoch))

        def on_batch_end(self, run):
            calls.append(("batch", run.batch, float(run.batch_loss) > 0))

        def on_epoch_end(self, run):
            calls.append(("epoch", run.epoch, len(run.history)))

        def on_train_end(self, run):
            calls.append(("end", run.epoch))

    model = MLP([2, 2])
    x, y = np.ones((5, 2)), np.array([0, 1, 0, 1, 0])
    model.fit(x, y, epochs=2, batch_size=3, callbacks=[Watch()])
    epoch = [("batch", 1, True), ("batch", 2, True)]
    assert calls == [("begin", 0), *epoch, ("epoch", 1, 1), *epoch, ("epoch", 2, 2), ("end", 2)]


def test_a_callback_stops_the_run():
    class Stop(Callback):
        def on_epoch_end(self, run):
            if run.epoch == 2:
                run.stop("enough")

    run, history, _ = drive([1.0] * 5, Stop())
    assert len(history) == 2
    assert run.stopped == "enough"


def test_callbacks_are_callbacks():
    with pytest.raises(TypeError, match="fit: callbacks has a function, expected a Callback"):
        drive([1.0], lambda run: None)


def test_early_stopping_counts_epochs_without_improvement():
    run, history, first = drive([3.0, 2.0, 2.5, 1.9, 1.9, 2.0, 1.95, 0.0], EarlyStopping(patience=3))
    assert len(history) == 7
    assert run.stopped == "validation_loss has not improved for 3 epochs"
    assert first == 4  # the parameters of the best epoch


def test_early_stopping_min_delta_and_last_parameters():
    stop = EarlyStopping(patience=2, min_delta=0.5, restore_best=False)
    _, history, first = drive([3.0, 2.6, 2.4, 2.3, 2.2], stop)
    assert len(history) == 5
    assert stop.best_epoch == 2
    assert first == 5


def test_early_stopping_maximum():
    _, history, first = drive([0.1, 0.5, 0.4, 0.5], EarlyStopping("acc", patience=2, mode="max"), name="acc")
    assert len(history) == 4
    assert first == 2


def test_early_stopping_restores_the_best_when_epochs_run_out():
    _, history, first = drive([2.0, 1.0, 3.0], EarlyStopping(patience=9))
    assert len(history) == 3
    assert first == 2


def test_early_stopping_takes_nan_and_infinity_for_no_improvement():
    run, history, _ = drive([math.inf, math.nan, math.inf], EarlyStopping(patience=2))
    assert len(history) == 2
    assert run.stopped


def test_early_stopping_starts_afresh_in_a_second_fit():
    stop = EarlyStopping(patience=2)
    drive([1.0, 2.0, 3.0], stop)
    _, history, first = drive([9.0, 8.0, 7.0], stop)
    assert len(history) == 3
    assert first == 3


def test_early_stopping_names_the_figures_there_are():
    with pytest.raises(ValueError, match="monitor is 'nothing', the history has loss, validation_loss, seconds"):
        drive([1.0], EarlyStopping("nothing"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"patience": 0}, "patience is 0, expected an integer >= 1"),
        ({"patience": 1.5}, "patience is 1.5"),
        ({"patience": True}, "patience is True"),
        ({"min_delta": -1}, "min_delta is -1, expected a finite number >= 0"),
        ({"min_delta": math.nan}, "min_delta is nan"),
        ({"monitor": 3}, "monitor is 3, expected the name of a figure"),
        ({"mode": "best"}, "mode is 'best', expected 'min' or 'max'"),
    ],
)
def test_early_stopping_arguments(arguments, message):
    with pytest.raises(ValueError, match=f"EarlyStopping: {message}"):
        EarlyStopping(**arguments)


def test_checkpoint_is_written_every_so_often_and_at_the_end(tmp_path, monkeypatch):
    written = []
    monkeypatch.setattr("dlcore.train.callbacks.save_run", lambda path, run: written.append(run.epoch))
    drive([1.0] * 7, Checkpoint(tmp_path / "c", every=3))
    assert written == [3, 6, 7]


def test_checkpoint_comes_after_the_other_callbacks(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr("dlcore.train.callbacks.save_run", lambda path, run: seen.append(run.stopped))
    drive([1.0, 2.0, 3.0], Checkpoint(tmp_path / "c"), EarlyStopping(patience=1))
    assert seen == [None, *["validation_loss has not improved for 1 epochs"] * 2]  # the second: θ was restored since


def test_the_file_holds_the_model_that_the_fit_leaves(tmp_path):
    run, _, first = drive([1.0, 2.0, 3.0], Checkpoint(tmp_path / "c"), EarlyStopping(patience=2))
    assert first == 1
    assert dlcore.load(tmp_path / "c").parameters.storage.numpy()[0] == 1
    assert run.is_changed_at_the_end()


def test_accuracies_are_better_when_they_are_higher():
    _, _, first = drive([0.1, 0.5, 0.4], EarlyStopping("validation_accuracy"), name="validation_accuracy")
    assert first == 2
    assert EarlyStopping("validation_accuracy", mode="min").mode == "min"
    for name in ("validation_pseudo_log_likelihood", "swap_rate", "ess"):
        assert EarlyStopping(name).mode == "max"
    for name in ("loss", "free_energy_gap", "r_hat", "seconds"):
        assert EarlyStopping(name).mode == "min"
    assert EarlyStopping("validation_loss").mode == EarlyStopping("free_energy_gap").mode == "min"


class Announced(Callback):
    """Keeps the names of the figures that are known before the fit."""

    def check(self, run):
        self.names = run.figures


def test_an_unknown_figure_is_refused_before_anything_changes():
    x, y = np.eye(6, dtype=np.float32), np.arange(6) % 2
    models = (MLP([6, 2]), RBM(6, 4), RBM(6, 4, persistent=True), SparseAutoencoder([6, 3]))
    for model in models:
        before = model.parameters.storage.numpy()
        known = {"MLP": "loss, seconds", "RBM": "reconstruction_error, seconds"}
        names = known.get(type(model).__name__, "loss, mean_activation, near_zero, seconds")
        with pytest.raises(ValueError, match=f"EarlyStopping: monitor is 'los', the history has {names}$"):
            model.fit(x, y, epochs=1, callbacks=[EarlyStopping("los")])
        assert np.array_equal(model.parameters.storage.numpy(), before)
        assert len(model.history) == 0
    for model in models:  # the names that are known before are those that come
        watched, announced = (x, y) if isinstance(model, MLP) else x, Announced()
        history = model.fit(x, y, epochs=1, validation_data=watched, callbacks=[announced])
        assert sorted(history.names) == sorted(announced.names)


def test_callbacks_that_are_no_list():
    for model in (MLP([2, 2]), RBM(2, 2)):
        with pytest.raises(TypeError, match="fit: callbacks is None, expected a list of Callback"):
            model.fit(np.ones((2, 2)), [0, 1], callbacks=None)


def test_checkpoint_arguments(tmp_path):
    for every in (0, -1, 1.0, True):
        with pytest.raises(ValueError, match="Checkpoint: every is"):
            Checkpoint(tmp_path / "c", every)
    with pytest.raises(FileNotFoundError, match="Checkpoint: there is no folder"):
        drive([1.0], Checkpoint(tmp_path / "none" / "c"))
    with pytest.raises(IsADirectoryError, match=r"Checkpoint: .* is a folder"):
        drive([1.0], Checkpoint(tmp_path))


def test_state_that_a_callback_does_not_know_is_refused():
    with pytest.raises(ValueError, match=r"Callback: cannot restore \['x'\]"):
        Callback().load_state_dict({"x": 1})
    with pytest.raises(ValueError, match="EarlyStopping: the saved state lacks"):
        EarlyStopping().load_state_dict({"best_epoch": "0"})


@pytest.mark.parametrize("epochs", [-1, 1.0, None, True])
def test_epochs_is_a_count(epochs):
    with pytest.raises(ValueError, match=r"fit: epochs is .*, expected an integer >= 0"):
        Run(None, epochs)


def test_no_epochs_is_a_fit_that_changes_nothing():
    model = MLP([2, 2])
    before = model.parameters.storage.numpy()
    history = model.fit(np.ones((3, 2)), [0, 1, 0], epochs=0)
    assert history == History()
    assert np.array_equal(model.parameters.storage.numpy(), before)
