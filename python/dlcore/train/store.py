"""Models in files: what stands in one, and how a model is made from it again."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from typing import Any, Protocol, TypeVar

import numpy as np

from .. import __version__
from ..nn import Parameters
from ..ops import Generator
from .checkpoint import load_file, save_file
from .header import Array, Header
from .history import History

TRAINING = "training/"  # begins the names of tensors that a fit needs and the model does not
HISTORY = "history/"  # begins the names of the figures, one number an epoch
MAX_EPOCHS = 2**21  # of a history in a file; bounds the memory that its records take
MAX_CONFIG = 2**15  # bytes of JSON; bounds the layers that a file can ask for


class Storable(Protocol):
    """What a model offers to be saved."""

    config: dict[str, Any]
    history: History

    @property
    def parameters(self) -> Parameters:
        """All parameters."""

    @property
    def generators(self) -> dict[str, Generator]:
        """The generators whose state belongs to the model."""

    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        """Names and shapes, known before any memory is taken for them."""


_MODELS: dict[str, Any] = {}
Model = TypeVar("Model")
Value = TypeVar("Value")


def register(model: type[Model]) -> type[Model]:
    """Class decorator: let `load` make this class, by its name. A file can name only what is registered."""
    _MODELS[model.__name__] = model
    return model


def model_content(model: Storable) -> tuple[dict[str, Array], dict[str, Any]]:
    """The tensors and the metadata of a model's file."""
    if _MODELS.get(type(model).__name__) is not type(model):
        raise TypeError(f"save: {type(model).__name__} is not a registered model class")
    _require_small(len(json.dumps(model.config)), MAX_CONFIG, "bytes in its config")
    _require_small(len(model.history), MAX_EPOCHS, "epochs in its history")
    tensors = {name: tensor.numpy() for name, tensor in model.parameters.items()}
    tensors |= history_content(model.history)
    metadata = {
        "dlcore_version": __version__,
        "model": type(model).__name__,
        "config": model.config,
        "generators": {name: [g.key, g.step] for name, g in model.generators.items()},
    }
    return tensors, metadata


def _require_small(found: int, most: int, what: str) -> None:
    if found > most:
        raise ValueError(f"the model has {found} {what}, at most {most}")


def parameter_tensors(tensors: Mapping[str, Value]) -> dict[str, Value]:
    """Those entries of a file that are the model's parameters."""
    return {name: value for name, value in tensors.items() if not name.startswith((TRAINING, HISTORY))}


def history_content(history: History, prefix: str = HISTORY) -> dict[str, Array]:
    """A history as tensors, one a figure."""
    return {prefix + name: np.array(values) for name, values in history.to_dict().items()}


def stored_history(tensors: Mapping[str, Array], prefix: str = HISTORY) -> History:
    """The history in a file; a NaN stands for a figure that an epoch lacks."""
    columns = {name[len(prefix) :]: values.tolist() for name, values in tensors.items() if name.startswith(prefix)}
    epochs = len(next(iter(columns.values()), []))
    rows = ({name: values[i] for name, values in columns.items()} for i in range(epochs))
    return History({name: value for name, value in row.items() if not math.isnan(value)} for row in rows)


def save(path: str | os.PathLike[str], model: Storable) -> None:
    """Write a model; see `dlcore.train.save_file` for what a kill or a full disk leaves."""
    save_file(path, *model_content(model))


def load(path: str | os.PathLike[str]) -> Any:
    """The model that a file holds: from ``model.save(path)`` or a checkpoint.

    The file names one of dlcore's model classes and holds its constructor's arguments and its parameters; nothing in it
    is run. Its shapes are checked before memory is taken.

    Raises
    ------
    ValueError
        If the file is damaged, or is not a model that this version knows.
    OSError
        If there is no such file, or it cannot be read.
    """
    made: list[Any] = []

    def check(header: Header) -> None:
        made.append(_empty_model(header.metadata))
        check_model(header, made[0])

    tensors, metadata = load_file(path, check)
    model = made[0]
    model.parameters.assign(parameter_tensors(tensors))
    model.history = stored_history(tensors)
    try:
        restore_generators(metadata.get("generators"), model.generators)
    except ValueError as error:
        raise ValueError(f"load: {os.fspath(path)!r} is refused: {error}") from None
    return model


def _empty_model(metadata: dict[str, Any]) -> Any:
    name, config = metadata.get("model"), metadata.get("config")
    if not isinstance(name, str) or name not in _MODELS:
        raise ValueError(f"its model is {json.dumps(name)[:60]}, expected one of {', '.join(sorted(_MODELS))}")
    if not isinstance(config, dict):
        raise ValueError(f"{name}'s config is missing")
    _require_small(len(json.dumps(config)), MAX_CONFIG, "bytes in its config")
    try:
        return _MODELS[name](**config)
    except (TypeError, ValueError, KeyError, AttributeError, IndexError, ArithmeticError) as error:
        raise ValueError(f"{name}'s config is refused: {error}") from None


def check_model(header: Header, model: Storable) -> None:
    """Refuse a file whose class, config, parameters or history do not fit this model.

    Raises
    ------
    ValueError
    """
    kind = type(model).__name__
    if header.metadata.get("model") != kind:
        raise ValueError(f"its model is {json.dumps(header.metadata.get('model'))[:60]}, expected {kind}")
    if header.metadata.get("config") != json.loads(json.dumps(model.config)):
        raise ValueError(f"its config is not this {kind}'s: {json.dumps(header.metadata.get('config'))[:200]}")
    found = parameter_tensors(header.shapes)
    expected = model.parameter_shapes()
    if found != expected:
        name = next(name for name in [*expected, *found] if found.get(name) != expected.get(name))
        raise ValueError(f"{name!r} has shape {found.get(name)}, expected {expected.get(name)} for this {kind}")
    for entry in header.entries:
        if entry.name in expected and entry.dtype.name != model.config["dtype"]:
            raise ValueError(f"{entry.name!r} has dtype {entry.dtype.name}, expected {model.config['dtype']}")
    check_history(header)


def check_history(header: Header, prefix: str = HISTORY) -> None:
    """Refuse figures that are no columns of one history.

    Raises
    ------
    ValueError
    """
    entries = [entry for entry in header.entries if entry.name.startswith(prefix)]
    epochs = entries[0].shape if entries else (0,)
    for entry in entries:
        if entry.dtype.name != "float64" or len(entry.shape) != 1 or entry.shape != epochs:
            raise ValueError(f"{entry.name!r} is {entry.dtype.name} {entry.shape}, expected float64 {epochs[:1]}")
    _require_small(epochs[0] * max(len(entries), 4) // 4, MAX_EPOCHS, "epochs in its history")


def restore_generators(saved: Any, generators: Mapping[str, Generator]) -> None:
    """Put generators to saved states (key, step), all or none.

    Raises
    ------
    ValueError
    """
    if not isinstance(saved, dict) or set(saved) != set(generators):
        found = sorted(saved) if isinstance(saved, dict) else saved
        raise ValueError(f"generators are {found!r}, expected {sorted(generators)}")
    try:
        states = {name: Generator(*state) for name, state in saved.items()}
    except TypeError as error:
        raise ValueError(str(error)) from None
    for name, state in states.items():
        generators[name].key, generators[name].step = state.key, state.step
