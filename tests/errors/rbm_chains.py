"""What the functions of tempered and clamped chains refuse, and in which words."""

from __future__ import annotations

from typing import Any

import numpy as np
from case import ErrorCase

SHAPES = {
    "v": (4, 3),
    "given": (4, 3),
    "state": (4, 3),
    "weight": (3, 2),
    "visible_bias": (3,),
    "hidden_bias": (2,),
    "base_bias": (3,),
    "replicas": (2, 5, 2),
    "row_weights": (4,),
}
MACHINE = ("weight", "visible_bias", "hidden_bias")
ARGUMENTS: dict[str, tuple[str, ...]] = {
    "rbm_temper": ("replicas", *MACHINE, "base_bias", "betas", "k", "key", "step", "accepted"),
    "rbm_clamped_gibbs": ("given", "state", *MACHINE, "k", "key", "step"),
    "rbm_statistics": ("v", "row_weights", *MACHINE),
}
NAN = float("nan")


def raises(
    function: str, message: str, error: type[Exception] = ValueError, alias: Any = None, **changed: Any
) -> ErrorCase:
    """Good arguments but for those `changed`: arrays are given as (values, dtype)."""

    def call(device: Any, array: Any) -> Any:
        good: dict[str, Any] = {"k": 1, "key": 3, "step": 4, "betas": ([1.0, 0.5], "float64")}
        good |= {"accepted": ([0.0], "float64")} | {
            name: (np.zeros(shape), "float32") for name, shape in SHAPES.items()
        }
        given = {
            name: (good | changed)[name]
            for name in (*ARGUMENTS[function], *(changed.keys() & {"units", "data", "weight_decay"}))
        }
        arguments = {k: array(*x) if isinstance(x, tuple) and k != "units" else x for k, x in given.items()}
        if alias:
            arguments[alias[0]] = arguments[alias[1]].reshape(SHAPES[alias[0]])
        return getattr(device, function)(**arguments)

    message = f"{function}: {message}"
    return ErrorCase(name=message, functions=(function,), call=call, error=error, message=message)


def at(shape: tuple[int, ...], place: tuple[int, ...], value: float) -> tuple[np.ndarray, str]:
    x = np.zeros(shape)
    x[place] = value
    return x, "float32"


def zeros(*shape: int, dtype: str = "float32") -> tuple[np.ndarray, str]:
    return np.zeros(shape), dtype


ERRORS = [
    *(
        raises(f, "weight has dtype int32, expected float32 or float64", TypeError, weight=zeros(3, 2, dtype="int32"))
        for f in ARGUMENTS
    ),
    *(
        raises(f, rf"hidden_bias has shape \(7,\), expected \({SHAPES['hidden_bias'][0]},\)", hidden_bias=zeros(7))
        for f in ARGUMENTS
    ),
    *(
        raises(f, "hidden units are 'softmax', expected 'bernoulli' or 'gaussian'", units=([], None, "softmax"))
        for f in ARGUMENTS
    ),
    *(raises(f, "k is 0, expected an integer >= 1", k=0) for f in ("rbm_temper", "rbm_clamped_gibbs")),
    *(raises(f, r"key is -1, expected 0 to 2\*\*64 - 1", key=-1) for f in ("rbm_temper", "rbm_clamped_gibbs")),
    raises("rbm_temper", r"base_bias has shape \(2,\), expected \(3,\)", base_bias=zeros(2)),
    raises("rbm_temper", "dtypes differ: weight is float32, base_bias is float64", TypeError,
           base_bias=zeros(3, dtype="float64")),
    raises("rbm_temper", "betas has dtype float32, expected float64", TypeError, betas=zeros(2)),
    raises("rbm_temper", r"betas has shape \(1, 2\), expected 1 dimension", betas=zeros(1, 2, dtype="float64")),
    raises("rbm_temper", r"betas has shape \(0,\), expected at least one", betas=zeros(0, dtype="float64")),
    raises("rbm_temper", r"betas is 1.5 at \(1,\), expected numbers in \[0, 1\]", betas=([1.0, 1.5], "float64")),
    raises("rbm_temper", "dtypes differ: replicas is float64, weight is float32", TypeError,
           replicas=zeros(2, 5, 2, dtype="float64")),
    raises("rbm_temper", r"replicas has shape \(5, 2\), expected 3 dimensions", replicas=zeros(5, 2)),
    raises("rbm_temper", r"replicas has shape \(3, 5, 2\), expected \(2, 5, 2\)", replicas=zeros(3, 5, 2)),
    raises("rbm_temper", r"replicas is 2 at \(1, 0, 1\), expected numbers in \[0, 1\]",
           replicas=at((2, 5, 2), (1, 0, 1), 2)),
    raises("rbm_temper", "replicas is not finite", replicas=at((2, 5, 2), (1, 0, 1), NAN),
           units=([("bernoulli", 3, 1)], None, "gaussian")),
    raises("rbm_temper", "accepted has dtype float32, expected float64", TypeError, accepted=zeros(1)),
    raises("rbm_temper", r"accepted has shape \(2,\), expected \(1,\)", accepted=zeros(2, dtype="float64")),
    raises("rbm_temper", "replicas shares memory with weight", weight=zeros(10, 2), visible_bias=zeros(10),
           base_bias=zeros(10), alias=("replicas", "weight")),
    raises("rbm_clamped_gibbs", r"numbers of visible units differ: given is \(4, 5\), weight is \(3, 2\)",
           given=zeros(4, 5)),
    raises("rbm_clamped_gibbs", "dtypes differ: given is float64, weight is float32", TypeError,
           given=zeros(4, 3, dtype="float64")),
    raises("rbm_clamped_gibbs", r"shapes differ: given is \(4, 3\), state is \(2, 3\)", state=zeros(2, 3)),
    raises("rbm_clamped_gibbs", r"state is nan at \(1, 2\), expected numbers in \[0, 1\]",
           state=at((4, 3), (1, 2), NAN)),
    raises("rbm_clamped_gibbs", r"given is -1 at \(1, 2\), expected numbers in \[0, 1\]",
           given=at((4, 3), (1, 2), -1)),
    raises("rbm_clamped_gibbs",
           r"given has 2 of the 3 units of the softmax group at \(1, 0\), expected all or none",
           given=at((4, 3), (1, 2), NAN), units=([("softmax", 3, 3)], None, "bernoulli")),
    raises("rbm_statistics", r"numbers of visible units differ: v is \(4, 5\), weight is \(3, 2\)", v=zeros(4, 5)),
    raises("rbm_statistics", r"row_weights has shape \(3,\), expected \(4,\)", row_weights=zeros(3)),
    raises("rbm_statistics", "dtypes differ: v is float32, row_weights is float64", TypeError,
           row_weights=zeros(4, dtype="float64")),
    raises("rbm_statistics", "data is 5, expected 0 to 4", data=5),
    raises("rbm_statistics", "data is -1, expected 0 to 4", data=-1),
    raises("rbm_statistics", "weight_decay is -1, expected a finite number >= 0", weight_decay=-1.0),
]  # fmt: skip
