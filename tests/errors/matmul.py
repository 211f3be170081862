"""What the matmul functions refuse, and in which words."""

from __future__ import annotations

from typing import Any

import numpy as np
from case import ErrorCase


def zeros(array: Any, *shape: int, dtype: str = "float32") -> Any:
    return array(np.zeros(shape), dtype)


def overlap(d: Any, array: Any, operand: str) -> Any:
    block = zeros(array, 32)
    out = block.view(3, (4, 4))
    a, b = (
        (block.view(0, (4, 4)), zeros(array, 4, 4)) if operand == "a" else (zeros(array, 4, 4), block.view(16, (4, 4)))
    )
    return d.matmul(a, b, out=out)


ERRORS: list[ErrorCase] = [
    ErrorCase(
        "precision",
        ("set_matmul_precision",),
        lambda d, array: d.set_matmul_precision("fp8"),
        ValueError,
        r"^set_matmul_precision: mode is 'fp8', expected exact, bf16x2 or bf16$",
    ),
    ErrorCase(
        "integers",
        ("matmul",),
        lambda d, array: d.matmul(zeros(array, 2, 3, dtype="int32"), zeros(array, 3, 2)),
        TypeError,
        r"^matmul: a has dtype int32, expected float32 or float64$",
    ),
    ErrorCase(
        "dtypes",
        ("matmul",),
        lambda d, array: d.matmul(zeros(array, 2, 3), zeros(array, 3, 2, dtype="float64")),
        TypeError,
        r"^matmul: dtypes differ: a is float32, b is float64$",
    ),
    ErrorCase(
        "rank of a",
        ("matmul",),
        lambda d, array: d.matmul(zeros(array, 3), zeros(array, 3, 2)),
        ValueError,
        r"^matmul: a has shape \(3,\), expected 2 dimensions$",
    ),
    ErrorCase(
        "rank of b",
        ("matmul",),
        lambda d, array: d.matmul(zeros(array, 2, 3), zeros(array, 3, 2, 1)),
        ValueError,
        r"^matmul: b has shape \(3, 2, 1\), expected 2 dimensions$",
    ),
    ErrorCase(
        "inner dimensions",
        ("matmul",),
        lambda d, array: d.matmul(zeros(array, 2, 3), zeros(array, 4, 5)),
        ValueError,
        r"^matmul: inner dimensions differ: a is \(2, 3\), b is \(4, 5\)$",
    ),
    ErrorCase(
        "inner dimensions, transposed",
        ("matmul",),
        lambda d, array: d.matmul(zeros(array, 2, 3), zeros(array, 3, 5), transpose_a=True, transpose_b=True),
        ValueError,
        r"^matmul: inner dimensions differ: a is \(2, 3\) transposed, b is \(3, 5\) transposed$",
    ),
    ErrorCase(
        "beta without out",
        ("matmul",),
        lambda d, array: d.matmul(zeros(array, 2, 3), zeros(array, 3, 2), beta=0.5),
        ValueError,
        r"^matmul: out is missing: beta is 0\.500000$",
    ),
    ErrorCase(
        "shape of out",
        ("matmul",),
        lambda d, array: d.matmul(zeros(array, 2, 3), zeros(array, 3, 4), out=zeros(array, 4, 2)),
        ValueError,
        r"^matmul: out has shape \(4, 2\), expected \(2, 4\)$",
    ),
    ErrorCase(
        "dtype of out",
        ("matmul",),
        lambda d, array: d.matmul(zeros(array, 2, 3), zeros(array, 3, 4), out=zeros(array, 2, 4, dtype="float64")),
        TypeError,
        r"^matmul: out has dtype float64, expected float32$",
    ),
    ErrorCase(
        "out overlaps a",
        ("matmul",),
        lambda d, array: overlap(d, array, "a"),
        ValueError,
        r"^matmul: out shares memory with a$",
    ),
    ErrorCase(
        "out overlaps b",
        ("matmul",),
        lambda d, array: overlap(d, array, "b"),
        ValueError,
        r"^matmul: out shares memory with b$",
    ),
    ErrorCase(
        "size of the product",
        ("matmul",),
        lambda d, array: d.matmul(zeros(array, 2**40, 0), zeros(array, 0, 2**40)),
        ValueError,
        r"^matmul: an array of shape \(1099511627776, 1099511627776\) has more than 2\*\*63 bytes$",
    ),
    ErrorCase(
        "integers",
        ("linear",),
        lambda d, array: d.linear(zeros(array, 2, 3, dtype="int32"), zeros(array, 3, 2)),
        TypeError,
        r"^linear: x has dtype int32, expected float32 or float64$",
    ),
    ErrorCase(
        "dtypes",
        ("linear",),
        lambda d, array: d.linear(zeros(array, 2, 3), zeros(array, 3, 2, dtype="float64")),
        TypeError,
        r"^linear: dtypes differ: x is float32, weight is float64$",
    ),
    ErrorCase(
        "rank of x",
        ("linear",),
        lambda d, array: d.linear(zeros(array, 3), zeros(array, 3, 2)),
        ValueError,
        r"^linear: x has shape \(3,\), expected 2 dimensions$",
    ),
    ErrorCase(
        "rank of weight",
        ("linear",),
        lambda d, array: d.linear(zeros(array, 2, 3), zeros(array, 3)),
        ValueError,
        r"^linear: weight has shape \(3,\), expected 2 dimensions$",
    ),
    ErrorCase(
        "inner dimensions",
        ("linear",),
        lambda d, array: d.linear(zeros(array, 2, 3), zeros(array, 4, 5)),
        ValueError,
        r"^linear: inner dimensions differ: x is \(2, 3\), weight is \(4, 5\)$",
    ),
    ErrorCase(
        "length of bias",
        ("linear",),
        lambda d, array: d.linear(zeros(array, 2, 3), zeros(array, 3, 5), zeros(array, 4)),
        ValueError,
        r"^linear: bias has shape \(4,\), expected \(5,\)$",
    ),
    ErrorCase(
        "dtype of bias",
        ("linear",),
        lambda d, array: d.linear(zeros(array, 2, 3), zeros(array, 3, 5), zeros(array, 5, dtype="float64")),
        TypeError,
        r"^linear: dtypes differ: x is float32, bias is float64$",
    ),
    ErrorCase(
        "activation",
        ("linear",),
        lambda d, array: d.linear(zeros(array, 2, 3), zeros(array, 3, 5), activation="gelu"),
        ValueError,
        "^linear: activation is 'gelu', expected identity, sigmoid, tanh, relu, leaky_relu, elu, softplus or "
        "lecun_tanh$",
    ),
    ErrorCase(
        "linear parameter",
        ("linear",),
        lambda d, array: d.linear(zeros(array, 2, 3), zeros(array, 3, 5), activation="leaky_relu", parameter=-0.5),
        ValueError,
        r"^linear: parameter of leaky_relu is -0\.5, expected at least 0$",
    ),
]
