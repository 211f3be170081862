"""One training run of a recipe: the model, its figures on the test set, and its pictures."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .. import plot
from ..data import Dataset
from ..models import CNN, DBN, MLP, RBM, ContractiveAutoencoder, Model, SparseAutoencoder
from ..models.autoencoder import CodingModel
from ..models.supervised import Supervised
from .recipes import Recipe, count_classes

SAMPLES = 64
SAMPLE_STEPS = 200


@dataclass
class Result:
    """What a run gave.

    Parameters
    ----------
    figures : name -> value on the test set, the one to report first
    seconds : wall time of the fit
    """

    seed: int
    model: Any
    figures: dict[str, float]
    seconds: float


def make_model(recipe: Recipe, train: Dataset, test: Dataset, settings: Mapping[str, Any]) -> Model:
    """The recipe's model for these data."""
    return recipe.make(train, {**settings, "classes": count_classes(train, test)} if recipe.labels else settings)


def run(recipe: Recipe, train: Dataset, test: Dataset, settings: Mapping[str, Any], fit: Mapping[str, Any]) -> Result:
    """Make the recipe's model, train it with the recipe's arguments and those in `fit`, and test it."""
    model = make_model(recipe, train, test, settings)
    arguments = recipe.fit_settings(train) | dict(fit)
    # Watched, never acted on: nothing stops early here, so the test set's figures stay honest.
    arguments["validation_data"] = (test.x, test.y) if recipe.labels else test.x
    started = time.perf_counter()
    targets = (train.y,) if recipe.labels else ()
    model.fit(train.x, *targets, **arguments)  # type: ignore[attr-defined] # every model of a recipe has fit
    seconds = time.perf_counter() - started
    return Result(settings["seed"], model, _figures(model, test), seconds)


def _figures(model: Model, test: Dataset) -> dict[str, float]:
    if isinstance(model, Supervised):
        return {"test error": 1.0 - model.score(test.x, test.y)}
    if isinstance(model, RBM):
        gap = model.history.last.get("free_energy_gap", 0.0)
        return {"test reconstruction error": _squared_error(model, test), "free-energy gap": gap}
    assert isinstance(model, CodingModel)
    figures = {"test reconstruction error": _squared_error(model, test)}
    if isinstance(model, SparseAutoencoder):
        figures["code near zero"] = model.history.last["near_zero"]
    if isinstance(model, ContractiveAutoencoder):
        figures["squared norm of the Jacobian"] = model.jacobian_norm(test.x)
    if model.coder.corruption is not None:
        figures["from corrupted"] = _squared_error(model, test, model.corrupt(test.x))
    return figures


def _squared_error(model: RBM | CodingModel, test: Dataset, seen: Any = None) -> float:
    """Mean over the cases of Σ (x − x̂)², x̂ made from x or from what is `seen` of it."""
    restored = model.reconstruct(test.x if seen is None else seen)
    return float(np.square(test.x - restored.reshape(test.x.shape)).sum(axis=1).mean())


def figure_text(name: str, value: float) -> str:
    """A figure as it is printed: errors of classification and shares in per cent."""
    return f"{100 * value:.2f} %" if name in ("test error", "code near zero") else f"{value:.3f}"


def pictures_possible() -> bool:
    """Whether Matplotlib is there."""
    return importlib.util.find_spec("matplotlib") is not None


def write_pictures(folder: Path, name: str, model: Any, test: Dataset) -> list[Path]:
    """Write what there is to see of a model as ``folder/name-….png``.

    Parameters
    ----------
    folder : exists

    Returns
    -------
    The files.
    """
    written = []

    def path(what: str) -> Path:
        written.append(folder / f"{name}-{what}.png")
        return written[-1]

    if len(model.history):
        plot.learning_curves(model.history, path=path("learning-curves"))
    if isinstance(model, DBN) and model.pretrain_history:
        layers = {f"RBM {i + 1}": history for i, history in enumerate(model.pretrain_history)}
        plot.learning_curves(layers, path=path("pretraining"))
    shape = test.image_shape
    if isinstance(model, CNN):
        first = next(value for name, value in model.parameters.items() if name.endswith("weight"))
        plot.filters(first, path=path("filters"))
    elif shape is not None:
        weight = _pixel_weights(model)
        plot.filters(weight, shape if weight.ndim == 2 else None, path=path("filters"))
        if not isinstance(model, MLP):
            x = test.x[:20]
            plot.reconstructions(x, model.reconstruct(x), shape, n=20, path=path("reconstructions"))
        if isinstance(model, CodingModel) and model.coder.corruption is not None:
            _denoising_picture(model, test, shape, path("denoising"))
        if isinstance(model, (RBM, DBN)):
            start = test.x[np.arange(SAMPLES) % len(test)]
            plot.samples(model.sample(SAMPLES, SAMPLE_STEPS, start), shape, path=path("samples"))
    return written


def _pixel_weights(model: Any) -> Any:
    """Weights (pixels, units): what units look for or, clearer in an autoencoder, what they add to the picture."""
    if isinstance(model, RBM):
        return model.machine.weight
    if isinstance(model, DBN):
        return model.belief.machines[0].weight
    if isinstance(model, CodingModel):
        return model.pixel_weights()
    return next(value for name, value in model.parameters.items() if name.endswith("weight"))


def _denoising_picture(model: CodingModel, test: Dataset, shape: tuple[int, ...], path: Path) -> None:
    """Cases, what the noise leaves of them, and what is restored from that: three rows."""
    x = test.x[:20]
    noisy = model.corrupt(x)
    rows = [x, noisy.reshape(x.shape), model.reconstruct(noisy).reshape(x.shape)]
    plot.samples(np.concatenate(rows), shape, columns=len(x), path=path)
