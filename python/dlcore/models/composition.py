"""Networks from descriptions of layers that a file can hold; shapes are worked out before anything is allocated."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..nn import (
    Activation,
    AvgPool1d,
    AvgPool2d,
    BatchNorm1d,
    BatchNorm2d,
    Conv1d,
    Conv2d,
    Dropout,
    Flatten,
    Linear,
    MaxPool1d,
    MaxPool2d,
    Module,
    PartialConv2d,
    PixelFrame,
    Sequential,
    SubSample1d,
    SubSample2d,
)
from ..nn.initializers import Initializer
from ..ops.creation import is_integer

Spec = dict[str, Any]
Shape = tuple[int, ...]
Built = tuple[list[Module], Shape]


def conv(channels: int, kernel_size: int | Sequence[int], **options: Any) -> Spec:
    """A convolution.

    Options ``stride``, ``padding``, ``dilation``, ``groups``, ``activation`` (else the network's), and for images
    ``connections``, the input channels that each output channel sees (see `dlcore.nn.PartialConv2d`).
    """
    return {"layer": "conv", "channels": channels, "kernel_size": kernel_size, **options}


def pool(kernel_size: int | Sequence[int], kind: str = "max", **options: Any) -> Spec:
    """Sub-sampling by the largest ("max") or mean ("average") of each window; options ``stride`` and ``padding``."""
    return {"layer": "pool", "kernel_size": kernel_size, "kind": kind, **options}


def subsample(kernel_size: int | Sequence[int] = 2, **options: Any) -> Spec:
    """LeCun's trainable sub-sampling, f(w · sum of each window + b); options ``stride`` and ``activation``."""
    return {"layer": "subsample", "kernel_size": kernel_size, **options}


def batch_norm(**options: Any) -> Spec:
    """Batch normalization, then an activation; options ``activation`` (else the network's), ``momentum`` and ``eps``.

    The layer before it is best without an activation of its own: ``conv(16, 3, activation="identity"), batch_norm()``.
    """
    return {"layer": "batch_norm", **options}


def frame(padding: int | Sequence[int] = 2, **options: Any) -> Spec:
    """Pixels in LeNet-5's scale with a frame around; options ``background`` and ``foreground``."""
    return {"layer": "frame", "padding": padding, **options}


def dense(units: int, **options: Any) -> Spec:
    """A fully connected layer; option ``activation``."""
    return {"layer": "dense", "units": units, **options}


def dropout(p: float) -> Spec:
    """Units dropped with probability p while training."""
    return {"layer": "dropout", "p": p}


def compose(
    input_shape: Shape,
    layers: Sequence[Mapping[str, Any]],
    outputs: int,
    activation: str,
    who: str,
    initializer: Initializer | None = None,
    last: Module | None = None,
) -> Sequential:
    """The network of `layers`, with a Flatten before the first dense one and a last affine map to `outputs` scores.

    Parameters
    ----------
    initializer : of all weights; by default each layer's own
    last : a module in the affine map's place, for what the layers give, flattened

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
        if name in _ACTIVATED:
            options.setdefault("activation", activation)
        if initializer is not None and name in _INITIALIZED:
            options["initializer"] = initializer
        try:
            added, shape = _BUILDERS[name](shape, **options)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{place}: {str(error).removeprefix('_').replace('_build_', '')}") from None
        modules += added
    if last is not None:
        return Sequential(*modules, *_flatten(shape), last)
    added, _ = _build_dense(shape, outputs, "identity", initializer)
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
    connections: Any = None,
    initializer: Initializer | None = None,
) -> Built:
    _spatial(shape)
    counts = _windows(shape, kernel_size, stride, padding, dilation)
    if connections is not None:
        count = len(connections) if isinstance(connections, Sequence) else "unknown"
        if len(shape) != 3 or groups != 1 or count != channels:
            raise ValueError(
                f"connections of {count} output channels for a convolution of {channels} in {groups} groups "
                f"over {shape}, expected one list for each channel of an image, and no groups"
            )
        joined = PartialConv2d(shape[0], connections, kernel_size, stride, padding, dilation, activation, initializer)
        return [joined], (channels, *counts)
    layer: Any = Conv2d if len(shape) == 3 else Conv1d
    geometry = [_single(value, shape) for value in (kernel_size, stride, padding, dilation)]
    return [layer(shape[0], channels, *geometry, groups, activation, initializer=initializer)], (channels, *counts)


def _single(value: Any, shape: Shape) -> Any:
    """A tuple of one number as the number, which layers over time take."""
    return value[0] if isinstance(value, tuple) and len(shape) == 2 else value


def _build_pool(shape: Shape, kernel_size: Any, kind: str = "max", stride: Any = None, padding: Any = 0) -> Built:
    _spatial(shape)
    if kind not in ("max", "average"):
        raise ValueError(f"kind is {kind!r}, expected 'max' or 'average'")
    step = kernel_size if stride is None else stride
    counts = _windows(shape, kernel_size, step, padding, 1)
    flat = len(shape) == 2
    layer: Any = (MaxPool1d if flat else MaxPool2d) if kind == "max" else (AvgPool1d if flat else AvgPool2d)
    return [layer(*(_single(value, shape) for value in (kernel_size, step, padding)))], (shape[0], *counts)


def _build_subsample(
    shape: Shape, kernel_size: Any, activation: str, stride: Any = None, initializer: Initializer | None = None
) -> Built:
    _spatial(shape)
    step = kernel_size if stride is None else stride
    counts = _windows(shape, kernel_size, step, 0, 1)
    layer: Any = SubSample1d if len(shape) == 2 else SubSample2d
    geometry = [_single(value, shape) for value in (kernel_size, step)]
    return [layer(shape[0], *geometry, activation, initializer)], (shape[0], *counts)


def _build_batch_norm(shape: Shape, activation: str, momentum: float | None = 0.1, eps: float = 1e-5) -> Built:
    layer: Any = BatchNorm2d if len(shape) == 3 else BatchNorm1d
    after: list[Module] = [] if activation == "identity" else [Activation(activation)]
    return [layer(shape[0], eps, momentum), *after], shape


def _build_frame(shape: Shape, padding: Any, background: float = -0.1, foreground: float = 1.175) -> Built:
    if len(shape) != 3:
        raise ValueError(f"the input is {shape}, expected (channels, height, width)")
    layer = PixelFrame(padding, background, foreground)
    return [layer], (shape[0], *(size + 2 * around for size, around in zip(shape[1:], layer.padding, strict=True)))


def _flatten(shape: Shape) -> list[Module]:
    return [Flatten()] if len(shape) > 1 else []


def _build_dense(shape: Shape, units: int, activation: str, initializer: Initializer | None = None) -> Built:
    return [*_flatten(shape), Linear(math.prod(shape), units, activation, initializer=initializer)], (units,)


def _build_dropout(shape: Shape, p: float) -> Built:
    return [Dropout(p)], shape


_BUILDERS: dict[str, Callable[..., Built]] = {
    "conv": _build_conv,
    "pool": _build_pool,
    "subsample": _build_subsample,
    "batch_norm": _build_batch_norm,
    "frame": _build_frame,
    "dense": _build_dense,
    "dropout": _build_dropout,
}
_ACTIVATED = ("conv", "subsample", "batch_norm", "dense")  # take the network's activation where none is named
_INITIALIZED = ("conv", "subsample", "dense")
