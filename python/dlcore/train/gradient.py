"""The gradient steps of an epoch: eager, or replays of one that was recorded."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

from .. import ops
from ..autodiff import value_and_grad
from ..ops import Generator
from ..optim import BatchMinimizer
from ..tensor import Tensor
from .batches import ordered_batches
from .callbacks import batch_hooks
from .progress import Bar
from .replay import Replay, is_own, objection
from .run import Run

# Full batches of a fit before and with the recorded one, and at least as many after it: fewer are not worth it.
_LEAST = 4
_NEWS = 0.1  # seconds between a progress bar's looks at replayed steps


def gradient_epoch(
    objective: Callable[..., Tensor], data: Sequence[Tensor], batch_size: int, generator: Generator | None
) -> Callable[[Run], dict[str, float]]:
    """An epoch of gradient steps: for each batch θ moves along the gradient of ``objective(*batch)``.

    The second full batch is recorded (`dlcore.train.replay`) and the others replay it, with the same bits, unless
    something stands against it: ``run.traced`` says what.

    Parameters
    ----------
    objective : mean over the batch's cases of what is to be made small
    data, batch_size, generator : see `batches`

    Returns
    -------
    function of a run that has an optimizer; its figure ``loss`` is the mean over all cases, each batch's loss being
    that before its step
    """
    steps = _ObjectiveSteps(objective, data, batch_size)

    def epoch(run: Run) -> dict[str, float]:
        order = None if generator is None else ops.permutation(generator, steps.cases)
        return {"loss": steps.epoch(run, order)}

    return epoch


class Steps:
    """The steps of a fit's epochs and the replay they share.

    Parameters
    ----------
    data : tensors with a row per case
    batch_size : cases of a step
    """

    word = "the loss"

    def __init__(self, data: Sequence[Tensor], batch_size: int) -> None:
        self.data, self.batch_size = data, batch_size
        self.cases = data[0].shape[0]
        self._replay: Replay | None = None
        self._warm = False  # whether a step was made: what modules keep from their first use is there
        self._refused = False  # whether a recording could not be replayed
        self._pace = 1  # steps that a replay makes in about _NEWS

    def gradient_of(self, run: Run) -> Callable[..., tuple[Tensor | float | None, Tensor]]:
        """(*batch) -> the value that is watched, a tensor of one element or a kernel's figure, or None; the gradient"""
        raise NotImplementedError

    def update(self, run: Run, gradient: Tensor) -> None:
        """Move θ along a batch's gradient."""
        assert run.optimizer is not None
        run.optimizer.step(gradient)

    def objection(self, run: Run) -> str | None:
        """See `dlcore.train.replay.objection`."""
        return objection(run)

    def minimize(self, run: Run, batch: Sequence[Tensor]) -> float:
        """The step of a `BatchMinimizer`; the batch's loss."""
        raise NotImplementedError

    def epoch(self, run: Run, order: Tensor | None) -> float:
        """Make the steps; the mean over the cases of what is watched, 0 where nothing is."""
        self._total, self._place = 0.0, 0
        hooks = batch_hooks(run)
        if self._can_replay(run):
            if not self._warm:
                self._eager(run, order, hooks, 1)
            if self._replay is None:
                self._record(run, order, hooks)
            while self._replay is not None and self.cases - self._place >= self.batch_size:
                self._replayed(run, order, hooks)
        if self._replay is not None and not all(is_own(callback) for callback in run.callbacks):
            self._replay = None  # such a callback may change between epochs what a step does
        self._eager(run, order, hooks)
        return self._total / self.cases

    def forget(self) -> None:
        """Record a step anew: what a step does is to change."""
        self._replay = None

    def _can_replay(self, run: Run) -> bool:
        if self._refused:
            return False
        if self._replay is not None and self._replay.is_current():
            return True
        self._replay = None
        if self.cases // self.batch_size < _LEAST:
            run.traced = f"an epoch has fewer than {_LEAST} full batches"
            return False
        run.traced = self.objection(run)
        return run.traced is None

    def _eager(
        self, run: Run, order: Tensor | None, hooks: Sequence[Callable[[Run], None]], most: int | None = None
    ) -> None:
        """The next batches, all or at most so many, one by one."""
        step = self.gradient_of(run)
        for made, (count, batch) in enumerate(ordered_batches(self.data, self.batch_size, order, self._place)):
            if made == most:
                break
            loss: Tensor | float | None
            if isinstance(run.optimizer, BatchMinimizer):
                loss = value = self.minimize(run, batch)
            else:
                loss, gradient = step(*batch)
                value = loss.item() if isinstance(loss, Tensor) else 0.0 if loss is None else loss
                if math.isfinite(value):
                    self.update(run, gradient)
            self._count(run, value, count)
            self._call(run, hooks, loss)
            self._warm = True

    def _record(self, run: Run, order: Tensor | None, hooks: Sequence[Callable[[Run], None]]) -> None:
        replay = Replay(run, self.data, self.batch_size)
        value = replay.record(self.gradient_of(run), self._place, order, lambda gradient: self.update(run, gradient))
        self._count(run, 0.0 if value is None else value, self.batch_size)
        run.traced = replay.reason
        self._refused = replay.reason is not None
        self._replay = None if self._refused else replay
        self._call(run, hooks, value)

    def _replayed(self, run: Run, order: Tensor | None, hooks: Sequence[Callable[[Run], None]]) -> None:
        assert self._replay is not None
        count = (self.cases - self._place) // self.batch_size
        if hooks:  # a progress bar is content with news a few times a second
            patient = all(isinstance(getattr(hook, "__self__", None), Bar) for hook in hooks)
            count = min(count, self._pace) if patient else 1
        started = time.perf_counter()
        values = self._replay.steps(self._place, count, order)
        took = time.perf_counter() - started
        self._pace = max(1, min(4 * self._pace, int(count * _NEWS / max(took, 1e-9))))
        for value in values:
            self._count(run, 0.0 if value is None else value, self.batch_size)
            self._call(run, hooks, value)
        if self._replay.refused:
            self._eager(run, order, hooks, 1)

    def _count(self, run: Run, value: float, count: int) -> None:
        if not math.isfinite(value):
            raise FloatingPointError(f"{self.word} is {value} at batch {run.batch + 1}")
        self._total += value * count
        self._place += count
        run.batch += 1

    @staticmethod
    def _call(run: Run, hooks: Sequence[Callable[[Run], None]], loss: Tensor | float | None) -> None:
        if hooks and loss is not None:
            run.batch_loss = loss
        for hook in hooks:
            hook(run)


class _ObjectiveSteps(Steps):
    """Steps along the gradients of an objective."""

    def __init__(self, objective: Callable[..., Tensor], data: Sequence[Tensor], batch_size: int) -> None:
        super().__init__(data, batch_size)
        self.objective = objective

    def gradient_of(self, run: Run) -> Callable[..., tuple[Tensor | float | None, Tensor]]:
        assert run.optimizer is not None
        return value_and_grad(self.objective, run.optimizer.parameters)

    def minimize(self, run: Run, batch: Sequence[Tensor]) -> float:
        assert isinstance(run.optimizer, BatchMinimizer)
        return run.optimizer.minimize_batch(self.objective, batch, run.generators.values())

    def objection(self, run: Run) -> str | None:
        return objection(run, self.objective)
