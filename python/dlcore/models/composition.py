"""Networks from descriptions of layers that a file can hold; shapes are worked out before anything is allocated."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..nn import (
    AvgPool1d,
    AvgPool2d,
    Conv1d,
    Conv2d,
    Dropout,
    Flatten,
    Linear,
    MaxPool1d,
    MaxPool2d,
    Module,
    Sequential,
)
from ..ops.creation import is_integer

Spec = dict[str, Any]
Shape = tuple[int, ...]
Built = tuple[list[Module], Shape]


def conv(channels: int, kernel_size: int | Sequence[int], **options: Any) -> Spec:
    """A convolution; options ``stride``, ``padding``, ``dilation``, ``groups``, ``activation`` (else the network's)."""
    return {"layer": "conv", "channels": channels, "kernel_size": kernel_size, **options}


def pool(kernel_size: int | Sequence[int], kind: str = "max", **options: Any) -> Spec:
    """Sub-sampling by the largest ("max") or mean ("average") of each window; options ``stride`` and ``padding``."""
    return {"layer": "pool", "kernel_size": kernel_size, "kind": kind, **options}


def dense(units: int, **options: Any) -> Spec:
    """A fully connected layer; option ``activation``."""
    return {"layer": "dense", "units": units, **options}


def dropout(p: float) -> Spec:
    """Units dropped with probability p while training."""
    return {"layer": "dropout", "p": p}


def compose(
    input_shape: Shape, layers: Sequence[Mapping[str, Any]], outputs: int, activation: str, who: str
) -> Sequential:
    """The network of `layers`, with a Flatten before the first dense one and a last affine map to `outputs` scores.

    Raises
    ------
    ValueError
        For an unknown layer or option, or a layer that does not fit the shape before it, naming the layer.
    """
    if isinstance(layers, (str, bytes, Mapping)) or not isinstance(layers, Sequence):
        raise ValueError(f"{who}: layers is a {type(layers).__name__}, expected a list of layer descriptions")
    modules: list[Module] = []
    shape = input_shape
    for i, spec in enumerate(layers):
        name = spec.get("layer") if isinstance(spec, Mapping) else None
        if not isinstance(name, str) or name not in _BUILDERS:
            raise ValueError(f"{who}: layer {i} is {spec!r}, expected one of {', '.join(_BUILDERS)}")
        place = f"{who}: layer {i} ({name})"
        options = {key: _paired(value) for key, value in dict(spec).items() if key != "layer"}
        if name in ("conv", "dense"):
            options.setdefault("activation", activation)
        try:
            added, shape = _BUILDERS[name](shape, **options)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{place}: {str(error).removeprefix('_').replace('_build_', '')}") from None
        modules += added
    added, _ = _build_dense(shape, outputs, "identity")
    return Sequential(*modules, *added)


def _paired(value: Any) -> Any:
    """Lists, as JSON has them, and arrays are tuples to layers, NumPy's numbers Python's."""
    if isinstance(value, (np.generic, np.ndarray)):
        value = value.tolist()
    return tuple(value) if isinstance(value, list) else value


def _pair(value: Any, dimensions: int, name: str, least: int) -> tuple[int, ...]:
    values = value if isinstance(value, tuple) else (value,) * dimensions
    good = all(is_integer(v) and v >= least for v in values)
    if len(values) != dimensions or not good:
        raise ValueError(f"{name} is {value!r}, expected {dimensions} integers >= {least}")
    return values


def _windows(shape: Shape, kernel: Any, stride: Any, padding: Any, dilation: Any) -> Shape:
    """Positions of a window in each dimension behind the channels: ⌊(size + 2p − d(k − 1) − 1) / s⌋ + 1."""
    dimensions = len(shape) - 1
    kernels = _pair(kernel, dimensions, "kernel_size", 1)
    strides = _pair(stride, dimensions, "stride", 1)
    paddings = _pair(padding, dimensions, "padding", 0)
    dilations = _pair(dilation, dimensions, "dilation", 1)
    counts = []
    for size, k, s, p, d in zip(shape[1:], kernels, strides, paddings, dilations, strict=True):
        extent = d * (k - 1) + 1
        if extent > size + 2 * p:
            raise ValueError(f"the kernel spans {extent}, the padded input has {size + 2 * p} (input {shape})")
        counts.append((size + 2 * p - extent) // s + 1)
    return tuple(counts)


def _spatial(shape: Shape) -> None:
    if len(shape) not in (2, 3):
        raise ValueError(f"the input is {shape}, expected (channels, length) or (channels, height, width)")


def _build_conv(
    shape: Shape,
    channels: int,
    kernel_size: Any,
    activation: str,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Built:
    _spatial(shape)
    counts = _windows(shape, kernel_size, stride, padding, dilation)
    layer: Any = Conv2d if len(shape) == 3 else Conv1d
    geometry = [value[0] if isinstance(value, tuple) and len(shape) == 2 else value
                for value in (kernel_size, stride, padding, dilation)]  # fmt: skip
    return [layer(shape[0], channels, *geometry, groups, activation)], (channels, *counts)


def _build_pool(shape: Shape, kernel_size: Any, kind: str = "max", stride: Any = None, padding: Any = 0) -> Built:
    _spatial(shape)
    if kind not in ("max", "average"):
        raise ValueError(f"kind is {kind!r}, expected 'max' or 'average'")
    step = kernel_size if stride is None else stride
    counts = _windows(shape, kernel_size, step, padding, 1)
    flat = len(shape) == 2
    layer: Any = (MaxPool1d if flat else MaxPool2d) if kind == "max" else (AvgPool1d if flat else AvgPool2d)
    kernel, step, padding = (value[0] if isinstance(value, tuple) and flat else value
                             for value in (kernel_size, step, padding))  # fmt: skip
    return [layer(kernel, step, padding)], (shape[0], *counts)


def _build_dense(shape: Shape, units: int, activation: str) -> Built:
    flatten: list[Module] = [Flatten()] if len(shape) > 1 else []
    return [*flatten, Linear(math.prod(shape), units, activation)], (units,)


def _build_dropout(shape: Shape, p: float) -> Built:
    return [Dropout(p)], shape


_BUILDERS: dict[str, Callable[..., Built]] = {
    "conv": _build_conv,
    "pool": _build_pool,
    "dense": _build_dense,
    "dropout": _build_dropout,
}
