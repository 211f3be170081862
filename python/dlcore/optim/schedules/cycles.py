"""The one-cycle policy: the learning rate rises and falls once, the momentum falls and rises."""

from __future__ import annotations

import math
from itertools import pairwise

from ..ranges import ABOVE_ZERO, BELOW_ONE, INSIDE_UNIT, require, require_flags, require_integers
from .base import Schedule


class _Phases(Schedule):
    """Values reached at steps, with an arc of a cosine or a line between them."""

    steps: int
    pct_start: float
    anneal: str
    three_phase: bool

    def _set_phases(self, steps: int, pct_start: float, anneal: str, three_phase: bool) -> None:
        owner = type(self).__name__
        require_integers(owner, 2, steps=steps)
        require(owner, INSIDE_UNIT, pct_start=pct_start)
        if three_phase and pct_start > 0.5:
            raise ValueError(f"{owner}: pct_start is {pct_start!r}, expected at most 0.5 for three phases")
        if anneal not in ("cos", "linear"):
            raise ValueError(f"{owner}: anneal is {anneal!r}, expected 'cos' or 'linear'")
        require_flags(owner, three_phase=three_phase)
        self.steps, self.pct_start, self.anneal, self.three_phase = steps, pct_start, anneal, three_phase

    def _between(self, step: int, low: float, high: float, last: float) -> float:
        """low to high in the first phase, (to low in the second of three,) to last at step `steps` − 1 and beyond."""
        rise = self.pct_start * self.steps - 1.0
        points = [(0.0, low), (rise, high)]
        if self.three_phase:
            points.append((2.0 * rise, low))
        points.append((self.steps - 1.0, last))
        for (begin, start), (end, stop) in pairwise(points):
            if step <= end and end > begin:
                t = (step - begin) / (end - begin)
                if self.anneal == "linear":
                    return float(start + (stop - start) * t)
                return float(stop + (start - stop) * 0.5 * (1.0 + math.cos(math.pi * t)))
        return float(last)


class OneCycle(_Phases):
    """From lr / div_factor up to lr at pct_start of the steps, then down to lr / (div_factor · final_div_factor).

    Parameters
    ----------
    lr : the largest rate, a number > 0
    steps : integer >= 2, of the whole cycle; the last value holds beyond
    pct_start : share of the steps in which lr rises, in (0, 1)
    anneal : "cos" or "linear"
    div_factor, final_div_factor : numbers > 0
    three_phase : whether lr comes down to its start as fast as it rose, and only then to its end

    References
    ----------
    Smith, Topin (2018), Super-convergence: very fast training of neural networks using large learning rates.
    """

    def __init__(
        self,
        lr: float,
        steps: int,
        pct_start: float = 0.3,
        anneal: str = "cos",
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
    ) -> None:
        require("OneCycle", ABOVE_ZERO, lr=lr, div_factor=div_factor, final_div_factor=final_div_factor)
        self.lr, self.div_factor, self.final_div_factor = lr, div_factor, final_div_factor
        self._set_phases(steps, pct_start, anneal, three_phase)

    def __call__(self, step: int) -> float:
        first = self.lr / self.div_factor
        return self._between(step, first, self.lr, first / self.final_div_factor)


class OneCycleMomentum(_Phases):
    """The momentum, or β₁, that belongs to `OneCycle`: from highest down to lowest while lr rises, and back.

    Parameters
    ----------
    steps, pct_start, anneal, three_phase : as those of the learning rate
    lowest, highest : numbers in [0, 1)
    """

    def __init__(
        self,
        steps: int,
        lowest: float = 0.85,
        highest: float = 0.95,
        pct_start: float = 0.3,
        anneal: str = "cos",
        three_phase: bool = False,
    ) -> None:
        require("OneCycleMomentum", BELOW_ONE, lowest=lowest, highest=highest)
        self.lowest, self.highest = lowest, highest
        self._set_phases(steps, pct_start, anneal, three_phase)

    def __call__(self, step: int) -> float:
        return self._between(step, self.highest, self.lowest, self.highest)
