"""What the elementwise functions refuse, and in which words."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
from case import ErrorCase
from cases.elementwise import DTYPES, UNARY
from cases.elementwise_binary import BINARY


def fails(error: type[Exception], message: str, call: Callable[..., Any]) -> ErrorCase:
    """`call(device, array)` raises `message`, which begins with the name of the function."""
    return ErrorCase(message, (message.split(":")[0],), call, error, f"^{re.escape(message)}$")


def calls(name: str, *arguments: Any) -> Callable[..., Any]:
    """The function with arrays made of the tuples (values, dtype) among the arguments."""
    return lambda d, array: getattr(d, name)(*[array(*a) if isinstance(a, tuple) else a for a in arguments])


ONE, TWO = ([1.0],), ([1.0, 2.0],)


WIDE, INTEGER = ([1.0], "float64"), ([1], "int32")


NO_INTEGERS = "has dtype int32, expected float32 or float64"


NO_FIT = {np.nan: "nan", -np.inf: "-inf", 2147483648.0: "2147483648.0", -2147483904.0: "-2147483904.0"}


def overlapping(d: Any, array: Any) -> Any:
    x = array([1.0, 2.0, 3.0, 4.0])
    return d.axpy(1.0, x.view(0, (3,)), x.view(1, (3,)))


ERRORS = [
    *[fails(TypeError, f"{name}: x {NO_INTEGERS}", calls(name, INTEGER)) for name in UNARY],
    *[fails(TypeError, f"{name}: a {NO_INTEGERS}", calls(name, INTEGER, INTEGER)) for name in BINARY],
    *[
        fails(TypeError, f"{name}: dtypes differ: a is float32, b is float64", calls(name, ONE, WIDE))
        for name in BINARY
    ],
    *[
        fails(
            ValueError,
            f"{name}: shapes (2, 3) and (4,) do not broadcast",
            calls(name, (np.ones((2, 3)),), (np.ones(4),)),
        )
        for name in BINARY
    ],
    fails(
        ValueError,
        "add: shapes (0, 3) and (2, 3) do not broadcast",
        calls("add", (np.ones((0, 3)),), (np.ones((2, 3)),)),
    ),
    fails(TypeError, f"affine: x {NO_INTEGERS}", calls("affine", INTEGER, 1.0, 0.0)),
    fails(TypeError, f"power_scalar: x {NO_INTEGERS}", calls("power_scalar", INTEGER, 2.0)),
    fails(TypeError, f"clamp: x {NO_INTEGERS}", calls("clamp", INTEGER, 0.0, 1.0)),
    fails(ValueError, "clamp: low is 2.0, high is 1.0, expected low <= high", calls("clamp", ONE, 2.0, 1.0)),
    fails(ValueError, "clamp: low is nan, high is 1.0, expected low <= high", calls("clamp", ONE, np.nan, 1.0)),
    fails(TypeError, f"where: condition {NO_INTEGERS}", calls("where", INTEGER, INTEGER, INTEGER)),
    fails(TypeError, "where: dtypes differ: condition is float32, a is float64", calls("where", ONE, WIDE, WIDE)),
    fails(TypeError, "where: dtypes differ: a is float32, b is float64", calls("where", ONE, ONE, WIDE)),
    fails(ValueError, "where: shapes differ: condition is (1,), a is (2,)", calls("where", ONE, TWO, TWO)),
    fails(ValueError, "where: shapes differ: a is (1,), b is (2,)", calls("where", ONE, ONE, TWO)),
    fails(TypeError, f"axpy: x {NO_INTEGERS}", calls("axpy", 1.0, INTEGER, INTEGER)),
    fails(TypeError, "axpy: dtypes differ: x is float32, y is float64", calls("axpy", 1.0, ONE, WIDE)),
    fails(ValueError, "axpy: shapes differ: x is (1,), y is (2,)", calls("axpy", 1.0, ONE, TWO)),
    fails(ValueError, "axpy: y shares memory with x", overlapping),
    fails(ValueError, "full: dimension -1 is negative", lambda d, array: d.full((2, -1), 0.0, "float32")),
    fails(
        TypeError,
        "full: dtype is 'int64', expected 'float32', 'float64' or 'int32'",
        lambda d, array: d.full((2,), 0.0, "int64"),
    ),
    *[
        fails(
            ValueError,
            f"full: value is {value}, expected an integer of 32 bits for dtype int32",
            lambda d, array, value=value: d.full((2,), value, "int32"),
        )
        for value in (0.5, 2147483648.0, float("nan"))
    ],
    fails(TypeError, "cast: dtype is 'int8', expected 'float32', 'float64' or 'int32'", calls("cast", ONE, "int8")),
    *[
        fails(
            ValueError,
            f"cast: {text} at index 1500 does not fit in int32",
            calls("cast", ([1.0] * 1500 + [value, np.nan], dtype), "int32"),
        )
        for value, text in NO_FIT.items()
        for dtype in DTYPES
    ],
]
