"""What the activation functions refuse, and in which words."""

from __future__ import annotations

import re
from typing import Any

from case import ErrorCase


def fails(error: type[Exception], message: str, name: str, *arguments: Any) -> ErrorCase:
    """The call with arrays made of the tuples (values, dtype) among the arguments raises `message`."""
    return ErrorCase(
        message,
        (name,),
        lambda d, array: getattr(d, name)(*[array(*a) if isinstance(a, tuple) else a for a in arguments]),
        error,
        f"^{re.escape(message)}$",
    )


ONE, TWO, NUMBER = ([1.0],), ([1.0, 2.0],), (1.0,)


WIDE, INTEGER = ([1.0], "float64"), ([1], "int32")


NO_INTEGERS = "has dtype int32, expected float32 or float64"


UNKNOWN = "activation is 'swish', expected identity, sigmoid, tanh, relu, leaky_relu, elu, softplus or lecun_tanh"


ERRORS = [
    fails(TypeError, f"activation: x {NO_INTEGERS}", "activation", INTEGER, "relu", 0.0),
    fails(ValueError, f"activation: {UNKNOWN}", "activation", ONE, "swish", 0.0),
    fails(ValueError, f"activation_grad: {UNKNOWN}", "activation_grad", ONE, ONE, "swish", 0.0),
    *[
        fails(
            ValueError,
            f"{name}: parameter of {kind} is {parameter}, expected at least 0",
            name,
            *arrays,
            kind,
            parameter,
        )
        for name, arrays in (("activation", [ONE]), ("activation_grad", [ONE, ONE]))
        for kind in ("leaky_relu", "elu")
        for parameter in (-0.5, float("nan"))
    ],
    *[
        case
        for name, more in (("activation_grad", ("relu", 0.0)), ("softmax_grad", ()), ("log_softmax_grad", ()))
        for case in (
            fails(TypeError, f"{name}: dy {NO_INTEGERS}", name, INTEGER, INTEGER, *more),
            fails(TypeError, f"{name}: dtypes differ: dy is float32, y is float64", name, ONE, WIDE, *more),
            fails(ValueError, f"{name}: shapes differ: dy is (1,), y is (2,)", name, ONE, TWO, *more),
        )
    ],
    *[
        case
        for name in ("softmax", "log_softmax")
        for case in (
            fails(TypeError, f"{name}: x {NO_INTEGERS}", name, INTEGER),
            fails(ValueError, f"{name}: x has shape (), expected at least one dimension", name, NUMBER),
            fails(
                ValueError,
                f"{name}_grad: y has shape (), expected at least one dimension",
                f"{name}_grad",
                *(NUMBER, NUMBER),
            ),
        )
    ],
]
