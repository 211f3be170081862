"""Pictures of models and of their training, with Matplotlib (the ``plot`` extra).

Each function returns a `matplotlib.figure.Figure` and, where `path` is given, writes it there in the format of the
path's suffix. pyplot is never imported: no window, no global state, no figure to close. Tiles are drawn as one image.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from .tensor import Tensor

if TYPE_CHECKING:
    from matplotlib.figure import Figure  # type: ignore[import-not-found,import-untyped,unused-ignore]

    from .models import Robustness
    from .train import History

ArrayLike = Tensor | npt.ArrayLike
PathLike = str | os.PathLike[str]
Image = npt.NDArray[np.float64]

DPI = 100
VALIDATION = "validation_"  # what a history's figures of held-out data are prefixed with
WIDTH = 640  # pixels that a picture of tiles is brought up to, by whole factors, so that all pixels are equal squares


def _figure_class() -> type[Figure]:
    try:
        from matplotlib.figure import Figure  # type: ignore[import-not-found,import-untyped,unused-ignore]
    except ImportError as error:
        raise ImportError("plot: matplotlib is not installed; it comes with the extra 'plot'") from error
    figure: type[Figure] = Figure
    return figure


def _numbers(values: ArrayLike, who: str) -> Image:
    array = np.asarray(values.numpy() if isinstance(values, Tensor) else values)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{who}: dtype is {array.dtype}, expected real numbers")
    return array.astype(np.float64)


def _images(values: ArrayLike, image_shape: Sequence[int] | None, who: str) -> Image:
    """`values` as (n, channels, height, width)."""
    array = _numbers(values, who)
    if image_shape is None:
        if array.ndim == 4:
            shape = array.shape[1:]
        elif array.ndim == 3:
            shape = (1, *array.shape[1:])
        else:
            side = math.isqrt(array.shape[-1]) if array.ndim == 2 else 0
            shape = (1, side, side)
    else:
        shape = tuple(int(size) for size in image_shape)
        shape = (1, *shape) if len(shape) == 2 else shape
    n = len(array) if array.ndim else 0
    if n == 0 or len(shape) != 3 or array.size != n * math.prod(shape):
        raise ValueError(
            f"{who}: shape is {array.shape}, image_shape is {image_shape}, expected at least one image: "
            "(n, height, width), (n, channels, height, width), or rows with image_shape (channels, height, width)"
        )
    if shape[0] not in (1, 3):
        raise ValueError(f"{who}: images have {shape[0]} channels, expected 1 (grey) or 3 (colour)")
    return array.reshape(n, *shape)


def tile(images: ArrayLike, columns: int | None = None, gap: int = 1, fill: float = 1.0) -> Image:
    """One image made of many, row by row.

    Parameters
    ----------
    images : (n, height, width) or (n, channels, height, width)
    columns : tiles in a row; ⌈√n⌉ by default
    gap : pixels between tiles and around them
    fill : value of the gaps and of the missing tiles in the last row

    Returns
    -------
    (rows (height + gap) + gap, columns (width + gap) + gap), with a last axis of 3 for colour
    """
    tiles = _images(images, None, "tile")
    n, channels, height, width = tiles.shape
    columns = math.ceil(math.sqrt(n)) if columns is None else columns
    if columns < 1 or gap < 0:
        raise ValueError(f"tile: columns is {columns}, gap is {gap}, expected columns >= 1 and gap >= 0")
    rows = math.ceil(n / columns)
    cells = np.full((rows * columns, channels, height + gap, width + gap), fill)
    cells[:n, :, gap:, gap:] = tiles
    grid = cells.reshape(rows, columns, channels, height + gap, width + gap).transpose(0, 3, 1, 4, 2)
    picture = np.full((rows * (height + gap) + gap, columns * (width + gap) + gap, channels), fill)
    picture[: rows * (height + gap), : columns * (width + gap)] = grid.reshape(
        rows * (height + gap), columns * (width + gap), channels
    )
    return picture[:, :, 0] if channels == 1 else picture


def _draw(picture: Image, path: PathLike | None, title: str | None) -> Figure:
    """A figure that is the picture, each of its pixels a square of whole screen pixels."""
    height, width = picture.shape[:2]
    factor = max(1, WIDTH // max(height, width))
    bar = 0.0 if title is None else 24.0  # pixels for the title
    size = (width * factor / DPI, (height * factor + bar) / DPI)
    figure = _figure_class()(figsize=size, dpi=DPI)
    axes = figure.add_axes((0.0, 0.0, 1.0, height * factor / (height * factor + bar)))
    axes.imshow(np.clip(picture, 0.0, 1.0), cmap="gray", vmin=0.0, vmax=1.0, interpolation="nearest", aspect="auto")
    axes.set_axis_off()
    if title is not None:
        figure.suptitle(title, fontsize=10, y=1.0 - 4.0 / (height * factor + bar), va="top")
    return _saved(figure, path)


def _saved(figure: Figure, path: PathLike | None) -> Figure:
    if path is not None:
        figure.savefig(Path(path), dpi=DPI)
    return figure


def samples(
    images: ArrayLike,
    image_shape: Sequence[int] | None = None,
    columns: int | None = None,
    path: PathLike | None = None,
    title: str | None = None,
) -> Figure:
    """Images side by side, 0 black and 1 white; values outside [0, 1] are clipped.

    Parameters
    ----------
    images : (n, height, width), (n, channels, height, width), or rows of pixels (n, pixels)
    image_shape : (channels, height, width) or (height, width); for rows of a square number of pixels it may be left out
    columns : images in a row; ⌈√n⌉ by default
    path : where to write the picture; the suffix says the format (.png)

    Raises
    ------
    ImportError
        Matplotlib is not installed.
    ValueError
        The shapes do not fit, or there is no image.
    """
    return _draw(tile(_images(images, image_shape, "samples"), columns, fill=0.5), path, title)


def filters(
    weight: ArrayLike,
    image_shape: Sequence[int] | None = None,
    n: int = 100,
    path: PathLike | None = None,
    title: str | None = None,
) -> Figure:
    """What each unit looks for: its weights as an image, grey for 0, white for its largest |w|, black for −|w|.

    Parameters
    ----------
    weight : (inputs, units), as of `Linear` and `RBM`, or (out_channels, in_channels, height, width), as of `Conv2d`
        Of a convolution with more than three input channels every channel of every filter is a tile.
    image_shape : (channels, height, width) of the inputs; may be left out where they are a square image
    n : at most so many units are drawn, the first ones
    """
    values = _numbers(weight, "filters")
    if n < 1:
        raise ValueError(f"filters: n is {n}, expected at least 1")
    if values.ndim == 4:
        columns = values.shape[1] if values.shape[1] not in (1, 3) else None
        images = values if columns is None else values.reshape(-1, 1, *values.shape[2:])
        images = images[: n if columns is None else n * columns]
    elif values.ndim == 2:
        columns = None
        images = _images(values.T[:n], image_shape, "filters")
    else:
        raise ValueError(f"filters: weight is {values.shape}, expected (inputs, units) or four dimensions")
    if not images.size:
        raise ValueError(f"filters: weight is {values.shape}, expected at least one filter")
    largest = np.abs(images).max(axis=(1, 2, 3), keepdims=True)
    scaled = 0.5 + 0.5 * images / np.where(largest > 0, largest, 1.0)
    return _draw(tile(scaled, columns, fill=0.0), path, title)


def reconstructions(
    originals: ArrayLike,
    reconstructed: ArrayLike,
    image_shape: Sequence[int] | None = None,
    n: int = 10,
    path: PathLike | None = None,
    title: str | None = None,
) -> Figure:
    """The first n originals in a row and, below each, its reconstruction; shapes as in `samples`."""
    above = _images(originals, image_shape, "reconstructions: originals")
    below = _images(reconstructed, image_shape, "reconstructions: reconstructed")
    if above.shape != below.shape:
        raise ValueError(f"reconstructions: originals are {above.shape}, reconstructed are {below.shape}")
    if n < 1:
        raise ValueError(f"reconstructions: n is {n}, expected at least 1")
    n = min(n, len(above))
    return _draw(tile(np.concatenate([above[:n], below[:n]]), n, fill=0.5), path, title)


def robustness(report: Robustness, path: PathLike | None = None, title: str | None = None) -> Figure:
    """Accuracies of a `dlcore.models.Robustness` against the strength, a part of the picture for each deformation.

    Parameters
    ----------
    report : what `dlcore.robustness` returned
    path : file to write, optional
    title : above the picture, optional
    """
    deformations = [name for name in report.accuracy if name != "none"]
    figure = _figure_class()(figsize=(2.1 * max(len(deformations), 1), 2.1), dpi=DPI, layout="constrained")
    still = {"shift": 0.0, "rotation": 0.0, "scale": 1.0, "elastic": 0.0}
    units = {"shift": "shift (pixels)", "rotation": "rotation (degrees)", "scale": "scale", "elastic": "elastic (α)"}
    for i, name in enumerate(deformations):
        axes = figure.add_subplot(1, len(deformations), i + 1)
        found = sorted({still[name]: report.accuracy["none"][0.0], **report.accuracy[name]}.items())
        for model in report.parameters:
            shares = [100.0 * accuracy[model] for _, accuracy in found]
            axes.plot([strength for strength, _ in found], shares, marker=".", label=model)
        axes.set_xlabel(units[name])
        axes.tick_params(labelsize="small")
        axes.grid(alpha=0.3)
        if i == 0:
            axes.set_ylabel("right (%)")
            axes.legend(fontsize="x-small")
    if title:
        figure.suptitle(title)
    return _saved(figure, path)


def learning_curves(
    history: History | Mapping[str, History], path: PathLike | None = None, title: str | None = None
) -> Figure:
    """The figures of a fit against the epoch: one panel each, training solid and validation dashed.

    Parameters
    ----------
    history : of one fit, or name -> history of several, drawn in one panel for comparison
    path : where to write the picture; the suffix says the format (.png, .svg, .pdf)

    Raises
    ------
    ValueError
        No history has an epoch.
    """
    runs = history if isinstance(history, Mapping) else {"": history}
    panels = list(
        dict.fromkeys(name.removeprefix(VALIDATION) for run in runs.values() for name in run.names if name != "seconds")
    )
    if not panels:
        raise ValueError("learning_curves: the history has no epochs")
    figure = _figure_class()(figsize=(4.5 * len(panels), 3.4), dpi=DPI, layout="constrained")
    for axes, panel in zip(np.atleast_1d(figure.subplots(1, len(panels))), panels, strict=True):
        for i, (label, run) in enumerate(runs.items()):
            for name, style in ((panel, "-"), (VALIDATION + panel, "--")):
                if name in run:
                    values = run[name]
                    kind = "validation" if name != panel else "training"
                    text = label if label and name == panel else f"{label} {kind}".strip()
                    marker = "o" if len(values) == 1 else ""
                    axes.plot(range(1, len(values) + 1), values, style, color=f"C{i}", label=text, marker=marker)
        axes.set_xlabel("epoch")
        axes.set_title(panel.replace("_", " "), fontsize=10)
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    if title is not None:
        figure.suptitle(title, fontsize=10)
    return _saved(figure, path)
