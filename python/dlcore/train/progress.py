"""Showing how far a fit is: a bar, a line per epoch, or nothing."""

from __future__ import annotations

import importlib.util
import sys
from typing import Any, TextIO

from .callbacks import Callback
from .history import format_record
from .run import Run


class LinePerEpoch(Callback):
    """Writes one line per epoch: ``MLP epoch 3/10: loss 0.21, validation_loss 0.25, 0.40 s``."""

    def __init__(self, label: str, stream: TextIO) -> None:
        self.label, self.stream = label, stream

    def on_epoch_end(self, run: Run) -> None:
        figures = ", ".join(format_record(run.history.last))
        self.stream.write(f"{self.label} epoch {run.epoch}/{run.epochs}: {figures}\n")
        self.stream.flush()

    def on_train_end(self, run: Run) -> None:
        if run.stopped and run.epoch < run.epochs:
            self.stream.write(f"{self.label} stopped: {run.stopped}\n")
            self.stream.flush()


class Bar(Callback):
    """A tqdm bar over all batches, with the newest epoch's figures behind it."""

    def __init__(self, label: str, stream: TextIO) -> None:
        self.label, self.stream = label, stream
        self._bar: Any = None

    def on_train_begin(self, run: Run) -> None:
        from tqdm import tqdm  # type: ignore[import-untyped,unused-ignore]

        total, done = run.epochs * run.batches, run.epoch * run.batches
        self._bar = tqdm(total=total, initial=done, desc=self.label, unit="batch", file=self.stream, leave=True)

    def on_batch_end(self, run: Run) -> None:
        self._bar.update(1)

    def on_epoch_end(self, run: Run) -> None:
        missing = run.epoch * run.batches - self._bar.n  # of a fit whose epochs have no batches to report
        if missing > 0:
            self._bar.update(missing)
        self._bar.set_postfix_str(", ".join(format_record(run.history.last)))

    def on_train_end(self, run: Run) -> None:
        if run.stopped and run.epoch < run.epochs:
            self._bar.write(f"{self.label} stopped: {run.stopped}", file=self.stream)
        self.close()

    def close(self) -> None:
        """Leave the terminal in order; also called when a fit ends in an exception."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def progress_callback(progress: bool | None, label: str, stream: TextIO | None = None) -> Callback | None:
    """The callback that shows a fit's progress.

    Parameters
    ----------
    progress : None shows a bar (a line per epoch where tqdm is not installed) on a terminal and nothing elsewhere; True
        shows the same on a terminal and a line per epoch elsewhere; False shows nothing
    label : what stands in front, the model's name
    stream : by default standard error

    Raises
    ------
    ValueError
        If `progress` is something else.
    """
    if progress is not None and not isinstance(progress, bool):
        raise ValueError(f"fit: progress is {progress!r}, expected None, True or False")
    out = sys.stderr if stream is None else stream
    if progress is False or out is None:  # None: a process without a console
        return None
    if out.isatty():
        return Bar(label, out) if importlib.util.find_spec("tqdm") is not None else LinePerEpoch(label, out)
    return LinePerEpoch(label, out) if progress else None
