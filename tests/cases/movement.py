"""Copies that reorder, repeat, cut and join; rows by index."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from case import Case

RAW = ("float32",)  # calls whose arrays are int32 whatever the dtype under test


def values(*shape: int, special: bool = False) -> Any:
    def inputs(rng: np.random.Generator) -> np.ndarray:
        x = rng.standard_normal(shape)
        if special:
            x.reshape(-1)[: 5 * (x.size // 5)] = np.resize([np.nan, np.inf, -np.inf, -0.0, 1e-310], 5 * (x.size // 5))
        return x

    return inputs


def integers(*shape: int, high: int = 1000) -> Any:
    return lambda rng: rng.integers(0, high, shape).astype(np.int32)


def case(
    name: str, function: str, reference: Any, first: Any, *rest: Any, dtypes: Any = ("float32", "float64")
) -> Case:
    """`first` and those of `rest` that are callable make arrays; other arguments are passed as they are."""
    return Case(
        name=f"{function}: {name}",
        functions=(function,),
        inputs=lambda rng: [first(rng), *(r(rng) if callable(r) else r for r in rest)],
        call=lambda device, *arguments: getattr(device, function)(*arguments),
        reference=reference,
        tolerance=0.0,
        dtypes=dtypes,
    )


class Made:
    """A sequence that makes its items when they are asked for, and keeps none."""

    def __init__(self, *makers: Any) -> None:
        self.makers = makers

    def __len__(self) -> int:
        return len(self.makers)

    def __getitem__(self, i: int) -> Any:
        return self.makers[i]()


def transpose_cases() -> list[Case]:
    shapes = [
        ("matrix", (37, 53), (1, 0)),
        ("whole tiles", (64, 32), (1, 0)),
        ("large", (600, 411), (1, 0)),
        ("identity", (3, 4), (0, 1)),
        ("negative axes", (3, 4, 5), (-1, 0, -2)),
        ("images to channels last", (3, 5, 20, 19), (0, 2, 3, 1)),
        ("images from channels last", (3, 20, 19, 5), (0, 3, 1, 2)),
        ("batch to the end", (17, 5, 6, 3), (1, 2, 3, 0)),
        ("middle axes", (4, 19, 23, 8), (0, 2, 1, 3)),
        ("blocks swapped", (30, 40, 50), (1, 2, 0)),
        ("reversed", (3, 4, 5, 6, 7), (4, 3, 2, 1, 0)),
        ("eight axes", (2, 3, 1, 2, 3, 2, 1, 3), (7, 1, 6, 4, 3, 0, 2, 5)),
        ("axes of one", (1, 5, 1, 1), (3, 1, 0, 2)),
        ("vector", (7,), (0,)),
        ("scalar", (), ()),
        ("one element", (1, 1), (1, 0)),
        ("empty", (3, 0, 5), (2, 1, 0)),
        ("rows above the grain", (3, 40000), (1, 0)),
    ]
    cases = [case(name, "transpose", np.transpose, values(*shape, special=True), axes) for name, shape, axes in shapes]
    return [*cases, case("int32", "transpose", np.transpose, integers(19, 5, 3), (2, 0, 1), dtypes=RAW)]


def broadcast_cases() -> list[Case]:
    shapes = [
        ("row to matrix", (5,), (3, 5)),
        ("column to matrix", (3, 1), (3, 50)),
        ("scalar", (), (4, 5)),
        ("scalar above the grain", (1,), (100001,)),
        ("channels", (1, 3, 1, 1), (2, 3, 7, 9)),
        ("outer and inner", (4, 1, 5), (3, 4, 6, 5)),
        ("alternating", (2, 1, 3, 1, 2), (2, 4, 3, 5, 2)),
        ("nothing to do", (3, 4), (3, 4)),
        ("to an empty axis", (3, 1), (3, 0)),
        ("empty", (0, 1), (5, 0, 4)),
        ("one element", (1, 1), (1, 1, 1)),
        ("long rows", (1, 70000), (2, 70000)),
        ("large", (1, 300), (700, 300)),
    ]
    cases = [
        case(name, "broadcast_to", np.broadcast_to, values(*shape, special=True), target)
        for name, shape, target in shapes
    ]
    return [*cases, case("int32", "broadcast_to", np.broadcast_to, integers(3, 1), (2, 3, 4), dtypes=RAW)]


def concatenate_case(name: str, shapes: list[tuple[int, ...]], axis: int, integer: bool = False) -> Case:
    return Case(
        name=f"concatenate: {name}",
        functions=("concatenate",),
        inputs=lambda rng: [integers(*s)(rng) if integer else values(*s, special=True)(rng) for s in shapes],
        call=lambda device, *arrays: device.concatenate(list(arrays), axis),
        reference=lambda *arrays: np.concatenate(arrays, axis),
        tolerance=0.0,
        dtypes=RAW if integer else ("float32", "float64"),
    )


def narrow(x: np.ndarray, axis: int, start: int, length: int) -> np.ndarray:
    return np.take(x, range(start, start + length), axis)


def embed(x: np.ndarray, axis: int, start: int, length: int) -> np.ndarray:
    shape = list(x.shape)
    shape[axis] = length
    y = np.zeros(shape)
    y[(slice(None),) * (axis % x.ndim) + (slice(start, start + x.shape[axis]),)] = x
    return y


def scatter_add(x: np.ndarray, indices: np.ndarray, rows: np.ndarray) -> np.ndarray:
    y = x.copy()
    np.add.at(y, indices, rows)
    return y


def scatter_scale(x: np.ndarray, indices: np.ndarray, rows: np.ndarray) -> np.ndarray:
    counts = np.bincount(indices, minlength=len(x)).reshape(-1, *[1] * (x.ndim - 1))
    return (counts + 1) * scatter_add(np.abs(x), indices, np.abs(rows))


def scatter_case(name: str, x_shape: tuple[int, ...], n: int, integer: bool = False) -> Case:
    """Integer values must come out exact; others within one rounding for each row added."""

    def inputs(rng: np.random.Generator) -> list[np.ndarray]:
        make = (lambda s: rng.integers(-9, 10, s).astype(float)) if integer else rng.standard_normal
        return [make(x_shape), integers(n, high=max(x_shape[0], 1))(rng), make((n, *x_shape[1:]))]

    return Case(
        name=f"scatter_add: {name}",
        functions=("scatter_add",),
        inputs=inputs,
        call=lambda device, x, indices, rows: device.scatter_add(x, indices, rows),
        reference=scatter_add,
        tolerance=0.0 if integer else 1.0,
        scale=scatter_scale,
    )


def assign_case(name: str, x_shape: tuple[int, ...], n: int, **options: Any) -> Case:
    def reference(x: np.ndarray, indices: np.ndarray, rows: np.ndarray) -> np.ndarray:
        y = x.copy()
        for i, row in zip(indices, rows, strict=True):
            y[i] = row
        return y

    make = integers if options else values
    return Case(
        name=f"assign_rows: {name}",
        functions=("assign_rows",),
        inputs=lambda rng: [make(*x_shape)(rng), integers(n, high=max(x_shape[0], 1))(rng), make(n, *x_shape[1:])(rng)],
        call=lambda device, x, indices, rows: device.assign_rows(x, indices, rows),
        reference=reference,
        tolerance=0.0,
        **options,
    )


def one_hot_case(name: str, shape: tuple[int, ...], classes: int, dtype: str) -> Case:
    def reference(labels: np.ndarray) -> np.ndarray:
        y = np.zeros((prod(shape), classes), dtype)
        y[np.arange(prod(shape)), labels.reshape(-1)] = 1
        return y.reshape(*shape, classes)

    return Case(
        name=f"one_hot: {name}",
        functions=("one_hot",),
        inputs=lambda rng: [integers(*shape, high=max(classes, 1))(rng)],
        call=lambda device, labels: device.one_hot(labels, classes, dtype),
        reference=reference,
        tolerance=0.0,
        dtypes=RAW,
    )


CASES = [
    *transpose_cases(),
    *broadcast_cases(),
    concatenate_case("rows", [(2, 5), (0, 5), (4, 5), (1, 5)], 0),
    concatenate_case("columns", [(3, 2), (3, 0), (3, 7)], -1),
    concatenate_case("channels", [(4, 3, 6, 5), (4, 2, 6, 5)], 1),
    concatenate_case("one array", [(3, 4)], 0),
    Case(
        name="concatenate: a sequence that keeps nothing",
        functions=("concatenate",),
        inputs=lambda rng: [rng.standard_normal((300, 7)), rng.standard_normal((20, 7))],
        call=lambda device, a, b: device.concatenate(Made(a.copy, b.copy, a.copy), 0),
        reference=lambda a, b: np.concatenate([a, b, a]),
        tolerance=0.0,
    ),
    Case(
        name="broadcast_to: a shape that keeps nothing",
        functions=("broadcast_to",),
        inputs=lambda rng: [rng.standard_normal(1003)],
        call=lambda device, x: device.broadcast_to(x, Made(lambda: len([x] * 2011), lambda: x.size)),
        reference=lambda x: np.broadcast_to(x, (2011, 1003)),
        tolerance=0.0,
    ),
    concatenate_case("vectors above the grain", [(70000,), (1,), (40001,)], 0),
    concatenate_case("large rows", [(400, 130), (400, 77)], 1),
    concatenate_case("empty", [(0, 3), (0, 3)], 0),
    concatenate_case("int32", [(5, 2), (5, 3)], 1, integer=True),
    case("first axis", "narrow", narrow, values(6, 5, special=True), 0, 2, 3),
    case("middle axis", "narrow", narrow, values(3, 7, 5), 1, 1, 4),
    case("last axis", "narrow", narrow, values(300, 250), -1, 3, 201),
    case("nothing", "narrow", narrow, values(3, 4), 1, 4, 0),
    case("everything", "narrow", narrow, values(3, 4), 1, 0, 4),
    case("of no rows", "narrow", narrow, values(0, 4), 1, 1, 2),
    case("int32", "narrow", narrow, integers(9), 0, 2, 5, dtypes=RAW),
    case("first axis", "embed", embed, values(3, 5, special=True), 0, 2, 6),
    case("middle axis", "embed", embed, values(3, 4, 5), 1, 1, 7),
    case("last axis", "embed", embed, values(300, 201), -1, 3, 250),
    case("nothing", "embed", embed, values(3, 0), 1, 2, 4),
    case("whole", "embed", embed, values(3, 4), 1, 0, 4),
    case("of no rows", "embed", embed, values(0, 4), 1, 1, 6),
    case("int32", "embed", embed, integers(5), 0, 2, 9, dtypes=RAW),
    case("rows", "gather", lambda x, i: x[i], values(11, 7, special=True), integers(30, high=11)),
    case("scalars", "gather", lambda x, i: x[i], values(11), integers(30, high=11)),
    case("images", "gather", lambda x, i: x[i], values(9, 3, 4, 5), integers(6, high=9)),
    case("large", "gather", lambda x, i: x[i], values(300, 784), integers(128, high=300)),
    case("no indices", "gather", lambda x, i: x[i], values(4, 3), integers(0)),
    case("no columns", "gather", lambda x, i: x[i], values(4, 0), integers(3, high=4)),
    case("no rows, no indices", "gather", lambda x, i: x[i], values(0, 3), integers(0)),
    case("int32", "gather", lambda x, i: x[i], integers(9, 2), integers(5, high=9), dtypes=RAW),
    assign_case("rows, of which the last counts", (5, 7), 40),
    assign_case("large", (300, 784), 128),
    assign_case("scalars", (11,), 5),
    assign_case("images", (9, 3, 4, 5), 6),
    assign_case("no indices", (4, 3), 0),
    assign_case("no columns", (4, 0), 3),
    assign_case("int32", (9, 2), 5, dtypes=RAW),
    scatter_case("rows", (5, 7), 40),
    scatter_case("integers are exact", (50, 300), 400, integer=True),
    scatter_case("scalars", (5,), 12),
    scatter_case("images", (4, 3, 5, 6), 9),
    scatter_case("wide", (8, 5000), 64),
    scatter_case("no indices", (4, 3), 0),
    scatter_case("no columns", (4, 0), 3),
    scatter_case("no rows", (0, 3), 0),
    one_hot_case("float32", (13,), 10, "float32"),
    one_hot_case("float64", (4, 5), 3, "float64"),
    one_hot_case("int32", (7,), 2, "int32"),
    one_hot_case("large", (20000,), 10, "float32"),
    one_hot_case("scalar", (), 4, "float32"),
    one_hot_case("no labels", (0,), 10, "float32"),
    one_hot_case("no labels, no classes", (0,), 0, "float32"),
]
