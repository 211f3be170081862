"""Early stopping by steps, as the Deep Learning Tutorials have it."""

from __future__ import annotations

from typing import Any

from ..ops.creation import is_integer, is_number
from ..train import EarlyStopping, Run
from ..train.callbacks import require_figure
from ..train.snapshot import snapshot


class PatienceInSteps(EarlyStopping):
    """Stop after `steps` steps; an error below `threshold` times the best one moves that to `increase` · steps done.

    The error is that of the validation cases, looked at after each epoch.

    The fit ends with the parameters of the best epoch.

    Parameters
    ----------
    steps : int >= 1, made in any case
    increase : number > 1
    threshold : number in (0, 1]

    References
    ----------
    Theano Development Team, Deep Learning Tutorials (2008-2013), "Early-stopping".
    """

    def __init__(self, steps: int = 5000, increase: float = 2.0, threshold: float = 0.995) -> None:
        super().__init__("validation_accuracy")
        if not is_integer(steps) or steps < 1:
            raise ValueError(f"PatienceInSteps: steps is {steps!r}, expected an integer >= 1")
        if not is_number(increase) or not increase > 1:
            raise ValueError(f"PatienceInSteps: increase is {increase!r}, expected a number > 1")
        if not is_number(threshold) or not 0 < threshold <= 1:
            raise ValueError(f"PatienceInSteps: threshold is {threshold!r}, expected a number in (0, 1]")
        self.steps, self.increase, self.threshold = steps, increase, threshold
        self.allowed = float(steps)

    def on_train_begin(self, run: Run) -> None:
        super().on_train_begin(run)
        if all(callback is not self for callback in run.restored):
            self.allowed = float(self.steps)

    def on_epoch_end(self, run: Run) -> None:
        require_figure("PatienceInSteps", self.monitor, run.history.last)
        done = run.epoch * run.batches
        error, best = 1.0 - run.history.last[self.monitor], 1.0 - self.best_value
        if error < best:
            if error < best * self.threshold:
                self.allowed = max(self.allowed, done * self.increase)
            self.keep(run)
        if done >= self.allowed:
            run.stop(f"{self.monitor} has not improved enough in {self.allowed:.0f} steps")

    def keep(self, run: Run) -> None:
        """Note this epoch as the best."""
        self.best_value, self.best_epoch = run.history.last[self.monitor], run.epoch - 1
        self._best = snapshot(run.model)

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"allowed": self.allowed}

    def check_state(self, saved: dict[str, Any], run: Run, epoch: int) -> None:
        if not isinstance(saved.get("allowed"), float):
            raise ValueError("PatienceInSteps: the saved state lacks the steps allowed")
        super().check_state(saved, run, epoch)

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        super().load_state_dict(saved)
        self.allowed = float(saved["allowed"])
