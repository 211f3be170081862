"""Turning a fit's arguments into objects: optimizers by name, learning-rate schedules, batch sizes."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..nn import Parameters
from ..ops.creation import is_integer
from ..optim import (
    BATCH_METHODS,
    SGD,
    AdaDelta,
    AdaGrad,
    Adam,
    AdamW,
    BatchMinimizer,
    Lion,
    NAdam,
    Optimizer,
    RMSProp,
    Rprop,
)
from ..optim.schedules import Cosine, Linear

LearningRate = float | Callable[[int], float]
OptimizerLike = str | Callable[[Parameters], Optimizer]

OPTIMIZERS: dict[str, type[Optimizer]] = {
    "sgd": SGD,
    "adagrad": AdaGrad,
    "rmsprop": RMSProp,
    "adam": Adam,
    "adamw": AdamW,
    "nadam": NAdam,
    "adadelta": AdaDelta,
    "rprop": Rprop,
    "lion": Lion,
}
SCHEDULES = ("constant", "linear", "cosine")


@functools.cache
def option_names(optimizer: str) -> tuple[str, ...]:
    """The keywords of one of `OPTIMIZERS` beside its parameters and lr, those that every method has last."""
    kind = OPTIMIZERS[optimizer]
    own = [*inspect.signature(kind).parameters, *inspect.signature(Optimizer).parameters]
    left_out = ("parameters", "lr", "common", "options")
    return tuple(name for name in dict.fromkeys(own) if name not in left_out)


@functools.cache
def _default_lr(optimizer: str) -> float:
    rate: float = inspect.signature(OPTIMIZERS[optimizer]).parameters["lr"].default
    return rate


def _decayed(schedule: str, lr: Any, steps: int) -> Any:
    """A rate that falls to 0 over the fit; a schedule stays as it is."""
    if callable(lr):
        return lr
    return Linear(lr, 0.0, max(steps, 1)) if schedule == "linear" else Cosine(lr, max(steps, 1))


def make_optimizer(
    optimizer: OptimizerLike,
    parameters: Parameters,
    lr: LearningRate | None = None,
    options: Mapping[str, Any] | None = None,
    schedule: str = "constant",
    steps: int = 0,
    by_objective: bool = False,
) -> Optimizer:
    """The optimizer of a fit.

    Parameters
    ----------
    optimizer : one of `OPTIMIZERS`, or a function of the parameters that returns an optimizer
    lr : learning rate or function of the step; by default the optimizer's own
    options : the optimizer's other arguments by name (``momentum``, ``groups``, ``max_grad_norm``, …)
    schedule : one of `SCHEDULES`: how lr falls over the fit, to 0 after `steps` steps; the groups' own rates do as well
    by_objective : whether the fit has an objective to evaluate, so that the methods of `dlcore.optim.BATCH_METHODS` are
        offered too; theirs is `dlcore.optim.BatchMinimizer`

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
            f"fit: optimizer is the object {type(optimizer).__name__}, expected a name, or a function of the "
            "parameters that returns one: optimizer=lambda parameters: Adam(parameters, ...)"
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
    if by_objective and isinstance(optimizer, str) and optimizer in BATCH_METHODS:
        if lr is not None or schedule != "constant":
            raise ValueError(
                f"fit: optimizer {optimizer!r} finds its steps by line searches and takes no lr or schedule"
            )
        return BatchMinimizer(parameters, optimizer, **given)
    if not isinstance(optimizer, str) or optimizer not in OPTIMIZERS:
        names = ", ".join([*OPTIMIZERS, *(BATCH_METHODS if by_objective else ())])
        raise ValueError(f"fit: optimizer is {optimizer!r}, expected one of {names}")
    kind = OPTIMIZERS[optimizer]
    for name in given:
        if name not in (known := option_names(optimizer)):
            raise ValueError(f"fit: {name!r} is not an option of {optimizer}, which has {', '.join(known)}")
    rate = _default_lr(optimizer) if lr is None else lr
    if schedule != "constant":
        if callable(rate):
            raise ValueError(f"fit: lr is a function and schedule is {schedule!r}, expected one of the two")
        kind(parameters, lr=rate, **given)  # checks the numbers, which a schedule's product could hide
        rate = _decayed(schedule, rate, steps)
        if given.get("groups"):
            given["groups"] = [
                {name: _decayed(schedule, x, steps) if name == "lr" else x for name, x in group.items()}
                for group in given["groups"]
            ]
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
