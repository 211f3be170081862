"""The numbers of an optimizer's steps, without the steps: what a replayed step (`dlcore.train.replay`) is given."""

from __future__ import annotations

from typing import Any

from .adam import NAdam
from .adaptive import AdaGrad
from .optimizer import Optimizer
from .proximal import ProximalL1
from .schedules import Schedule

_SCHEDULED = ("lr", "momentum", "weight_decay")  # whose range a replay need not look at again


class _Scalars:
    """Stands in the place of θ and of its device: collects the numbers that kernels are called with."""

    def __init__(self) -> None:
        self.found: list[float] = []

    @property
    def device(self) -> _Scalars:
        return self

    def __getattr__(self, kernel: str) -> Any:
        def call(*arguments: Any) -> None:
            self.found += [float(a) for a in arguments if isinstance(a, (int, float))]

        return call


def _with_parts(schedule: Any) -> list[Any]:
    """A schedule, and those that it is made of."""
    parts = schedule.parts() if isinstance(schedule, Schedule) else []
    return [schedule, *(inner for part in parts for inner in _with_parts(part))]


def _schedules(optimizer: Optimizer) -> dict[str, list[Any]]:
    """The schedules among the options and their parts, by the options' names."""
    found: dict[str, list[Any]] = {}
    for name in optimizer._options:
        for given in optimizer._given(name):
            for value in given if isinstance(given, (tuple, list)) else (given,):
                if callable(value):
                    found.setdefault(name, []).extend(_with_parts(value))
    return found


def untraceable(optimizer: Optimizer) -> str | None:
    """Why an optimizer's steps cannot be replayed, or None."""
    if isinstance(optimizer, ProximalL1):
        return "ProximalL1 thresholds by a number that Python computes"
    for name in _schedules(optimizer):
        if name not in _SCHEDULED:
            return f"a schedule of {name}"
    return None


class StepNumbers:
    """The numbers of an optimizer's next steps.

    Where they are the same in all steps, but for those that count steps, one row serves all. Schedules of others than
    `dlcore.optim.schedules` are asked just before their step, as they may look at anything.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = optimizer
        self._marks: list[tuple[int, list[tuple[int, dict[str, float]]]]] = []

    def rows(self, ahead: int, count: int) -> tuple[list[float], int]:
        """One row for `count` steps, or a row for each of at most `ahead`; and for how many steps."""
        optimizer = self.optimizer
        schedules = [s for given in _schedules(optimizer).values() for s in given]
        active = [group for group in optimizer.groups if not group.frozen]
        self._marks = [self._mark()]
        varies = isinstance(optimizer, NAdam) or (
            isinstance(optimizer, AdaGrad) and any(callable(d) or d for d in optimizer._given("lr_decay"))
        )
        if not schedules and not varies and all(group.steps for group in active):
            row = self._row()
            self._restore(self._marks[0])
            return row, count
        if any(not type(s).__module__.startswith("dlcore.optim.schedules") for s in schedules):
            ahead = 1
        rows: list[float] = []
        for made in range(ahead):
            try:
                rows += self._row()
            except Exception:
                if made == 0:
                    raise
                self._restore(self._marks[0])
                return rows, made
            self._marks.append(self._mark())
        self._restore(self._marks[0])
        return rows, ahead

    def advance(self, steps: int) -> None:
        """Count steps as made, those for which `rows` was asked."""
        if len(self._marks) > 1:
            self._restore(self._marks[steps])
            return
        self.optimizer.steps += steps
        for group in self.optimizer.groups:
            if not group.frozen:
                group.steps += steps

    def _row(self) -> list[float]:
        optimizer, scalars = self.optimizer, _Scalars()
        active = [(group, optimizer.values(group)) for group in optimizer.groups if not group.frozen]
        state = {name: values.array for name, values in optimizer.state.items()}
        for group, values in active:
            optimizer._before(group, values)
            optimizer._update(scalars, None, state, group, values, -1.0 if optimizer.maximize else 1.0, None)
            for name in group.memory:
                group.memory[name] = values[name]
            group.steps += 1
        optimizer.steps += 1
        return scalars.found

    def _mark(self) -> tuple[int, list[tuple[int, dict[str, float]]]]:
        return self.optimizer.steps, [(group.steps, dict(group.memory)) for group in self.optimizer.groups]

    def _restore(self, mark: tuple[int, list[tuple[int, dict[str, float]]]]) -> None:
        self.optimizer.steps = mark[0]
        for group, (steps, memory) in zip(self.optimizer.groups, mark[1], strict=True):
            group.steps, group.memory = steps, dict(memory)
