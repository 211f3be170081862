"""What happens between batches and epochs: hooks, early stopping, checkpoints."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from .. import placement
from ..ops.creation import is_integer, is_number
from .resume import save_run
from .run import Run
from .snapshot import put_back, snapshot, snapshot_size


class Callback:
    """Hooks of a fit; a subclass overrides those it needs. Each gets the `Run`, and may call ``run.stop(reason)``.

    What a callback must remember across a resumed fit it returns from `state_dict`.
    """

    def check(self, run: Run) -> None:
        """Before the fit changes anything: ValueError or OSError where this callback cannot serve the run."""

    def on_train_begin(self, run: Run) -> None:
        """Before the first epoch (after the state of a resumed run was restored)."""

    def on_batch_end(self, run: Run) -> None:
        """After each step; ``float(run.batch_loss)`` is the loss before it. Called only where overridden."""

    def on_epoch_end(self, run: Run) -> None:
        """After each epoch; ``run.history.last`` has its figures."""

    def on_train_end(self, run: Run) -> None:
        """After the last epoch; not called when the fit ends in an exception."""

    def state_dict(self) -> dict[str, Any]:
        """State by name: NumPy arrays, or values that JSON can hold."""
        return {}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Restore what `state_dict` gave; ValueError if it does not fit."""
        if saved:
            raise ValueError(f"{type(self).__name__}: cannot restore {sorted(saved)}")

    def check_state(self, saved: dict[str, Any], run: Run, epoch: int) -> None:
        """Before a resumed run changes anything: ValueError unless `saved`, after so many epochs, can be restored."""


def has_batch_hook(callback: Callback) -> bool:
    """Whether a callback wants to be called after each step."""
    return type(callback).on_batch_end is not Callback.on_batch_end


def batch_hooks(run: Run) -> list[Callable[[Run], None]]:
    """The ``on_batch_end`` of those callbacks that define one."""
    return [callback.on_batch_end for callback in run.callbacks if has_batch_hook(callback)]


_MORE_IS_BETTER = ("accuracy", "likelihood", "swap_rate", "ess")


def default_mode(monitor: str) -> str:
    """Which values of a figure are better: "max" for names that end in one of `_MORE_IS_BETTER`, else "min"."""
    return "max" if monitor.endswith(_MORE_IS_BETTER) else "min"


def require_figure(owner: str, monitor: str, names: Iterable[str]) -> None:
    """Raise a ValueError unless the figure is one of those that a history has."""
    if monitor not in names:
        raise ValueError(f"{owner}: monitor is {monitor!r}, the history has {', '.join(names)}")


class EarlyStopping(Callback):
    """Stop when a figure has not improved for `patience` epochs in a row.

    Parameters
    ----------
    monitor : name of a figure in the history
    patience : int >= 1
    min_delta : float >= 0, by how much a value must be better to count
    restore_best : whether the fit ends with the parameters of the best epoch, stopped early or not
    mode : "min" or "max", which values are better; by default "max" for names that end in "accuracy", "likelihood",
        "swap_rate" or "ess", else "min"
    tolerance : float >= 0, by how much a value may be worse than the best and still count as one that has improved; by
        default twice the figure's standard error where the history has it as ``<monitor>_error``, else 0. It is for
        figures that are best before learning begins, such as an RBM's ``free_energy_gap``: the fit stops when the
        figure has risen for `patience` epochs, and the best parameters are the last before that

    References
    ----------
    Prechelt (1998), Early stopping — but when?
    """

    def __init__(
        self,
        monitor: str = "validation_loss",
        patience: int = 5,
        min_delta: float = 0.0,
        restore_best: bool = True,
        mode: str | None = None,
        tolerance: float | None = None,
    ) -> None:
        if not isinstance(monitor, str):
            raise ValueError(f"EarlyStopping: monitor is {monitor!r}, expected the name of a figure")
        mode = default_mode(monitor) if mode is None else mode
        if not is_integer(patience) or patience < 1:
            raise ValueError(f"EarlyStopping: patience is {patience!r}, expected an integer >= 1")
        if not is_number(min_delta) or not 0 <= min_delta < math.inf:
            raise ValueError(f"EarlyStopping: min_delta is {min_delta!r}, expected a finite number >= 0")
        if mode not in ("min", "max"):
            raise ValueError(f"EarlyStopping: mode is {mode!r}, expected 'min' or 'max'")
        if tolerance is not None and (not is_number(tolerance) or not 0 <= tolerance < math.inf):
            raise ValueError(f"EarlyStopping: tolerance is {tolerance!r}, expected a finite number >= 0")
        self.monitor, self.patience, self.min_delta, self.tolerance = monitor, patience, min_delta, tolerance
        self.restore_best, self.mode = restore_best, mode
        self.best_epoch = -1  # counted from 0; -1 before the first
        self.best_value = math.inf if mode == "min" else -math.inf
        self._best: Any = None  # a snapshot of the model

    def check(self, run: Run) -> None:
        if run.figures is not None:
            require_figure("EarlyStopping", self.monitor, run.figures)

    def on_train_begin(self, run: Run) -> None:
        if all(callback is not self for callback in run.restored):  # a second fit starts afresh
            self.best_epoch = -1
            self.best_value = math.inf if self.mode == "min" else -math.inf
            self._best = None

    def on_epoch_end(self, run: Run) -> None:
        require_figure("EarlyStopping", self.monitor, run.history.last)
        value = run.history.last[self.monitor]
        gain = self.best_value - value if self.mode == "min" else value - self.best_value
        tolerance = self.tolerance
        if tolerance is None:
            tolerance = 2.0 * run.history.last.get(f"{self.monitor}_error", 0.0)
        if gain > self.min_delta - tolerance:
            self.best_epoch = run.epoch - 1
            if gain > 0:
                self.best_value = value
            if self.restore_best:
                self._best = snapshot(run.model)
        elif run.epoch - 1 - self.best_epoch >= self.patience:
            run.stop(f"{self.monitor} has not improved for {self.patience} epochs")

    def on_train_end(self, run: Run) -> None:
        if self._best is not None:
            put_back(run.model, self._best)

    def state_dict(self) -> dict[str, Any]:
        state: dict[str, Any] = {"best_epoch": self.best_epoch}
        if self.best_epoch >= 0:
            state["best_value"] = self.best_value
        if self._best is not None:
            state["best"] = self._best.numpy()
        return state

    def check_state(self, saved: dict[str, Any], run: Run, epoch: int) -> None:
        found, value, best = saved.get("best_epoch"), saved.get("best_value"), saved.get("best")
        if not isinstance(found, int) or isinstance(found, bool) or (found >= 0 and not isinstance(value, float)):
            raise ValueError("EarlyStopping: the saved state lacks its best epoch and value")
        if not -1 <= found < epoch:
            raise ValueError(f"EarlyStopping: the best epoch is {found} of {epoch}")
        if isinstance(value, float) and math.isnan(value):
            raise ValueError("EarlyStopping: the best value is nan")
        dtype = run.model.parameters.storage.dtype
        if best is None:
            if self.restore_best and found >= 0:
                raise ValueError("EarlyStopping: the saved state lacks the best parameters")
        elif not isinstance(best, np.ndarray) or best.shape != (snapshot_size(run.model),) or best.dtype != dtype:
            raise ValueError("EarlyStopping: the best parameters have another shape or dtype than this model's")
        elif not np.isfinite(best).all():
            raise ValueError("EarlyStopping: the best parameters are not finite")

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        epoch, value = saved.get("best_epoch"), saved.get("best_value")
        if not isinstance(epoch, int) or (epoch >= 0 and not isinstance(value, float)):
            raise ValueError("EarlyStopping: the saved state lacks its best epoch and value")
        best = saved.get("best")
        self._best = None if best is None else placement.placed(None).from_numpy(np.ascontiguousarray(best))
        self.best_epoch = epoch
        if epoch >= 0:
            self.best_value = float(saved["best_value"])


class Checkpoint(Callback):
    """Save the model and the whole state of its fit every so many epochs, and after the last.

    It is called after the other callbacks, and once more where these change the parameters at the end of the fit (as
    `EarlyStopping` does, which restores the best), so that the file's model is the one that the fit leaves. The file
    replaces the previous one in one step, so a kill or a full disk never costs the last checkpoint.

    ``fit(..., resume=path)`` goes on from it to the bits of an undisturbed run; `dlcore.load(path)` gives the model.

    Parameters
    ----------
    path : file to write; its folder must exist
    every : int >= 1, epochs
    """

    def __init__(self, path: str | Path, every: int = 1) -> None:
        if not is_integer(every) or every < 1:
            raise ValueError(f"Checkpoint: every is {every!r}, expected an integer >= 1")
        self.path, self.every = Path(path), every

    def check(self, run: Run) -> None:
        if not self.path.parent.is_dir():
            raise FileNotFoundError(f"Checkpoint: there is no folder {str(self.path.parent)!r}")
        if self.path.is_dir():
            raise IsADirectoryError(f"Checkpoint: {str(self.path)!r} is a folder")

    def on_epoch_end(self, run: Run) -> None:
        if run.epoch % self.every == 0 or run.is_last_epoch:
            save_run(self.path, run)

    def on_train_end(self, run: Run) -> None:
        if run.is_changed_at_the_end():
            save_run(self.path, run)
