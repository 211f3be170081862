"""Sums, extremes, log-sum-exp, inner products."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from case import Case


def values(*shape: int) -> Any:
    return lambda rng: rng.standard_normal(shape)


def integers(*shape: int) -> Any:
    return lambda rng: rng.integers(-9, 10, shape).astype(float)


def tenths(*shape: int) -> Any:
    """Rounding errors that all point the same way."""
    return lambda rng: np.full(shape, 0.1)


def special(*shape: int) -> Any:
    """Ties everywhere, and infinities and NaN here and there."""

    def make(rng: np.random.Generator) -> np.ndarray:
        x = rng.integers(0, 12, shape).astype(float)
        for value in (np.nan, -np.inf, np.inf):
            x[rng.random(shape) < 1 / 100] = value
        return x

    return make


def at(shape: tuple[int, ...], places: dict[int, float]) -> Any:
    def make(rng: np.random.Generator) -> np.ndarray:
        x = rng.uniform(-1, 1, shape)
        for place, value in places.items():
            x.reshape(-1)[place] = value
        return x

    return make


def precise_sum(x: np.ndarray, axes: tuple[int, ...] | None, keepdims: bool = False) -> np.ndarray:
    """In long double, along contiguous rows, where NumPy adds pairwise."""
    axes = tuple(range(x.ndim)) if axes is None else tuple(a % x.ndim for a in axes)
    kept = [a for a in range(x.ndim) if a not in axes]
    shape = [x.shape[a] for a in kept]
    rows = x.transpose(*kept, *axes).astype(np.longdouble, order="C").reshape(*shape, prod(x.shape[a] for a in axes))
    return rows.sum(-1).reshape([1 if a in axes else n for a, n in enumerate(x.shape)] if keepdims else shape)


def sum_case(name: str, make: Any, axes: Any, keepdims: bool = False, tolerance: float = 2.0) -> Case:
    """Errors within 2 eps sum |x|, however long the sum; of integers none."""

    return Case(
        name=f"sum: {name}",
        functions=("sum",),
        inputs=lambda rng: [make(rng)],
        call=lambda device, x: device.sum(x, axes, keepdims),
        reference=lambda x: precise_sum(x, axes, keepdims),
        tolerance=tolerance,
        scale=lambda x: precise_sum(np.abs(x), axes, keepdims),
    )


def sum_into_case(name: str, make: Any, axes: Any, kept: tuple[int, ...]) -> Case:
    """Into an array of NaN of the shape `kept`."""
    return Case(
        name=f"sum: {name}",
        functions=("sum",),
        inputs=lambda rng: [make(rng), np.full(kept, np.nan)],
        call=lambda device, x, out: device.sum(x, axes, False, out),
        reference=lambda x, out: precise_sum(x, axes),
        tolerance=2.0,
        scale=lambda x, out: precise_sum(np.abs(x), axes),
    )


def sum_to(x: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    added = x.ndim - len(shape)
    axes = tuple(a for a in range(x.ndim) if a < added or shape[a - added] == 1)
    return precise_sum(x, axes).reshape(shape)


def sum_to_case(name: str, make: Any, shape: tuple[int, ...]) -> Case:
    return Case(
        name=f"sum_to: {name}",
        functions=("sum_to",),
        inputs=lambda rng: [make(rng)],
        call=lambda device, x: device.sum_to(x, shape),
        reference=lambda x: sum_to(x, shape),
        tolerance=2.0,
        scale=lambda x: sum_to(np.abs(x), shape),
    )


def extreme_case(name: str, make: Any, axis: int | None, keepdims: bool = False, smallest: bool = False) -> Case:
    function = "min" if smallest else "max"

    def reference(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        position = (np.argmin if smallest else np.argmax)(x, axis=axis, keepdims=keepdims)
        value = (np.min if smallest else np.max)(x, axis=axis, keepdims=keepdims)
        return value, np.asarray(position, np.int32)

    return Case(
        name=f"{function}: {name}",
        functions=(function,),
        inputs=lambda rng: [make(rng)],
        call=lambda device, x: getattr(device, function)(x, axis, keepdims),
        reference=reference,
        tolerance=0.0,
    )


def argmax_case(name: str, make: Any, axis: int | None) -> Case:
    return Case(
        name=f"argmax: {name}",
        functions=("argmax",),
        inputs=lambda rng: [make(rng)],
        call=lambda device, x: device.argmax(x, axis),
        reference=lambda x: np.asarray(np.argmax(x, axis), np.int32),
        tolerance=0.0,
    )


def logsumexp(x: np.ndarray) -> np.ndarray:
    x = x.astype(np.longdouble)
    largest = np.max(x, -1, initial=-np.inf)
    shift = np.where(np.isfinite(largest), largest, 0)
    with np.errstate(all="ignore"):
        return np.log(np.sum(np.exp(x - shift[..., None]), -1)) + shift


def logsumexp_case(name: str, make: Any) -> Case:
    return Case(
        name=f"logsumexp: {name}",
        functions=("logsumexp",),
        inputs=lambda rng: [make(rng)],
        call=lambda device, x: device.logsumexp(x),
        reference=logsumexp,
        tolerance=4.0,
        scale=lambda x: 1 + np.abs(logsumexp(x)),  # the sum is rounded before the logarithm: eps in its argument
    )


def dot_case(name: str, make: Any) -> Case:
    return Case(
        name=f"dot: {name}",
        functions=("dot",),
        inputs=lambda rng: [make(rng), make(rng)],
        call=lambda device, a, b: device.dot(a, b),
        reference=lambda a, b: np.sum(a.astype(np.longdouble) * b),
        tolerance=4.0,  # without FMA, and with two lanes, 2.3 on tenths
        scale=lambda a, b: np.sum(np.abs(a * b)),
    )


def finite_case(name: str, make: Any) -> Case:
    return Case(
        name=f"all_finite: {name}",
        functions=("all_finite",),
        inputs=lambda rng: [make(rng)],
        call=lambda device, x: float(device.all_finite(x)),
        reference=lambda x: float(np.isfinite(x).all()),
        tolerance=0.0,
    )


def within_case(name: str, make: Any, expected: float) -> Case:
    return Case(
        name=f"within: {name}",
        functions=("within",),
        inputs=lambda rng: [make(rng)],
        call=lambda device, x: float(device.within(x, -50.0, 50.0)),
        reference=lambda x: expected,
        tolerance=0.0,
    )


CASES = [
    sum_case("everything", values(37, 53), None),
    sum_case("everything, kept", values(3, 4, 5), None, keepdims=True),
    sum_case("a million tenths", tenths(1 << 20), None),
    sum_case("columns of tenths", tenths(1 << 17, 3), (0,)),
    sum_case("wide columns of tenths", tenths(70000, 130), (0,)),
    sum_case("just above a chunk", values(32769), None),
    sum_case("whole chunks", values(2 * 32768), (0,)),
    sum_case("rows", values(128, 500), (1,)),
    sum_case("rows, kept", values(7, 784), (-1,), keepdims=True),
    sum_case("short rows", values(1000, 10), (1,)),
    sum_case("rows of one", values(50, 1), (1,)),
    sum_case("rows above a chunk", values(3, 100003), (1,)),
    sum_case("columns", values(128, 500), (0,)),
    sum_case("columns of integers", integers(300, 700), (0,), tolerance=0.0),
    sum_case("ten columns", values(512, 10), (0,)),
    sum_case("ten columns, long", values(40009, 10), (0,)),
    sum_case("two columns", values(1001, 2), (0,)),
    sum_case("few rows", values(3, 5000), (0,)),
    sum_case("257 rows", values(257, 129), (0,)),
    sum_case("more than 256 blocks of rows", integers(70001, 128), (0,), tolerance=0.0),
    sum_case("bias of a convolution", values(16, 6, 28, 28), (0, 2, 3)),
    sum_case("bias of a convolution, kept", values(5, 3, 4, 7), (0, 2, 3), keepdims=True),
    sum_case("positions", values(5, 16, 10, 10), (2, 3)),
    sum_case("middle axis", values(9, 33, 17), (1,)),
    sum_case("middle axis, narrow", values(300, 200, 3), (1,)),
    sum_case("middle axis, one column each", values(40, 7, 1), (1,)),
    sum_case("alternating", values(4, 5, 6, 7, 3), (0, 2, 4)),
    sum_case("alternating the other way", values(4, 5, 6, 7, 3), (-2, 1)),
    sum_case("eight axes", values(2, 3, 2, 3, 2, 3, 2, 3), (0, 2, 4, 6)),
    sum_case("axes of one", values(1, 6, 1, 5), (0, 2)),
    sum_case("nothing", values(3, 4), (), tolerance=0.0),
    sum_case("scalar", values(), None, tolerance=0.0),
    sum_case("one element", values(1, 1), (0, 1), tolerance=0.0),
    sum_case("of no rows", values(0, 4), (0,), tolerance=0.0),
    sum_case("of empty rows", values(3, 0), (1,), keepdims=True, tolerance=0.0),
    sum_case("empty result", values(3, 0), (0,), tolerance=0.0),
    sum_case("of an empty array", values(0, 3), None, tolerance=0.0),
    sum_into_case("columns, in place", values(128, 500), (0,), (500,)),
    sum_into_case("ten columns, in place", values(32, 10), (0,), (10,)),
    sum_into_case("bias of a convolution, in place", values(16, 6, 28, 28), (0, 2, 3), (6,)),
    sum_into_case("of no rows, in place", values(0, 4), (0,), (4,)),
    sum_case("infinities and NaN", special(40, 50), (0,)),
    sum_case("infinities and NaN in rows", special(40, 50), (1,)),
    sum_case("denormals", lambda rng: np.full((3, 100), 1e-310), (1,)),
    sum_case("large numbers that cancel", lambda rng: np.resize([1e30, -1e30, 1.0, 1.0], (4, 1000)), (0,)),
    sum_to_case("bias", values(128, 500), (500,)),
    sum_to_case("bias as a row", values(128, 500), (1, 500)),
    sum_to_case("column", values(31, 17), (31, 1)),
    sum_to_case("channels", values(4, 3, 5, 6), (3, 1, 1)),
    sum_to_case("channels, kept", values(4, 3, 5, 6), (1, 3, 1, 1)),
    sum_to_case("scalar", values(31, 17), ()),
    sum_to_case("itself", values(31, 17), (31, 17)),
    sum_to_case("more dimensions of one", values(1, 5), (5,)),
    sum_to_case("from an empty axis", values(3, 0), (3, 1)),
    sum_to_case("empty", values(4, 3, 0), (3, 0)),
    *[
        extreme_case(name, make, axis, smallest=smallest)
        for smallest in (False, True)
        for name, make, axis in [
            ("everything", special(37, 53), None),
            ("short rows", special(200, 10), 1),
            ("rows", special(50, 300), -1),
            ("rows without NaN", values(50, 300), -1),
            ("rows above a chunk", values(2, 100003), 1),
            ("NaN after a chunk", at((100003,), {70000: np.nan, 5: 1e9, 80000: np.nan}), 0),
            ("ties across chunks", at((100003,), {70000: 5.0, 40000: 5.0, 90000: -5.0, 33000: -5.0}), None),
            ("columns", special(200, 70), 0),
            ("columns of 600", special(30, 600), 0),
            ("middle axis", special(9, 33, 17), 1),
            ("one row", special(1, 9), 0),
            ("one element", values(1), None),
            ("scalar", values(), None),
            ("all -inf", lambda rng: np.full((3, 100), -np.inf), 1),
            ("all +inf", lambda rng: np.full((3, 100), np.inf), 1),
            ("all NaN", lambda rng: np.full((3, 100), np.nan), 1),
            ("infinities among NaN", lambda rng: np.resize([np.inf, np.nan, -np.inf], (3, 100)), 0),
            ("signed zeros", lambda rng: np.resize([-0.0, 0.0], (2, 100)), 1),
            ("denormals", at((2, 100), {3: 1e-310}), 1),
            ("nothing of nothing", values(0, 3), 1),
        ]
    ],
    extreme_case("rows, kept", special(5, 40), 1, keepdims=True),
    extreme_case("everything, kept", special(5, 40), None, keepdims=True),
    extreme_case("columns, kept", special(5, 40), 0, keepdims=True, smallest=True),
    argmax_case("rows", special(128, 10), 1),
    argmax_case("rows of no array", values(0, 10), 1),
    argmax_case("everything", special(31, 17), None),
    argmax_case("columns", special(31, 17), 0),
    argmax_case("rows in several pieces", special(3, 70_001), 1),
    argmax_case("strips of columns", special(90, 1030), 0),
    logsumexp_case("rows", values(13, 37)),
    logsumexp_case("classes", lambda rng: 20 * rng.standard_normal((128, 10))),
    logsumexp_case("one class", values(9, 1)),
    logsumexp_case("vector", values(5)),
    logsumexp_case("three axes", values(3, 4, 5)),
    logsumexp_case("large", values(400, 1000)),
    logsumexp_case("long row", values(2, 70001)),
    logsumexp_case("extreme logits", lambda rng: 1e30 * rng.standard_normal((6, 9))),
    logsumexp_case("one masked", lambda rng: np.where(np.eye(5), -np.inf, rng.standard_normal((5, 5)))),
    logsumexp_case(
        "infinities and NaN",
        lambda rng: np.resize(
            [
                *[-np.inf] * 9,
                *[np.inf, -np.inf, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 1e30],
                *[np.nan, *[0.0] * 8],
                *[np.nan, np.inf, *[-np.inf] * 7],
                *range(9),
            ],
            (5, 9),
        ),
    ),
    logsumexp_case("of nothing", values(4, 0)),
    logsumexp_case("no rows", values(0, 4)),
    dot_case("odd", values(1003)),
    dot_case("matrices", values(30, 41)),
    dot_case("above a chunk", values(100003)),
    dot_case("tenths", tenths(1 << 19)),
    dot_case("one element", values(1)),
    dot_case("nothing", values(0)),
    dot_case("NaN at the end", at((77,), {76: np.nan})),
    dot_case("infinities", at((77,), {3: np.inf, 70: -np.inf})),
    finite_case("yes", values(1003)),
    finite_case("largest", at((100,), {7: 3.4e38, 9: -3.4e38, 50: 1e-310})),
    finite_case("NaN first", at((1003,), {0: np.nan})),
    finite_case("infinity last", at((1003,), {1002: -np.inf})),
    finite_case("far on", at((200001,), {200000: np.inf})),
    finite_case("nothing", values(0)),
    Case(
        name="within: integers",
        functions=("within",),
        inputs=lambda rng: [rng.integers(0, 9, 20).astype(np.int32)],
        call=lambda device, x: device.within(x, 0, 8) + 2.0 * device.within(x, 0, 3) + 4.0 * device.within(x, 5, 8),
        reference=lambda x: 1.0,
        tolerance=0.0,
        dtypes=("float32",),
    ),
    within_case("in the range", values(41, 7), 1.0),
    within_case("many", values(200001), 1.0),
    within_case("below", at((70001,), {65536: -100.0}), 0.0),
    within_case("above", at((301,), {0: 100.0}), 0.0),
    within_case("a NaN", at((301,), {300: np.nan}), 0.0),
    within_case("nothing", values(0), 1.0),
    Case(
        name="all_finite: integers",
        functions=("all_finite",),
        inputs=lambda rng: [rng.integers(0, 9, 20).astype(np.int32)],
        call=lambda device, x: float(device.all_finite(x)),
        reference=lambda x: 1.0,
        tolerance=0.0,
        dtypes=("float32",),
    ),
]
