"""Ranges of hyper-parameters, and the errors that name them."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from ..ops.creation import is_number


class Range(NamedTuple):
    """Numbers from `low` to `high`, either end in or out, and the text an error gives."""

    low: float
    high: float
    with_low: bool
    with_high: bool
    text: str

    def holds(self, value: Any) -> bool:
        """Whether value is a number of the range; NaN is in none."""
        if not is_number(value):
            return False
        above = value >= self.low if self.with_low else value > self.low
        return bool(above and (value <= self.high if self.with_high else value < self.high))


AT_LEAST_ZERO = Range(0, math.inf, True, False, "a finite number >= 0")
ABOVE_ZERO = Range(0, math.inf, False, False, "a finite number > 0")
BELOW_ONE = Range(0, 1, True, False, "a number in [0, 1)")
UNIT = Range(0, 1, True, True, "a number in [0, 1]")
INSIDE_UNIT = Range(0, 1, False, False, "a number in (0, 1)")
ABOVE_ONE = Range(1, math.inf, False, False, "a finite number > 1")
FINITE = Range(-math.inf, math.inf, False, False, "a finite number")


def require(owner: str, range_: Range, **values: Any) -> None:
    """Raise a ValueError for the first value outside the range."""
    for name, value in values.items():
        if not range_.holds(value):
            raise ValueError(f"{owner}: {name} is {value!r}, expected {range_.text}")


def require_flags(owner: str, **values: Any) -> None:
    """Raise a ValueError unless each is True or False."""
    for name, value in values.items():
        if not isinstance(value, bool):
            raise ValueError(f"{owner}: {name} is {value!r}, expected True or False")


def require_integers(owner: str, least: int, **values: Any) -> None:
    """Raise a ValueError unless each is an integer of at least `least`."""
    for name, value in values.items():
        if not is_number(value) or value != value or math.isinf(value) or int(value) != value or value < least:
            raise ValueError(f"{owner}: {name} is {value!r}, expected an integer >= {least}")
