"""Fixed problems that optimizers walk on, and the options they are walked with."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import rules
from dlcore import optim, tensor
from dlcore.nn import Parameters

N, STEPS = 37, 200


def start() -> np.ndarray:
    return np.random.default_rng(7).standard_normal(N)


def gradient(theta: np.ndarray, step: int, maximize: bool = False) -> np.ndarray:
    """A convex function's (a concave one's to climb), noisy: large and small elements, exactly 0 at times."""
    noise = np.random.default_rng(step).standard_normal(N)
    g = np.linspace(0.1, 3, N) * theta + 0.3 * np.tanh(2 * theta) + 0.2 * noise
    g[step % N] = 0
    return -g if maximize else g


def parameters(dtype: str) -> Parameters:
    p = Parameters({"a": (5, 5), "b.weight": (7,), "b.bias": (5,)}, dtype)
    p.storage.array.assign(tensor(start(), dtype).array)
    return p


def advance(optimizer: optim.Optimizer, steps: range) -> np.ndarray:
    """θ after every step; gradients are those at the optimizer's own θ."""
    theta = optimizer.parameters.storage
    rows = []
    for step in steps:
        optimizer.step(tensor(gradient(theta.numpy().astype(np.float64), step, optimizer.maximize), theta.array.dtype))
        rows.append(theta.numpy())
    return np.stack(rows)


def combinations(**choices: tuple[Any, ...]) -> Iterator[dict[str, Any]]:
    """All ways to choose one value of each option; None leaves the option out."""
    for values in itertools.product(*choices.values()):
        yield {name: value for name, value in zip(choices, values, strict=True) if value is not None}


BOTH = (None, True)
DECAY = (None, 0.1)
Choices = dict[str, tuple[Any, ...]]
COMMON: Choices = {"weight_decay": DECAY, "maximize": BOTH}
EPS: Choices = {"eps": (None, 1e-3)}
START: Choices = {"initial_accumulator_value": (None, 0.5)}
ADAM: Choices = {"lr": (0.01,), "betas": (None, (0.5, 0.9)), **EPS, **COMMON}

# class -> (PyTorch's name, settings): every option in every combination that makes sense.
SETTINGS: dict[type[optim.Optimizer], tuple[str, list[dict[str, Any]]]] = {
    optim.SGD: (
        "SGD",
        [
            *combinations(lr=(0.02,), momentum=(None, 0.9), dampening=(None, 0.3), weight_decay=DECAY, maximize=BOTH),
            *combinations(lr=(0.02,), momentum=(0.9,), nesterov=(True,), weight_decay=DECAY, maximize=BOTH),
        ],
    ),
    optim.AdaGrad: ("Adagrad", [*combinations(lr=(0.1,), lr_decay=(None, 0.01), **START, **EPS, **COMMON)]),
    optim.RMSProp: (
        "RMSprop",
        [*combinations(lr=(0.01,), alpha=(None, 0.9), momentum=(None, 0.5), centered=BOTH, eps=(1e-4,), **COMMON)],
    ),
    optim.AdaDelta: ("Adadelta", [*combinations(lr=(None, 0.5), rho=(None, 0.8), **EPS, **COMMON)]),
    optim.Adam: ("Adam", [*combinations(**ADAM, amsgrad=BOTH, decoupled_weight_decay=BOTH)]),
    optim.AdamW: ("AdamW", [*combinations(**ADAM, amsgrad=BOTH)]),
    optim.NAdam: ("NAdam", [*combinations(**ADAM, momentum_decay=(None, 0.05), decoupled_weight_decay=BOTH)]),
    optim.Rprop: (
        "Rprop",
        [*combinations(lr=(0.01,), etas=(None, (0.7, 1.1)), step_sizes=(None, (1e-3, 0.1)), maximize=BOTH)],
    ),
    optim.Lion: ("", [*combinations(lr=(0.003,), betas=(None, (0.8, 0.95)), **COMMON)]),  # PyTorch has none
}
ALL = [(make, name, options) for make, (name, settings) in SETTINGS.items() for options in settings]
IDS = [f"{make.__name__} {options}" for make, _, options in ALL]
PLAIN = [(make, settings[0]) for make, (_, settings) in SETTINGS.items()]
RICHEST = [(make, max(settings, key=len)) for make, (_, settings) in SETTINGS.items()]

_RULES = {"AdaGrad": rules.adagrad, "RMSProp": rules.rmsprop, "AdaDelta": rules.adadelta, "AdamW": rules.adam}
_DEFAULTS: dict[str, dict[str, Any]] = {
    "SGD": {"momentum": 0.0, "dampening": 0.0, "nesterov": False, "weight_decay": 0.0, "first": True},
    "AdaGrad": {"eps": 1e-10, "weight_decay": 0.0},
    "RMSProp": {"alpha": 0.99, "eps": 1e-8, "weight_decay": 0.0, "momentum": 0.0, "centered": False},
    "AdaDelta": {"lr": 1.0, "rho": 0.9, "eps": 1e-6, "weight_decay": 0.0},
    "Adam": {"betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.0},
    "AdamW": {"betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.01, "decoupled": True},
    "NAdam": {"betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.0, "momentum_decay": 0.004},
    "Rprop": {"etas": (0.5, 1.2), "step_sizes": (1e-6, 50.0)},
    "Lion": {"betas": (0.9, 0.99), "weight_decay": 0.0},
}  # PyTorch's, and the papers'


def published(make: type[optim.Optimizer], options: dict[str, Any], steps: int = STEPS) -> np.ndarray:
    """θ after every step by the rule as published, in float64."""
    name = make.__name__
    o = _DEFAULTS[name] | options
    o["grad_scale"] = -1.0 if o.get("maximize") else 1.0
    o["decoupled"] = o.get("decoupled", o.get("decoupled_weight_decay", False))
    for pair, parts in (("betas", ("beta1", "beta2")), ("etas", ("eta_minus", "eta_plus"))):
        if pair in o:
            o |= dict(zip(parts, o[pair], strict=True))
    if name == "Rprop":
        o |= {"step_min": o["step_sizes"][0], "step_max": o["step_sizes"][1]}
    state = [np.zeros(N) for _ in range(_arrays(name, o))]
    if name == "AdaGrad":
        state[0] += o.get("initial_accumulator_value", 0.0)
    if name == "Rprop":
        state[1] += o["lr"]
    rule = _RULES.get(name) or getattr(rules, name.lower())
    theta, rows = start(), []
    for step in range(steps):
        theta = rule(theta, gradient(theta, step, options.get("maximize", False)), state, step + 1, o)
        rows.append(theta)
    return np.stack(rows)


def _arrays(name: str, o: dict[str, Any]) -> int:
    if name == "SGD":
        return int(bool(o["momentum"]))
    if name == "RMSProp":
        return 1 + bool(o["momentum"]) + bool(o["centered"])
    return {"AdaGrad": 1, "Lion": 1}.get(name, 2 + bool(o.get("amsgrad")))
