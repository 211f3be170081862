"""Quasi-Newton methods: the Hessian's inverse from differences of gradients."""

from __future__ import annotations

from collections import deque

import numpy as np

from .evaluations import Array, Evaluations, Point
from .line_search import Trial
from .method import Method, make_line_search, require_count, stalled


def _is_curved(s: Array, y: Array, sy: float) -> bool:
    """Whether s and y keep the approximation positive definite beyond doubt."""
    return sy > 1e-14 * float(np.linalg.norm(s)) * float(np.linalg.norm(y))


class _QuasiNewton(Method):
    """A step along −B g; `forget` makes B the identity again, `learn` takes a pair (s, y) in."""

    def __init__(
        self,
        evaluations: Evaluations,
        line_search: str = "strong-wolfe",
        c1: float | None = None,
        c2: float = 0.7,
    ) -> None:
        super().__init__(evaluations)
        self.line_search = make_line_search(line_search, c1, c2)
        self.fresh = True

    def direction(self, g: Array) -> Array:
        raise NotImplementedError

    def forget(self) -> None:
        raise NotImplementedError

    def learn(self, s: Array, y: Array, sy: float) -> None:
        raise NotImplementedError

    def step(self, point: Point) -> Point:
        trial = self._search(point)
        if trial is None and not self.fresh:
            self.forget()
            self.fresh = True
            trial = self._search(point)
        if trial is None:
            raise stalled()
        s, y = trial.point.x - point.x, trial.point.g - point.g
        sy = float(s @ y)
        if _is_curved(s, y, sy):
            self.learn(s, y, sy)
            self.fresh = False
        return trial.point

    def _search(self, point: Point) -> Trial | None:
        if not self.fresh:
            return self.search(self.line_search, point, self.direction(point.g), 1.0)
        return self.search_steepest(self.line_search, point)


class BFGS(_QuasiNewton):
    """x ← x − α B g, B ← (I − ρ s yᵀ) B (I − ρ y sᵀ) + ρ s sᵀ with s = Δx, y = Δg, ρ = 1/yᵀs; before the first update
    B = (yᵀs/yᵀy) I.

    References
    ----------
    Broyden; Fletcher; Goldfarb; Shanno (1970); Nocedal, Wright (2006), algorithm 6.1 and equation 6.20.
    """

    _inverse: Array

    def direction(self, g: Array) -> Array:
        d: Array = -(self._inverse @ g)
        return d

    def forget(self) -> None:
        self._inverse = np.empty((0, 0))

    def learn(self, s: Array, y: Array, sy: float) -> None:
        if self.fresh:
            self._inverse = np.eye(s.size) * (sy / float(y @ y))
        b = self._inverse
        by = b @ y
        # ρ s sᵀ (1 + ρ yᵀBy) − ρ (By sᵀ + s (By)ᵀ), as one symmetric rank-two update
        u = (0.5 * (1.0 + float(y @ by) / sy)) * s - by
        update = np.outer(u / sy, s)
        b += update
        b += update.T


class LBFGS(_QuasiNewton):
    """BFGS from the last `memory` pairs alone, by the two-loop recursion; B₀ = (yᵀs/yᵀy) I of the newest pair.

    References
    ----------
    Liu, Nocedal (1989); Nocedal, Wright (2006), algorithms 7.4 and 7.5.
    """

    def __init__(
        self,
        evaluations: Evaluations,
        memory: int = 10,
        line_search: str = "strong-wolfe",
        c1: float | None = None,
        c2: float = 0.7,
    ) -> None:
        super().__init__(evaluations, line_search, c1, c2)
        require_count("memory", memory)
        self._pairs: deque[tuple[Array, Array, float]] = deque(maxlen=int(memory))

    def direction(self, g: Array) -> Array:
        q = -g
        weights = []
        for s, y, sy in reversed(self._pairs):
            a = float(s @ q) / sy
            weights.append(a)
            q -= a * y
        _, y, sy = self._pairs[-1]
        q *= sy / float(y @ y)
        for (s, y, sy), a in zip(self._pairs, reversed(weights), strict=True):
            q += (a - float(y @ q) / sy) * s
        return q

    def forget(self) -> None:
        self._pairs.clear()

    def learn(self, s: Array, y: Array, sy: float) -> None:
        self._pairs.append((s, y, sy))
