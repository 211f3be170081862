"""Optimizer steps against the published update rules, several in a row."""

from __future__ import annotations

from typing import Any

import numpy as np
from case import Case, ErrorCase

STEPS = 4
SIZES = (0, 1, 3, 33, 1000, 70003)


def sgd_step(x: Any, g: Any, state: list[Any], t: int, o: dict[str, Any]) -> Any:
    """Sutskever et al. 2013; PyTorch's convention for dampening and the first step."""
    if o["weight_decay"]:
        g = g + o["weight_decay"] * x
    if o["momentum"]:
        state[0] = g if o["first"] and t == 1 else o["momentum"] * state[0] + (1 - o["dampening"]) * g
        g = g + o["momentum"] * state[0] if o["nesterov"] else state[0]
    return x - o["lr"] * g


def adagrad_step(x: Any, g: Any, state: list[Any], t: int, o: dict[str, Any]) -> Any:
    """Duchi, Hazan, Singer 2011."""
    if o["weight_decay"]:
        g = g + o["weight_decay"] * x
    state[0] = state[0] + g**2
    return x - o["lr"] * g / (np.sqrt(state[0]) + o["eps"])


def rmsprop_step(x: Any, g: Any, state: list[Any], t: int, o: dict[str, Any]) -> Any:
    """Tieleman and Hinton 2012; centred and with momentum as in Graves 2013. State: squares[, momentum][, mean]."""
    if o["weight_decay"]:
        g = g + o["weight_decay"] * x
    state[0] = o["alpha"] * state[0] + (1 - o["alpha"]) * g**2
    variance = state[0]
    if o["centred"]:
        state[-1] = o["alpha"] * state[-1] + (1 - o["alpha"]) * g
        variance = variance - state[-1] ** 2
    d = g / (np.sqrt(variance) + o["eps"])
    if o["momentum"]:
        state[1] = d = o["momentum"] * state[1] + d
    return x - o["lr"] * d


def adam_step(x: Any, g: Any, state: list[Any], t: int, o: dict[str, Any]) -> Any:
    """Kingma and Ba 2015; decoupled weight decay as in Loshchilov and Hutter 2019."""
    if o["decoupled"]:
        x = x - o["lr"] * o["weight_decay"] * x
    elif o["weight_decay"]:
        g = g + o["weight_decay"] * x
    state[0] = o["beta1"] * state[0] + (1 - o["beta1"]) * g
    state[1] = o["beta2"] * state[1] + (1 - o["beta2"]) * g**2
    step = o["first"] + t
    m, v = state[0] / (1 - o["beta1"] ** step), state[1] / (1 - o["beta2"] ** step)
    return x - o["lr"] * m / (np.sqrt(v) + o["eps"])


def call_sgd(device: Any, theta: Any, grad: Any, state: Any, t: int, o: dict[str, Any]) -> None:
    velocity = state[0] if state else None
    first = o["first"] and t == 1
    device.sgd(theta, grad, velocity, o["lr"], o["momentum"], o["dampening"], o["nesterov"], o["weight_decay"], first)


def call_adagrad(device: Any, theta: Any, grad: Any, state: Any, t: int, o: dict[str, Any]) -> None:
    device.adagrad(theta, grad, state[0], o["lr"], o["eps"], o["weight_decay"])


def call_rmsprop(device: Any, theta: Any, grad: Any, state: Any, t: int, o: dict[str, Any]) -> None:
    more: dict[str, Any] = {"gradient_average": state[-1]} if o["centred"] else {}
    if o["momentum"]:
        more |= {"momentum_buffer": state[1], "momentum": o["momentum"]}
    device.rmsprop(theta, grad, state[0], o["lr"], o["alpha"], o["eps"], o["weight_decay"], **more)


def call_adam(device: Any, theta: Any, grad: Any, state: Any, t: int, o: dict[str, Any]) -> None:
    function = device.adamw if o["decoupled"] else device.adam
    function(theta, grad, *state, o["first"] + t, o["lr"], o["beta1"], o["beta2"], o["eps"], o["weight_decay"])


RULES: dict[str, tuple[Any, Any]] = {
    "sgd": (call_sgd, sgd_step),
    "adagrad": (call_adagrad, adagrad_step),
    "rmsprop": (call_rmsprop, rmsprop_step),
    "adam": (call_adam, adam_step),
    "adamw": (call_adam, adam_step),
}


def case(function: str, n: int, states: str, special: bool = False, **options: Any) -> Case:
    """`states`: a letter for each state array; s: any sign, p: positive, v: far above the square of an s."""
    call_step, reference_step = RULES[function]

    def inputs(rng: np.random.Generator) -> list[Any]:
        grads = rng.standard_normal((STEPS, n)) * np.exp(rng.standard_normal((STEPS, n)))
        if special:
            grads[1, : n // 2 : 5] = np.resize([np.nan, np.inf, -np.inf, 0.0, 1e-310], len(grads[1, : n // 2 : 5]))
        make = {
            "s": lambda: 0.3 * rng.standard_normal(n),
            "p": lambda: 0.5 + rng.random(n),
            "v": lambda: 2 + rng.random(n),
        }
        return [rng.standard_normal(n), grads, *(make[letter]() for letter in states)]

    def call(device: Any, theta: Any, grads: Any, *state: Any) -> Any:
        for t in range(STEPS):
            call_step(device, theta, grads.view(t * n, (n,)), list(state), t + 1, options)
        return (theta, *state)

    def reference(theta: np.ndarray, grads: np.ndarray, *state: np.ndarray) -> Any:
        values = list(state)
        for t in range(STEPS):
            theta = reference_step(theta, grads[t], values, t + 1, options)
        return (theta, *values)

    def scale(theta: np.ndarray, grads: np.ndarray, *state: np.ndarray) -> Any:
        size = np.abs(grads).sum(axis=0) + np.abs(theta)
        return (np.abs(theta) + options["lr"] * (1 + size), *(np.abs(s) + size + size**2 for s in state))

    shown = " ".join(f"{k}={v}" for k, v in options.items())
    return Case(
        name=f"{function}: {n} parameters{', special values' if special else ''}, {shown}",
        functions=(function,),
        inputs=inputs,
        call=call,
        reference=reference,
        tolerance=16.0,
        scale=scale,
    )


SGD = {"lr": 0.1, "momentum": 0.9, "dampening": 0.0, "nesterov": False, "weight_decay": 0.0, "first": True}
PLAIN = SGD | {"momentum": 0.0}
ADAGRAD = {"lr": 0.1, "eps": 1e-10, "weight_decay": 0.0}
RMSPROP = {"lr": 0.1, "alpha": 0.9, "eps": 1e-8, "weight_decay": 0.0, "momentum": 0.0, "centred": False}
ADAM = {"lr": 0.1, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 0.0, "first": 0, "decoupled": False}
ADAMW = ADAM | {"decoupled": True, "weight_decay": 0.1}

CASES = [
    *(case("sgd", n, "", **PLAIN) for n in SIZES),
    *(case("sgd", n, "s", **SGD) for n in SIZES),
    case("sgd", 100, "", **PLAIN | {"weight_decay": 0.1}),
    case("sgd", 100, "", **PLAIN | {"lr": 0.0}),
    case("sgd", 100, "s", **SGD | {"first": False, "weight_decay": 0.1}),
    case("sgd", 100, "s", **SGD | {"dampening": 0.5}),
    case("sgd", 100, "s", **SGD | {"dampening": 0.5, "first": False}),
    case("sgd", 100, "s", **SGD | {"nesterov": True, "weight_decay": 0.1}),
    case("sgd", 101, "s", special=True, **SGD),
    *(case("adagrad", n, "p", **ADAGRAD) for n in SIZES),
    case("adagrad", 100, "p", **ADAGRAD | {"weight_decay": 0.1, "eps": 0.1}),
    case("adagrad", 101, "p", special=True, **ADAGRAD),
    *(case("rmsprop", n, "p", **RMSPROP) for n in SIZES),
    case("rmsprop", 70003, "vss", **RMSPROP | {"momentum": 0.9, "centred": True}),
    case("rmsprop", 100, "ps", **RMSPROP | {"momentum": 0.9, "weight_decay": 0.1}),
    case("rmsprop", 100, "vs", **RMSPROP | {"centred": True, "eps": 0.1}),
    Case(
        name="rmsprop: a variance rounded below zero counts as zero",
        functions=("rmsprop",),
        # A constant gradient: the difference of averages is all rounding, of either sign.
        inputs=lambda rng: [np.zeros(1000), g := rng.random(1000), g**2, g],
        call=lambda device, theta, grad, square, mean: (
            device.rmsprop(theta, grad, square, 0.0, 0.9, 0.1, 0.0, gradient_average=mean.copy()),
            theta,
        )[1],
        reference=lambda theta, grad, square, mean: theta,
    ),
    case("rmsprop", 101, "p", special=True, **RMSPROP),
    *(case("adam", n, "sp", **ADAM) for n in SIZES),
    case("adam", 100, "sp", **ADAM | {"weight_decay": 0.1, "eps": 0.1}),
    case("adam", 100, "sp", **ADAM | {"beta1": 0.0, "beta2": 0.0}),
    case("adam", 100, "sp", **ADAM | {"first": 10**6}),
    case("adam", 101, "sp", special=True, **ADAM),
    *(case("adamw", n, "sp", **ADAMW) for n in SIZES),
    case("adamw", 100, "sp", **ADAMW | {"weight_decay": 0.0, "first": 7}),
    case("adamw", 101, "sp", special=True, **ADAMW),
]

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
ARRAYS = {"theta", "grad", "velocity", "sum_of_squares", "square_average", "momentum_buffer", "gradient_average",
          "first_moment", "second_moment"}  # fmt: skip


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

ERRORS = [
    *(raises(f, f"lr is -0.1, {POSITIVE}", lr=-0.1) for f in RULES),
    *(raises(f, f"lr is nan, {POSITIVE}", lr=NAN) for f in RULES),
    *(raises(f, f"lr is inf, {POSITIVE}", lr=INF) for f in RULES),
    *(raises(f, f"weight_decay is -1, {POSITIVE}", weight_decay=-1.0) for f in RULES),
    *(raises(f, f"eps is -1e-08, {POSITIVE}", eps=-1e-8) for f in RULES if f != "sgd"),
    *(raises(f, f"momentum is -0.5, {POSITIVE}", momentum=-0.5) for f in ("sgd", "rmsprop")),
    *(raises(f, f"{beta} is 1, {BELOW_ONE}", **{beta: 1.0}) for f in ("adam", "adamw") for beta in ("beta1", "beta2")),
    *(raises(f, f"beta1 is nan, {BELOW_ONE}", beta1=NAN) for f in ("adam", "adamw")),
    *(raises(f, "step is 0, expected an integer >= 1", step=0) for f in ("adam", "adamw")),
    raises("rmsprop", f"alpha is 1, {BELOW_ONE}", alpha=1.0),
    raises("sgd", r"dampening is 1.5, expected a number in \[0, 1\]", dampening=1.5),
    raises("sgd", "nesterov needs momentum > 0 and dampening 0", nesterov=True, dampening=0.5),
    raises("sgd", "nesterov needs momentum > 0 and dampening 0", nesterov=True, momentum=0.0, velocity=None),
    raises("sgd", "momentum is not 0, but velocity is None", velocity=None),
    raises("sgd", "momentum is 0, but velocity is given", momentum=0.0),
    raises("rmsprop", "momentum is not 0, but momentum_buffer is None", momentum_buffer=None),
    raises("rmsprop", "momentum is 0, but momentum_buffer is given", momentum=0.0),
    *(raises(f, "theta has dtype int32", TypeError, theta=(3, "int32")) for f in RULES),
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
    raises("adam", "second_moment shares memory with first_moment", alias=("second_moment", "first_moment")),
]
