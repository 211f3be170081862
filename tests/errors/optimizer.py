"""Calls of the optimizers' kernels that must fail, and what they say."""

from __future__ import annotations

from typing import Any

import numpy as np
from case import ErrorCase
from cases.optimizer import LION, RPROP, RULES

DEFAULTS: dict[str, dict[str, Any]] = {
    "sgd": {
        "theta": 3, "grad": 3, "velocity": 3, "lr": 0.1, "momentum": 0.9, "dampening": 0.0, "nesterov": False,
        "weight_decay": 0.0,
    },
    "adagrad": {"theta": 3, "grad": 3, "sum_of_squares": 3, "lr": 0.1, "eps": 1e-10, "weight_decay": 0.0},
    "rmsprop": {
        "theta": 3, "grad": 3, "square_average": 3, "lr": 0.1, "alpha": 0.9, "eps": 1e-8, "weight_decay": 0.0,
        "momentum_buffer": 3, "momentum": 0.9, "gradient_average": 3,
    },
    "adam": {
        "theta": 3, "grad": 3, "first_moment": 3, "second_moment": 3, "step": 1, "lr": 0.1, "beta1": 0.9,
        "beta2": 0.999, "eps": 1e-8, "weight_decay": 0.0,
    },
}  # fmt: skip
DEFAULTS["adamw"] = DEFAULTS["adam"]
DEFAULTS["nadam"] = DEFAULTS["adam"] | {"mu": 0.5, "mu_next": 0.6, "mu_product": 0.5}
DEFAULTS["adadelta"] = {
    "theta": 3, "grad": 3, "square_average": 3, "delta_average": 3, "lr": 1.0, "rho": 0.9, "eps": 1e-6,
    "weight_decay": 0.0,
}  # fmt: skip
DEFAULTS["rprop"] = {"theta": 3, "grad": 3, "previous_gradient": 3, "step_sizes": 3} | RPROP
DEFAULTS["lion"] = {"theta": 3, "grad": 3, "first_moment": 3} | LION
DEFAULTS["average_weights"] = {"average": 3, "theta": 3, "decay": 0.9}
ARRAYS = {"theta", "grad", "velocity", "sum_of_squares", "square_average", "momentum_buffer", "gradient_average",
          "first_moment", "second_moment", "max_second_moment", "delta_average", "previous_gradient", "step_sizes",
          "average"}  # fmt: skip


def raises(
    function: str, message: str, error: type[Exception] = ValueError, alias: Any = None, **changed: Any
) -> ErrorCase:
    """A call with good arguments but for those `changed`; an array is given as its length or as (length, dtype)."""

    def call(device: Any, array: Any) -> Any:
        arguments = DEFAULTS[function] | changed
        for name in ARRAYS & arguments.keys():
            if arguments[name] is not None:
                n, dtype = arguments[name] if isinstance(arguments[name], tuple) else (arguments[name], "float32")
                arguments[name] = array(np.ones(n), dtype)
        if alias:
            arguments[alias[0]] = arguments[alias[1]]
        return getattr(device, function)(**arguments)

    message = f"{function}: {message}"
    return ErrorCase(name=message, functions=(function,), call=call, error=error, message=message)


NAN, INF = float("nan"), float("inf")
POSITIVE = "expected a finite number >= 0"
BELOW_ONE = r"expected a number in \[0, 1\)"

WITH_LR = [f for f in RULES if f != "rprop"]
WITH_BETAS = ("adam", "adamw", "nadam", "lion")

ERRORS = [
    *(raises(f, f"lr is -0.1, {POSITIVE}", lr=-0.1) for f in WITH_LR),
    *(raises(f, f"lr is nan, {POSITIVE}", lr=NAN) for f in WITH_LR),
    *(raises(f, f"lr is inf, {POSITIVE}", lr=INF) for f in WITH_LR),
    *(raises(f, f"weight_decay is -1, {POSITIVE}", weight_decay=-1.0) for f in WITH_LR),
    *(
        raises(f, "eps is 1e-60, expected 0 or a number that is not 0 in float32", eps=1e-60)
        for f in WITH_LR
        if f not in ("sgd", "lion")
    ),
    *(raises(f, f"eps is -1e-08, {POSITIVE}", eps=-1e-8) for f in WITH_LR if f not in ("sgd", "lion")),
    *(raises(f, f"momentum is -0.5, {POSITIVE}", momentum=-0.5) for f in ("sgd", "rmsprop")),
    *(raises(f, f"{beta} is 1, {BELOW_ONE}", **{beta: 1.0}) for f in WITH_BETAS for beta in ("beta1", "beta2")),
    *(raises(f, f"beta1 is nan, {BELOW_ONE}", beta1=NAN) for f in WITH_BETAS),
    *(raises(f, "step is 0, expected an integer >= 1", step=0) for f in ("adam", "adamw", "nadam")),
    raises("rmsprop", f"alpha is 1, {BELOW_ONE}", alpha=1.0),
    raises("sgd", r"dampening is 1.5, expected a number in \[0, 1\]", dampening=1.5),
    raises("sgd", "nesterov needs a velocity and dampening 0", nesterov=True, dampening=0.5),
    raises("sgd", "nesterov needs a velocity and dampening 0", nesterov=True, momentum=0.0, velocity=None),
    raises("sgd", "momentum is not 0, but velocity is None", velocity=None),
    raises("rmsprop", "momentum is not 0, but momentum_buffer is None", momentum_buffer=None),
    *(raises(f, "grad_scale is nan, expected a finite number", grad_scale=NAN) for f in RULES),
    *(
        raises(f, r"segments\[1\] is \(1, 3\), expected 2 <= begin <= end <= 3", segments=[(0, 2), (1, 3)])
        for f in RULES
    ),
    raises("adam", r"segments\[0\] is \(0, 4\), expected 0 <= begin <= end <= 3", segments=[(0, 4)]),
    raises("adam", r"segments\[0\] is \(-1, 2\), expected 0 <= begin <= end <= 3", segments=[(-1, 2)]),
    raises("adam", r"segments\[0\] is \(2, 1\), expected 0 <= begin <= end <= 3", segments=[(2, 1)]),
    raises("adadelta", f"rho is 1, {BELOW_ONE}", rho=1.0),
    *(raises("nadam", f"{mu} is 1, {BELOW_ONE}", **{mu: 1.0}) for mu in ("mu", "mu_next", "mu_product")),
    raises("rprop", r"eta_minus is 1, expected a number in \(0, 1\)", eta_minus=1.0),
    raises("rprop", "eta_plus is 1, expected a finite number > 1", eta_plus=1.0),
    raises("rprop", f"step_min is -1, {POSITIVE}", step_min=-1.0),
    raises("rprop", "step_max is 1e-07, expected a finite number >= step_min", step_max=1e-7),
    raises("average_weights", r"decay is 1.5, expected a number in \[0, 1\]", decay=1.5),
    raises("average_weights", r"decay is nan, expected a number in \[0, 1\]", decay=NAN),
    raises("average_weights", "theta shares memory with average", alias=("theta", "average")),
    raises("average_weights", r"shapes differ: average is \(3,\), theta is \(2,\)", theta=2),
    ErrorCase(
        name="norm: segments beyond the end",
        functions=("norm",),
        call=lambda device, array: device.norm(array([1.0, 2.0]), [(0, 1), (1, 3)]),
        error=ValueError,
        message=r"norm: segments\[1\] is \(1, 3\), expected 1 <= begin <= end <= 2",
    ),
    *(
        ErrorCase(name=message, functions=("clip_factor",), call=call, error=error, message=message)
        for message, error, call in [
            (
                "clip_factor: x has dtype int32, expected float32 or float64",
                TypeError,
                lambda device, array: device.clip_factor(array([1], "int32"), 1.0),
            ),
            (
                "clip_factor: limit is 0, expected a number > 0",
                ValueError,
                lambda device, array: device.clip_factor(array([1.0]), 0.0),
            ),
            (
                r"clip_factor: segments\[1\] is \(1, 3\), expected 1 <= begin <= end <= 2",
                ValueError,
                lambda device, array: device.clip_factor(array([1.0, 2.0]), 1.0, [(0, 1), (1, 3)]),
            ),
            (
                "Adam: the norm of the gradient is nan",
                FloatingPointError,
                lambda device, array: device.clip_factor(array([1.0, float("nan")]), 1.0, None, "Adam"),
            ),
        ]
    ),
    ErrorCase(
        name="norm: x has dtype int32, expected float32 or float64",
        functions=("norm",),
        call=lambda device, array: device.norm(array([1], "int32")),
        error=TypeError,
        message="norm: x has dtype int32, expected float32 or float64",
    ),
    *(raises(f, "theta has dtype int32, expected float32 or float64", TypeError, theta=(3, "int32")) for f in RULES),
    *(raises(f, "dtypes differ: theta is float32, grad is float64", TypeError, grad=(3, "float64")) for f in RULES),
    *(raises(f, r"shapes differ: theta is \(3,\), grad is \(4,\)", grad=4) for f in RULES),
    *(raises(f, "grad shares memory with theta", alias=("grad", "theta")) for f in RULES),
    raises("sgd", r"shapes differ: theta is \(3,\), velocity is \(2,\)", velocity=2),
    raises("adagrad", r"shapes differ: theta is \(3,\), sum_of_squares is \(2,\)", sum_of_squares=2),
    raises("rmsprop", r"shapes differ: theta is \(3,\), momentum_buffer is \(2,\)", momentum_buffer=2),
    raises("rmsprop", r"shapes differ: theta is \(3,\), gradient_average is \(2,\)", gradient_average=2),
    raises(
        "rmsprop",
        r"shapes differ: theta is \(3,\), gradient_average is \(2,\)",
        gradient_average=2,
        momentum=0.0,
        momentum_buffer=None,
    ),
    raises(
        "rmsprop",
        "momentum_buffer shares memory with square_average",
        gradient_average=None,
        alias=("momentum_buffer", "square_average"),
    ),
    raises("adam", r"shapes differ: theta is \(3,\), max_second_moment is \(2,\)", max_second_moment=2),
    raises("rprop", r"shapes differ: theta is \(3,\), step_sizes is \(2,\)", step_sizes=2),
    raises("adadelta", "delta_average shares memory with square_average", alias=("delta_average", "square_average")),
    raises("lion", "first_moment shares memory with grad", alias=("first_moment", "grad")),
    raises("adam", "second_moment shares memory with first_moment", alias=("second_moment", "first_moment")),
]
