"""What several commands share: types of options, data by name, tables."""

from __future__ import annotations

import argparse
import math
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .. import device
from ..data import Dataset, load_array_file, load_digits_split, load_mnist
from ..data.download import SOURCES

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]  # cannot be subscripted when the program runs

HELD_OUT = 0.2  # share of an .npz file's cases that are kept for testing


def positive(text: str) -> int:
    """An integer >= 1."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive integer")
    return value


def seed(text: str) -> int:
    """An integer in [0, 2⁶⁴)."""
    try:
        value = int(text)
    except ValueError:
        value = -1
    if not 0 <= value < 2**64:
        raise argparse.ArgumentTypeError(f"{text!r} is not an integer from 0 to 2**64 - 1")
    return value


def rate(text: str) -> float:
    """A finite number > 0."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number")
    return value


def sizes(text: str) -> tuple[int, ...]:
    """Positive integers separated by commas."""
    return tuple(positive(part) for part in text.split(","))


def path(text: str) -> Path:
    """A path; the empty text is none, though `Path` takes it for this folder."""
    if not text:
        raise argparse.ArgumentTypeError("'' is not a path")
    return Path(text)


def require_file(option: str, file: Path) -> None:
    """Refuse, before hours of work, a file that could not be written after them.

    Raises
    ------
    OSError
    """
    if file.is_dir():
        raise IsADirectoryError(f"{option}: {str(file)!r} is a folder")
    if not file.parent.is_dir():
        raise FileNotFoundError(f"{option}: there is no folder {str(file.parent)!r}")
    require_writable(option, file.parent)


def require_writable(option: str, folder: Path) -> None:
    """Refuse a folder in which no file can be made.

    Raises
    ------
    PermissionError
    """
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise PermissionError(f"{option}: cannot write to the folder {str(folder)!r}: {error.strerror}") from None


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Options of every command that computes."""
    parser.add_argument("--threads", type=positive, metavar="N", help="threads to use; results are the same for any N")
    parser.add_argument("--quiet", action="store_true", help="no progress")


def use_threads(options: argparse.Namespace) -> None:
    """Follow ``--threads``."""
    if options.threads is not None:
        device.set_num_threads(options.threads)


def load_data(name: str) -> tuple[Dataset, Dataset]:
    """The training and the test set that ``--data`` names.

    Parameters
    ----------
    name : "digits"; a folder of the MNIST family's four IDX files; an .npz file with ``x`` (n, features) in [0, 1] and
        labels ``y`` (n,), of which a fifth is held out; or the name of a set of that family below ``DLCORE_DATA``

    Raises
    ------
    ValueError, FileNotFoundError
    """
    path = Path(name)
    if name == "digits":
        return load_digits_split()
    if path.is_dir():
        return load_mnist(path)
    if path.is_file():
        try:
            whole = Dataset(load_array_file(path, "x"), load_array_file(path, "y"), name=path.stem)
        except TypeError as error:
            raise ValueError(f"{name}: {error}") from None
        return whole.split(HELD_OUT)
    if name in SOURCES:
        return load_mnist(name=name)
    raise FileNotFoundError(
        f"data {name!r}: no such file or folder, expected digits, a folder of IDX files, an .npz file, "
        f"or one of {', '.join(SOURCES)}"
    )


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows of texts in columns, the first row being the heads; the first column is left-aligned, the others right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        first, *others = [text.rjust(width) for text, width in zip(row, widths, strict=True)]
        lines.append("  ".join([row[0].ljust(len(first)), *others]).rstrip())
    return "\n".join([lines[0], "-" * sum(widths, 2 * (len(widths) - 1)), *lines[1:]])
