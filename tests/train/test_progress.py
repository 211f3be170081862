"""What a fit shows on a terminal, elsewhere, with and without tqdm."""

import io
import sys
import types
from typing import ClassVar

import numpy as np
import pytest
from dlcore.models import MLP
from dlcore.train import Callback, EarlyStopping, progress_callback
from dlcore.train import progress as module

X, Y = np.eye(4, dtype=np.float32), [0, 1, 0, 1]


class Terminal(io.StringIO):
    def isatty(self):
        return True


def fit(monkeypatch, stream, progress, **arguments):
    monkeypatch.setattr(sys, "stderr", stream)
    MLP([4, 2]).fit(X, Y, epochs=2, batch_size=2, progress=progress, **arguments)
    return stream.getvalue()


def test_silent_when_not_a_terminal(monkeypatch):
    assert fit(monkeypatch, io.StringIO(), None) == ""
    assert fit(monkeypatch, io.StringIO(), False) == ""
    assert fit(monkeypatch, Terminal(), False) == ""


def test_a_line_per_epoch_on_request(monkeypatch):
    lines = fit(monkeypatch, io.StringIO(), True).splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("MLP epoch 1/2: loss ")
    assert lines[1].startswith("MLP epoch 2/2: loss ")
    assert lines[1].endswith(" s")


def test_a_line_per_epoch_on_a_terminal_without_tqdm(monkeypatch):
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
    assert len(fit(monkeypatch, Terminal(), None).splitlines()) == 2


def test_the_reason_of_an_early_end_is_shown(monkeypatch):
    class Stop(Callback):
        def on_epoch_end(self, run):
            run.stop("enough is enough")

    assert "MLP stopped: enough is enough\n" in fit(monkeypatch, io.StringIO(), True, callbacks=[Stop()])


class FakeBar:
    """tqdm's interface, counting."""

    made: ClassVar[list] = []

    def __init__(self, total, initial, desc, unit, file, leave):
        self.total, self.n, self.desc, self.postfix, self.closed = total, initial, desc, "", False
        FakeBar.made.append(self)

    def update(self, n):
        self.n += n

    def set_postfix_str(self, text):
        self.postfix = text

    def write(self, text, file):
        file.write(text)

    def close(self):
        self.closed = True


@pytest.fixture
def fake_tqdm(monkeypatch):
    FakeBar.made = []
    monkeypatch.setitem(sys.modules, "tqdm", types.SimpleNamespace(tqdm=FakeBar))
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: object())
    return FakeBar


def test_a_bar_over_the_batches_on_a_terminal(monkeypatch, fake_tqdm):
    fit(monkeypatch, Terminal(), None)
    (bar,) = fake_tqdm.made
    assert (bar.total, bar.n, bar.desc, bar.closed) == (4, 4, "MLP", True)
    assert bar.postfix.startswith("loss ")


def test_the_bar_is_closed_when_the_fit_fails(monkeypatch, fake_tqdm):
    class Fail(Callback):
        def on_epoch_end(self, run):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(monkeypatch, Terminal(), None, callbacks=[Fail()])
    assert fake_tqdm.made[0].closed


def test_the_bar_of_epochs_without_batch_reports(fake_tqdm):
    run = types.SimpleNamespace(epochs=3, epoch=0, batches=5, history=types.SimpleNamespace(last={}), stopped=None)
    bar = progress_callback(None, "x", Terminal())
    bar.on_train_begin(run)
    run.epoch = 1
    bar.on_epoch_end(run)
    assert fake_tqdm.made[0].n == 5


def test_real_tqdm(monkeypatch):
    pytest.importorskip("tqdm")
    text = fit(monkeypatch, Terminal(), None, validation_data=(X, Y), early_stopping=EarlyStopping(patience=1))
    assert "MLP: 100%" in text
    assert "validation_accuracy" in text


@pytest.mark.parametrize("progress", [1, "yes"])
def test_progress_is_none_or_a_boolean(progress):
    with pytest.raises(ValueError, match=r"fit: progress is .*, expected None, True or False"):
        MLP([4, 2]).fit(X, Y, progress=progress)


def test_a_process_without_a_console(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    MLP([4, 2]).fit(X, Y, epochs=1)
