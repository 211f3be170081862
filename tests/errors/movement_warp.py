"""What the warps refuse, and in which words."""

from __future__ import annotations

from typing import Any

import numpy as np
from case import ErrorCase


def error(name: str, function: str, call: Any, message: str, kind: type[Exception] = ValueError) -> ErrorCase:
    return ErrorCase(f"{function}: {name}", (function,), call, kind, f"^{function}: {message}$")


def both(name: str, images: Any, maps: Any, field: Any, message: str, kind: type[Exception] = ValueError) -> list[Any]:
    """The same for the images `x` of warp2d and `dy` of warp2d_grad; {} in the message is that name."""
    return [
        error(
            name,
            function,
            lambda d, a, function=function: getattr(d, function)(*(make(a) for make in (images, maps, field) if make)),
            message.replace("{}", argument),
            kind,
        )
        for function, argument in (("warp2d", "x"), ("warp2d_grad", "dy"))
    ]


def zeros(*shape: int, dtype: str = "float32") -> Any:
    return lambda array: array(np.zeros(shape), dtype)


IMAGES, MAPS = zeros(2, 1, 4, 5), zeros(2, 2, 3)

ERRORS = [
    *both("integers", zeros(2, 1, 4, 5, dtype="int32"), MAPS, None,
          "{} has dtype int32, expected float32 or float64", TypeError),
    *both("matrices", zeros(4, 5), MAPS, None, r"{} has shape \(4, 5\), expected 4 dimensions"),
    *both("another dtype of maps", IMAGES, zeros(2, 2, 3, dtype="float64"), None,
          "dtypes differ: {} is float32, maps is float64", TypeError),
    *both("one map for two images", IMAGES, zeros(1, 2, 3), None, r"maps has shape \(1, 2, 3\), expected \(2, 2, 3\)"),
    *both("maps without shifts", IMAGES, zeros(2, 2, 2), None, r"maps has shape \(2, 2, 2\), expected \(2, 2, 3\)"),
    *both("another dtype of the field", IMAGES, MAPS, zeros(2, 2, 4, 5, dtype="float64"),
          "dtypes differ: {} is float32, field is float64", TypeError),
    *both("a field of another size", IMAGES, MAPS, zeros(2, 2, 5, 4),
          r"field has shape \(2, 2, 5, 4\), expected \(2, 2, 4, 5\)"),
]  # fmt: skip
