"""What the rbm functions refuse of kinds of units, and of a gradient's terms, and in which words."""

from __future__ import annotations

from typing import Any

import numpy as np
from case import ErrorCase

NAN = float("nan")
MIXED = (("bernoulli", 2, 1), ("softmax", 2, 2), ("gaussian", 1, 1))  # five visible units; two hidden ones
GOOD: dict[str, Any] = {
    "v": ((4, 5),),
    "h": ((4, 2),),
    "weight": ((5, 2),),
    "visible_bias": ((5,),),
    "hidden_bias": ((2,),),
    "k": 1,
    "key": 3,
    "step": 4,
}
ARGUMENTS = {
    "rbm_hidden": ("v", "weight", "hidden_bias"),
    "rbm_visible": ("h", "weight", "visible_bias"),
    "rbm_sample_hidden": ("v", "weight", "hidden_bias", "key", "step"),
    "rbm_sample_visible": ("h", "weight", "visible_bias", "key", "step"),
    "rbm_gibbs": ("v", "weight", "visible_bias", "hidden_bias", "k", "key", "step"),
    "rbm_cd": ("v", "weight", "visible_bias", "hidden_bias", "k", "key", "step"),
    "rbm_free_energy": ("v", "weight", "visible_bias", "hidden_bias"),
    "rbm_log_partition": ("weight", "visible_bias", "hidden_bias"),
}


def made(array: Any, given: Any) -> Any:
    """(shape, dtype, values for the first elements) as an array, also within a tuple; anything else as it is."""
    if not isinstance(given, tuple):
        return given
    if not given or not isinstance(given[0], tuple) or (given[0] and not isinstance(given[0][0], int)):
        return tuple(made(array, part) if not is_kinds(part) else part for part in given)
    shape, dtype, values = (*given, *("float32", ())[len(given) - 1 :])
    a = np.zeros(shape, dtype)
    a.reshape(-1)[: len(values)] = values
    return array(a, dtype)


def is_kinds(part: Any) -> bool:
    return isinstance(part, tuple) and bool(part) and isinstance(part[0], tuple) and isinstance(part[0][0], str)


def raises(function: str, message: str, error: type[Exception] = ValueError, **changed: Any) -> ErrorCase:
    """Good arguments but for those `changed`."""

    def call(device: Any, array: Any) -> Any:
        good = {name: GOOD[name] for name in ARGUMENTS[function]}
        arguments = {}
        for name, given in (good | changed).items():
            arguments[name] = tuple(made(array, part) for part in given) if name in TUPLES else made(array, given)
            if name == "units" and isinstance(given, tuple):
                arguments[name] = (given[0], made(array, given[1]), *given[2:])
        return getattr(device, function)(**arguments)

    message = f"{function}: {message}"
    return ErrorCase(name=message, functions=(function,), call=call, error=error, message=message)


TUPLES = ("centring", "sparsity")
Z = ((1,),)
OFFSETS, ACTIVITY = ((7,),), ((2,),)
MALFORMED = r"units is not None or \(triples \(kind, units, group\), log_variance or None, kind of the hidden units\)"

ERRORS = [
    *(
        raises(f, message, error, units=units)
        for f in ARGUMENTS
        for message, error, units in [
            (MALFORMED, TypeError, 3),
            (MALFORMED, TypeError, ((("bernoulli", 5),), None, "bernoulli")),
            (MALFORMED, TypeError, ((("bernoulli", 5, 1),), 0.5, "bernoulli")),
            (
                "visible units are 'binary', expected 'bernoulli', 'softmax' or 'gaussian'",
                ValueError,
                ((("binary", 5, 1),), None, "bernoulli"),
            ),
            (
                "hidden units are 'softmax', expected 'bernoulli' or 'gaussian'",
                ValueError,
                ((("bernoulli", 5, 1),), None, "softmax"),
            ),
            (
                "5 softmax units are no groups of 2",
                ValueError,
                ((("softmax", 5, 2),), None, "bernoulli"),
            ),
            (
                "5 bernoulli units are no groups of 5",
                ValueError,
                ((("bernoulli", 5, 5),), None, "bernoulli"),
            ),
            (
                r"units of other numbers than weight, which is \(5, 2\)",
                ValueError,
                ((("bernoulli", 4, 1),), None, "bernoulli"),
            ),
            (
                r"units of other numbers than weight, which is \(5, 2\)",
                ValueError,
                ((("bernoulli", 4, 1), ("softmax", 2, 2)), None, "bernoulli"),
            ),
            (
                r"units of other numbers than weight, which is \(5, 2\)",
                ValueError,
                ((("bernoulli", 6, 1), ("softmax", -1, 1)), None, "bernoulli"),
            ),
            (
                "log_variance is missing for gaussian visible units",
                ValueError,
                (MIXED, None, "bernoulli"),
            ),
            (
                "log_variance is given without gaussian visible units",
                ValueError,
                ((("bernoulli", 5, 1),), Z, "bernoulli"),
            ),
            (r"log_variance has shape \(2,\), expected \(1,\)", ValueError, (MIXED, ((2,),), "bernoulli")),
            (
                "dtypes differ: weight is float32, log_variance is float64",
                TypeError,
                (MIXED, ((1,), "float64"), "bernoulli"),
            ),
            (
                "gaussian units in both layers need not have a distribution",
                ValueError,
                (MIXED, Z, "gaussian"),
            ),
        ]
    ),
    *(
        raises(f, message, units=(MIXED, Z, "bernoulli"), v=((4, 5), "float32", values))
        for f in ("rbm_gibbs", "rbm_cd")
        for message, values in [
            (r"v is 1.5 at \(0, 3\), expected numbers in \[0, 1\]", (1, 0, 1, 1.5, 2)),
            (r"v is inf at \(1, 4\), expected finite numbers", (1, 0, 1, 0, 2, 0, 0, 0, 1, np.inf)),
        ]
    ),
    raises(
        "rbm_sample_visible",
        r"h is nan at \(0, 1\), expected finite numbers",
        h=((4, 2), "float32", (-3, NAN)),
        units=((("bernoulli", 5, 1),), None, "gaussian"),
    ),
    raises(
        "rbm_log_partition",
        r"no layer has at most 2\*\*28 states; weight is \(60, 30\)",
        weight=((60, 30),),
        visible_bias=((60,),),
        hidden_bias=((30,),),
        units=((("softmax", 60, 2),), None, "gaussian"),
    ),
    *(
        raises("rbm_cd", message, error, **changed)
        for message, error, changed in [
            (r"offsets has shape \(5,\), expected \(7,\)", ValueError, {"centring": (((5,),), 0.1)}),
            (
                "dtypes differ: offsets is float64, weight is float32",
                TypeError,
                {"centring": (((7,), "float64"), 0.1)},
            ),
            (r"offset rate is 1.5, expected a number in \[0, 1\]", ValueError, {"centring": (OFFSETS, 1.5)}),
            (r"activity has shape \(7,\), expected \(2,\)", ValueError, {"sparsity": (OFFSETS, 0.1, 0.1, 0.1)}),
            (
                "dtypes differ: activity is float64, weight is float32",
                TypeError,
                {"sparsity": (((2,), "float64"), 0.1, 0.1, 0.1)},
            ),
            (
                r"sparsity target is -0.1, expected a number in \[0, 1\]",
                ValueError,
                {"sparsity": (ACTIVITY, -0.1, 0.1, 0.1)},
            ),
            (
                "sparsity cost is nan, expected a finite number >= 0",
                ValueError,
                {"sparsity": (ACTIVITY, 0.1, NAN, 0.1)},
            ),
            (
                r"sparsity decay is 2, expected a number in \[0, 1\]",
                ValueError,
                {"sparsity": (ACTIVITY, 0.1, 0.1, 2.0)},
            ),
            (
                "sparsity is for bernoulli hidden units",
                ValueError,
                {"sparsity": (ACTIVITY, 0.1, 0.1, 0.1), "units": ((("bernoulli", 5, 1),), None, "gaussian")},
            ),
            ("weight_decay is -1, expected a finite number >= 0", ValueError, {"weight_decay": -1.0}),
        ]
    ),
]
