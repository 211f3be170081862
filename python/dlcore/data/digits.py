"""The bundled digits: 1797 handwritten digits of 8×8 pixels, in the package itself and so always at hand."""

from __future__ import annotations

import hashlib
import io
from importlib import resources

import numpy as np
import numpy.typing as npt

from .dataset import Dataset, float_dtype

FILE_NAME = "digits.npz"
SHA256 = "089d33176bf6819a5c6ebd6746c5293713f4e81c2c8fc52b672e6e15faa78f41"

# The source counts the inked cells of each 4×4 block of a 32×32 bitmap.
MAX_PIXEL = 16


def load_digits(dtype: npt.DTypeLike = "float32") -> Dataset:
    """Return the 1797 digits, pixels scaled to x = count / 16.

    The set is the writer-independent test part of the UCI 'Optical Recognition of Handwritten Digits' data, by 13
    writers [1]_; it is the set that scikit-learn calls ``load_digits``, in the same order. It is licensed under
    CC BY 4.0 (https://creativecommons.org/licenses/by/4.0/); DIGITS_LICENSE.md, beside the data, has the credits.

    Parameters
    ----------
    dtype : dtype_like
        float32 or float64. Every pixel is a multiple of 1/16, exact in both.

    Returns
    -------
    Dataset
        ``x`` (1797, 64) in [0, 1], ``y`` (1797,) int32 in 0..9, ``images`` (1797, 1, 8, 8). Fresh arrays each call.

    Raises
    ------
    TypeError
        ``dtype`` is neither float32 nor float64.
    ValueError
        The file in the package is not the one that was shipped (SHA-256).

    References
    ----------
    .. [1] E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository,
       1998, https://doi.org/10.24432/C50P49.
    """
    kind = float_dtype("load_digits", dtype)
    content = resources.files(__package__).joinpath(FILE_NAME).read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != SHA256:
        raise ValueError(f"load_digits: SHA-256 is {found}, expected {SHA256} ({FILE_NAME})")
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        pixels, labels = arrays["pixels"], arrays["labels"]
    x = np.divide(pixels, kind.type(MAX_PIXEL), dtype=kind)
    return Dataset(x, labels, (1, 8, 8), "digits")


def load_digits_split(dtype: npt.DTypeLike = "float32") -> tuple[Dataset, Dataset]:
    """Return the digits as the fixed 1438 training and 359 held-out examples that this project's figures use.

    It is ``load_digits(dtype).split(0.2, seed=0)``: stratified, and the same on every machine and NumPy version.
    The same writers stand on both sides, so the held-out accuracy says nothing about writers never seen.

    Parameters
    ----------
    dtype : dtype_like
        float32 or float64.

    Returns
    -------
    train, test : Dataset
        ``x`` (1438, 64) and (359, 64), otherwise as `load_digits`.

    Raises
    ------
    TypeError, ValueError
        As `load_digits`.
    """
    return load_digits(dtype).split(0.2, seed=0)
