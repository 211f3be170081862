"""Learning from a stream: the gradient steps of ``partial_fit``, with an optimizer that its calls share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import ops, train
from ..optim import Optimizer
from ..tensor import Tensor
from ..train import Run
from .base import Model
from .fitting import apart, check_last_batch


@dataclass
class Online:
    """What is kept between the calls of a model's ``partial_fit``.

    Parameters
    ----------
    optimizer : `dlcore.optim.Optimizer`, with its state
    settings : the arguments it was made from; None for one that the caller made
    loss : float, the objective's mean over the newest call's cases, each batch's before its step
    """

    optimizer: Optimizer
    settings: Mapping[str, Any] | None
    loss: float = np.nan


def partial_fit_network(
    model: Model,
    data: Sequence[Tensor],
    objective: Callable[..., Tensor],
    optimizer: str | Optimizer | None = None,
    lr: train.LearningRate | None = None,
    batch_size: int = 64,
    options: Mapping[str, Any] | None = None,
) -> None:
    """One pass over the data, batch by batch in the order given: a gradient step of the objective each.

    The first call makes the optimizer; later ones go on with it and its state. Another name or other options make a
    fresh one, another `lr` does not. A ``fit`` ends it: a ``partial_fit`` after that begins afresh.

    Parameters
    ----------
    data : tensors with a row per case, checked
    objective : (*batch) -> Tensor, mean over the batch's cases
    optimizer : a name as for `FitOptions`, or an Optimizer of ``model.trained_parameters``, whose lr and options are
        its own; None goes on with the one there is, "adam" at first
    lr : learning rate, or a function of the step; None leaves it
    batch_size : int >= 1, cases to a step
    options : the optimizer's other arguments

    Raises
    ------
    TypeError, ValueError
        For arguments that do not fit; nothing is changed then.
    FloatingPointError
        When a loss or a parameter is no longer finite. The parameters are those before the call, and the optimizer is
        given up.
    """
    with named("partial_fit"):
        size = train.check_batch_size(batch_size, data[0].shape[0])
        check_last_batch(model, data[0], size)
        online = _online(model, optimizer, lr, dict(options or {}))
    data = apart(model, data)
    theta = model.parameters.storage
    before = train.snapshot(model)
    generators = {name: generator.step for name, generator in model.generators.items()}
    run = Run(model, 1, online.optimizer, model.generators)
    network = model.network.train()
    try:
        online.loss = train.gradient_epoch(objective, data, size, None)(run)["loss"]
        if not ops.all_finite(theta):
            raise FloatingPointError("a parameter is not finite")
    except FloatingPointError as error:
        train.put_back(model, before)
        for name, generator in model.generators.items():
            generator.step = generators[name]
        model.online = None
        text = f"partial_fit: {error}; the parameters are again those before it. A smaller lr may help."
        raise FloatingPointError(text) from None
    except BaseException:
        if not ops.all_finite(theta):
            train.put_back(model, before)
        raise
    finally:
        network.eval()
    model.online = online


def _online(model: Model, optimizer: Any, lr: Any, options: dict[str, Any]) -> Online:
    """The optimizer of this call: the one there is where the arguments allow it, else a fresh one."""
    present, parameters = model.online, model.trained_parameters
    if isinstance(optimizer, Optimizer):
        if lr is not None or options:
            raise ValueError("fit: optimizer is an object, which has its own lr and options")
        if optimizer.parameters is not parameters:
            raise ValueError("fit: optimizer was made for other parameters than this model's")
        return Online(optimizer, None)
    if optimizer is not None and not isinstance(optimizer, str):
        kind = type(optimizer).__name__
        raise TypeError(f"fit: optimizer is a {kind}, expected a name or an Optimizer of model.trained_parameters")
    if present is not None and optimizer is None and not options:
        _set_rate(present.optimizer, lr)
        return present
    settings = {"optimizer": optimizer or "adam", **options}
    if present is not None and present.settings == settings:
        _set_rate(present.optimizer, lr)
        return present
    made = train.make_optimizer(settings["optimizer"], parameters, lr, options, by_objective=True)
    return Online(made, settings)


def _set_rate(optimizer: Optimizer, lr: Any) -> None:
    """Set lr where it is given; nothing changes where it is out of its range."""
    if lr is None:
        return
    if not optimizer.follows_lr:
        raise ValueError(f"fit: {type(optimizer).__name__} takes no lr")
    before, optimizer.lr = optimizer.lr, lr
    try:
        optimizer.current_lr()
    except Exception:
        optimizer.lr = before
        raise


@contextmanager
def named(who: str) -> Iterator[None]:
    """Errors of the checks that ``fit`` shares, in the name of `who`."""
    try:
        yield
    except (TypeError, ValueError) as error:
        text = str(error)
        raise type(error)(f"{who}{text[3:]}" if text.startswith("fit: ") else text) from None
