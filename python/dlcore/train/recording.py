"""One recorded call of a traced step (`dlcore.train.tracing`), and its replays."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from .. import placement
from ..ops import Generator
from ..optim import Optimizer
from ..optim.numbers import JointNumbers, Update, untraceable
from ..tape import state as _state
from ..tensor import Tensor
from .captured import Captured, UntraceableError
from .replay import stranger

_LIMIT = 2**64
OVERLAP = "an argument is what the step captures too"
_TWO_DEVICES = "it computes on two devices"


class Recording:
    """The plan of a call, with what a replay changes in it.

    Parameters
    ----------
    captured : what the step reaches, as it was just before
    device : the module of the device that it computes on

    Attributes
    ----------
    reason : why there are no replays, or None
    """

    def __init__(self, captured: Captured, device: Any) -> None:
        self.captured = captured
        self.reason: str | None = None
        self._plan = device.Plan()
        # What goes on elsewhere meanwhile, which a replay would leave out.
        self._elsewhere = [module.Plan() for module in placement.loaded if module is not device]
        # Generators with their step when the recording began, and how far they were after so many launches.
        self._draws: list[tuple[Generator, int, list[tuple[int, int]]]] = []

    def record(self, step: Callable[[list[Tensor]], Any], given: Sequence[Any]) -> Any:
        """Make the call on copies of the arrays given; its result."""
        plan, captured = self._plan, self.captured
        begun = [(generator, generator.step) for generator in captured.generators]
        counts = [(optimizer, optimizer.steps, optimizer.lr, optimizer.lr_factor) for optimizer in captured.optimizers]
        made: list[tuple[Optimizer, int]] = []
        plan.arguments = [array.copy() for array in given]
        _state.stepped = lambda optimizer: made.append((optimizer, plan.launches))
        plans = [plan, *self._elsewhere]
        try:
            for one in plans:
                one.begin()
            result = step([Tensor(array) for array in plan.arguments])
        finally:
            for one in plans:
                if one.is_recorded:
                    one.end()
            _state.stepped = None
        try:
            arrays: list[Any] = []
            form = _form(result, plan, arrays)
            self.result = _first if type(form) is int else functools.partial(_build, form)
            plan.results = arrays
            returned = self.result([array.copy() for array in arrays])
        except UntraceableError as objection:
            self.reason = str(objection)
            return result
        del result, arrays
        try:
            self._check(given, made, counts)
            self._follow(begun)
        except UntraceableError as objection:
            self.reason = str(objection)
        self._numbers = JointNumbers(made) if made else None
        return returned

    def _check(
        self,
        given: Sequence[Any],
        made: Sequence[tuple[Optimizer, int]],
        counts: Sequence[tuple[Optimizer, int, Any, float]],
    ) -> None:
        plan, elsewhere = self._plan, self._elsewhere
        self._elsewhere = []
        if any(other.launches or other.reason for other in elsewhere):
            raise UntraceableError(_TWO_DEVICES)
        if plan.reason:
            raise UntraceableError(plan.reason)
        if plan.launches == 0:
            raise UntraceableError("it computes nothing")
        if plan.figures:
            raise UntraceableError("a number that a kernel finds reaches Python")
        changed = self.captured.change()
        if changed is not None:
            raise UntraceableError(f"it changes {changed}, which it captures")
        if plan.arrays_alive > plan.results_alive:
            raise UntraceableError("an array made in a step is kept beyond it")
        if any(map(plan.uses, given)):
            raise UntraceableError(OVERLAP)
        for optimizer, steps, _, _ in counts:
            reason = untraceable(optimizer) if optimizer.steps != steps else None
            if reason:
                raise UntraceableError(reason)
        for optimizer, steps, lr, factor in counts:
            if optimizer.lr is not lr or optimizer.lr_factor != factor:
                raise UntraceableError("it changes the learning rate")
            if optimizer.steps != steps + sum(stepped is optimizer for stepped, _ in made):
                raise UntraceableError("it changes an optimizer otherwise than by step")
        if not all(any(known is optimizer for known, *_ in counts) for optimizer, _ in made):
            raise UntraceableError("it makes an optimizer")

    def _follow(self, begun: Sequence[tuple[Generator, int]]) -> None:
        """Know the generators that were drawn from."""
        known: dict[int, Generator] = {}
        for generator, step in begun:
            advance = (generator.step - step) % _LIMIT
            if advance == 0:
                continue
            if generator.key in known:
                raise UntraceableError("two generators have the same key")
            known[generator.key] = generator
            first: dict[int, int] = {}  # launches before the draw of a step; its gradient function draws it again
            for key, at, launches in self._plan.draws:
                if key == generator.key:
                    first.setdefault((at - step) % _LIMIT, launches)
            # After a draw a generator stands where the next one, or the end, finds it.
            after = list(zip([*first, advance][1:], [launches + 1 for launches in first.values()], strict=True))
            if any(at >= advance for at in first):
                raise UntraceableError("a generator is changed otherwise than by draws")
            self._draws.append((generator, step, after or [(advance, 0)]))
        if any(key not in known for key, _, _ in self._plan.draws):
            raise UntraceableError("a generator that it does not capture is drawn from")

    def replay(self, given: list[Any]) -> list[Any] | bool | None:
        """Make the call on other arrays; the arrays of its result. Nothing is done where this is False, because an
        argument is part of what the step works on, or None, because values are not in the range that they were in."""
        rows: list[float] | None = []
        later, updates = 0, _NO_UPDATES
        if self._numbers is not None:
            rows, later, updates = self._numbers.next()
        if not self._draws:
            return self._plan.call(given, (), rows, later, updates)  # type: ignore[no-any-return]
        shifts = []
        updates = list(updates)
        for generator, begun, after in self._draws:
            step = generator.step
            shifts.append((generator.key, (step - begun) % _LIMIT))
            updates += [(generator, "step", (step + advance) % _LIMIT, launches) for advance, launches in after]
        return self._plan.call(given, shifts, rows, later, updates)  # type: ignore[no-any-return]


_NO_UPDATES: list[Update] = []


def _form(value: Any, plan: Any, arrays: list[Any]) -> Any:
    """The form of a result: a place among its arrays, or what `_build` makes of such; it adds to `arrays`."""
    if isinstance(value, Tensor):
        if not isinstance(plan, value.array.device.Plan):
            raise UntraceableError(_TWO_DEVICES)
        if not plan.owns(value.array):
            return _Same(value)
        arrays.append(value.array)
        return len(arrays) - 1
    if value is None or isinstance(value, (bool, int, float, str)):
        return _Same(value)
    if type(value) in (tuple, list):
        return type(value)(_form(part, plan, arrays) for part in value)
    if type(value) is dict:
        return {key: _form(part, plan, arrays) for key, part in value.items()}
    raise UntraceableError(f"it returns {stranger(type(value))}")


class _Same:
    """A part of a result that is the same in all calls."""

    def __init__(self, value: Any) -> None:
        self.value = value


def _build(form: Any, arrays: Sequence[Any]) -> Any:
    if type(form) is int:
        return Tensor(arrays[form])
    if type(form) is _Same:
        return form.value
    if type(form) is dict:
        return {key: _build(part, arrays) for key, part in form.items()}
    return type(form)(_build(part, arrays) for part in form)


def _first(arrays: Sequence[Any]) -> Tensor:
    """`_build` of a single tensor."""
    return Tensor(arrays[0])
