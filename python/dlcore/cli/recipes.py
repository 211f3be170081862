"""The models that ``dlcore train`` and ``dlcore demo`` know, with settings that suit small and large images."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

from ..data import Dataset
from ..models import (
    CNN,
    DBN,
    MLP,
    RBM,
    Autoencoder,
    ContractiveAutoencoder,
    ConvolutionalAutoencoder,
    DenoisingAutoencoder,
    LeNet5,
    Model,
    SparseAutoencoder,
)

Settings = Mapping[str, Any]
MNIST_SHAPE = (1, 28, 28)
LARGE = 256  # features above which the settings for large images hold


@dataclass(frozen=True)
class Recipe:
    """How a model is made and trained.

    Parameters
    ----------
    summary : what the model is, for the help
    make : (training data, settings) -> model; settings has the seed, the number of classes where the model learns from
        labels, and those of `options` that the user gave
    small, large : arguments of ``fit`` for images up to 256 pixels, and above
    options : which of ``dlcore train``'s model options apply
    labels : whether it learns from labels
    """

    summary: str
    make: Callable[[Dataset, Settings], Model]
    small: Settings
    large: Settings
    options: frozenset[str] = field(default_factory=frozenset)
    labels: bool = True

    def fit_settings(self, data: Dataset) -> dict[str, Any]:
        """The arguments of ``fit`` for a set of this size."""
        return dict(self.large if is_large(data) else self.small)


def is_large(data: Dataset) -> bool:
    """Whether the settings for large images hold."""
    return bool(data.x.shape[1] > LARGE)


def count_classes(train: Dataset, test: Dataset) -> int:
    """Number of classes in both sets together: labels count from 0.

    Raises
    ------
    ValueError
        If there are more than cases, so that a label that is no class cannot ask for any amount of memory.
    """
    largest = max(int(np.max(data.y, initial=0)) for data in (train, test))
    cases = len(train) + len(test)
    if largest >= max(cases, 2):
        raise ValueError(
            f"{train.name}: the largest label is {largest} with {cases} cases in all; labels count from 0, one a class"
        )
    return max(largest + 1, 2)


def _widths(data: Dataset, settings: Settings, small: tuple[int, ...], large: tuple[int, ...]) -> list[int]:
    return [data.x.shape[1], *settings.get("layers", large if is_large(data) else small)]


def _mlp(data: Dataset, settings: Settings) -> Model:
    hidden = _widths(data, settings, (256, 128), (500, 500))
    return MLP(
        [*hidden, settings["classes"]], output=settings.get("head", "softmax"), dropout=0.2, seed=settings["seed"]
    )


def _image_shape(data: Dataset) -> tuple[int, ...]:
    if data.image_shape is None:
        raise ValueError(f"{data.name} does not say how wide its images are")
    return tuple(data.image_shape)


def _cnn(data: Dataset, settings: Settings) -> Model:
    if _image_shape(data) == MNIST_SHAPE and "head" not in settings:
        return LeNet5(classes=settings["classes"], seed=settings["seed"])
    return CNN(_image_shape(data), settings["classes"], output=settings.get("head", "softmax"), seed=settings["seed"])


def _dbn(data: Dataset, settings: Settings) -> Model:
    widths = _widths(data, settings, (256, 256), (500, 500))
    return DBN(widths, settings["classes"], output=settings.get("head", "softmax"), seed=settings["seed"])


def _rbm(data: Dataset, settings: Settings) -> Model:
    widths = _widths(data, settings, (128,), (500,))
    if len(widths) != 2:
        raise ValueError(f"--layers has {len(widths) - 1} sizes, expected one, the hidden units")
    visible, hidden = widths
    return RBM(
        visible, hidden, k=settings.get("k", 1), persistent=settings.get("persistent", False), seed=settings["seed"]
    )


def _autoencoder(data: Dataset, settings: Settings) -> Model:
    return Autoencoder(_widths(data, settings, (128, 32), (500, 250, 30)), seed=settings["seed"])


def _sparse_autoencoder(data: Dataset, settings: Settings) -> Model:
    return SparseAutoencoder(_widths(data, settings, (128,), (500,)), seed=settings["seed"])


def _noise(settings: Settings) -> dict[str, Any]:
    """The noise to learn to remove: a third of the pixels masked, unless the user wants another."""
    kind = settings.get("corruption", "masking")
    return {"corruption": kind, "level": settings.get("level", 0.3), "seed": settings["seed"]}


def _denoising_autoencoder(data: Dataset, settings: Settings) -> Model:
    return DenoisingAutoencoder(_widths(data, settings, (128,), (500,)), **_noise(settings))


def _contractive_autoencoder(data: Dataset, settings: Settings) -> Model:
    return ContractiveAutoencoder(_widths(data, settings, (128,), (500,)), contraction=0.1, seed=settings["seed"])


def _convolutional_autoencoder(data: Dataset, settings: Settings) -> Model:
    noise = _noise(settings) if "corruption" in settings or "level" in settings else {"seed": settings["seed"]}
    return ConvolutionalAutoencoder(_image_shape(data), **noise)


COSINE = {"schedule": "cosine"}


def _coding(
    summary: str,
    make: Callable[[Dataset, Settings], Model],
    small: Settings = MappingProxyType({}),
    large: Settings = MappingProxyType({}),
    options: AbstractSet[str] = frozenset({"layers"}),
) -> Recipe:
    """An autoencoder's recipe, of what differs from most."""
    return Recipe(
        summary,
        make,
        COSINE | {"epochs": 60, "batch_size": 32, "lr": 2e-3} | dict(small),
        COSINE | {"epochs": 20, "batch_size": 128} | dict(large),
        frozenset(options),
        labels=False,
    )


RECIPES: dict[str, Recipe] = {
    "mlp": Recipe(
        "multilayer perceptron",
        _mlp,
        COSINE | {"epochs": 40, "batch_size": 32},
        COSINE | {"epochs": 15, "batch_size": 128},
        frozenset({"layers", "head"}),
    ),
    "cnn": Recipe(
        "convolutional network (LeNet-5 on 28×28 images)",
        _cnn,
        COSINE | {"epochs": 25, "lr": 2e-3},
        COSINE | {"epochs": 8, "batch_size": 64, "lr": 2e-3},
        frozenset({"head"}),
    ),
    "dbn": Recipe(
        "deep belief network: RBMs, then fine-tuning",
        _dbn,
        {"epochs": 40, "lr": 3e-3, "pretrain": {"epochs": 30, "batch_size": 20, "lr": 0.1}},
        {"epochs": 15, "lr": 1e-3, "batch_size": 128, "pretrain": {"epochs": 5, "batch_size": 100, "lr": 0.1}},
        frozenset({"layers", "head", "pretrain_epochs"}),
    ),
    "rbm": Recipe(
        "restricted Boltzmann machine",
        _rbm,
        {"epochs": 50, "batch_size": 20, "lr": 0.05},
        {"epochs": 15, "batch_size": 100, "lr": 0.05},
        frozenset({"layers", "k", "persistent"}),
        labels=False,
    ),
    "autoencoder": _coding("deep autoencoder", _autoencoder),
    "sparse-autoencoder": _coding("autoencoder with an L1 penalty on its code", _sparse_autoencoder),
    "denoising-autoencoder": _coding(
        "autoencoder that restores its input from a corrupted one",
        _denoising_autoencoder,
        options={"layers", "corruption", "level"},
    ),
    "contractive-autoencoder": _coding(
        "autoencoder with a penalty on its code's Jacobian", _contractive_autoencoder, {"lr": 5e-3}
    ),
    "convolutional-autoencoder": _coding(
        "autoencoder of convolutions and transposed convolutions",
        _convolutional_autoencoder,
        {"epochs": 40, "lr": 3e-3},
        {"epochs": 8, "lr": 2e-3},
        {"corruption", "level"},
    ),
}
