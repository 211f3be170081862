"""A labelled set of examples, and its stratified split, the same on every machine and NumPy version."""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.floating[Any]]
LabelArray = npt.NDArray[np.int32]
ImageShape = tuple[int, int, int]

MAX_LABEL = 2**31 - 1


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """n examples, one per row of ``x``, with one class label each.

    Parameters
    ----------
    x : array_like, shape (n, n_features)
        The examples. float32 and float64 are kept; booleans and other real numbers become float32, as
        `dlcore.tensor` makes them. No scaling is applied.
        An array that is already native, row-major float32 or float64 is shared, not copied.
    y : array_like, shape (n,)
        Class labels, integers from 0 to 2³¹ − 1, kept as int32. Booleans and floats of whole value are accepted.
    image_shape : tuple of 3 ints, optional
        (channels, height, width) of one example, whose product is ``n_features``; None where the examples are
        not images.
    name : str
        What to call the set in messages and pictures.

    Raises
    ------
    TypeError
        Complex, object, string or masked arrays, or floats wider than float64.
    ValueError
        ``x`` is not two-dimensional, ``y`` not one-dimensional or of another length, a label is out of range
        (the first bad index is named), or ``image_shape`` does not fit.
    """

    x: FloatArray
    y: LabelArray
    image_shape: ImageShape | None = None
    name: str = "dataset"

    def __post_init__(self) -> None:
        """Check the fields and bring them to the stated dtypes."""
        x = _as_examples(self.x)
        object.__setattr__(self, "x", x)
        object.__setattr__(self, "y", _as_labels(self.y, len(x)))
        if self.image_shape is None:
            return
        shape = tuple(operator.index(size) for size in self.image_shape)
        if len(shape) != 3 or min(shape) < 1 or math.prod(shape) != x.shape[1]:
            raise ValueError(
                f"Dataset: image_shape is {shape}, expected (channels, height, width) with product {x.shape[1]}"
            )
        object.__setattr__(self, "image_shape", shape)

    def __len__(self) -> int:
        """Return the number of examples, n."""
        return len(self.x)

    def __repr__(self) -> str:
        """Return the name, shapes and dtypes; never the numbers."""
        return (
            f"Dataset(name={self.name!r}, x={self.x.shape} {self.x.dtype}, y={self.y.shape} {self.y.dtype}, "
            f"image_shape={self.image_shape})"
        )

    @property
    def images(self) -> FloatArray:
        """The examples as images, a view of ``x``.

        Returns
        -------
        ndarray, shape (n, channels, height, width)

        Raises
        ------
        ValueError
            The set has no ``image_shape``.
        """
        if self.image_shape is None:
            raise ValueError(f"images: image_shape is None, expected (channels, height, width) ({self.name})")
        return self.x.reshape(len(self), *self.image_shape)

    def take(self, n: int) -> Dataset:
        """Return the first ``n`` examples, as views of this set's arrays.

        Raises
        ------
        ValueError
            ``n`` is not in 0..len(self).
        """
        n = operator.index(n)
        if not 0 <= n <= len(self):
            raise ValueError(f"take: n is {n}, expected 0 to {len(self)} ({self.name})")
        return Dataset(self.x[:n], self.y[:n], self.image_shape, self.name)

    def split(self, test_fraction: float = 0.2, seed: int = 0) -> tuple[Dataset, Dataset]:
        """Split into a training and a held-out set in which every class has its share.

        The held-out set has m = ⌊n · test_fraction + ½⌋ examples. Class c, with n_c examples, gives ⌊m n_c / n⌋ of
        them; what is then missing comes one each from the classes with the largest remainders, the lower label
        first. Within a class those examples are held out whose keys are smallest; the key of example i is output
        i of SplitMix64 started at ``seed`` [1]_. SplitMix64 is written out here rather than taken from
        ``numpy.random``, whose shuffles may change between versions (NEP 19), and it maps different i to different
        keys, so no tie is left to a sort. Both sets keep the order of this one.

        Parameters
        ----------
        test_fraction : float
            Share of the examples to hold out, 0 < test_fraction < 1.
        seed : int
            Which of the splits, 0 to 2⁶⁴ − 1.

        Returns
        -------
        train, test : Dataset
            Copies; their names are this set's with ``-train`` and ``-test`` added.

        Raises
        ------
        ValueError
            ``test_fraction`` or ``seed`` is out of its range.

        References
        ----------
        .. [1] G. L. Steele, D. Lea, C. H. Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
        """
        if not 0.0 < test_fraction < 1.0:
            raise ValueError(f"split: test_fraction is {test_fraction}, expected 0 < test_fraction < 1")
        seed = operator.index(seed)
        if not 0 <= seed < 2**64:
            raise ValueError(f"split: seed is {seed}, expected 0 to 2**64 - 1")
        held = _held_out(self.y, test_fraction, seed)
        return (
            Dataset(self.x[~held], self.y[~held], self.image_shape, f"{self.name}-train"),
            Dataset(self.x[held], self.y[held], self.image_shape, f"{self.name}-test"),
        )


def _as_examples(x: npt.ArrayLike) -> FloatArray:
    if isinstance(x, np.ma.MaskedArray):
        raise TypeError("Dataset: x is a masked array, expected real numbers without a mask")
    array = np.asarray(x)
    if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
        raise TypeError(f"Dataset: x has dtype {array.dtype}, expected real numbers of at most 64 bits")
    if array.ndim != 2:
        raise ValueError(f"Dataset: x is {array.shape}, expected (n, n_features)")
    return np.ascontiguousarray(array, dtype=np.float64 if array.dtype == np.float64 else np.float32)


def _as_labels(y: npt.ArrayLike, n: int) -> LabelArray:
    if isinstance(y, np.ma.MaskedArray):
        raise TypeError("Dataset: y is a masked array, expected labels without a mask")
    array = np.asarray(y)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"Dataset: y has dtype {array.dtype}, expected integers")
    if array.shape != (n,):
        raise ValueError(f"Dataset: y is {array.shape}, expected ({n},), one label per row of x")
    good = (array >= 0) & (array <= MAX_LABEL)
    if array.dtype.kind == "f":
        good &= array == np.floor(array)
    if not good.all():
        first = int(np.argmin(good))
        raise ValueError(f"Dataset: label {first} is {array[first]}, expected an integer from 0 to {MAX_LABEL}")
    return np.ascontiguousarray(array, dtype=np.int32)


def _held_out(y: LabelArray, test_fraction: float, seed: int) -> npt.NDArray[np.bool_]:
    """Return the mask of the examples that `Dataset.split` holds out."""
    n = len(y)
    held = np.zeros(n, dtype=np.bool_)
    wanted = math.floor(n * test_fraction + 0.5)
    counts = [int(count) for count in np.unique(y, return_counts=True)[1]]
    shares = [wanted * count // n for count in counts]
    # Ascending in the negated remainder is descending in the remainder; `sorted` is stable, so lower labels lead.
    by_remainder = sorted(range(len(counts)), key=lambda c: -(wanted * counts[c] % n))
    for c in by_remainder[: wanted - sum(shares)]:
        shares[c] += 1
    order = np.lexsort((_split_mix64(n, seed), y))
    start = 0
    for count, share in zip(counts, shares, strict=True):
        held[order[start : start + share]] = True
        start += count
    return held


def _split_mix64(n: int, seed: int) -> npt.NDArray[np.uint64]:
    """Return the first n outputs of SplitMix64 from state ``seed``; arithmetic is modulo 2⁶⁴."""
    z: npt.NDArray[np.uint64] = np.arange(1, n + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(seed)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return z


def float_dtype(where: str, dtype: npt.DTypeLike) -> np.dtype[np.floating[Any]]:
    """Return ``dtype`` as a NumPy dtype; TypeError, in the name of ``where``, unless it is float32 or float64."""
    try:
        given = np.dtype(dtype)
    except TypeError:
        given = None
    if dtype is None or given not in (np.float32, np.float64):
        raise TypeError(f"{where}: dtype is {dtype!r}, expected float32 or float64")
    return np.dtype(np.float32) if given == np.float32 else np.dtype(np.float64)
