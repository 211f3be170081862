"""Optimizer steps against the published update rules, several in a row."""

from __future__ import annotations

from typing import Any

import numpy as np
import rules
from case import Case

STEPS = 4
SIZES = (0, 1, 3, 33, 1000, 70003)


def call_sgd(device: Any, theta: Any, grad: Any, state: Any, t: int, o: dict[str, Any]) -> None:
    velocity = state[0] if state else None
    first = o["first"] and t == 1
    device.sgd(
        theta, grad, velocity, o["lr"], o["momentum"], o["dampening"], o["nesterov"], o["weight_decay"], first,
        o.get("grad_scale", 1.0),
    )  # fmt: skip


def call_rmsprop(device: Any, theta: Any, grad: Any, state: Any, t: int, o: dict[str, Any]) -> None:
    more: dict[str, Any] = {"gradient_average": state[-1]} if o["centered"] else {}
    if o["momentum"]:
        more |= {"momentum_buffer": state[1], "momentum": o["momentum"]}
    if "grad_scale" in o:
        more["grad_scale"] = o["grad_scale"]
    device.rmsprop(theta, grad, state[0], o["lr"], o["alpha"], o["eps"], o["weight_decay"], **more)


def call_adam(device: Any, theta: Any, grad: Any, state: Any, t: int, o: dict[str, Any]) -> None:
    function = device.adamw if o["decoupled"] else device.adam
    numbers = [o[name] for name in ("lr", "beta1", "beta2", "eps", "weight_decay")]
    most = state[2] if len(state) > 2 else None
    function(theta, grad, *state[:2], o["first"] + t, *numbers, most, o.get("grad_scale", 1.0))


def call_nadam(device: Any, theta: Any, grad: Any, state: Any, t: int, o: dict[str, Any]) -> None:
    numbers = [o[name] for name in ("lr", "beta1", "beta2", "eps", "weight_decay")]
    mu = rules.nadam_momenta(o["first"] + t + 1, o)
    momenta = (float(mu[-2]), float(mu[-1]), float(np.prod(mu[:-1])))
    more = (*momenta, o["decoupled"], o.get("grad_scale", 1.0))
    device.nadam(theta, grad, *state, o["first"] + t, *numbers, *more)


def plain_call(function: str, *names: str) -> Any:
    """A call with the state, then the options of these names."""

    def call(device: Any, theta: Any, grad: Any, state: Any, t: int, o: dict[str, Any]) -> None:
        numbers = [o[name] for name in names]
        getattr(device, function)(theta, grad, *state, *numbers, grad_scale=o.get("grad_scale", 1.0))

    return call


RULES: dict[str, tuple[Any, Any]] = {
    "sgd": (call_sgd, rules.sgd),
    "adagrad": (plain_call("adagrad", "lr", "eps", "weight_decay"), rules.adagrad),
    "rmsprop": (call_rmsprop, rules.rmsprop),
    "adadelta": (plain_call("adadelta", "lr", "rho", "eps", "weight_decay"), rules.adadelta),
    "adam": (call_adam, rules.adam),
    "adamw": (call_adam, rules.adam),
    "nadam": (call_nadam, rules.nadam),
    "rprop": (plain_call("rprop", "eta_minus", "eta_plus", "step_min", "step_max"), rules.rprop),
    "lion": (plain_call("lion", "lr", "beta1", "beta2", "weight_decay"), rules.lion),
}


def case(function: str, n: int, states: str, special: bool = False, **options: Any) -> Case:
    """`states`: a letter for each state array; s: any sign, p: positive, v: far above the square of an s;
    t: of every size."""
    call_step, reference_step = RULES[function]

    def inputs(rng: np.random.Generator) -> list[Any]:
        grads = rng.standard_normal((STEPS, n)) * np.exp(rng.standard_normal((STEPS, n)))
        if special:
            grads[1, : n // 2 : 5] = np.resize([np.nan, np.inf, -np.inf, 0.0, 1e-310], len(grads[1, : n // 2 : 5]))
        make = {
            "s": lambda: 0.3 * rng.standard_normal(n),
            "p": lambda: 0.5 + rng.random(n),
            "v": lambda: 2 + rng.random(n),
            "t": lambda: np.exp(rng.standard_normal(n)),
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
        # What stays finite has seen no more than the sign of an infinite gradient.
        size = np.nan_to_num(np.abs(grads), nan=0.0, posinf=0.0).sum(axis=0) + np.abs(theta)
        size = size + (
            3 * np.abs(state[1]) if function == "rprop" else 0
        )  # its steps do not depend on the gradient's size
        return (np.abs(theta) + options.get("lr", 1.0) * (1 + size), *(np.abs(s) + size + size**2 for s in state))

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


def average_case(n: int, decay: float) -> Case:
    return Case(
        name=f"average_weights: {n} parameters, decay={decay}",
        functions=("average_weights",),
        inputs=lambda rng: [rng.standard_normal(n), rng.standard_normal(n)],
        call=lambda device, average, theta: (device.average_weights(average, theta, decay), average)[1],
        reference=lambda average, theta: decay * average + (1 - decay) * theta,
        scale=lambda average, theta: np.abs(average) + np.abs(theta),
    )


def norm_case(name: str, make: Any, dtypes: tuple[str, ...] = ("float32", "float64"), parts: Any = None) -> Case:
    def reference(x: np.ndarray) -> float:
        kept = x if parts is None else np.concatenate([x[:0], *(x[begin:end] for begin, end in parts)])
        return float(np.sqrt(np.sum(kept.astype(np.longdouble) ** 2)))

    return Case(
        name=f"norm: {name}",
        functions=("norm",),
        inputs=lambda rng: [make(rng)],
        call=lambda device, x: device.norm(x) if parts is None else device.norm(x, parts),
        reference=reference,
        tolerance=4.0,
        dtypes=dtypes,
    )


def clip_case(name: str, limit: float, parts: Any = None) -> Case:
    def reference(x: np.ndarray) -> float:
        kept = x if parts is None else np.concatenate([x[:0], *(x[begin:end] for begin, end in parts)])
        return min(1.0, limit / float(np.sqrt(np.sum(kept.astype(np.longdouble) ** 2))))

    return Case(
        name=f"clip_factor: {name}",
        functions=("clip_factor",),
        inputs=lambda rng: [rng.standard_normal(70003)],
        call=lambda device, x: device.clip_factor(x, limit, parts),
        reference=reference,
        tolerance=4.0,
    )


SGD = {"lr": 0.1, "momentum": 0.9, "dampening": 0.0, "nesterov": False, "weight_decay": 0.0, "first": True}
PLAIN = SGD | {"momentum": 0.0}
ADAGRAD = {"lr": 0.1, "eps": 1e-10, "weight_decay": 0.0}
RMSPROP = {"lr": 0.1, "alpha": 0.9, "eps": 1e-8, "weight_decay": 0.0, "momentum": 0.0, "centered": False}
ADAM = {"lr": 0.1, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 0.0, "first": 0, "decoupled": False}
ADAMW = ADAM | {"decoupled": True, "weight_decay": 0.1}
NADAM = ADAM | {"momentum_decay": 0.004}
ADADELTA = {"lr": 1.0, "rho": 0.9, "eps": 1e-6, "weight_decay": 0.0}
RPROP = {"eta_minus": 0.5, "eta_plus": 1.2, "step_min": 1e-6, "step_max": 50.0}
LION = {"lr": 0.01, "beta1": 0.9, "beta2": 0.99, "weight_decay": 0.0}
ASCENT = {"grad_scale": -1.0}

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
    case("rmsprop", 70003, "vss", **RMSPROP | {"momentum": 0.9, "centered": True}),
    case("rmsprop", 100, "ps", **RMSPROP | {"momentum": 0.9, "weight_decay": 0.1}),
    case("rmsprop", 100, "vs", **RMSPROP | {"centered": True, "eps": 0.1}),
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
    *(case(f, n, "spt", **o) for f, o in (("adam", ADAM), ("adamw", ADAMW)) for n in (1, 1000, 70003)),
    case("adam", 101, "spt", special=True, **ADAM),
    *(case("nadam", n, "sp", **NADAM) for n in SIZES),
    case("nadam", 100, "sp", **NADAM | {"weight_decay": 0.1, "momentum_decay": 0.1, "first": 20}),
    case("nadam", 100, "sp", **NADAM | {"weight_decay": 0.1, "decoupled": True}),
    case("nadam", 101, "sp", special=True, **NADAM),
    *(case("adadelta", n, "pp", **ADADELTA) for n in SIZES),
    case("adadelta", 100, "pp", **ADADELTA | {"weight_decay": 0.1, "eps": 0.1, "lr": 0.3}),
    case("adadelta", 101, "pp", special=True, **ADADELTA),
    *(case("rprop", n, "st", **RPROP) for n in SIZES),
    case("rprop", 1000, "st", **RPROP | {"step_min": 0.9, "step_max": 1.1}),
    case("rprop", 101, "st", special=True, **RPROP),
    *(case("lion", n, "s", **LION) for n in SIZES),
    case("lion", 100, "s", **LION | {"weight_decay": 0.1, "beta1": 0.5}),
    case("lion", 101, "s", special=True, **LION),
    case("sgd", 100, "s", **SGD | ASCENT | {"weight_decay": 0.1}),
    case("sgd", 100, "", **PLAIN | {"grad_scale": 0.25}),
    case("adagrad", 100, "p", **ADAGRAD | ASCENT),
    case("rmsprop", 100, "p", **RMSPROP | ASCENT),
    case("adadelta", 100, "pp", **ADADELTA | {"grad_scale": 0.25}),
    case("adam", 100, "sp", **ADAM | {"grad_scale": 0.25, "weight_decay": 0.1}),
    case("adamw", 100, "spt", **ADAMW | ASCENT),
    case("nadam", 100, "sp", **NADAM | ASCENT),
    case("rprop", 100, "st", **RPROP | ASCENT),
    case("lion", 100, "s", **LION | {"grad_scale": 0.25}),
    norm_case(
        "in stretches", lambda rng: rng.standard_normal(70003), parts=[(3, 40000), (40000, 40001), (50000, 70003)]
    ),
    clip_case("above the limit", 2.0),
    clip_case("below the limit", 1e4),
    clip_case("in stretches", 3.0, [(3, 40000), (40000, 40001), (50000, 70003)]),
    norm_case("in no stretch", lambda rng: rng.standard_normal(10), parts=[]),
    *(average_case(n, decay) for n, decay in ((0, 0.5), (3, 0.9), (33, 0.0), (1000, 1.0), (70003, 0.999))),
    *(norm_case(f"{n} elements", lambda rng, n=n: rng.standard_normal(n)) for n in (*SIZES, 32768, 32769)),
    norm_case("NaN", lambda rng: np.where(np.arange(100) == 70, np.nan, 1.0)),
    norm_case("infinity", lambda rng: np.where(np.arange(100) == 70, -np.inf, 1.0)),
    norm_case("both", lambda rng: np.resize([np.inf, np.nan, 0.0], 100)),
    norm_case("large", lambda rng: rng.random(1000) * 3e38),
    norm_case("small", lambda rng: rng.standard_normal(1000) * 1e-37),
    norm_case("zeros", lambda rng: np.zeros(40000)),
    norm_case("squares beyond float64", lambda rng: rng.standard_normal(40000) * 1e300, ("float64",)),
    norm_case("squares below float64", lambda rng: rng.standard_normal(40000) * 1e-300, ("float64",)),
    norm_case("denormals", lambda rng: np.full(7, 5e-324), ("float64",)),
    norm_case("NaN beyond", lambda rng: np.array([1e300, np.nan, 1e300]), ("float64",)),
]
