"""The gradient steps of an epoch: eager, or replays of one that was recorded."""

from __future__ import annotations

import math
import time
import weakref
from collections.abc import Callable, Sequence

from .. import ops
from ..autodiff import value_and_grad
from ..nn import Parameters
from ..ops import Generator
from ..optim import BatchMinimizer, Optimizer
from ..tensor import Tensor
from .batches import ordered_batches
from .callbacks import batch_hooks
from .progress import Bar
from .replay import Replay, is_own, objection
from .run import Run

# Full batches that are still to come: a recording is not worth its while for fewer.
_LEAST = 4
_NEWS = 0.1  # seconds between a progress bar's looks at replayed steps
# The vectors that steps were made on: what their modules keep from their first use is there.
_stepped: weakref.WeakKeyDictionary[Parameters, weakref.ref[Tensor]] = weakref.WeakKeyDictionary()


def gradient_epoch(
    objective: Callable[..., Tensor], data: Sequence[Tensor], batch_size: int, generator: Generator | None
) -> Callable[[Run], dict[str, float]]:
    """An epoch of gradient steps: for each batch θ moves along the gradient of ``objective(*batch)``.

    One full batch is recorded (`dlcore.train.replay`), the second of a model that was not trained before, and the
    others replay it, with the same bits, unless something stands against it: ``run.traced`` says what. A short last
    batch has a recording of its own.

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
    """The steps of a fit's epochs and the replays they share: of a full batch, and of a short last one.

    Parameters
    ----------
    data : tensors with a row per case
    batch_size : cases of a step
    """

    word = "the loss"

    def __init__(self, data: Sequence[Tensor], batch_size: int) -> None:
        self.data, self.batch_size = data, batch_size
        self.cases = data[0].shape[0]
        self._replays: dict[int, Replay] = {}  # by the rows of a batch
        self._warm = False  # whether a step was made, not recorded
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
            if not self._warm and not self._was_stepped(run):
                self._eager(run, order, hooks, 1)
            while not self._refused and (rows := self._rows_to_replay(run)):
                if rows in self._replays:
                    self._replayed(run, self._replays[rows], order, hooks)
                else:
                    self._record(run, rows, order, hooks)
        if not self._is_undisturbed(run):
            self.forget()
        self._eager(run, order, hooks)
        return self._total / self.cases

    def _rows_to_replay(self, run: Run) -> int:
        """Rows of the next batch, or 0 where it is not to be replayed: a short one may be the last of its kind."""
        rows = min(self.batch_size, self.cases - self._place)
        short = rows < self.batch_size and rows not in self._replays
        return 0 if short and (run.epoch + 1 >= run.epochs or not self._is_undisturbed(run)) else rows

    @staticmethod
    def _is_undisturbed(run: Run) -> bool:
        """Whether a step does in the next epoch what it does in this one: callbacks of others may change that."""
        return all(is_own(callback) for callback in run.callbacks)

    @staticmethod
    def _was_stepped(run: Run) -> bool:
        """Whether steps were made before on the vector that this fit changes, in this fit or another."""
        assert isinstance(run.optimizer, Optimizer)
        parameters = run.optimizer.parameters
        found = _stepped.get(parameters)
        return found is not None and found() is parameters.storage

    def forget(self) -> None:
        """Record a step anew: what a step does is to change."""
        self._replays.clear()

    def _can_replay(self, run: Run) -> bool:
        if self._refused:
            return False
        if self._replays and all(replay.is_current() for replay in self._replays.values()):
            return True
        self.forget()
        epochs = run.epochs - run.epoch if self._is_undisturbed(run) else 1
        if self.cases // self.batch_size * epochs < _LEAST:
            run.traced = f"fewer than {_LEAST} full batches follow"
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
            if run.optimizer is not None:
                parameters = run.optimizer.parameters
                _stepped[parameters] = weakref.ref(parameters.storage)

    def _record(self, run: Run, rows: int, order: Tensor | None, hooks: Sequence[Callable[[Run], None]]) -> None:
        replay = Replay(run, self.data, rows)
        value = replay.record(self.gradient_of(run), self._place, order, lambda gradient: self.update(run, gradient))
        self._count(run, 0.0 if value is None else value, rows)
        run.traced = replay.reason
        if replay.reason is None:
            self._replays[rows] = replay
        else:
            self._refused = self._warm
            self.forget()
        self._call(run, hooks, value)
        if (
            replay.reason is not None and not self._warm
        ):  # what is kept from a first use, as of a loss, may have been why
            self._eager(run, order, hooks, 1)

    def _replayed(self, run: Run, replay: Replay, order: Tensor | None, hooks: Sequence[Callable[[Run], None]]) -> None:
        count = (self.cases - self._place) // replay.batch_size
        if hooks:  # a progress bar is content with news a few times a second
            patient = all(isinstance(getattr(hook, "__self__", None), Bar) for hook in hooks)
            count = min(count, self._pace) if patient else 1
        started = time.perf_counter()
        values = replay.steps(self._place, count, order)
        took = time.perf_counter() - started
        self._pace = max(1, min(4 * self._pace, int(count * _NEWS / max(took, 1e-9))))
        for value in values:
            self._count(run, 0.0 if value is None else value, replay.batch_size)
            self._call(run, hooks, value)
        if replay.refused:
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
