"""Method: what an iteration of `minimize` is, and the line searches its methods share."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from ..ops.creation import is_integer
from .evaluations import Array, Evaluations, Point, Stalled
from .hager_zhang import HagerZhang
from .line_search import LineSearch, Ray, StrongWolfe, Trial
from .ranges import FINITE, require

LINE_SEARCHES: dict[str, Any] = {"strong-wolfe": StrongWolfe, "hager-zhang": HagerZhang}


class Method:
    """One descent: `start` gives the first point, each `step` the next; both raise `Stalled` when there is none.

    The options of a method are the arguments of its ``__init__`` after the first.
    """

    needs_residual = False

    def __init__(self, evaluations: Evaluations) -> None:
        self.evaluations = evaluations

    def start(self, x: Array) -> Point:
        """The point to start from."""
        return self.evaluations.point(x)

    def step(self, point: Point) -> Point:
        """One iteration."""
        raise NotImplementedError

    def search(self, line_search: LineSearch, point: Point, direction: Array, alpha: float) -> Trial | None:
        """A step along a direction of descent, or None."""
        ray = Ray(self.evaluations, point, direction)
        if not (ray.start.slope < 0 and math.isfinite(ray.start.slope) and 0 < alpha < math.inf):
            return None
        return line_search(ray, alpha)

    def search_steepest(self, line_search: LineSearch, point: Point) -> Trial | None:
        """A step along −g, no longer than 1 at first, or None."""
        length = float(np.linalg.norm(point.g))
        return self.search(line_search, point, -point.g, min(1.0, 1.0 / length) if length > 0 else 1.0)


def make_line_search(name: str, c1: float | None, c2: float, default_c1: float = 1e-4) -> LineSearch:
    """The line search of that name with the constants 0 < c1 < c2 < 1 of its Wolfe conditions."""
    require_one_of("line_search", name, LINE_SEARCHES)
    if c1 is not None:
        require("minimize", FINITE, c1=c1)
    require("minimize", FINITE, c2=c2)
    if c1 is None:
        c1 = min(0.1, 0.5 * c2) if name == "hager-zhang" else default_c1
    if not 0 < c1 < c2 < 1:
        raise ValueError(f"minimize: c1 is {c1!r} and c2 is {c2!r}, expected 0 < c1 < c2 < 1")
    search: LineSearch = LINE_SEARCHES[name](c1, c2)
    return search


def require_one_of(option: str, value: Any, names: Iterable[str]) -> None:
    """Raise a ValueError unless the option's value is one of the names."""
    if not isinstance(value, str) or value not in names:
        raise ValueError(f"minimize: {option} is {value!r}, expected one of {', '.join(names)}")


def require_count(option: str, value: Any) -> None:
    """Raise a ValueError unless the option's value is a positive integer of Python or NumPy."""
    if not is_integer(value) or value < 1:
        raise ValueError(f"minimize: {option} is {value!r}, expected a positive integer")


def stalled() -> Stalled:
    """The end of a descent that only rounding explains."""
    return Stalled("no step decreases f any more: rounding (or a wrong gradient) hides the descent")
