"""What a schedule is, and how schedules are put together."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping
from collections.abc import Sequence as SequenceOf
from typing import Any

from ...ops.creation import is_number
from ..ranges import FINITE, UNIT, require, require_integers

Factor = float | Callable[[int], float]


class Schedule:
    """A number as a function of the steps made; the base of the others, which define `__call__`.

    Any function of the step serves as well; this class adds products with ``*``, and the walk to the parts that know
    epochs or have a state.
    """

    def __call__(self, step: int) -> float:
        """The value for the step that follows `step` >= 0 others."""
        raise TypeError(f"{type(self).__name__} defines no value")

    def parts(self) -> list[Any]:
        """The schedules this one is made of."""
        return []

    def __mul__(self, other: Factor) -> Product:
        return Product(self, other)

    __rmul__ = __mul__

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self.__dict__.items() if not name.startswith("_"))
        return f"{type(self).__name__}({shown})"

    def bind_epochs(self, steps_in_epoch: int) -> None:
        """Tell all parts how many steps an epoch has."""
        for part in self.parts():
            if hasattr(part, "bind_epochs"):
                part.bind_epochs(steps_in_epoch)

    def _stateful(self) -> dict[str, Any]:
        """Those parts that have a state, by position."""
        parts = {str(i): part for i, part in enumerate(self.parts()) if hasattr(part, "state_dict")}
        return {i: part for i, part in parts.items() if part.state_dict()}

    def state_dict(self) -> dict[str, Any]:
        """What the value depends on besides the step; empty for most."""
        return {i: part.state_dict() for i, part in self._stateful().items()}

    def check_state_dict(self, saved: Any) -> None:
        """Raise a ValueError unless `load_state_dict` can restore this."""
        parts = self._stateful()
        if not isinstance(saved, Mapping) or set(saved) != set(parts):
            raise ValueError(f"{type(self).__name__}: the saved state is {saved!r}, expected parts {sorted(parts)}")
        for i, part in parts.items():
            part.check_state_dict(saved[i])

    def load_state_dict(self, saved: Any) -> None:
        """Restore what `state_dict` gave; ValueError, and nothing changed, if it does not fit."""
        self.check_state_dict(saved)
        self._load_parts(saved)

    def _load_parts(self, saved: Mapping[str, Any]) -> None:
        for i, part in self._stateful().items():
            part.load_state_dict(saved[i])


def as_schedule(owner: str, name: str, value: Any) -> Callable[[int], float]:
    """A number as a Constant, a function as it is.

    Raises
    ------
    ValueError
        For anything else.
    """
    if callable(value):
        return value  # type: ignore[no-any-return]
    if not is_number(value):
        raise ValueError(f"{owner}: {name} is {value!r}, expected a number or a schedule")
    return Constant(value)


class Constant(Schedule):
    """value, at all steps."""

    def __init__(self, value: float) -> None:
        require("Constant", FINITE, value=value)
        self.value = value

    def __call__(self, step: int) -> float:
        return float(self.value)


class Product(Schedule):
    """∏ f(step): a schedule scaled by numbers or by other schedules (PyTorch's ChainedScheduler).

    ``2 * Cosine(1, 100)`` and ``Linear(0.1, 1, 5) * Exponential(0.1, 0.9)`` make one.
    """

    def __init__(self, *factors: Factor) -> None:
        if not factors:
            raise ValueError("Product: there are no factors")
        self.factors = [as_schedule("Product", f"factors[{i}]", factor) for i, factor in enumerate(factors)]

    def parts(self) -> list[Any]:
        return list(self.factors)

    def __call__(self, step: int) -> float:
        value = 1.0
        for factor in self.factors:
            value *= factor(step)
        return value


class Sequence(Schedule):
    """schedules[i](step − milestones[i − 1]) from step milestones[i − 1] on: each starts its own clock.

    Parameters
    ----------
    schedules : numbers or schedules, one more than the milestones
    milestones : increasing integers >= 1
    """

    def __init__(self, schedules: SequenceOf[Factor], milestones: SequenceOf[int]) -> None:
        check_milestones("Sequence", milestones)
        if len(schedules) != len(milestones) + 1:
            raise ValueError(
                f"Sequence: there are {len(schedules)} schedules and {len(milestones)} milestones, expected one more"
            )
        self.schedules = [as_schedule("Sequence", f"schedules[{i}]", s) for i, s in enumerate(schedules)]
        self.milestones = [int(milestone) for milestone in milestones]

    def parts(self) -> list[Any]:
        return list(self.schedules)

    def __call__(self, step: int) -> float:
        i = bisect_right(self.milestones, step)
        return float(self.schedules[i](step - (self.milestones[i - 1] if i else 0)))


class Warmup(Schedule):
    """f(0) · (start_factor + (1 − start_factor) · step / steps) for `steps` steps, then f(step − steps).

    Parameters
    ----------
    schedule : f, a number or a schedule
    steps : integer >= 1
    start_factor : number in [0, 1]

    References
    ----------
    Goyal et al. (2017), Accurate, large minibatch SGD: training ImageNet in 1 hour, section 2.2.
    """

    def __init__(self, schedule: Factor, steps: int, start_factor: float = 0.0) -> None:
        require_integers("Warmup", 1, steps=steps)
        require("Warmup", UNIT, start_factor=start_factor)
        self.schedule, self.steps, self.start_factor = as_schedule("Warmup", "schedule", schedule), steps, start_factor

    def parts(self) -> list[Any]:
        return [self.schedule]

    def __call__(self, step: int) -> float:
        if step >= self.steps:
            return float(self.schedule(step - self.steps))
        return self.schedule(0) * (self.start_factor + (1.0 - self.start_factor) * (step / self.steps))


class ByEpoch(Schedule):
    """f(epoch), with epoch = ⌊step / steps_in_epoch⌋: the value holds for an epoch.

    Parameters
    ----------
    schedule : f, a schedule that counts epochs
    steps_in_epoch : integer >= 1; a fit knows it, in a loop of your own give it
    """

    def __init__(self, schedule: Factor, steps_in_epoch: int | None = None) -> None:
        if steps_in_epoch is not None:
            require_integers("ByEpoch", 1, steps_in_epoch=steps_in_epoch)
        self.schedule, self.steps_in_epoch = as_schedule("ByEpoch", "schedule", schedule), steps_in_epoch
        self._bound = steps_in_epoch

    def parts(self) -> list[Any]:
        return [self.schedule]

    def bind_epochs(self, steps_in_epoch: int) -> None:
        """Use this number of steps, unless one was given."""
        if self.steps_in_epoch is None:
            self._bound = steps_in_epoch

    def __call__(self, step: int) -> float:
        if self._bound is None:
            raise ValueError("ByEpoch: steps_in_epoch is not known, expected to be given outside a fit")
        return float(self.schedule(step // self._bound))


def check_milestones(owner: str, milestones: Any) -> None:
    """Raise a ValueError unless they are increasing integers >= 1."""
    if isinstance(milestones, str) or not isinstance(milestones, SequenceOf):
        raise ValueError(f"{owner}: milestones is {milestones!r}, expected a list of integers")
    previous = 0
    for milestone in milestones:
        require_integers(owner, 1, milestones=milestone)
        if milestone <= previous:
            raise ValueError(f"{owner}: milestones are {list(milestones)!r}, expected increasing ones")
        previous = milestone
