"""How well classifiers bear images that are shifted, turned, scaled and bent."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import deform, ops
from ..ops import Generator
from ..ops.creation import is_number
from ..tensor import Tensor
from .base import Array
from .mlp import MLP

# Of images 28 pixels high, in pixels, degrees, factors, and Simard's α for σ = 4; pixels follow the height of others.
STRENGTHS: dict[str, tuple[float, ...]] = {
    "shift": (1.0, 2.0, 3.0, 4.0),
    "rotation": (10.0, 20.0, 30.0, 40.0),
    "scale": (0.6, 0.8, 1.2, 1.4),
    "elastic": (17.0, 34.0, 51.0, 68.0),
}
_SIGMA, _HEIGHT = 4.0, 28


@dataclass
class Robustness:
    """What `robustness` found.

    Parameters
    ----------
    accuracy : {deformation: {strength: {model: share of right predictions}}}; "none" at strength 0 is without any
    cases : int, how many images each accuracy is of
    parameters : {model: number of its parameters}; None for a classifier that does not tell
    """

    accuracy: dict[str, dict[float, dict[str, float]]]
    cases: int
    parameters: dict[str, int | None]

    def standard_error(self, accuracy: float) -> float:
        """√(p (1 − p) / cases): of a share of the cases, as if they were a random sample."""
        return math.sqrt(accuracy * (1.0 - accuracy) / self.cases)

    def mean(self, deformation: str) -> dict[str, float]:
        """Each model's accuracy, averaged over the strengths of a deformation."""
        found = self.accuracy[deformation].values()
        return {name: float(np.mean([accuracies[name] for accuracies in found])) for name in self.parameters}

    def table(self) -> str:
        """Accuracies in per cent: a row for each deformation and strength, a column for each model."""
        names = list(self.parameters)
        heads = [name if count is None else f"{name} ({count:,})" for name, count in self.parameters.items()]
        rows = [["deformation", "strength", *heads]]
        for deformation, strengths in self.accuracy.items():
            for strength, found in strengths.items():
                shown = "" if deformation == "none" else f"{strength:.3g}"
                rows.append([deformation, shown, *(f"{100 * found[name]:.2f}" for name in names)])
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        lines = ["  ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))])
                 for row in rows]  # fmt: skip
        return "\n".join([lines[0], "─" * len(lines[0]), *lines[1:]])

    def __str__(self) -> str:
        return self.table()


def robustness(
    models: Any,
    x: Any,
    y: Any,
    *,
    image_shape: Sequence[int] | None = None,
    strengths: Mapping[str, Sequence[float]] | None = None,
    seed: int = 0,
    fill: float = 0.0,
) -> Robustness:
    """Accuracy under shift, rotation, scale and elastic deformation, at several strengths.

    Every model sees the same deformed images. Each image is shifted by the strength in pixels in a direction of its
    own, turned by the strength in degrees to one side or the other, scaled by the strength, and bent by a field of its
    own with α the strength (`dlcore.deform.elastic`, σ = height / 7).

    Parameters
    ----------
    models : a classifier with ``predict(x) -> labels (n,)``, or several by name
    x : images (n, channels, height, width), (n, height, width), or rows (n, pixels); models are given the same form
    y : labels (n,)
    image_shape : (channels, height, width) of rows; that of a model where one has it
    strengths : {deformation: strengths}, of "shift", "rotation", "scale" and "elastic"; by default those of
        `STRENGTHS`, shifts and α adapted to the height. A dict of some does these only.
    seed : int in [0, 2⁶⁴), decides directions and fields
    fill : what stands around the images: their background

    Raises
    ------
    TypeError, ValueError
        For arguments that do not fit, or a model that has no predict or does not predict a label for each case.

    References
    ----------
    Simard, Steinkraus, Platt (2003), Best practices for convolutional neural networks applied to visual document
    analysis.
    """
    named = dict(models) if isinstance(models, Mapping) else {type(models).__name__: models}
    for name, model in named.items():
        if not callable(getattr(model, "predict", None)):
            raise TypeError(f"robustness: {name} is a {type(model).__name__}, expected a classifier with predict")
    if not named:
        raise ValueError("robustness: no models are given")
    given = x.numpy() if isinstance(x, Tensor) else np.asarray(x)
    if given.ndim == 2 and image_shape is None:
        image_shape = next((s for m in named.values() if len(s := getattr(m, "input_shape", ())) == 3), None)
        if image_shape is None:
            raise ValueError("robustness: x has rows of pixels, expected an image_shape (channels, height, width)")
    images = deform.images_of(given, image_shape, "robustness").numpy()
    labels = np.asarray(y)
    if len(images) == 0:
        raise ValueError("robustness: there are no cases")
    if labels.shape != (len(images),):
        raise ValueError(f"robustness: y has shape {labels.shape}, expected ({len(images)},)")
    chosen = _strengths(strengths, images.shape[2])

    def accuracies(moved: Array) -> dict[str, float]:
        cases = moved.reshape(given.shape)
        return {name: _accuracy(model, cases, labels, name) for name, model in named.items()}

    found = {"none": {0.0: accuracies(images)}}
    root = Generator(seed)
    for i, (deformation, values) in enumerate(chosen.items()):
        found[deformation] = {}
        for j, strength in enumerate(values):
            moved = _MOVES[deformation](images, strength, root.split(1000 * i + j), fill)
            found[deformation][float(strength)] = accuracies(moved)
    return Robustness(found, len(images), {name: _parameters(model) for name, model in named.items()})


def mlp_of_size(parameters: int, inputs: int, classes: int, **arguments: Any) -> MLP:
    """The MLP with one hidden layer whose number of parameters is nearest to that of another model.

    Parameters
    ----------
    parameters : int, ``model.parameters.size`` of the other
    inputs, classes : int
    arguments : further ones of `MLP`
    """
    hidden = max(round((parameters - classes) / (inputs + classes + 1)), 1)
    return MLP([inputs, hidden, classes], **arguments)


def _strengths(given: Mapping[str, Sequence[float]] | None, height: int) -> dict[str, tuple[float, ...]]:
    if given is None:
        ratio = height / _HEIGHT
        adapted = {"shift": ratio, "elastic": ratio**2}  # σ grows with the height too: displacements go with α / σ
        return {name: tuple(adapted.get(name, 1.0) * s for s in values) for name, values in STRENGTHS.items()}
    for name, values in given.items():
        if name not in STRENGTHS:
            raise ValueError(f"robustness: {name!r} is not a deformation, expected some of {', '.join(STRENGTHS)}")
        if not all(is_number(s) and math.isfinite(s) for s in values):
            raise ValueError(f"robustness: strengths of {name} are {values!r}, expected finite numbers")
    return {name: tuple(values) for name, values in given.items()}


def _accuracy(model: Any, cases: Array, labels: Array, name: str) -> float:
    found = np.asarray(model.predict(cases))
    if found.shape != labels.shape:
        raise ValueError(f"robustness: {name} predicts {found.shape}, expected labels {labels.shape}")
    return float((found == labels).mean())


def _parameters(model: Any) -> int | None:
    size = getattr(getattr(model, "parameters", None), "size", None)
    return None if size is None else int(size)


def _shifted(images: Array, strength: float, generator: Generator, fill: float) -> Array:
    angle = 2 * np.pi * _uniform(generator, len(images))
    return deform.shift(images, strength * np.sin(angle), strength * np.cos(angle), fill)


def _turned(images: Array, strength: float, generator: Generator, fill: float) -> Array:
    return deform.rotate(images, np.where(_uniform(generator, len(images)) < 0.5, -strength, strength), fill)


def _scaled(images: Array, strength: float, generator: Generator, fill: float) -> Array:
    return deform.scale(images, strength, fill)


def _bent(images: Array, strength: float, generator: Generator, fill: float) -> Array:
    return deform.elastic(images, strength, _SIGMA * images.shape[2] / _HEIGHT, generator, fill)


def _uniform(generator: Generator, n: int) -> Array:
    return ops.uniform(generator, (n,), dtype="float64").numpy()


_MOVES: dict[str, Callable[[Array, float, Generator, float], Array]] = {
    "shift": _shifted,
    "rotation": _turned,
    "scale": _scaled,
    "elastic": _bent,
}
