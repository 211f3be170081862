"""Turning a fit's arguments into objects: optimizers by name, learning-rate schedules, batch sizes."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..nn import Parameters
from ..ops.creation import is_integer
from ..optim import SGD, AdaGrad, Adam, AdamW, Optimizer, RMSProp

LearningRate = float | Callable[[int], float]
OptimizerLike = str | Callable[[Parameters], Optimizer]

OPTIMIZERS: dict[str, type[Optimizer]] = {
    "sgd": SGD,
    "adagrad": AdaGrad,
    "rmsprop": RMSProp,
    "adam": Adam,
    "adamw": AdamW,
}
SCHEDULES = ("constant", "linear", "cosine")


class Decay:
    """lr(step) = lr · (1 − t) for "linear", lr · (1 + cos πt) / 2 for "cosine", with t = step / steps, 0 beyond.

    References
    ----------
    Loshchilov, Hutter (2017), SGDR: stochastic gradient descent with warm restarts, equation 5.
    """

    def __init__(self, kind: str, lr: float, steps: int) -> None:
        self.kind, self.lr, self.steps = kind, lr, steps

    def __call__(self, step: int) -> float:
        t = min(step / max(self.steps, 1), 1.0)
        return self.lr * (1.0 - t if self.kind == "linear" else 0.5 * (1.0 + math.cos(math.pi * t)))


def make_optimizer(
    optimizer: OptimizerLike,
    parameters: Parameters,
    lr: LearningRate | None = None,
    options: Mapping[str, Any] | None = None,
    schedule: str = "constant",
    steps: int = 0,
) -> Optimizer:
    """The optimizer of a fit.

    Parameters
    ----------
    optimizer : one of `OPTIMIZERS`, or a function of the parameters that returns an optimizer
    lr : learning rate or function of the step; by default the optimizer's own
    options : the optimizer's other arguments by name (``momentum``, ``betas``, …)
    schedule : one of `SCHEDULES`: how lr falls over the fit, to 0 after `steps` steps

    Raises
    ------
    ValueError
        For an unknown name or option, or an option out of its range.
    TypeError
        If the function returns something else.
    """
    given = dict(options or {})
    if schedule not in SCHEDULES:
        raise ValueError(f"fit: schedule is {schedule!r}, expected one of {', '.join(SCHEDULES)}")
    if isinstance(optimizer, Optimizer):
        raise ValueError(
            f"fit: optimizer is the object {type(optimizer).__name__}, expected a name, or a function of the parameters "
            "that returns one: optimizer=lambda parameters: Adam(parameters, ...)"
        )
    if callable(optimizer):
        if lr is not None or given or schedule != "constant":
            raise ValueError("fit: optimizer is a function, which sets lr, the schedule and all options itself")
        made = optimizer(parameters)
        if not isinstance(made, Optimizer):
            raise TypeError(f"fit: optimizer returned a {type(made).__name__}, expected an Optimizer")
        if made.parameters is not parameters:
            raise ValueError("fit: optimizer was made for other parameters than this model's")
        return made
    if not isinstance(optimizer, str) or optimizer not in OPTIMIZERS:
        raise ValueError(f"fit: optimizer is {optimizer!r}, expected one of {', '.join(OPTIMIZERS)}")
    kind = OPTIMIZERS[optimizer]
    known = inspect.signature(kind).parameters
    for name in given:
        if name not in known or name in ("parameters", "lr"):
            names = ", ".join(name for name in known if name not in ("parameters", "lr"))
            raise ValueError(f"fit: {name!r} is not an option of {optimizer}, which has {names}")
    rate = known["lr"].default if lr is None else lr
    if schedule != "constant":
        if callable(rate):
            raise ValueError(f"fit: lr is a function and schedule is {schedule!r}, expected one of the two")
        kind(parameters, lr=rate)  # checks the number, which a schedule's product could hide
        rate = Decay(schedule, float(rate), steps)
    return kind(parameters, lr=rate, **given)


def check_batch_size(batch_size: Any, cases: int) -> int:
    """The batch size, at most the number of cases.

    Raises
    ------
    ValueError
        Unless it is a positive integer and there are cases.
    """
    if not is_integer(batch_size) or batch_size < 1:
        raise ValueError(f"fit: batch_size is {batch_size!r}, expected a positive integer")
    if cases < 1:
        raise ValueError("fit: there are no cases to learn from")
    return min(int(batch_size), cases)


def fit_settings(
    cases: int,
    batch_size: int,
    shuffle: bool,
    optimizer: OptimizerLike,
    lr: LearningRate | None = None,
    options: Mapping[str, Any] | None = None,
    schedule: str = "constant",
) -> dict[str, Any]:
    """What a resumed fit must have in common with the one it goes on from, in types that JSON holds.

    Functions cannot be compared: of them is kept that they are some.
    """
    if not isinstance(shuffle, (bool, np.bool_)):
        raise ValueError(f"fit: shuffle is {shuffle!r}, expected True or False")
    found: dict[str, Any] = {"cases": cases, "batch_size": batch_size, "shuffle": bool(shuffle)}
    if isinstance(optimizer, str):
        found |= {"schedule": schedule, "lr": _plain(lr), "options": _plain(options or {})}
    return found


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    if isinstance(value, Mapping):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    return "a function" if callable(value) else type(value).__name__
