"""Steps replayed natively: one step is recorded while it runs, the others of the fit are calls of its plan.

A plan (``csrc/bind/plan.h``) is the list of a step's kernel calls with their arguments, and the memory they used. What
changes from step to step has a place in it: the batch's rows, the generators' steps, the optimizer's numbers. All else
that Python computes in a step must be a function of shapes, which `objection` looks for beforehand and the recording
itself notices: a value that reaches Python, a draw of an unknown generator, an array that outlives the step.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import FunctionType
from typing import Any

from ..nn import Module
from ..ops import Generator
from ..optim import BatchMinimizer, Optimizer
from ..optim.numbers import StepNumbers, untraceable
from ..penalties import Objective
from ..tensor import Tensor
from .callbacks import has_batch_hook
from .run import Run

_LIMIT = 2**64
_CHUNK = 4096  # steps whose numbers Python computes ahead
enabled = True  # tests compare fits with and without
_OWN = __name__.partition(".")[0]
_INERT = frozenset({bool, int, float, str, bytes, type(None), Tensor})  # of what attributes mostly are


def is_own(value: Any) -> bool:
    """Whether a class or function, or the class of another object, is dlcore's."""
    if isinstance(value, functools.partial):
        return is_own(value.func)
    named = value if hasattr(value, "__qualname__") else type(value)
    return str(getattr(named, "__module__", "")).partition(".")[0] == _OWN


def stranger(value: Any) -> str:
    """Names what is not dlcore's."""
    return f"{getattr(value, '__qualname__', type(value).__qualname__)}, which is not dlcore's own"


def _strange_part(owner: str, values: Iterable[Any]) -> str | None:
    """What among an object's attributes is code of others, which may compute from values."""
    for value in values:
        if type(value) in _INERT:
            continue
        found = None
        if isinstance(value, (list, tuple, set)):
            found = _strange_part(owner, value)
        elif isinstance(value, Mapping):
            found = _strange_part(owner, value.values())
        elif (callable(value) or isinstance(value, Module)) and not is_own(value):
            found = f"{owner} has {stranger(value)}"
        if found:
            return found
    return None


def _strange_call(function: Any) -> str | None:
    """What among the functions that one of dlcore's calls for its caller, which it holds or closes over, is not."""
    parts: tuple[Any, ...] = ()
    if isinstance(function, functools.partial):
        parts = (function.func, *function.args, *function.keywords.values())
    elif isinstance(function, Objective):
        parts = (function.loss, *(penalty for _, penalty in function.penalties.values()))
    elif isinstance(function, FunctionType):
        parts = tuple(cell.cell_contents for cell in function.__closure__ or ())
    owner = getattr(function, "__qualname__", type(function).__qualname__)
    return _strange_part(owner, parts) or next(filter(None, map(_strange_call, parts)), None)


def objection(run: Run, objective: Callable[..., Any] | None = None) -> str | None:
    """Why the steps of a run may depend on more than shapes, as far as can be told before one; None: they do not."""
    if not enabled:
        return "replay is switched off"
    optimizer, model = run.optimizer, run.model
    if objective is not None and not is_own(objective):
        return f"the objective is {stranger(objective)}"
    if (found := _strange_call(objective)) is not None:
        return found
    for owner in (model, optimizer, getattr(model, "head", None)):
        if owner is not None and not is_own(owner):
            return stranger(type(owner))
        if owner is not None and not isinstance(owner, Optimizer):
            found = _strange_part(type(owner).__name__, vars(owner).values())
            if found:
                return found
    for _, module in model.network.modules():
        if not is_own(module):
            return stranger(type(module))
        found = _strange_part(type(module).__name__, vars(module).values())
        if found:
            return found
    for callback in run.callbacks:
        if not is_own(callback) and has_batch_hook(callback):
            return f"{type(callback).__qualname__}.on_batch_end may change what a step does"
    if isinstance(optimizer, BatchMinimizer):
        return "a line search asks for values"
    assert optimizer is not None
    return untraceable(optimizer)


class Replay:
    """The recorded step of a run, and its replays.

    Parameters
    ----------
    run : with an optimizer, against which there was no `objection`
    data : tensors with a row per case
    batch_size : rows of a step
    """

    def __init__(self, run: Run, data: Sequence[Tensor], batch_size: int) -> None:
        assert run.optimizer is not None
        self.run, self.optimizer, self.batch_size = run, run.optimizer, batch_size
        self.plan = self.optimizer.parameters.storage.array.device.Plan()
        self.batch = [Tensor(array) for array in self.plan.stage([x.array for x in data], batch_size)]
        self.refused = False
        self.theta = self.optimizer.parameters.storage
        self._generators: list[tuple[Generator, int, int]] = []  # with the step recorded and the steps of one

    @property
    def reason(self) -> str | None:
        """Why the recording cannot be replayed, if so."""
        return self.plan.reason or None

    def record(
        self,
        step: Callable[..., tuple[Tensor | float | None, Tensor]],
        first: int,
        order: Tensor | None,
        update: Callable[[Tensor], None],
    ) -> float | None:
        """Do the step on the rows from `first` on while it is recorded; the batch's loss, if one is watched.

        Parameters
        ----------
        step : (*batch) -> loss, gradient; the loss is a tensor of one element, the newest figure of a kernel, or None
        update : the optimizer's step, made unless the loss is not finite
        """
        plan, generators = self.plan, self.run.generators
        before = {name: generator.step for name, generator in generators.items()}
        plan.bring(first, None if order is None else order.array)
        plan.begin()
        try:
            loss, gradient = step(*self.batch)
            value = None if loss is None else float(plan.watch(loss.array if isinstance(loss, Tensor) else None))
            whole = value is None or math.isfinite(value)
            if whole:
                update(gradient)
        finally:
            plan.end()
        del loss, gradient
        known: dict[int, tuple[int, int]] = {}
        for name, generator in generators.items():
            advance = (generator.step - before[name]) % _LIMIT
            if advance and generator.key in known:
                plan.reason = plan.reason or "two generators have the same key"
            if advance:
                known[generator.key] = (before[name], advance)
                self._generators.append((generator, before[name], advance))
        for key, drawn, _ in plan.draws:
            begin, advance = known.get(key, (0, 0))
            if (drawn - begin) % _LIMIT >= advance:
                plan.reason = plan.reason or "a generator that the fit does not know was drawn from"
        if not whole:
            plan.reason = plan.reason or "the recorded step was not finished"
        if plan.arrays_alive:
            plan.reason = plan.reason or "an array made in a step is kept beyond it"
        if value is not None and plan.figures != 1:
            plan.reason = plan.reason or "a step has several figures"
        self.numbers, self._watched = StepNumbers(self.optimizer), value is not None
        return value

    def is_current(self) -> bool:
        """Whether the plan's vector is still the model's."""
        return self.optimizer.parameters.storage is self.theta

    def steps(self, first: int, count: int, order: Tensor | None) -> Sequence[float | None]:
        """Losses, or None, of up to `count` steps on the rows from `first` on.

        One that is not finite is the last: its step is not made. `refused` says whether the next step met values that
        it checks: made eagerly, it says what is wrong with them. Whatever is raised, the optimizer and the generators
        are those after the last whole step.
        """
        plan, self.refused = self.plan, False
        rows, count = self.numbers.rows(min(count, _CHUNK), count)
        shifts = [(g.key, (g.step - begin) % _LIMIT, advance) for g, begin, advance in self._generators]
        ended = 0  # steps that ended in their update, after their draws: where a norm to be clipped is not finite
        try:
            plan.run(count, first, None if order is None else order.array, shifts, rows)
        except ValueError:  # a check of values
            self.refused = True
        except BaseException as error:
            self.run.batch += plan.done
            ended = int(isinstance(error, FloatingPointError))
            raise
        finally:
            self.numbers.advance(plan.done)
            drawn = len(plan.found) if self._watched else plan.done  # also by a step that ended before its update
            for generator, _, advance in self._generators:
                generator.step = (generator.step + (drawn + ended) * advance) % _LIMIT
        return plan.found if self._watched else [None] * plan.done
