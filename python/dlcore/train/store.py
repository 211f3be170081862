"""Models in files: what stands in one, and how a model is made from it again."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any, Protocol, TypeVar

from .. import __version__
from ..nn import Parameters
from ..ops import Generator
from .checkpoint import load_file, save_file
from .header import Array, Header
from .history import History

TRAINING = "training/"  # begins the names of tensors that a fit needs and the model does not


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


def register(model: type[Model]) -> type[Model]:
    """Class decorator: let `load` make this class, by its name. A file can name only what is registered."""
    _MODELS[model.__name__] = model
    return model


def model_content(model: Storable) -> tuple[dict[str, Array], dict[str, Any]]:
    """The tensors and the metadata of a model's file."""
    if _MODELS.get(type(model).__name__) is not type(model):
        raise TypeError(f"save: {type(model).__name__} is not a registered model class")
    tensors = {name: tensor.numpy() for name, tensor in model.parameters.items()}
    metadata = {
        "dlcore_version": __version__,
        "model": type(model).__name__,
        "config": model.config,
        "generators": {name: [g.key, g.step] for name, g in model.generators.items()},
        "history": model.history.records,
    }
    return tensors, metadata


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
    model.parameters.assign({name: array for name, array in tensors.items() if not name.startswith(TRAINING)})
    try:
        model.history = History(metadata["history"])
        restore_generators(metadata["generators"], model.generators)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"load: {os.fspath(path)!r} is refused: history or generators: {error}") from None
    return model


def _empty_model(metadata: dict[str, Any]) -> Any:
    name, config = metadata.get("model"), metadata.get("config")
    if not isinstance(name, str) or name not in _MODELS:
        raise ValueError(f"its model is {json.dumps(name)[:60]}, expected one of {', '.join(sorted(_MODELS))}")
    if not isinstance(config, dict):
        raise ValueError(f"{name}'s config is missing")
    try:
        return _MODELS[name](**config)
    except (TypeError, ValueError, KeyError, AttributeError, IndexError, ArithmeticError) as error:
        raise ValueError(f"{name}'s config is refused: {error}") from None


def check_model(header: Header, model: Storable) -> None:
    """Refuse a file whose class, config or parameters are not this model's.

    Raises
    ------
    ValueError
    """
    kind = type(model).__name__
    if header.metadata.get("model") != kind:
        raise ValueError(f"its model is {json.dumps(header.metadata.get('model'))[:60]}, expected {kind}")
    if header.metadata.get("config") != json.loads(json.dumps(model.config)):
        raise ValueError(f"its config is not this {kind}'s: {json.dumps(header.metadata.get('config'))[:200]}")
    found = {name: shape for name, shape in header.shapes.items() if not name.startswith(TRAINING)}
    expected = model.parameter_shapes()
    if found != expected:
        name = next(name for name in [*expected, *found] if found.get(name) != expected.get(name))
        raise ValueError(f"{name!r} has shape {found.get(name)}, expected {expected.get(name)} for this {kind}")
    for entry in header.entries:
        if not entry.name.startswith(TRAINING) and entry.dtype.name != model.config.get("dtype", "float32"):
            raise ValueError(f"{entry.name!r} has dtype {entry.dtype.name}, expected {model.config.get('dtype')}")


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
