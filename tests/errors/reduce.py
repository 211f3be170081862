"""What the reduce functions refuse, and in which words."""

from __future__ import annotations

from typing import Any

import numpy as np
from case import ErrorCase


def error(name: str, function: str, call: Any, message: str, kind: type[Exception] = ValueError) -> ErrorCase:
    return ErrorCase(f"{function}: {name}", (function,), call, kind, f"^{function}: {message}$")


def zeros(*shape: int) -> np.ndarray:
    return np.zeros(shape)


def overlap(d: Any, array: Any) -> Any:
    block = array(zeros(8))
    return d.sum(block.view(0, (2, 3)), (0,), False, block.view(5, (3,)))


ERRORS = [
    error(
        "axis out of range",
        "sum",
        lambda d, a: d.sum(a(zeros(2, 3)), (0, 2), False),
        r"axis 2 is not an axis of \(2, 3\)",
    ),
    error(
        "axis repeated",
        "sum",
        lambda d, a: d.sum(a(zeros(2, 3)), (1, -1), False),
        r"axes are \(1, -1\): axis 1 is repeated",
    ),
    error(
        "int32",
        "sum",
        lambda d, a: d.sum(a([1, 2], "int32"), None, False),
        "x has dtype int32, expected float32 or float64",
        TypeError,
    ),
    error(
        "shape of out",
        "sum",
        lambda d, a: d.sum(a(zeros(2, 3)), (0,), False, a(zeros(2))),
        r"out has shape \(2,\), expected \(3,\)",
    ),
    error(
        "dtype of out",
        "sum",
        lambda d, a: d.sum(a(zeros(2, 3)), (0,), False, a(zeros(3), "float64")),
        "out has dtype float64, expected float32",
        TypeError,
    ),
    error("out overlaps x", "sum", overlap, "out shares memory with x"),
    error(
        "shape that does not fit",
        "sum_to",
        lambda d, a: d.sum_to(a(zeros(2, 3)), (2,)),
        r"\(2,\) does not broadcast to \(2, 3\)",
    ),
    error(
        "more dimensions",
        "sum_to",
        lambda d, a: d.sum_to(a(zeros(2, 3)), (1, 2, 3)),
        r"\(1, 2, 3\) does not broadcast to \(2, 3\)",
    ),
    error(
        "int32",
        "sum_to",
        lambda d, a: d.sum_to(a([1, 2], "int32"), ()),
        "x has dtype int32, expected float32 or float64",
        TypeError,
    ),
    *[
        item
        for name in ("max", "min", "argmax")
        for rest in [() if name == "argmax" else (False,)]
        for item in [
            error(
                "empty axis",
                name,
                lambda d, a, name=name, rest=rest: getattr(d, name)(a(zeros(3, 0)), 1, *rest),
                r"axis 1 of \(3, 0\) is empty",
            ),
            error(
                "empty array",
                name,
                lambda d, a, name=name, rest=rest: getattr(d, name)(a(zeros(0, 3)), None, *rest),
                r"an array of shape \(0, 3\) is empty",
            ),
            error(
                "axis out of range",
                name,
                lambda d, a, name=name, rest=rest: getattr(d, name)(a(zeros(2, 3)), -3, *rest),
                r"axis -3 is not an axis of \(2, 3\)",
            ),
            error(
                "int32",
                name,
                lambda d, a, name=name, rest=rest: getattr(d, name)(a([1, 2], "int32"), 0, *rest),
                "x has dtype int32, expected float32 or float64",
                TypeError,
            ),
        ]
    ],
    error(
        "axis longer than an index can say",
        "max",
        lambda d, a: d.max(d.empty((2**31, 0), "float32"), 0, False),
        "2147483648 elements are more than an int32 index can number",
    ),
    error(
        "int32",
        "logsumexp",
        lambda d, a: d.logsumexp(a([1, 2], "int32")),
        "x has dtype int32, expected float32 or float64",
        TypeError,
    ),
    error("scalar", "logsumexp", lambda d, a: d.logsumexp(a(1.0)), r"x has shape \(\), expected at least 1 dimension"),
    error(
        "shapes",
        "dot",
        lambda d, a: d.dot(a(zeros(2, 3)), a(zeros(6))),
        r"shapes differ: a is \(2, 3\), b is \(6,\)",
    ),
    error(
        "dtypes",
        "dot",
        lambda d, a: d.dot(a(zeros(2)), a(zeros(2), "float64")),
        "dtypes differ: a is float32, b is float64",
        TypeError,
    ),
    error(
        "int32",
        "dot",
        lambda d, a: d.dot(a([1], "int32"), a([1], "int32")),
        "a has dtype int32, expected float32 or float64",
        TypeError,
    ),
]
