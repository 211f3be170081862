"""Callbacks that act on the optimizer or the weights: plateaus, averages."""

from __future__ import annotations

from typing import Any

from ..optim import EMA
from ..optim.optimizer import Value
from ..optim.ranges import UNIT, require
from ..optim.schedules import Plateau
from .callbacks import Callback
from .run import Run


class ReduceLROnPlateau(Callback):
    """Multiply the learning rate by `factor` when a figure has not improved for more than `patience` epochs.

    It turns the optimizer's ``lr_factor``, so schedules and the rates of parameter groups keep their shape.

    Parameters
    ----------
    monitor : name of a figure in the history
    factor, patience, threshold, threshold_mode, cooldown, mode : see `dlcore.optim.schedules.Plateau`
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
        mode: str = "min",
    ) -> None:
        self.monitor = monitor
        try:
            self.plateau = Plateau(1.0, factor, patience, threshold, threshold_mode, cooldown, min_factor, mode)
        except ValueError as error:
            text = str(error).replace("Plateau", "ReduceLROnPlateau").replace("min_lr", "min_factor")
            raise ValueError(text) from None
        self._resumed = False

    def on_train_begin(self, run: Run) -> None:
        if run.optimizer is None or not run.optimizer.follows_lr:
            name = "this fit" if run.optimizer is None else type(run.optimizer).__name__
            raise ValueError(f"ReduceLROnPlateau: {name} has no learning rate to reduce")
        if not self._resumed:  # a second fit starts afresh
            self.plateau.reset()
        self._resumed = False
        run.optimizer.lr_factor = self.plateau(0)

    def on_epoch_end(self, run: Run) -> None:
        if self.monitor not in run.history.last:
            names = ", ".join(run.history.names)
            raise ValueError(f"ReduceLROnPlateau: monitor is {self.monitor!r}, the history has {names}")
        assert run.optimizer is not None
        self.plateau.observe(run.history.last[self.monitor])
        run.optimizer.lr_factor = self.plateau(0)

    def state_dict(self) -> dict[str, Any]:
        return self.plateau.state_dict()

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        self.plateau.load_state_dict(saved)
        self._resumed = True


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
        parameters = run.model.parameters if run.optimizer is None else run.optimizer.parameters
        self._ema = EMA(parameters, self.decay)
        if self._saved is not None:
            self._ema.load_state_dict(self._saved)
        self._saved = None

    def on_batch_end(self, run: Run) -> None:
        self.ema.update()

    def on_train_end(self, run: Run) -> None:
        if self.ema.updates:
            self.ema.copy_to()

    def state_dict(self) -> dict[str, Any]:
        return {} if self._ema is None else self._ema.state_dict()

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        if set(saved) != {"updates", "average"}:
            raise ValueError("AverageWeights: the saved state lacks its updates or its average")
        self._saved = dict(saved)
