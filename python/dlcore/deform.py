"""Images shifted, turned, scaled, sheared and bent, by bilinear interpolation; native in ``csrc/movement_warp.h``.

Each function takes images (n, height, width), (n, channels, height, width), or rows (n, pixels) with an `image_shape`
(channels, height, width), and returns new ones in the same form. What is asked of the picture happens to the picture:
``shift(images, 2, 0)`` moves it down by 2 pixels. Around the images everything is `fill`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from . import ops
from .ops import Generator
from .ops.creation import is_number
from .tensor import Tensor, as_tensor, tensor

Array = npt.NDArray[Any]

# Images that draw their fields together: bounds the memory that the noise takes, and is part of what a seed decides.
_TOGETHER = 256


def images_of(x: Any, image_shape: Sequence[int] | None, who: str) -> Tensor:
    """x as a tensor (n, channels, height, width).

    Raises
    ------
    TypeError, ValueError
    """
    values = as_tensor(x, None, f"{who}: images")
    if values.dtype.kind != "f":
        values = ops.cast(values, "float32")
    if image_shape is not None:
        shape = tuple(int(size) for size in image_shape)
        if len(shape) != 3 or values.ndim < 2 or values.size != values.shape[0] * math.prod(shape):
            raise ValueError(
                f"{who}: images is {values.shape}, image_shape is {image_shape}, expected (channels, height, width) of "
                "as many pixels"
            )
        return ops.reshape(values, (values.shape[0], *shape))
    if values.ndim == 3:
        return ops.reshape(values, (values.shape[0], 1, *values.shape[1:]))
    if values.ndim != 4:
        raise ValueError(
            f"{who}: images is {values.shape}, expected (n, height, width), (n, channels, height, width), or rows with "
            "an image_shape"
        )
    return values


def affine(
    images: Any, matrix: Any, shift: Any = (0.0, 0.0), fill: float = 0.0, image_shape: Sequence[int] | None = None
) -> Array:
    """What stands at u, counted from the middle of an image in (rows, columns), goes to A u + t.

    Parameters
    ----------
    images, fill, image_shape : see the module
    matrix : A (2, 2), or (n, 2, 2) for each image its own; not singular
    shift : t (2,) or (n, 2), pixels

    Raises
    ------
    TypeError, ValueError
    """
    x = images_of(images, image_shape, "affine")
    n = x.shape[0]
    a, t = _each(matrix, n, (2, 2), "affine: matrix"), _each(shift, n, (2,), "affine: shift")
    if (np.linalg.det(a) == 0).any():
        raise ValueError("affine: matrix is singular")
    return _like(images, _warped(x, np.linalg.inv(a), t, None, fill))


def shift(images: Any, rows: Any, columns: Any, fill: float = 0.0, image_shape: Sequence[int] | None = None) -> Array:
    """Moved down by `rows` and to the right by `columns` pixels, whole or not; numbers or (n,)."""
    x = images_of(images, image_shape, "shift")
    n = x.shape[0]
    t = np.stack([_each(rows, n, (), "shift: rows"), _each(columns, n, (), "shift: columns")], 1)
    return _like(images, _warped(x, np.tile(np.eye(2), (n, 1, 1)), t, None, fill))


def rotate(images: Any, degrees: Any, fill: float = 0.0, image_shape: Sequence[int] | None = None) -> Array:
    """Turned counter-clockwise about the middle by degrees; a number or (n,)."""
    x = images_of(images, image_shape, "rotate")
    angle = np.deg2rad(_each(degrees, x.shape[0], (), "rotate: degrees"))
    cos, sin = np.cos(angle), np.sin(angle)
    back = np.stack([cos, sin, -sin, cos], 1).reshape(-1, 2, 2)  # rows run downwards
    return _like(images, _warped(x, back, np.zeros((x.shape[0], 2)), None, fill))


def scale(images: Any, factor: Any, fill: float = 0.0, image_shape: Sequence[int] | None = None) -> Array:
    """Enlarged about the middle by a factor > 0; a number or (n,)."""
    x = images_of(images, image_shape, "scale")
    factors = _each(factor, x.shape[0], (), "scale: factor")
    if (factors <= 0).any():
        raise ValueError(f"scale: factor is {factors.min()}, expected > 0")
    back = np.eye(2) / factors[:, None, None]
    return _like(images, _warped(x, back, np.zeros((x.shape[0], 2)), None, fill))


def elastic(
    images: Any,
    alpha: float = 34.0,
    sigma: float = 4.0,
    generator: Generator | int = 0,
    fill: float = 0.0,
    image_shape: Sequence[int] | None = None,
) -> Array:
    """Each image bent by a random smooth field: pixels come from (i, j) + α (G_σ ∗ U)(i, j), U uniform in (−1, 1).

    Parameters
    ----------
    images, fill, image_shape : see the module
    alpha : strength >= 0. The root mean square of a displacement is about 0.163 α / σ pixels.
    sigma : standard deviation > 0 of the Gaussian G, pixels: how far the field reaches. α = 34 and σ = 4 are the
        published choice for digits of 28×28.
    generator : Generator, or the seed of one; it decides the fields

    References
    ----------
    Simard, Steinkraus, Platt (2003), Best practices for convolutional neural networks applied to visual document
    analysis, section 2.
    """
    x = images_of(images, image_shape, "elastic")
    source = Generator(generator) if not isinstance(generator, Generator) else generator
    n, parts = x.shape[0], []
    for start in range(0, n, _TOGETHER):
        count = min(_TOGETHER, n - start)
        field = displacements((count, x.shape[2], x.shape[3]), alpha, sigma, source, x.dtype.name)
        part = ops.narrow(x, 0, start, count)
        parts.append(_warped(part, np.tile(np.eye(2), (count, 1, 1)), np.zeros((count, 2)), field, fill))
    joined = np.concatenate(parts) if parts else np.empty(x.shape, x.dtype)
    return _like(images, joined)


def displacements(
    shape: tuple[int, int, int], alpha: float, sigma: float, generator: Generator, dtype: str = "float32"
) -> Tensor:
    """Random smooth fields α (G_σ ∗ U) of (n, height, width) images: (n, 2, height, width), rows first, in pixels.

    The noise reaches beyond the image, so that the field is as strong at the border as within.
    """
    if not is_number(alpha) or not 0 <= alpha < math.inf:
        raise ValueError(f"elastic: alpha is {alpha!r}, expected a finite number >= 0")
    if not is_number(sigma) or not 0 < sigma < math.inf:
        raise ValueError(f"elastic: sigma is {sigma!r}, expected a finite number > 0")
    n, height, width = shape
    reach = math.ceil(3 * sigma)
    bell = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    bell /= bell.sum()
    noise = ops.uniform(generator, (2 * n, 1, height + 2 * reach, width + 2 * reach), -1.0, 1.0, dtype)
    down = ops.conv2d(noise, tensor(bell.reshape(1, 1, -1, 1), dtype))
    across = ops.conv2d(down, tensor(alpha * bell.reshape(1, 1, 1, -1), dtype))
    return ops.reshape(across, (n, 2, height, width))


def _each(values: Any, n: int, shape: tuple[int, ...], name: str) -> Array:
    """Numbers of a shape, given once or for each image, as float64 (n, *shape)."""
    array = np.asarray(values)
    if array.dtype.kind not in "fiu":
        raise TypeError(f"{name} has dtype {array.dtype}, expected real numbers")
    if array.shape not in (shape, (n, *shape)):
        raise ValueError(f"{name} has shape {array.shape}, expected {shape} or {(n, *shape)}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} is not finite")
    return np.broadcast_to(array.astype(np.float64), (n, *shape))


def _like(images: Any, values: Array) -> Array:
    """New images in the form in which they were given."""
    shaped: Array = values.reshape(np.shape(images))
    return shaped


def _warped(x: Tensor, back: Array, t: Array, field: Tensor | None, fill: float) -> Array:
    """Images whose pixel p comes from back (p − middle − t) + middle."""
    middle = (np.array(x.shape[2:], float) - 1.0) / 2.0
    offset = middle - np.einsum("nab,nb->na", back, middle + t)
    maps = np.concatenate([back, offset[:, :, None]], 2)
    if not (abs(maps) <= np.finfo(x.dtype).max).all():
        raise ValueError(f"deform: images of {x.dtype} are moved, scaled or sheared by more than it holds")
    return ops.warp2d(x, tensor(maps, x.dtype, x.device), field, fill).numpy()
