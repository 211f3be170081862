"""What the loss functions refuse, and in which words."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from case import ErrorCase
from cases.loss import NAME


def fails(error: type[Exception], message: str, name: str, *arguments: Any) -> ErrorCase:
    """The call with arrays made of the tuples (values, dtype) among the arguments raises `message`."""
    return ErrorCase(
        f"{name}: {message}",
        (name,),
        lambda d, array: getattr(d, name)(*[array(*a) if isinstance(a, tuple) else a for a in arguments]),
        error,
        f"^{re.escape(f'{name}: {message}')}$",
    )


def of_targets(error: type[Exception], message: str, x: Any, t: Any) -> list[ErrorCase]:
    """The same fault of logits and targets in the loss and in its gradient."""
    return [fails(error, message, NAME, x, t), fails(error, message, f"{NAME}_grad", (np.ones(4),), x, t)]


LOGITS, TARGETS = (np.ones((4, 10)),), ([0, 1, 2, 3], "int32")


NO_INTEGERS = "has dtype int32, expected float32 or float64"


ERRORS = [
    # The first bad target is named.
    *of_targets(ValueError, "target 12 at index 3 is outside [0, 10)", LOGITS, ([0, 9, 0, 12], "int32")),
    *of_targets(ValueError, "target -1 at index 1 is outside [0, 10)", LOGITS, ([0, -1, -2, 12], "int32")),
    *of_targets(ValueError, "target 0 at index 0 is outside [0, 0)", (np.ones((4, 0)),), TARGETS),
    *of_targets(ValueError, "targets has shape (2,), expected (4,)", LOGITS, ([0, 1], "int32")),
    *of_targets(ValueError, "shapes differ: logits is (4, 10), targets is (4, 9)", LOGITS, (np.ones((4, 9)),)),
    *of_targets(
        TypeError, "targets have dtype float64, expected int32 or float32", LOGITS, (np.ones((4, 10)), "float64")
    ),
    *of_targets(TypeError, f"logits {NO_INTEGERS}", (np.ones((4, 10)), "int32"), TARGETS),
    *of_targets(ValueError, "logits has shape (4,), expected 2 dimensions", (np.ones(4),), TARGETS),
    fails(
        TypeError,
        "dtypes differ: dlosses is float64, logits is float32",
        f"{NAME}_grad",
        *((np.ones(4), "float64"), LOGITS, TARGETS),
    ),
    fails(ValueError, "dlosses has shape (3,), expected (4,)", f"{NAME}_grad", (np.ones(3),), LOGITS, TARGETS),
]
