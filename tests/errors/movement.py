"""What the movement functions refuse, and in which words."""

from __future__ import annotations

from typing import Any

import numpy as np
from case import ErrorCase


def error(name: str, function: str, call: Any, message: str, kind: type[Exception] = ValueError) -> ErrorCase:
    return ErrorCase(f"{function}: {name}", (function,), call, kind, f"^{function}: {message}$")


def zeros(*shape: int) -> np.ndarray:
    return np.zeros(shape)


def assign_own_rows(d: Any, array: Any) -> Any:
    x = array(zeros(4, 2))
    return d.assign_rows(x, array([0, 1], "int32"), x.view(2, (2, 2)))


ERRORS = [
    error(
        "axes of the wrong length",
        "transpose",
        lambda d, a: d.transpose(a(zeros(2, 3)), (0,)),
        r"axes are \(0,\), expected one for each dimension of \(2, 3\)",
    ),
    error(
        "axis out of range",
        "transpose",
        lambda d, a: d.transpose(a(zeros(2, 3)), (0, 2)),
        r"axis 2 is not an axis of \(2, 3\)",
    ),
    error(
        "axis repeated",
        "transpose",
        lambda d, a: d.transpose(a(zeros(2, 3)), (1, -1)),
        r"axes are \(1, -1\): axis 1 is repeated",
    ),
    error(
        "sizes that do not fit",
        "broadcast_to",
        lambda d, a: d.broadcast_to(a(zeros(2, 3)), (2, 4)),
        r"\(2, 3\) does not broadcast to \(2, 4\)",
    ),
    error(
        "fewer dimensions",
        "broadcast_to",
        lambda d, a: d.broadcast_to(a(zeros(1, 3)), (3,)),
        r"\(1, 3\) does not broadcast to \(3,\)",
    ),
    error(
        "too large",
        "broadcast_to",
        lambda d, a: d.broadcast_to(a(zeros(1, 1)), (2**40, 2**40)),
        r"an array of shape \(1099511627776, 1099511627776\) has more than 2\*\*63 bytes",
    ),
    error("no arrays", "concatenate", lambda d, a: d.concatenate([], 0), "no arrays were given"),
    error(
        "None",
        "concatenate",
        lambda d, a: d.concatenate([a([1.0]), None], 0),
        r"arrays\[1\] is a NoneType, expected an Array",
        TypeError,
    ),
    error(
        "of scalars",
        "concatenate",
        lambda d, a: d.concatenate([a(1.0), a(2.0)], 0),
        r"axis 0 is not an axis of \(\)",
    ),
    error(
        "dtypes",
        "concatenate",
        lambda d, a: d.concatenate([a([1.0]), a([1.0], "float64")], 0),
        r"dtypes differ: arrays\[0\] is float32, arrays\[1\] is float64",
        TypeError,
    ),
    error(
        "shapes",
        "concatenate",
        lambda d, a: d.concatenate([a(zeros(2, 3)), a(zeros(1, 3)), a(zeros(2, 4))], 0),
        r"shapes differ beyond axis 0: arrays\[0\] is \(2, 3\), arrays\[2\] is \(2, 4\)",
    ),
    error(
        "dimensions",
        "concatenate",
        lambda d, a: d.concatenate([a(zeros(2, 3)), a(zeros(2))], 1),
        r"shapes differ beyond axis 1: arrays\[0\] is \(2, 3\), arrays\[1\] is \(2,\)",
    ),
    error(
        "total above 63 bits",
        "concatenate",
        lambda d, a: d.concatenate([d.empty((2**62, 0), "float32")] * 2, 0),
        "axis 0 of the result has more than 63 bits",
    ),
    error(
        "past the end",
        "narrow",
        lambda d, a: d.narrow(a(zeros(2, 3)), 1, 2, 2),
        r"2 from 2 do not lie within axis 1 of \(2, 3\)",
    ),
    error(
        "negative start",
        "narrow",
        lambda d, a: d.narrow(a(zeros(2, 3)), -1, -1, 2),
        r"2 from -1 do not lie within axis 1 of \(2, 3\)",
    ),
    error("axis", "narrow", lambda d, a: d.narrow(a(zeros(2)), 1, 0, 0), r"axis 1 is not an axis of \(2,\)"),
    error(
        "past the end",
        "embed",
        lambda d, a: d.embed(a(zeros(2, 3)), 1, 2, 4),
        r"axis 1 of \(2, 3\) at 2 does not lie within 4",
    ),
    error(
        "negative length",
        "embed",
        lambda d, a: d.embed(a(zeros(2, 0)), 1, 0, -1),
        r"axis 1 of \(2, 0\) at 0 does not lie within -1",
    ),
    error("axis", "embed", lambda d, a: d.embed(a(1.0), 0, 0, 1), r"axis 0 is not an axis of \(\)"),
    error(
        "too large",
        "embed",
        lambda d, a: d.embed(a(zeros(2, 1)), 1, 0, 2**62),
        r"an array of shape \(2, 4611686018427387904\) has more than 2\*\*63 bytes",
    ),
    error(
        "of a scalar",
        "gather",
        lambda d, a: d.gather(a(1.0), a([0], "int32")),
        r"x has shape \(\), expected at least 1 dimension",
    ),
    error(
        "float indices",
        "gather",
        lambda d, a: d.gather(a([1.0]), a([0.0])),
        "indices has dtype float32, expected int32",
        TypeError,
    ),
    error(
        "two-dimensional indices",
        "gather",
        lambda d, a: d.gather(a([1.0]), a([[0]], "int32")),
        r"indices has shape \(1, 1\), expected 1 dimension",
    ),
    error(
        "index too large",
        "gather",
        lambda d, a: d.gather(a(zeros(5, 2)), a([0, 4, 5, 9], "int32")),
        r"indices\[2\] is 5, expected 0 <= index < 5",
    ),
    error(
        "negative index far on",
        "gather",
        lambda d, a: d.gather(a(zeros(5, 2)), a([*[1] * 3000, -1], "int32")),
        r"indices\[3000\] is -1, expected 0 <= index < 5",
    ),
    error(
        "int32",
        "scatter_add",
        lambda d, a: d.scatter_add(a([1], "int32"), a([0], "int32"), a([1], "int32")),
        "x has dtype int32, expected float32 or float64",
        TypeError,
    ),
    error(
        "dtypes",
        "scatter_add",
        lambda d, a: d.scatter_add(a([1.0]), a([0], "int32"), a([1.0], "float64")),
        "dtypes differ: x is float32, rows is float64",
        TypeError,
    ),
    error(
        "of a scalar",
        "scatter_add",
        lambda d, a: d.scatter_add(a(1.0), a([0], "int32"), a([1.0])),
        r"x has shape \(\), expected at least 1 dimension",
    ),
    error(
        "rows of another shape",
        "scatter_add",
        lambda d, a: d.scatter_add(a(zeros(4, 2)), a([0, 1, 2], "int32"), a(zeros(2, 2))),
        r"rows has shape \(2, 2\), expected \(3, 2\)",
    ),
    error(
        "index",
        "scatter_add",
        lambda d, a: d.scatter_add(a(zeros(4, 2)), a([4], "int32"), a(zeros(1, 2))),
        r"indices\[0\] is 4, expected 0 <= index < 4",
    ),
    error(
        "two-dimensional indices",
        "scatter_add",
        lambda d, a: d.scatter_add(a(zeros(4, 2)), a([[1]], "int32"), a(zeros(1, 2))),
        r"indices has shape \(1, 1\), expected 1 dimension",
    ),
    error(
        "float indices",
        "scatter_add",
        lambda d, a: d.scatter_add(a(zeros(4)), a([1.0]), a(zeros(1))),
        "indices has dtype float32, expected int32",
        TypeError,
    ),
    error("rows of its own", "assign_rows", assign_own_rows, "x shares memory with rows"),
    error(
        "dtypes",
        "assign_rows",
        lambda d, a: d.assign_rows(a([1.0]), a([0], "int32"), a([1.0], "float64")),
        "dtypes differ: x is float32, rows is float64",
        TypeError,
    ),
    error(
        "of a scalar",
        "assign_rows",
        lambda d, a: d.assign_rows(a(1.0), a([0], "int32"), a([1.0])),
        r"x has shape \(\), expected at least 1 dimension",
    ),
    error(
        "rows of another shape",
        "assign_rows",
        lambda d, a: d.assign_rows(a(zeros(4, 2)), a([0, 1, 2], "int32"), a(zeros(2, 2))),
        r"rows has shape \(2, 2\), expected \(3, 2\)",
    ),
    error(
        "index",
        "assign_rows",
        lambda d, a: d.assign_rows(a(zeros(4, 2)), a([4], "int32"), a(zeros(1, 2))),
        r"indices\[0\] is 4, expected 0 <= index < 4",
    ),
    error(
        "two-dimensional indices",
        "assign_rows",
        lambda d, a: d.assign_rows(a(zeros(4, 2)), a([[1]], "int32"), a(zeros(1, 2))),
        r"indices has shape \(1, 1\), expected 1 dimension",
    ),
    error(
        "float indices",
        "assign_rows",
        lambda d, a: d.assign_rows(a(zeros(4)), a([1.0]), a(zeros(1))),
        "indices has dtype float32, expected int32",
        TypeError,
    ),
    error(
        "label",
        "one_hot",
        lambda d, a: d.one_hot(a([0, 3, -2], "int32"), 3, "float32"),
        r"labels\[1\] is 3, expected 0 <= index < 3",
    ),
    error(
        "negative classes",
        "one_hot",
        lambda d, a: d.one_hot(a([0], "int32"), -1, "float32"),
        "classes is -1, expected at least 0",
    ),
    error(
        "float labels",
        "one_hot",
        lambda d, a: d.one_hot(a([0.0]), 3, "float32"),
        "labels has dtype float32, expected int32",
        TypeError,
    ),
    error(
        "dtype",
        "one_hot",
        lambda d, a: d.one_hot(a([0], "int32"), 3, "bool"),
        "dtype is 'bool', expected 'float32', 'float64' or 'int32'",
        TypeError,
    ),
    error(
        "too many dimensions",
        "one_hot",
        lambda d, a: d.one_hot(a(np.zeros((1,) * 8), "int32"), 3, "float32"),
        "labels has 8 dimensions, expected at most 7",
    ),
]
