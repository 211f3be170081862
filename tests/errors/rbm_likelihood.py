"""What the likelihoods of an RBM refuse, and in which words."""

from __future__ import annotations

from typing import Any

import numpy as np
from case import ErrorCase

NAN = float("nan")
GOOD: dict[str, Any] = {
    "v": ((4, 3), "float32"),
    "weight": ((3, 2), "float32"),
    "visible_bias": ((3,), "float32"),
    "hidden_bias": ((2,), "float32"),
    "base_bias": ((3,), "float32"),
    "betas": ((5,), "float64"),
    "log_weights": ((4,), "float64"),
    "key": 3,
    "step": 4,
}
ARGUMENTS = {
    "rbm_log_partition": ("weight", "visible_bias", "hidden_bias"),
    "rbm_pseudo_log_likelihood": ("v", "weight", "visible_bias", "hidden_bias"),
    "rbm_ais": tuple(GOOD),
}


def raises(function: str, message: str, error: type[Exception] = ValueError, **changed: Any) -> ErrorCase:
    """Good arguments but for those `changed`; arrays are (shape, dtype, values for the first elements)."""

    def call(device: Any, array: Any) -> Any:
        arguments = {}
        for name in (*ARGUMENTS[function], *(changed.keys() & {"first", "count"})):
            given = changed.get(name, GOOD.get(name))
            if isinstance(given, tuple):
                shape, dtype, values = (*given, ())[:3]
                a = np.zeros(shape, dtype)
                a.reshape(-1)[: len(values)] = values
                given = array(a, dtype)
            arguments[name] = given
        for name, other in changed.items():
            if other in ARGUMENTS[function]:  # shares that argument's memory
                arguments[name] = arguments[other]
        return getattr(device, function)(**arguments)

    message = f"{function}: {message}"
    return ErrorCase(name=message, functions=(function,), call=call, error=error, message=message)


ERRORS = [
    *(
        raises(f, "weight has dtype int32, expected float32 or float64", TypeError, weight=((3, 2), "int32"))
        for f in ARGUMENTS
    ),
    *(raises(f, r"weight has shape \(6,\), expected 2 dimensions", weight=((6,), "float32")) for f in ARGUMENTS),
    *(
        raises(f, rf"{bias} has shape \(7,\), expected {shape}", **{bias: ((7,), "float32")})
        for f in ARGUMENTS
        for bias, shape in (("visible_bias", r"\(3,\)"), ("hidden_bias", r"\(2,\)"))
    ),
    *(
        raises(f, "dtypes differ: weight is float32, hidden_bias is float64", TypeError, hidden_bias=((2,), "float64"))
        for f in ARGUMENTS
    ),
    *(
        raises(f, r"numbers of visible units differ: v is \(4, 5\), weight is \(3, 2\)", v=((4, 5), "float32"))
        for f in ("rbm_pseudo_log_likelihood", "rbm_ais")
    ),
    *(
        raises(f, r"v is nan at \(0, 1\), expected numbers in \[0, 1\]", v=((4, 3), "float32", (1, NAN)))
        for f in ("rbm_pseudo_log_likelihood", "rbm_ais")
    ),
    raises(
        "rbm_log_partition",
        "the smaller layer has 29 units, expected at most 28",
        weight=((29, 30), "float32"),
        visible_bias=((29,), "float32"),
        hidden_bias=((30,), "float32"),
    ),
    raises("rbm_log_partition", "first is 4, there are 4 states", first=4),
    raises("rbm_log_partition", r"first is -1, expected 0 to 2\*\*62 - 1", first=-1),
    raises("rbm_log_partition", "count is 0, expected 1 to 4", count=0),
    raises("rbm_log_partition", "count is 4, expected 1 to 3", first=1, count=4),
    raises("rbm_log_partition", "count is a float, expected an integer", TypeError, count=1.5),
    raises("rbm_ais", r"base_bias has shape \(2,\), expected \(3,\)", base_bias=((2,), "float32")),
    raises("rbm_ais", "dtypes differ: weight is float32, base_bias is float64", TypeError, base_bias=((3,), "float64")),
    raises("rbm_ais", "betas has dtype float32, expected float64", TypeError, betas=((5,), "float32")),
    raises("rbm_ais", r"betas has shape \(1,\), expected at least two", betas=((1,), "float64")),
    raises("rbm_ais", r"betas has shape \(1, 5\), expected 1 dimension", betas=((1, 5), "float64")),
    raises("rbm_ais", r"betas is 1.5 at \(1,\), expected numbers in \[0, 1\]", betas=((5,), "float64", (0, 1.5))),
    raises("rbm_ais", "log_weights has dtype float32, expected float64", TypeError, log_weights=((4,), "float32")),
    raises("rbm_ais", r"log_weights has shape \(3,\), expected \(4,\)", log_weights=((3,), "float64")),
    raises("rbm_ais", "log_weights shares memory with betas", betas=((4,), "float64"), log_weights="betas"),
    raises("rbm_ais", "v shares memory with weight", weight=((3, 3), "float32"), hidden_bias=((3,), "float32"),
           v="weight", log_weights=((3,), "float64")),
    raises("rbm_ais", r"key is -1, expected 0 to 2\*\*64 - 1", key=-1),
    raises("rbm_ais", "step is a float, expected an integer", TypeError, step=0.5),
]  # fmt: skip
