"""Element-wise functions of two arrays, with NumPy's broadcasting."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from case import Case

from .elementwise import DTYPES, FRACTION, TINY, extreme, precise, rounded

BINARY: dict[str, tuple[Callable[..., Any], float]] = {
    "add": (np.add, 1),
    "subtract": (np.subtract, 1),
    "multiply": (np.multiply, 1),
    "divide": (np.divide, 1),
    "power": (np.power, 2),
    "maximum": (np.maximum, 0),
    "minimum": (np.minimum, 0),
    "greater": (lambda a, b: (a > b).astype(float), 0),
    "greater_equal": (lambda a, b: (a >= b).astype(float), 0),
    "equal": (lambda a, b: (a == b).astype(float), 0),
}


FEW_SHAPES: list[tuple[tuple[int, ...], tuple[int, ...]]] = [
    ((1003,), (1003,)),  # alike
    ((5, 7), ()),  # a constant
    ((33, 10), (10,)),  # a short row
    ((33, 10), (33, 1)),  # a short column
    ((3, 101), (101,)),
    ((3, 101), (3, 1)),
    ((9000, 10), (10,)),  # short rows, above the grain of a thread
    ((700, 100), (100,)),  # long rows
]


ALL_SHAPES = [
    *FEW_SHAPES,
    ((), ()),
    ((1,), (1, 1)),
    ((0,), ()),
    ((0, 3), (1, 3)),
    ((0, 1), (1, 5)),
    ((1,), (70_001,)),
    ((70_001,), (70_001,)),
    ((7, 1), (1, 9)),  # an outer product
    ((300, 1), (1, 700)),
    ((2, 3, 4), (3, 1)),
    ((2, 1, 3), (4, 1)),
    ((4, 1, 2, 1, 3), (3, 1, 5, 1)),
    ((2, 1, 3, 1, 2, 1, 3, 1), (1, 2, 1, 3, 1, 2, 1, 3)),  # eight dimensions
    ((8, 16, 9, 9), (16, 1, 1)),  # a bias of channels
    ((9000, 10), (9000, 1)),
    ((2, 70_000), (2, 1)),
    ((5, 3, 64), (5, 1, 64)),
]


NUMBERS = np.array([0.0, -0.0, 1.0, -1.0, 2.0, -2.0, 0.5, 3.0, 1e20, np.inf, -np.inf, np.nan, FRACTION, TINY, 3e38])


def table(rng: np.random.Generator) -> list[np.ndarray]:
    return [NUMBERS[:, None], NUMBERS[None, :]]


def pair(
    shape_a: tuple[int, ...], shape_b: tuple[int, ...], low: float = -3.0, integers: bool = False
) -> Callable[..., Any]:
    if integers:
        return lambda rng: [rng.integers(-2, 3, shape_a).astype(float), rng.integers(-2, 3, shape_b).astype(float)]
    return lambda rng: [rng.uniform(low, 3, shape_a), rng.uniform(low, 3, shape_b)]


def binary_cases(name: str, f: Callable[..., Any], tolerance: float) -> list[Case]:
    reference = precise(f)
    common: dict[str, Any] = {
        "functions": (name,),
        "call": lambda d, a, b: getattr(d, name)(a, b),
        "reference": reference,
        "tolerance": tolerance,
        "scale": rounded(reference),
    }
    compares = name in ("maximum", "minimum", "greater", "greater_equal", "equal")
    low = 0.1 if name == "power" else -3.0
    # Every shape for one function whose arguments cannot be swapped; the others share its code.
    shapes = ALL_SHAPES if name == "subtract" else FEW_SHAPES
    shapes = shapes + [(b, a) for a, b in shapes if a != b]
    cases = [Case(name=f"{name}: {a} and {b}", inputs=pair(a, b, low, integers=compares), **common) for a, b in shapes]
    cases += [extreme(f"{name}: special values", table, dtype, **common) for dtype in DTYPES]
    return cases


CASES = [case for name, (f, tolerance) in BINARY.items() for case in binary_cases(name, f, tolerance)]
