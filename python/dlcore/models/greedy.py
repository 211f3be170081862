"""Greedy learning of a stack of RBMs, from the bottom up: all of it or nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from .. import train
from ..tensor import Tensor
from ..train import Checkpoint, History
from .base import Model
from .contrastive import prepare
from .rbm import RBM

_OF_STEPS = ("batch_size", "optimizer", "schedule", "momentum", "weight_decay", "shuffle")
_OF_FIT = ("init_visible_bias", "callbacks", "progress", "validation_data", "early_stopping", "watch", "sample_weight")


def learn_stack(
    model: Model,
    rbms: Sequence[RBM],
    x: Tensor,
    held: Tensor | None,
    epochs: int | Sequence[int],
    lr: float | Sequence[float],
    arguments: Mapping[str, Any],
) -> list[History]:
    """Learn RBMs on a model's machines, each on the features of the one below; their histories.

    Every layer's arguments are checked before the first layer learns. What ends the learning early leaves the model as
    it was.

    Parameters
    ----------
    model : the model whose parameters and generators the RBMs share
    x, held : (n, visible units), checked: cases to learn from and to watch
    epochs, lr : one for all layers, or one for each
    arguments : of `RBM.fit`, for all layers

    Raises
    ------
    TypeError, ValueError
        For arguments that do not fit one of the layers.
    """
    rates, passes = per_layer(lr, len(rbms), "lr"), per_layer(epochs, len(rbms), "epochs")
    given = dict(arguments) | {"callbacks": _callbacks(arguments)}
    steps = {name: given[name] for name in _OF_STEPS if name in given}
    options = {name: value for name, value in given.items() if name not in _OF_STEPS + _OF_FIT}
    for i, rbm in enumerate(rbms):
        prepare(rbm, x.shape[0], passes[i], lr=rates[i], options=options, **steps)
    histories = []
    with all_or_nothing(model):
        for i, rbm in enumerate(rbms):
            histories.append(rbm.fit(x, epochs=passes[i], lr=rates[i], validation_data=held, **given))
            if rbm is not rbms[-1]:
                x = rbm.machine(x)
                held = None if held is None else rbm.machine(held)
    return histories


def _callbacks(arguments: Mapping[str, Any]) -> list[Any]:
    """The callbacks as a list, which serves all layers; ValueError for what needs one fit that can be resumed."""
    callbacks = arguments.get("callbacks", ())
    if not isinstance(callbacks, Iterable):
        raise TypeError(f"pretrain: callbacks is {callbacks!r}, expected a list of Callback")
    found = list(callbacks)
    reason = "pretraining is one fit for each layer and cannot be resumed; save the model after it"
    if arguments.get("resume") is not None:
        raise ValueError(f"pretrain: resume is given, but {reason}")
    if any(isinstance(callback, Checkpoint) for callback in found):
        raise ValueError(f"pretrain: callbacks has a Checkpoint, but {reason}")
    return found


def per_layer(value: Any, layers: int, name: str) -> list[Any]:
    """A value for each layer from one for all, or from a list of them."""
    values = list(value) if isinstance(value, (list, tuple, np.ndarray)) and np.ndim(value) else [value] * layers
    if len(values) != layers:
        raise ValueError(f"pretrain: {name} has {len(values)} values, expected one or {layers}")
    return values


@contextmanager
def all_or_nothing(model: Model) -> Iterator[None]:
    """A block that an exception ends leaves the model's parameters and generators as they were."""
    theta = model.parameters.storage.array
    before = theta.copy()
    states = {name: (g.key, g.step) for name, g in model.generators.items()}
    try:
        yield
    except BaseException:
        theta.assign(before)
        train.restore_generators(states, model.generators)
        raise
