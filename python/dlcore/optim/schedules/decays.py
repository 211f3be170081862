"""Schedules that fall, or rise, as a formula of the step."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence

from ..ranges import ABOVE_ZERO, AT_LEAST_ZERO, FINITE, UNIT, require, require_integers
from .base import Schedule, check_milestones


class Step(Schedule):
    """lr · gamma^⌊t / step_size⌋.

    Parameters
    ----------
    lr : finite number
    step_size : integer >= 1
    gamma : number >= 0
    """

    def __init__(self, lr: float, step_size: int, gamma: float = 0.1) -> None:
        require("Step", FINITE, lr=lr)
        require_integers("Step", 1, step_size=step_size)
        require("Step", AT_LEAST_ZERO, gamma=gamma)
        self.lr, self.step_size, self.gamma = lr, step_size, gamma

    def __call__(self, step: int) -> float:
        return float(self.lr * self.gamma ** (step // self.step_size))


class MultiStep(Schedule):
    """lr · gamma^(number of milestones <= t).

    Parameters
    ----------
    lr : finite number
    milestones : increasing integers >= 1
    gamma : number >= 0
    """

    def __init__(self, lr: float, milestones: Sequence[int], gamma: float = 0.1) -> None:
        require("MultiStep", FINITE, lr=lr)
        check_milestones("MultiStep", milestones)
        require("MultiStep", AT_LEAST_ZERO, gamma=gamma)
        self.lr, self.milestones, self.gamma = lr, list(milestones), gamma

    def __call__(self, step: int) -> float:
        return float(self.lr * self.gamma ** bisect_right(self.milestones, step))


class Piecewise(Schedule):
    """values[number of milestones <= t]; a momentum of 0.5 and later 0.9, say.

    Parameters
    ----------
    values : finite numbers, one more than the milestones
    milestones : increasing integers >= 1

    References
    ----------
    Hinton (2010), A practical guide to training restricted Boltzmann machines, section 9, for the momentum.
    """

    def __init__(self, values: Sequence[float], milestones: Sequence[int]) -> None:
        check_milestones("Piecewise", milestones)
        if len(values) != len(milestones) + 1:
            raise ValueError(
                f"Piecewise: there are {len(values)} values and {len(milestones)} milestones, expected one more"
            )
        for value in values:
            require("Piecewise", FINITE, values=value)
        self.values, self.milestones = list(values), list(milestones)

    def __call__(self, step: int) -> float:
        return float(self.values[bisect_right(self.milestones, step)])


class Exponential(Schedule):
    """lr · gamma^t."""

    def __init__(self, lr: float, gamma: float) -> None:
        require("Exponential", FINITE, lr=lr)
        require("Exponential", AT_LEAST_ZERO, gamma=gamma)
        self.lr, self.gamma = lr, gamma

    def __call__(self, step: int) -> float:
        return float(self.lr * self.gamma**step)


class InverseTime(Schedule):
    """lr / (1 + rate · t)^power. With power in (½, 1] the sums of Robbins and Monro diverge and converge as they must.

    Parameters
    ----------
    lr : finite number
    rate : number >= 0
    power : number > 0

    References
    ----------
    Robbins, Monro (1951), A stochastic approximation method, equations 6 and 7; Bottou (2012), Stochastic gradient
    descent tricks, section 5.2.
    """

    def __init__(self, lr: float, rate: float, power: float = 1.0) -> None:
        require("InverseTime", FINITE, lr=lr)
        require("InverseTime", AT_LEAST_ZERO, rate=rate)
        require("InverseTime", ABOVE_ZERO, power=power)
        self.lr, self.rate, self.power = lr, rate, power

    def __call__(self, step: int) -> float:
        return float(self.lr / (1.0 + self.rate * step) ** self.power)


class Linear(Schedule):
    """start + (end − start) · t / steps, and end from there on: a decay, a warm-up or a momentum ramp.

    Parameters
    ----------
    start, end : finite numbers
    steps : integer >= 1
    """

    def __init__(self, start: float, end: float, steps: int) -> None:
        require("Linear", FINITE, start=start, end=end)
        require_integers("Linear", 1, steps=steps)
        self.start, self.end, self.steps = start, end, steps

    def __call__(self, step: int) -> float:
        if step >= self.steps:
            return float(self.end)
        t = step / self.steps
        return float(self.start * (1.0 - t) + self.end * t)


class Polynomial(Schedule):
    """end + (lr − end) · (1 − t / steps)^power, and end from there on.

    Parameters
    ----------
    lr, end : finite numbers
    steps : integer >= 1
    power : number > 0
    """

    def __init__(self, lr: float, steps: int, power: float = 1.0, end: float = 0.0) -> None:
        require("Polynomial", FINITE, lr=lr, end=end)
        require_integers("Polynomial", 1, steps=steps)
        require("Polynomial", ABOVE_ZERO, power=power)
        self.lr, self.steps, self.power, self.end = lr, steps, power, end

    def __call__(self, step: int) -> float:
        return float(self.end + (self.lr - self.end) * (1.0 - min(step / self.steps, 1.0)) ** self.power)


class Cosine(Schedule):
    """end + (lr − end) · (1 + cos(π t / steps)) / 2, and end from there on.

    Parameters
    ----------
    lr, end : finite numbers
    steps : integer >= 1

    References
    ----------
    Loshchilov, Hutter (2017), SGDR: stochastic gradient descent with warm restarts, equation 5.
    """

    def __init__(self, lr: float, steps: int, end: float = 0.0) -> None:
        require("Cosine", FINITE, lr=lr, end=end)
        require_integers("Cosine", 1, steps=steps)
        self.lr, self.steps, self.end = lr, steps, end

    def __call__(self, step: int) -> float:
        if step >= self.steps:
            return float(self.end)
        return float(self.end + (self.lr - self.end) * 0.5 * (1.0 + math.cos(math.pi * (step / self.steps))))


class CosineRestarts(Schedule):
    """A cosine from lr to end over `period` steps, begun anew when it ends; each period `multiplier` times the last.

    Parameters
    ----------
    lr, end : finite numbers
    period, multiplier : integers >= 1
    decay : number in [0, 1], a factor on lr − end at each restart

    References
    ----------
    Loshchilov, Hutter (2017), SGDR: stochastic gradient descent with warm restarts, section 3.
    """

    def __init__(self, lr: float, period: int, multiplier: int = 1, end: float = 0.0, decay: float = 1.0) -> None:
        require("CosineRestarts", FINITE, lr=lr, end=end)
        require_integers("CosineRestarts", 1, period=period, multiplier=multiplier)
        require("CosineRestarts", UNIT, decay=decay)
        self.lr, self.period, self.multiplier, self.end, self.decay = lr, period, multiplier, end, decay

    def __call__(self, step: int) -> float:
        length, restarts = self.period, 0
        if self.multiplier == 1:
            restarts, step = divmod(step, length)
        while step >= length:  # lengths grow geometrically: a few dozen turns at most
            step -= length
            length *= self.multiplier
            restarts += 1
        height = (self.lr - self.end) * self.decay**restarts
        return float(self.end + height * 0.5 * (1.0 + math.cos(math.pi * (step / length))))


class SutskeverMomentum(Schedule):
    """min(1 − 2^(−1 − log₂(⌊t / every⌋ + 1)), limit) = min(1 − ½ / (⌊t / every⌋ + 1), limit): a momentum that grows.

    Parameters
    ----------
    limit : number in [0, 1]; 0.9 to 0.999 in the paper
    every : integer >= 1

    References
    ----------
    Sutskever, Martens, Dahl, Hinton (2013), On the importance of initialization and momentum in deep learning,
    equation 5.
    """

    def __init__(self, limit: float = 0.99, every: int = 250) -> None:
        require("SutskeverMomentum", UNIT, limit=limit)
        require_integers("SutskeverMomentum", 1, every=every)
        self.limit, self.every = limit, every

    def __call__(self, step: int) -> float:
        return float(min(1.0 - 0.5 / (step // self.every + 1), self.limit))
