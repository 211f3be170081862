"""What the random functions refuse, and in which words."""

from __future__ import annotations

from typing import Any

import numpy as np
from case import ErrorCase


def raises(function: str, error: type[Exception], message: str, *arguments: Any) -> ErrorCase:
    """Arguments that are lists or arrays become device arrays."""

    def call(device: Any, array: Any) -> Any:
        def made(a: Any) -> Any:
            return array(a, "int32" if np.asarray(a).dtype == np.int32 else "float32")

        arguments_made = [made(a) if isinstance(a, (list, np.ndarray)) else a for a in arguments]
        return getattr(device, function)(*arguments_made)

    return ErrorCase(name=f"{function}: {message}", functions=(function,), call=call, error=error, message=message)


DRAW = (0, 0, (3,))  # key, step, shape


RANGE = r"expected 0 to 2\*\*64 - 1"


ERRORS = [
    raises("uniform", ValueError, f"uniform: key is -1, {RANGE}", -1, 0, (3,), 0.0, 1.0, "float32"),
    raises("uniform", ValueError, f"uniform: step is {2**64}, {RANGE}", 0, 2**64, (3,), 0.0, 1.0, "float32"),
    raises("uniform", TypeError, "uniform: key is a float, expected an integer", 0.5, 0, (3,), 0.0, 1.0, "float32"),
    raises(
        "uniform", TypeError, "uniform: dtype is 'int32', expected 'float32' or 'float64'", *DRAW, 0.0, 1.0, "int32"
    ),
    raises("uniform", ValueError, "uniform: dimension -1 is negative", 0, 0, (-1,), 0.0, 1.0, "float32"),
    *(
        raises(
            "uniform",
            ValueError,
            f"uniform: low is {shown}, expected low <= high with a finite difference",
            0,
            0,
            (3,),
            low,
            high,
            "float32",
        )
        for low, high, shown in [
            (1.0, 0.0, "1 and high is 0"),
            (float("nan"), 0.0, "nan and high is 0"),
            (0.0, float("inf"), "0 and high is inf"),
            (-3e38, 3e38, r"-3e\+38 and high is 3e\+38"),
        ]
    ),
    raises("normal", ValueError, f"normal: key is -1, {RANGE}", -1, 0, (3,), 0.0, 1.0, "float32"),
    raises("normal", TypeError, "normal: step is a str, expected an integer", 0, "0", (3,), 0.0, 1.0, "float32"),
    raises("normal", TypeError, "normal: dtype is 'int32', expected 'float32' or 'float64'", *DRAW, 0.0, 1.0, "int32"),
    raises("normal", ValueError, "normal: mean is nan, expected a finite number", *DRAW, float("nan"), 1.0, "float32"),
    raises("normal", ValueError, "normal: std is -1, expected a finite number >= 0", *DRAW, 0.0, -1.0, "float32"),
    raises("normal", ValueError, r"normal: std is 1e\+39, expected a finite number >= 0", *DRAW, 0.0, 1e39, "float32"),
    raises("bernoulli", ValueError, f"bernoulli: key is -1, {RANGE}", -1, 0, [0.5]),
    raises(
        "bernoulli",
        TypeError,
        "bernoulli: probabilities has dtype int32, expected float32 or float64",
        0,
        0,
        np.zeros(3, np.int32),
    ),
    raises(
        "bernoulli",
        ValueError,
        r"bernoulli: probabilities is 1.5 at \(1, 2\), expected numbers in \[0, 1\]",
        0,
        0,
        [[0, 1, 0.5], [1, 1, 1.5], [2, 2, 2]],
    ),
    raises(
        "bernoulli",
        ValueError,
        r"bernoulli: probabilities is nan at \(9,\), expected numbers in \[0, 1\]",
        0,
        0,
        [0.5] * 9 + [float("nan"), -1],
    ),
    raises(
        "bernoulli",
        ValueError,
        r"bernoulli: probabilities is -1 at \(39999,\), expected numbers in \[0, 1\]",
        0,
        0,
        np.where(np.arange(90000) % 40000 == 0, -1.0, 0.5)[1:],
    ),
    raises("dropout", ValueError, f"dropout: step is -5, {RANGE}", 0, -5, [0.5], 0.5),
    raises(
        "dropout",
        TypeError,
        "dropout: x has dtype int32, expected float32 or float64",
        0,
        0,
        np.zeros(3, np.int32),
        0.5,
    ),
    *(
        raises("dropout", ValueError, f"dropout: p is {shown}, expected 0 <= p < 1", 0, 0, [0.5], p)
        for p, shown in [
            (1.0, "1"),
            (1.5, "1.5"),
            (-0.1, "-0.1"),
            (float("nan"), "nan"),
            (0.99999999, "0.99999999, which rounds to 1 in float32"),
        ]
    ),
    raises("permutation", ValueError, f"permutation: key is -1, {RANGE}", -1, 0, 3),
    raises("permutation", ValueError, r"permutation: n is -1, expected 0 to 2\*\*31 - 1", 0, 0, -1),
    raises("permutation", ValueError, r"permutation: n is 2147483648, expected 0 to 2\*\*31 - 1", 0, 0, 2**31),
    raises("permutation", TypeError, "permutation: n is a float, expected an integer", 0, 0, 3.0),
    raises("random_words", ValueError, f"random_words: first_block is -1, {RANGE}", 0, 0, -1, 1),
    raises("random_words", ValueError, r"random_words: blocks is -1, expected 0 to 2\*\*31 - 1", 0, 0, 0, -1),
]
