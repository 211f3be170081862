"""Greedy learning of a stack of RBMs, from the bottom up: all of it or nothing, and resumable in any layer."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from .. import ops, train
from ..tensor import Tensor
from ..train import Callback, History, Run
from ..train.header import Header
from ..train.store import TRAINING, assign_model, check_history, check_model, history_content, stored_history
from .base import Model
from .rbm import RBM
from .rbm.contrastive import prepare

_OF_STEPS = ("batch_size", "optimizer", "schedule", "momentum", "weight_decay", "shuffle")
_OF_FIT = (
    "init_visible_bias", "callbacks", "progress", "validation_data", "early_stopping", "watch", "sample_weight",
    "resume",
)  # fmt: skip


class LayerOfStack(Callback):
    """Makes the checkpoints of one layer's fit files of the whole model that tell how far the stack is.

    Parameters
    ----------
    layer : int, which one this is
    below : the settings of each finished layer: a resumed stack must have learned them in the same way
    finished : the histories of the finished layers
    settings : what else must be the same where the layer's fit is resumed
    """

    def __init__(
        self, model: Model, layer: int, below: list[dict[str, Any]], finished: list[History], **settings: Any
    ) -> None:
        self.model, self.finished = model, finished
        self.settings = {"layer": layer} | settings | {"layers below": below}  # what differs is named in this order

    def check(self, run: Run) -> None:
        run.whole = self.model
        run.settings |= self.settings
        for i, history in enumerate(self.finished):
            run.kept |= history_content(history, _prefix(i)[len(TRAINING) :])


def _prefix(layer: int) -> str:
    return f"{TRAINING}finished/{layer}/"


def learn_stack(
    model: Model,
    rbms: Sequence[RBM],
    data: tuple[Tensor, Tensor | None],
    held: tuple[Tensor, Tensor | None] | None,
    epochs: int | Sequence[int],
    lr: float | Sequence[float | None],
    arguments: Mapping[str, Any],
) -> list[History]:
    """Learn RBMs on a model's machines, each on the features of the one below; their histories.

    Every layer's arguments are checked before the first layer learns. What ends the learning early leaves the model as
    it was.

    Parameters
    ----------
    model : the model whose parameters and generators the RBMs share
    data, held : (n, visible units), checked: cases to learn from and to watch; with what stands beside the features in
        the top RBM's visible layer, (n, units) or None
    epochs, lr : one for all layers, or one for each
    arguments : of `RBM.fit`, for all layers; ``resume`` is a checkpoint of any layer

    Raises
    ------
    TypeError, ValueError
        For arguments that do not fit one of the layers.
    """
    rates, passes = per_layer(lr, len(rbms), "lr"), per_layer(epochs, len(rbms), "epochs")
    callbacks = arguments.get("callbacks", ())
    if not isinstance(callbacks, Iterable):
        raise TypeError(f"pretrain: callbacks is {callbacks!r}, expected a list of Callback")
    found = list(callbacks)
    given = {name: value for name, value in arguments.items() if name not in ("callbacks", "resume")}
    steps = {name: given[name] for name in _OF_STEPS if name in given}
    options = {name: value for name, value in given.items() if name not in _OF_STEPS + _OF_FIT}
    settings = []
    for i, rbm in enumerate(rbms):
        run, *_ = prepare(rbm, data[0].shape[0], passes[i], lr=rates[i], options=options, **steps)
        settings.append(run.settings | {"epochs": run.epochs, "RBM": rbm.config})
    resume = arguments.get("resume")
    with all_or_nothing(model):
        histories = [] if resume is None else restore_finished(resume, model, passes)
        first = len(histories)
        for i, rbm in enumerate(rbms):
            if i >= first:
                beside = data if rbm is rbms[-1] else (data[0], None)
                watched = held if held is None or rbm is rbms[-1] else (held[0], None)
                histories.append(
                    rbm.fit(
                        _joined(beside), epochs=passes[i], lr=rates[i],
                        validation_data=None if watched is None else _joined(watched),
                        callbacks=[LayerOfStack(model, i, settings[:i], histories[:], RBM=rbm.config), *found],
                        resume=resume if i == first else None, **given,
                    )
                )  # fmt: skip
            if rbm is not rbms[-1]:
                data = (rbm.machine(data[0]), data[1])
                held = None if held is None else (rbm.machine(held[0]), held[1])
    return histories


def _joined(parts: tuple[Tensor, Tensor | None]) -> Tensor:
    features, beside = parts
    return features if beside is None else ops.concatenate([features, beside], 1)


def checkpoint_layer(metadata: Mapping[str, Any]) -> int | None:
    """Which RBM's fit a checkpoint is of, by its metadata; None for one of a model as a whole."""
    training = metadata.get("training")
    settings = training.get("settings") if isinstance(training, dict) else None
    layer = settings.get("layer") if isinstance(settings, dict) else None
    return layer if isinstance(layer, int) and not isinstance(layer, bool) else None


def restore_finished(path: str | os.PathLike[str], model: Model, epochs: Sequence[int]) -> list[History]:
    """Give the model the parameters in a checkpoint of its pre-training; the histories of the finished layers.

    The layer in whose fit it was written is left to that fit, which checks and restores the rest. `epochs` are those of
    each layer.

    Raises
    ------
    ValueError
        For a damaged file, or one of another model or of no pre-training.
    """

    def check(header: Header) -> None:
        check_model(header, model)
        layer = checkpoint_layer(header.metadata)
        if layer is None or not 0 <= layer < len(epochs):
            raise ValueError("it is not a checkpoint of a pre-training")
        for i in range(layer):
            check_history(header, _prefix(i))

    tensors, metadata = train.load_file(path, check)
    histories = [stored_history(tensors, _prefix(i)) for i in range(checkpoint_layer(metadata) or 0)]
    for i, (history, most) in enumerate(zip(histories, epochs, strict=False)):
        if not min(most, 1) <= len(history) <= most:
            found = f"layer {i + 1} has {len(history)} epochs, the fit has {most}"
            raise ValueError(f"pretrain: cannot resume from {os.fspath(path)!r}: {found}")
    assign_model(model, tensors)
    return histories


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
