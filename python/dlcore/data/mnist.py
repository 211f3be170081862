"""MNIST and the sets of the same form (Fashion-MNIST, KMNIST) from the four IDX files in a folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .dataset import Dataset, float_dtype
from .download import FOLDER_VARIABLE, SOURCES
from .idx import read_idx

IMAGE_MAGIC = 0x00000803
LABEL_MAGIC = 0x00000801
N_CLASSES = 10
SIDE = 28
MAX_PIXEL = 255

# The two spellings in circulation differ in the character before "idx".
FILES = (
    "train-images{}idx3-ubyte",
    "train-labels{}idx1-ubyte",
    "t10k-images{}idx3-ubyte",
    "t10k-labels{}idx1-ubyte",
)


def load_mnist(
    folder: str | os.PathLike[str] | None = None, *, name: str = "mnist", dtype: npt.DTypeLike = "float32"
) -> tuple[Dataset, Dataset]:
    """Return the training and the test set, pixels scaled to x = grey / 255.

    The four files may be plain or gzip-compressed (``.gz``), and be spelled ``train-images-idx3-ubyte`` or
    ``train-images.idx3-ubyte``. A plain file is preferred to a compressed one.

    Parameters
    ----------
    folder : str or path, optional
        Where the files are: in ``folder/name``, where `download` puts them, else in ``folder`` itself.
        Without it the environment variable ``DLCORE_DATA`` is the folder, and then only MNIST may lie in the folder
        itself, since the files of the other sets have the same names.
    name : str
        The set: ``mnist``, ``fashion-mnist``, ``kmnist``, or any other of 28×28 grey images in ten classes.
    dtype : dtype_like
        float32 or float64.

    Returns
    -------
    train, test : Dataset
        ``x`` (n, 784) in [0, 1], ``y`` (n,) int32 in 0..9, ``images`` (n, 1, 28, 28).

    Raises
    ------
    TypeError
        ``dtype`` is neither float32 nor float64.
    FileNotFoundError
        No folder is known, or a file is missing; the message says what was looked for and how to get it.
    ValueError
        A file is damaged or of another form, images and labels differ in number, or a label is not in 0..9.

    References
    ----------
    Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-based learning applied to document recognition",
    Proceedings of the IEEE 86(11), 1998.
    """
    kind = float_dtype("load_mnist", dtype)
    train, test = _find(_folders(folder, name), name)
    return _read_part(f"{name}-train", *train, kind), _read_part(f"{name}-test", *test, kind)


def _folders(folder: str | os.PathLike[str] | None, name: str) -> list[Path]:
    """Return the folders to search, in order."""
    if folder is not None:
        return [Path(folder) / name, Path(folder)]
    value = os.environ.get(FOLDER_VARIABLE)
    if not value:
        raise FileNotFoundError(
            f"load_mnist: folder is not given and {FOLDER_VARIABLE} is not set, expected one of them to name the "
            f"folder of {', '.join(file.format('-') for file in FILES)}; {_how_to_get(name)}"
        )
    return [Path(value) / name, *([Path(value)] if name == "mnist" else [])]


def _spellings(file: str) -> list[str]:
    return [file.format(mark) + suffix for mark in "-." for suffix in ("", ".gz")]


def _find(folders: list[Path], name: str) -> list[tuple[Path, Path]]:
    """Return (images, labels) of the training and the test part, all from the first folder that has the four."""
    missing: list[str] = []
    for folder in folders:
        paths: list[Path] = []
        for file in FILES:
            path = next((folder / spelled for spelled in _spellings(file) if (folder / spelled).is_file()), None)
            if path is None:
                missing.append(str(folder / file.format("[-.]")) + "[.gz]")
            else:
                paths.append(path)
        if len(paths) == 4:
            return [(paths[0], paths[1]), (paths[2], paths[3])]
    raise FileNotFoundError(
        f"load_mnist: files of {name} are missing; {_how_to_get(name)}; looked for {', '.join(missing)}"
    )


def _how_to_get(name: str) -> str:
    if name not in SOURCES:
        return "put the four files in one folder"
    return f"put the four files in one folder, or fetch them with dlcore.data.download({name!r}, folder)"


def _read_part(name: str, images: Path, labels: Path, dtype: np.dtype[np.floating[Any]]) -> Dataset:
    pixels = read_idx(images, magic=IMAGE_MAGIC)
    if pixels.shape[1:] != (SIDE, SIDE):
        raise ValueError(f"load_mnist: images are {pixels.shape}, expected (n, {SIDE}, {SIDE}) ({images})")
    classes = read_idx(labels, magic=LABEL_MAGIC)
    if len(classes) != len(pixels):
        raise ValueError(f"load_mnist: labels are {len(classes)}, expected {len(pixels)}, one per image ({labels})")
    if len(classes) and classes.max() >= N_CLASSES:
        first = int(np.argmax(classes >= N_CLASSES))
        raise ValueError(f"load_mnist: label {first} is {classes[first]}, expected 0 to {N_CLASSES - 1} ({labels})")
    x = np.divide(pixels.reshape(len(pixels), SIDE * SIDE), dtype.type(MAX_PIXEL), dtype=dtype)
    return Dataset(x, classes, (1, SIDE, SIDE), name)
