"""The least-squares test problems of Moré, Garbow and Hillstrom: residuals, standard starts and known minima.

Each residual function is written once over a namespace of elementary functions, so that it is evaluated by dlcore
(derivatives by its tape) and by NumPy on complex numbers (first derivatives by complex steps, exact to rounding, which
check the tape's). The objective is f(x) = Σ r_i(x)², as in the paper; numbers in comments are the paper's.

References
----------
Moré, Garbow, Hillstrom (1981), Testing unconstrained optimization software, ACM TOMS 7, section 3.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import reduce
from operator import mul
from typing import Any

import numpy as np
from problem import Problem

PROBLEMS: list[Problem] = []


def problem(name: str, start: Any, *minima: float) -> Callable[[Callable[[Any, Any], Any]], None]:
    def add(residuals: Callable[[Any, Any], Any]) -> None:
        PROBLEMS.append(Problem(name, residuals, np.array(start, np.float64), minima))

    return add


def data(text: str) -> np.ndarray[Any, Any]:
    return np.array([float(number) for number in text.split()])


def count(first: int, last: int) -> np.ndarray[Any, Any]:
    return np.arange(first, last + 1, dtype=np.float64)


@problem("Rosenbrock", [-1.2, 1], 0)  # 1
def _(x, xp):
    return xp.stack([10 * (x[1] - x[0] * x[0]), 1 - x[0]])


@problem("Freudenstein and Roth", [0.5, -2], 0, 48.9842)  # 2
def _(x, xp):
    a, b = x[0], x[1]
    return xp.stack([-13 + a + ((5 - b) * b - 2) * b, -29 + a + ((b + 1) * b - 14) * b])


@problem("Powell badly scaled", [0, 1], 0)  # 3
def _(x, xp):
    return xp.stack([1e4 * x[0] * x[1] - 1, xp.exp(-x[0]) + xp.exp(-x[1]) - 1.0001])


@problem("Brown badly scaled", [1, 1], 0)  # 4
def _(x, xp):
    return xp.stack([x[0] - 1e6, x[1] - 2e-6, x[0] * x[1] - 2])


@problem("Beale", [1, 1], 0)  # 5
def _(x, xp):
    b = x[1]
    return xp.stack([1.5 - x[0] * (1 - b), 2.25 - x[0] * (1 - b * b), 2.625 - x[0] * (1 - b * b * b)])


@problem("Jennrich and Sampson", [0.3, 0.4], 124.362)  # 6
def _(x, xp):
    i = count(1, 10)
    return 2 + 2 * i - (xp.exp(x[0] * i) + xp.exp(x[1] * i))


@problem("Helical valley", [-1, 0, 0], 0)  # 7
def _(x, xp):
    turn = xp.arctan(x[1] / x[0]) / (2 * math.pi) + (0.5 if float(np.real(value(x[0]))) < 0 else 0.0)
    return xp.stack([10 * (x[2] - 10 * turn), 10 * (xp.sqrt(x[0] * x[0] + x[1] * x[1]) - 1), x[2]])


def value(x: Any) -> Any:
    return x.item() if hasattr(x, "item") else x


@problem("Bard", [1, 1, 1], 8.21487e-3, 17.4286)  # 8
def _(x, xp):
    y = data(".14 .18 .22 .25 .29 .32 .35 .39 .37 .58 .73 .96 1.34 2.10 4.39")
    u = count(1, 15)
    v = 16 - u
    return y - (x[0] + u / (x[1] * v + x[2] * np.minimum(u, v)))


@problem("Gaussian", [0.4, 1, 0], 1.12793e-8)  # 9
def _(x, xp):
    half = data(".0009 .0044 .0175 .0540 .1295 .2420 .3521")
    y = np.concatenate([half, [0.3989], half[::-1]])
    away = (8 - count(1, 15)) / 2 - x[2]
    return x[0] * xp.exp(-0.5 * x[1] * away * away) - y


@problem("Meyer", [0.02, 4000, 250], 87.9458)  # 10
def _(x, xp):
    y = data("34780 28610 23650 19630 16370 13720 11540 9744 8261 7030 6005 5147 4427 3820 3307 2872")
    return x[0] * xp.exp(x[1] / (45 + 5 * count(1, 16) + x[2])) - y


@problem("Gulf research and development", [5, 2.5, 0.15], 0)  # 11
def _(x, xp):
    t = count(1, 99) / 100
    y = 25 + (-50 * np.log(t)) ** (2 / 3)
    return xp.exp(-xp.exp(x[2] * xp.log(xp.abs(y - x[1]))) / x[0]) - t


@problem("Box three-dimensional", [0, 10, 20], 0)  # 12
def _(x, xp):
    t = count(1, 10) / 10
    return xp.exp(-x[0] * t) - xp.exp(-x[1] * t) - x[2] * (np.exp(-t) - np.exp(-10 * t))


def _powell(a, b, c, d, xp):
    return [a + 10 * b, math.sqrt(5) * (c - d), (b - 2 * c) * (b - 2 * c), math.sqrt(10) * (a - d) * (a - d)]


@problem("Powell singular", [3, -1, 0, 1], 0)  # 13
def _(x, xp):
    return xp.stack(_powell(x[0], x[1], x[2], x[3], xp))


@problem("Wood", [-3, -1, -3, -1], 0, 7.87697)  # 14; the second value is a saddle's, x = (-0.968, 0.947, -0.970, 0.951)
def _(x, xp):
    a, b, c, d = x[0], x[1], x[2], x[3]
    valleys = [10 * (b - a * a), 1 - a, math.sqrt(90) * (d - c * c), 1 - c]
    return xp.stack([*valleys, math.sqrt(10) * (b + d - 2), (b - d) / math.sqrt(10)])


@problem("Kowalik and Osborne", [0.25, 0.39, 0.415, 0.39], 3.07505e-4, 1.02734e-3)  # 15
def _(x, xp):
    y = data(".1957 .1947 .1735 .1600 .0844 .0627 .0456 .0342 .0323 .0235 .0246")
    u = data("4 2 1 .5 .25 .167 .125 .1 .0833 .0714 .0625")
    return y - x[0] * (u**2 + x[1] * u) / (u**2 + x[2] * u + x[3])


@problem("Brown and Dennis", [25, 5, -5, -1], 85822.2)  # 16
def _(x, xp):
    t = count(1, 20) / 5
    line, wave = x[0] + x[1] * t - np.exp(t), x[2] + x[3] * np.sin(t) - np.cos(t)
    return line * line + wave * wave


@problem("Osborne 1", [0.5, 1.5, -1, 0.01, 0.02], 5.46489e-5)  # 17
def _(x, xp):
    y = data(
        ".844 .908 .932 .936 .925 .908 .881 .850 .818 .784 .751 .718 .685 .658 .628 .603 .580 .558 .538 .522 .506 .490"
        " .478 .467 .457 .448 .438 .431 .424 .420 .414 .411 .406"
    )
    t = 10 * (count(1, 33) - 1)
    return y - (x[0] + x[1] * xp.exp(-x[3] * t) + x[2] * xp.exp(-x[4] * t))


@problem("Biggs EXP6", [1, 2, 1, 1, 1, 1], 0, 5.65565e-3)  # 18
def _(x, xp):
    t = count(1, 13) / 10
    y = np.exp(-t) - 5 * np.exp(-10 * t) + 3 * np.exp(-4 * t)
    return x[2] * xp.exp(-x[0] * t) - x[3] * xp.exp(-x[1] * t) + x[5] * xp.exp(-x[4] * t) - y


@problem("Osborne 2", [1.3, 0.65, 0.65, 0.7, 0.6, 3, 5, 7, 2, 4.5, 5.5], 4.01377e-2)  # 19
def _(x, xp):
    y = data(
        "1.366 1.191 1.112 1.013 .991 .885 .831 .847 .786 .725 .746 .679 .608 .655 .616 .606 .602 .626 .651 .724 .649"
        " .649 .694 .644 .624 .661 .612 .558 .533 .495 .500 .423 .395 .375 .372 .391 .396 .405 .428 .429 .523 .562 .607"
        " .653 .672 .708 .633 .668 .645 .632 .591 .559 .597 .625 .739 .710 .729 .720 .636 .581 .428 .292 .162 .098 .054"
    )
    t = (count(1, 65) - 1) / 10
    total = x[0] * xp.exp(-x[4] * t)
    for height, width, centre in ((1, 5, 8), (2, 6, 9), (3, 7, 10)):
        away = t - x[centre]
        total = total + x[height] * xp.exp(-x[width] * away * away)
    return y - total


def _watson(x, xp):
    n = x.shape[0]
    t = (count(1, 29) / 29)[:, None]
    powers = t ** np.arange(n)
    slopes = np.concatenate([np.zeros((29, 1)), np.arange(1, n) * t ** np.arange(n - 1)], 1)
    total = xp.matvec(powers, x)
    return xp.concatenate([xp.matvec(slopes, x) - total * total - 1, xp.stack([x[0], x[1] - x[0] * x[0] - 1])])


problem("Watson, n = 6", [0] * 6, 2.28767e-3)(_watson)  # 20
problem("Watson, n = 9", [0] * 9, 1.39976e-6)(_watson)


@problem("Extended Rosenbrock, n = 10", [-1.2, 1] * 5, 0)  # 21
def _(x, xp):
    even, odd = x[1::2], x[0::2]
    return xp.concatenate([10 * (even - odd * odd), 1 - odd])


@problem("Extended Powell singular, n = 12", [3, -1, 0, 1] * 3, 0)  # 22
def _(x, xp):
    return xp.concatenate(_powell(x[0::4], x[1::4], x[2::4], x[3::4], xp))


@problem("Penalty I, n = 10", count(1, 10), 7.08765e-5)  # 23
def _(x, xp):
    return xp.concatenate([math.sqrt(1e-5) * (x - 1), xp.stack([xp.sum(x * x) - 0.25])])


@problem("Penalty II, n = 10", [0.5] * 10, 2.93660e-4)  # 24
def _(x, xp):
    n, a = 10, math.sqrt(1e-5)
    y = np.exp(count(2, n) / 10) + np.exp(count(1, n - 1) / 10)
    e = xp.exp(x / 10)
    last = xp.sum(x * x * (n - np.arange(n))) - 1
    pieces = [xp.stack([x[0] - 0.2]), a * (e[1:] + e[:-1] - y), a * (e[1:] - math.exp(-0.1)), xp.stack([last])]
    return xp.concatenate(pieces)


@problem("Variably dimensioned, n = 10", 1 - count(1, 10) / 10, 0)  # 25
def _(x, xp):
    total = xp.sum((x - 1) * count(1, 10))
    return xp.concatenate([x - 1, xp.stack([total, total * total])])


@problem("Trigonometric, n = 10", [0.1] * 10, 0, 2.79506e-5)  # 26
def _(x, xp):
    c = xp.cos(x)
    return 10 - xp.sum(c) + count(1, 10) * (1 - c) - xp.sin(x)


@problem("Brown almost linear, n = 10", [0.5] * 10, 0, 1)  # 27
def _(x, xp):
    product = reduce(mul, [x[i] for i in range(10)])
    return xp.concatenate([x[:-1] + xp.sum(x) - 11, xp.stack([product - 1])])


def _grid(n: int) -> tuple[float, np.ndarray[Any, Any]]:
    h = 1 / (n + 1)
    return h, h * count(1, n)


@problem("Discrete boundary value, n = 10", _grid(10)[1] * (_grid(10)[1] - 1), 0)  # 28
def _(x, xp):
    h, t = _grid(10)
    cubed = x + t + 1
    return xp.matvec(2 * np.eye(10) - np.eye(10, k=1) - np.eye(10, k=-1), x) + 0.5 * h**2 * cubed * cubed * cubed


@problem("Discrete integral equation, n = 10", _grid(10)[1] * (_grid(10)[1] - 1), 0)  # 29
def _(x, xp):
    h, t = _grid(10)
    kernel = np.where(t[None] <= t[:, None], (1 - t[:, None]) * t[None], t[:, None] * (1 - t[None]))
    cubed = x + t + 1
    return x + xp.matvec(0.5 * h * kernel, cubed * cubed * cubed)


@problem("Broyden tridiagonal, n = 10", [-1] * 10, 0)  # 30
def _(x, xp):
    return (3 - 2 * x) * x - xp.matvec(np.eye(10, k=-1) + 2 * np.eye(10, k=1), x) + 1


@problem("Broyden banded, n = 10", [-1] * 10, 0)  # 31
def _(x, xp):
    i = np.arange(10)
    lag = i[:, None] - i[None]
    band = ((lag <= 5) & (lag >= -1) & (lag != 0)).astype(np.float64)
    return x * (2 + 5 * x * x) + 1 - xp.matvec(band, x * (1 + x))
