"""A schedule that falls when what is watched no longer improves."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ...ops.creation import is_number
from ..ranges import AT_LEAST_ZERO, INSIDE_UNIT, require, require_integers
from .base import Factor, Schedule, as_schedule

_STATE = {"factor_now": 1.0, "best": None, "bad": 0, "cooldown_left": 0}


class Plateau(Schedule):
    """max(lr(t) · factor^k, min(min_lr, lr(t))), with k the number of plateaus that `observe` has seen.

    A value is better when it is below best · (1 − threshold) for mode "min" and threshold_mode "rel", below
    best − threshold for "abs"; above best · (1 + threshold), best + threshold for "max". NaN never is. After more than
    `patience` values in a row that are not, k grows, and the next `cooldown` values do not count.

    Parameters
    ----------
    lr : number or schedule
    factor : number in (0, 1)
    patience, cooldown : integers >= 0
    threshold : number >= 0
    threshold_mode : "rel" or "abs"
    min_lr : number >= 0
    mode : "min" or "max", which values are better
    """

    def __init__(
        self,
        lr: Factor,
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float = 0.0,
        mode: str = "min",
    ) -> None:
        require("Plateau", INSIDE_UNIT, factor=factor)
        require_integers("Plateau", 0, patience=patience, cooldown=cooldown)
        require("Plateau", AT_LEAST_ZERO, threshold=threshold, min_lr=min_lr)
        if threshold_mode not in ("rel", "abs"):
            raise ValueError(f"Plateau: threshold_mode is {threshold_mode!r}, expected 'rel' or 'abs'")
        if mode not in ("min", "max"):
            raise ValueError(f"Plateau: mode is {mode!r}, expected 'min' or 'max'")
        self.lr = as_schedule("Plateau", "lr", lr)
        self.factor, self.patience, self.threshold, self.threshold_mode = factor, patience, threshold, threshold_mode
        self.cooldown, self.min_lr, self.mode = cooldown, min_lr, mode
        self._state: dict[str, Any] = dict(_STATE)

    def parts(self) -> list[Any]:
        return [self.lr]

    def __call__(self, step: int) -> float:
        lr = self.lr(step)
        return float(max(lr * self._state["factor_now"], min(self.min_lr, lr)))

    def reset(self) -> None:
        """Forget all values observed."""
        self._state = dict(_STATE)

    def observe(self, value: float) -> bool:
        """Take a new value of what is watched; returns whether the rate falls."""
        if not is_number(value):
            raise TypeError(f"Plateau: value is {value!r}, expected a number")
        state = self._state
        if self._is_better(value):
            state["best"], state["bad"] = float(value), 0
        else:
            state["bad"] += 1
        if state["cooldown_left"] > 0:
            state["cooldown_left"] -= 1
            state["bad"] = 0
        if state["bad"] <= self.patience:
            return False
        state["factor_now"] *= self.factor
        state["cooldown_left"], state["bad"] = self.cooldown, 0
        return True

    def _is_better(self, value: float) -> bool:
        best, sign = self._state["best"], 1.0 if self.mode == "min" else -1.0
        if best is None:
            return math.isfinite(value)
        if self.threshold_mode == "rel":
            return bool(sign * value < sign * (best * (1.0 - sign * self.threshold)))
        return bool(sign * value < sign * best - self.threshold)

    def state_dict(self) -> dict[str, Any]:
        """What was observed: the factor now, the best value, the counts."""
        return {**self._state, "parts": super().state_dict()}

    def check_state_dict(self, saved: Any) -> None:
        if not isinstance(saved, Mapping) or set(saved) != {*_STATE, "parts"}:
            raise ValueError(f"Plateau: the saved state is {saved!r}, expected {', '.join(_STATE)}, parts")
        require("Plateau", AT_LEAST_ZERO, factor_now=saved["factor_now"])
        require_integers("Plateau", 0, bad=saved["bad"], cooldown_left=saved["cooldown_left"])
        if saved["best"] is not None and not is_number(saved["best"]):
            raise ValueError(f"Plateau: best is {saved['best']!r}, expected a number or None")
        super().check_state_dict(saved["parts"])

    def load_state_dict(self, saved: Any) -> None:
        self.check_state_dict(saved)
        self._state = {name: saved[name] for name in _STATE}
        self._load_parts(saved["parts"])
