"""What the loss_pointwise functions refuse, and in which words."""

from __future__ import annotations

import re
from typing import Any

from case import ErrorCase

ONE, TWO = ([1.0],), ([1.0, 2.0],)


WIDE, INTEGER = ([1.0], "float64"), ([1], "int32")


NO_INTEGERS = "prediction has dtype int32, expected float32 or float64"


NAMES = (
    "squared, absolute, epsilon_insensitive, huber, log_cosh, hinge, kl, squared_hinge, logistic, kl_log, log_loss, "
    "poisson, focal, poisson_log, gaussian_kernel, zero_one, tolerance, correntropy"
)


def fails(error: type[Exception], message: str, function: str, *arguments: Any) -> ErrorCase:
    return ErrorCase(
        f"{function}: {message}",
        (function,),
        lambda d, array: getattr(d, function)(*[array(*a) if isinstance(a, tuple) else a for a in arguments]),
        error,
        f"^{re.escape(f'{function}: {message}')}$",
    )


def of_derivative(name: str) -> list[ErrorCase]:
    return [
        fails(ValueError, f"kind is 'square', expected one of {NAMES}", name, ONE, ONE, ONE, "square", 1.0),
        fails(ValueError, "kind 'zero_one' has no derivative", name, ONE, ONE, ONE, "zero_one", 0.0),
        fails(ValueError, "kind 'tolerance' has no derivative", name, ONE, ONE, ONE, "tolerance", 1.0),
        fails(TypeError, NO_INTEGERS, name, ONE, INTEGER, ONE, "kl", 0.0),
        fails(TypeError, "dtypes differ: prediction is float32, target is float64", name, ONE, ONE, WIDE, "kl", 0.0),
        fails(ValueError, "shapes differ: prediction is (1,), target is (2,)", name, ONE, ONE, TWO, "kl", 0.0),
        fails(TypeError, "dtypes differ: dlosses is float64, prediction is float32", name, WIDE, ONE, ONE, "kl", 0.0),
        fails(ValueError, "shapes differ: dlosses is (2,), prediction is (1,)", name, TWO, ONE, ONE, "kl", 0.0),
    ]


VALUE = "pointwise_loss"


ERRORS = [
    fails(ValueError, f"kind is 'square', expected one of {NAMES}", VALUE, ONE, ONE, "square", 1.0),
    fails(TypeError, NO_INTEGERS, VALUE, INTEGER, ONE, "kl", 0.0),
    fails(TypeError, "dtypes differ: prediction is float32, target is float64", VALUE, ONE, WIDE, "kl", 0.0),
    fails(ValueError, "shapes differ: prediction is (1,), target is (2,)", VALUE, ONE, TWO, "kl", 0.0),
    *of_derivative("pointwise_loss_grad"),
    *of_derivative("pointwise_loss_hessian"),
]
