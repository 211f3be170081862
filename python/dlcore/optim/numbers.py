"""The numbers of an optimizer's steps, without the steps: what a replayed step (`dlcore.train.replay`) is given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import device as _device
from .adam import NAdam
from .adaptive import AdaGrad
from .optimizer import Optimizer
from .proximal import ProximalL1
from .schedules import Schedule

_first_change = _device.cpu.first_change
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


def _are_steady(optimizer: Optimizer) -> bool:
    """Whether the numbers of the next steps are the same, but for those that count steps."""
    varies = isinstance(optimizer, NAdam) or (
        isinstance(optimizer, AdaGrad) and any(callable(d) or d for d in optimizer._given("lr_decay"))
    )
    return not varies and not _schedules(optimizer) and all(g.steps for g in optimizer.groups if not g.frozen)


def _next_row(optimizer: Optimizer) -> list[float]:
    """The numbers of the next step, which is counted as made."""
    scalars = _Scalars()
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


Mark = tuple[int, list[tuple[int, dict[str, float]]]]


def _mark(optimizer: Optimizer) -> Mark:
    return optimizer.steps, [(group.steps, dict(group.memory)) for group in optimizer.groups]


def _restore(optimizer: Optimizer, mark: Mark) -> None:
    optimizer.steps = mark[0]
    for group, (steps, memory) in zip(optimizer.groups, mark[1], strict=True):
        group.steps, group.memory = steps, dict(memory)


class StepNumbers:
    """The numbers of an optimizer's next steps.

    Where they are the same in all steps, but for those that count steps, one row serves all. Schedules of others than
    `dlcore.optim.schedules` are asked just before their step, as they may look at anything.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = optimizer
        self._marks: list[Mark] = []

    def rows(self, ahead: int, count: int) -> tuple[list[float], int]:
        """One row for `count` steps, or a row for each of at most `ahead`; and for how many steps."""
        optimizer = self.optimizer
        self._marks = [_mark(optimizer)]
        if _are_steady(optimizer):
            row = _next_row(optimizer)
            _restore(optimizer, self._marks[0])
            return row, count
        schedules = [s for given in _schedules(optimizer).values() for s in given]
        if any(not type(s).__module__.startswith("dlcore.optim.schedules") for s in schedules):
            ahead = 1
        rows: list[float] = []
        for made in range(ahead):
            try:
                rows += _next_row(optimizer)
            except Exception:
                if made == 0:
                    raise
                _restore(optimizer, self._marks[0])
                return rows, made
            self._marks.append(_mark(optimizer))
        _restore(optimizer, self._marks[0])
        return rows, ahead

    def advance(self, steps: int) -> None:
        """Count steps as made, those for which `rows` was asked."""
        if len(self._marks) > 1:
            _restore(self.optimizer, self._marks[steps])
            return
        self.optimizer.steps += steps
        for group in self.optimizer.groups:
            if not group.frozen:
                group.steps += steps


Update = tuple[Any, str, Any, int]  # object, attribute, value, launches after which it is made


class JointNumbers:
    """The numbers of the optimizers' steps within one recorded step, in their order.

    Parameters
    ----------
    steps : the optimizers, once for each step, and how many launches were made when it was
    """

    def __init__(self, steps: Sequence[tuple[Optimizer, int]]) -> None:
        self._steps = list(steps)
        self._optimizers = list({id(optimizer): optimizer for optimizer, _ in steps}.values())
        self._watched: list[tuple[Any, Any, Any]] = []
        self._counted: list[tuple[Any, int]] = []  # optimizers and groups with their steps when the row was made
        self._is_steady = False

    def next(self) -> tuple[list[float] | None, int, list[Update]]:
        """Numbers, or None where those given last hold with counts that are so much later; and what to count."""
        if self._is_steady and _first_change(self._watched) < 0:
            first, steps_of_first = self._counted[0]
            later = first.steps - steps_of_first
            for owner, steps in self._counted:
                if owner.steps - steps != later:
                    break
            else:
                return None, later, self._updates()
        return self._renewed(), 0, self._updates_found

    def _updates(self) -> list[Update]:
        if len(self._optimizers) == len(self._steps):
            return [(owner, "steps", owner.steps + 1, launches) for owner, launches in self._owners]
        made: dict[int, int] = {}
        updates: list[Update] = []
        for owner, launches in self._owners:
            made[id(owner)] = made.get(id(owner), owner.steps) + 1
            updates.append((owner, "steps", made[id(owner)], launches))
        return updates

    def _renewed(self) -> list[float]:
        marks = [(optimizer, _mark(optimizer)) for optimizer in self._optimizers]
        steady = all(map(_are_steady, self._optimizers))
        rows: list[float] = []
        updates: list[Update] = []
        try:
            for optimizer, launches in self._steps:
                rows += _next_row(optimizer)
                updates.append((optimizer, "steps", optimizer.steps, launches))
                for group in optimizer.groups:
                    if not group.frozen:
                        updates.append((group, "steps", group.steps, launches))
                        if group.memory:
                            updates.append((group, "memory", dict(group.memory), launches))
        finally:
            for optimizer, mark in marks:
                _restore(optimizer, mark)
        self._updates_found = updates
        self._owners = [(owner, launches) for owner, name, _, launches in updates if name == "steps"]
        self._counted = [(owner, owner.steps) for owner in {id(owner): owner for owner, _ in self._owners}.values()]
        self._watched = [
            (vars(optimizer), name, getattr(optimizer, name))
            for optimizer in self._optimizers
            for name in ("lr", "lr_factor")
        ]
        for optimizer in self._optimizers:
            for group in optimizer.groups:
                self._watched += [(group.options, name, given) for name, given in group.options.items()]
        self._is_steady = steady
        return rows
