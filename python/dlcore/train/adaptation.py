"""Callbacks that act on the optimizer or the weights: plateaus, averages."""

from __future__ import annotations

from typing import Any

from ..optim import EMA
from ..optim.optimizer import Value
from ..optim.ranges import UNIT, require
from ..optim.schedules import Plateau
from .callbacks import Callback, default_mode, require_figure
from .run import Run


class ReduceLROnPlateau(Callback):
    """Multiply the learning rate by `factor` when a figure has not improved for more than `patience` epochs.

    It turns the optimizer's ``lr_factor``, so schedules and the rates of parameter groups keep their shape.

    Parameters
    ----------
    monitor : name of a figure in the history
    factor, patience, threshold, threshold_mode, cooldown : see `dlcore.optim.schedules.Plateau`
    mode : "min" or "max", which values are better; see `EarlyStopping`
    min_factor : number in [0, 1], below which the product of the factors does not fall
    """

    def __init__(
        self,
        monitor: str = "validation_loss",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_factor: float = 0.0,
        mode: str | None = None,
    ) -> None:
        if not isinstance(monitor, str):
            raise ValueError(f"ReduceLROnPlateau: monitor is {monitor!r}, expected the name of a figure")
        mode = default_mode(monitor) if mode is None else mode
        self.monitor = monitor
        try:
            self.plateau = Plateau(1.0, factor, patience, threshold, threshold_mode, cooldown, min_factor, mode)
        except ValueError as error:
            text = str(error).replace("Plateau", "ReduceLROnPlateau").replace("min_lr", "min_factor")
            raise ValueError(text) from None

    def check(self, run: Run) -> None:
        if run.figures is not None:
            require_figure("ReduceLROnPlateau", self.monitor, run.figures)
        if run.optimizer is None or not run.optimizer.follows_lr:
            name = "this fit" if run.optimizer is None else type(run.optimizer).__name__
            raise ValueError(f"ReduceLROnPlateau: {name} has no learning rate to reduce")

    def on_train_begin(self, run: Run) -> None:
        if all(callback is not self for callback in run.restored):  # a second fit starts afresh
            self.plateau.reset()
        assert run.optimizer is not None
        run.optimizer.lr_factor = self.plateau(0)

    def on_epoch_end(self, run: Run) -> None:
        require_figure("ReduceLROnPlateau", self.monitor, run.history.last)
        assert run.optimizer is not None
        self.plateau.observe(run.history.last[self.monitor])
        run.optimizer.lr_factor = self.plateau(0)

    def state_dict(self) -> dict[str, Any]:
        return self.plateau.state_dict()

    def check_state(self, saved: dict[str, Any], run: Run, epoch: int) -> None:
        self.plateau.check_state_dict(saved)

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        self.plateau.load_state_dict(saved)


class AverageWeights(Callback):
    """Average the weights along the fit, and end it with the average: θ̄ ← decay · θ̄ + (1 − decay) θ after each step.

    During the fit the model keeps the weights of its steps, which the figures of the epochs are of; `ema` gives the
    average, and ``with callback.ema.swapped():`` evaluates it. A fit that ends in an exception leaves the model as it
    was.

    Parameters
    ----------
    decay : number in [0, 1], or a function of the number of updates; see `dlcore.optim.EMA`
    """

    def __init__(self, decay: Value = 0.999) -> None:
        self.decay = decay
        if not callable(decay):
            require("AverageWeights", UNIT, decay=decay)
        self._ema: EMA | None = None
        self._saved: dict[str, Any] | None = None

    @property
    def ema(self) -> EMA:
        """The running average; there is one from the beginning of a fit on."""
        if self._ema is None:
            raise RuntimeError("AverageWeights: there is no average before a fit")
        return self._ema

    def on_train_begin(self, run: Run) -> None:
        self._ema = self._fresh(run)
        if self._saved is not None and any(callback is self for callback in run.restored):
            self._ema.load_state_dict(self._saved)
        self._saved = None

    def _fresh(self, run: Run) -> EMA:
        return EMA(run.model.parameters if run.optimizer is None else run.optimizer.parameters, self.decay)

    def on_batch_end(self, run: Run) -> None:
        self.ema.update()

    def on_train_end(self, run: Run) -> None:
        if self.ema.updates:
            self.ema.copy_to()

    def state_dict(self) -> dict[str, Any]:
        return {} if self._ema is None else self._ema.state_dict()

    def check_state(self, saved: dict[str, Any], run: Run, epoch: int) -> None:
        if set(saved) != {"updates", "average"}:
            raise ValueError("AverageWeights: the saved state lacks its updates or its average")
        self._fresh(run).check_state_dict(saved)

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        if set(saved) != {"updates", "average"}:
            raise ValueError("AverageWeights: the saved state lacks its updates or its average")
        self._saved = dict(saved)
