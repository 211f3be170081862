"""The gradient steps of an epoch: eager, or replays of one that was recorded."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from .. import ops
from ..autodiff import value_and_grad
from ..ops import Generator
from ..optim import BatchMinimizer
from ..tensor import Tensor
from .batches import ordered_batches
from .callbacks import batch_hooks
from .replay import Replay, is_own, objection
from .run import Run

# Full batches of a fit before and with the recorded one, and at least as many after it: fewer are not worth it.
_LEAST = 4


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
    steps = _Steps(objective, data, batch_size)

    def epoch(run: Run) -> dict[str, float]:
        order = None if generator is None else ops.permutation(generator, steps.cases)
        return {"loss": steps.epoch(run, order)}

    return epoch


class _Steps:
    """The steps of a fit's epochs and the replay they share."""

    def __init__(self, objective: Callable[..., Tensor], data: Sequence[Tensor], batch_size: int) -> None:
        self.objective, self.data, self.batch_size = objective, data, batch_size
        self.cases = data[0].shape[0]
        self._replay: Replay | None = None
        self._warm = False  # whether a step was made: what modules keep from their first use is there
        self._refused = False  # whether a recording could not be replayed

    def epoch(self, run: Run, order: Tensor | None) -> float:
        """Make the steps; the mean loss."""
        self._total, self._place = 0.0, 0
        hooks = batch_hooks(run)
        if self._can_replay(run):
            if not self._warm:
                self._eager(run, order, hooks, 1)
            if self._replay is None:
                self._record(run, order, hooks)
            while self._replay is not None and self.cases - self._place >= self.batch_size:
                self._replayed(run, order, hooks)
        if self._replay is not None and not all(is_own(type(callback)) for callback in run.callbacks):
            self._replay = None  # such a callback may change between epochs what a step does
        self._eager(run, order, hooks)
        return self._total / self.cases

    def _can_replay(self, run: Run) -> bool:
        if self._refused:
            return False
        if self._replay is not None and self._replay.is_current():
            return True
        self._replay = None
        if self.cases // self.batch_size < _LEAST:
            run.traced = f"an epoch has fewer than {_LEAST} full batches"
            return False
        run.traced = objection(run, self.objective)
        return run.traced is None

    def _eager(
        self, run: Run, order: Tensor | None, hooks: Sequence[Callable[[Run], None]], most: int | None = None
    ) -> None:
        """The next batches, all or at most so many, one by one."""
        optimizer = run.optimizer
        assert optimizer is not None
        step = value_and_grad(self.objective, optimizer.parameters)
        for made, (count, batch) in enumerate(ordered_batches(self.data, self.batch_size, order, self._place)):
            if made == most:
                break
            loss: Tensor | float
            if isinstance(optimizer, BatchMinimizer):
                loss = value = optimizer.minimize_batch(self.objective, batch, run.generators.values())
            else:
                loss, gradient = step(*batch)
                value = loss.item()
                if math.isfinite(value):
                    optimizer.step(gradient)
            self._count(run, value, count)
            self._call(run, hooks, loss)
            self._warm = True

    def _record(self, run: Run, order: Tensor | None, hooks: Sequence[Callable[[Run], None]]) -> None:
        optimizer = run.optimizer
        assert optimizer is not None

        def update(value: float, gradient: Tensor) -> bool:
            if math.isfinite(value):
                optimizer.step(gradient)
            return math.isfinite(value)

        replay = Replay(run, self.data, self.batch_size)
        value = replay.record(value_and_grad(self.objective, optimizer.parameters), self._place, order, update)
        self._count(run, value, self.batch_size)
        run.traced = replay.reason
        self._refused = replay.reason is not None
        self._replay = None if self._refused else replay
        self._call(run, hooks, value)

    def _replayed(self, run: Run, order: Tensor | None, hooks: Sequence[Callable[[Run], None]]) -> None:
        assert self._replay is not None
        count = 1 if hooks else (self.cases - self._place) // self.batch_size
        for value in self._replay.steps(self._place, count, order):
            self._count(run, value, self.batch_size)
            self._call(run, hooks, value)

    def _count(self, run: Run, value: float, count: int) -> None:
        if not math.isfinite(value):
            raise FloatingPointError(f"the loss is {value} at batch {run.batch + 1}")
        self._total += value * count
        self._place += count
        run.batch += 1

    @staticmethod
    def _call(run: Run, hooks: Sequence[Callable[[Run], None]], loss: Tensor | float) -> None:
        if hooks:
            run.batch_loss = loss
            for hook in hooks:
                hook(run)
