"""Convolutional autoencoder: the decoder enlarges where the encoder sub-sampled."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ...nn import (
    AvgPool2d,
    Conv2d,
    ConvTranspose2d,
    Corruption,
    Dropout,
    Flatten,
    Linear,
    MaxPool2d,
    Module,
    Reshape,
    Sequential,
    Upsample2d,
)
from ...nn.corruption import require_level
from ...train import register
from ..base import sizes
from ..composition import Shape, compose, conv, dense, dropout, pool
from .coding import Coder, CodingModel, arguments

DECODERS = ("transpose", "nearest")
SMALL_LAYERS = (
    conv(16, 3, stride=2, padding=1),
    conv(32, 3, stride=2, padding=1),
    dense(32, activation="identity"),
)


@register
class ConvolutionalAutoencoder(CodingModel):
    """h = encoder(x), x̂ = decoder(h) for images: convolutions on the way in, their mirror images on the way back.

    The decoder has a layer for each of the encoder's, in reverse order: for a convolution a transposed one of the same
    geometry, or with decoder="nearest" pixels repeated `stride` times and then a convolution of stride 1; for a pool
    pixels repeated; for a dense layer a dense one. Each has the activation of the encoder's layer whose output it
    restores, the last one none.

    Parameters
    ----------
    input_shape : (channels, height, width)
    layers : descriptions from `ConvolutionalAutoencoder.conv`, `.pool`, `.dense` and `.dropout`; the last one's output
        is the code. By default two convolutions of stride 2 and 32 linear units
    activation : name of the f of those convolutions and dense layers that name none
    decoder : "transpose" or "nearest"
    loss : "binary_cross_entropy" or "squared_error", as for `Autoencoder`
    corruption, level : noise on the input while training, as for `DenoisingAutoencoder`; None for none
    seed : int in [0, 2⁶⁴): decides the initial weights, the order of the cases, the dropped units and the noise
    dtype : "float32" or "float64"

    Raises
    ------
    ValueError
        For a layer that does not fit the one before it, or that has no mirror image, naming it.

    References
    ----------
    Masci, Meier, Cireşan, Schmidhuber (2011), Stacked convolutional auto-encoders for hierarchical feature extraction.
    """

    conv = staticmethod(conv)
    pool = staticmethod(pool)
    dense = staticmethod(dense)
    dropout = staticmethod(dropout)

    def __init__(
        self,
        input_shape: Sequence[int],
        layers: Sequence[Mapping[str, Any]] | None = None,
        activation: str = "relu",
        decoder: str = "transpose",
        loss: str = "binary_cross_entropy",
        corruption: str | None = None,
        level: float = 0.3,
        seed: int = 0,
        dtype: str = "float32",
    ) -> None:
        config, who = arguments(locals()), type(self).__name__
        shape = tuple(sizes(input_shape, who, "input_shape", 3))
        if len(shape) != 3:
            raise ValueError(f"{who}: input_shape is {shape}, expected (channels, height, width)")
        if decoder not in DECODERS:
            raise ValueError(f"{who}: decoder is {decoder!r}, expected one of {', '.join(DECODERS)}")
        noise = None
        if corruption is not None:
            require_level(who, corruption, level)
            noise = Corruption(corruption, level)
        chosen = SMALL_LAYERS if layers is None else layers
        forward, back, code_shape = _mirrored(shape, chosen, activation, decoder, who)
        config |= {"input_shape": list(shape), "layers": list(chosen)}
        super().__init__(config, Coder(Sequential(*forward), Sequential(*back), noise), shape, code_shape)


def _mirrored(
    shape: Shape, layers: Sequence[Mapping[str, Any]], activation: str, decoder: str, who: str
) -> tuple[list[Module], list[Module], Shape]:
    """The modules of the encoder, those of the decoder, and the shape of the code."""
    forward = list(compose(shape, layers, 1, activation, who).layers[:-1])  # without its map to scores
    if forward and isinstance(forward[-1], Flatten):
        forward.pop()
    back: list[Module] = []
    before = "identity"  # the activation that made what the layer sees
    for module in forward:
        if isinstance(module, Conv2d):
            after = _convolved(module, shape)
            added = _back_conv(module, shape, after, before, decoder, who)
        elif isinstance(module, (MaxPool2d, AvgPool2d)):
            after, added = _back_pool(module, shape, who)
        elif isinstance(module, Linear):
            after, added = (module.outputs,), [Linear(module.outputs, module.inputs, before)]
        elif isinstance(module, Flatten):
            after, added = (math.prod(shape),), [Reshape(*shape)]
        elif isinstance(module, Dropout):
            after, added = shape, []
        else:
            raise ValueError(f"{who}: {module.describe()} has no mirror image")
        back = added + back
        shape, before = after, getattr(module, "activation", before)
    if not any(isinstance(module, (Linear, Conv2d)) for module in forward):
        raise ValueError(f"{who}: layers has neither a convolution nor a dense layer")
    return forward, back, shape


def _extents(layer: Conv2d) -> list[int]:
    """How far the kernel reaches, in height and width."""
    return [d * (k - 1) + 1 for d, k in zip(layer.geometry["dilation"], layer.kernel_size, strict=True)]


def _convolved(layer: Conv2d, shape: Shape) -> Shape:
    sizes = zip(shape[1:], _extents(layer), layer.geometry["stride"], layer.geometry["padding"], strict=True)
    return layer.out_channels, *((size + 2 * p - extent) // s + 1 for size, extent, s, p in sizes)


def _back_conv(layer: Conv2d, before: Shape, after: Shape, activation: str, decoder: str, who: str) -> list[Module]:
    stride, padding, dilation, groups = (layer.geometry[name] for name in ("stride", "padding", "dilation", "groups"))
    extents = _extents(layer)
    channels = (after[0], before[0])
    if decoder == "transpose":
        more = tuple(before[1 + i] - ((after[1 + i] - 1) * stride[i] - 2 * padding[i] + extents[i]) for i in range(2))
        return [ConvTranspose2d(*channels, layer.kernel_size, stride, padding, more, dilation, groups, activation)]
    around = []
    for i in range(2):
        missing = before[1 + i] - after[1 + i] * stride[i] + extents[i] - 1
        if missing < 0 or missing % 2:
            raise ValueError(
                f"{who}: decoder 'nearest' cannot mirror {layer.describe()}: {after[1 + i]} repeated {stride[i]} times "
                f"and a kernel that spans {extents[i]} give no {before[1 + i]} with equal padding on both sides; use "
                "decoder 'transpose'"
            )
        around.append(missing // 2)
    larger: list[Module] = [Upsample2d(stride)] if stride != (1, 1) else []
    return [*larger, Conv2d(*channels, layer.kernel_size, 1, tuple(around), dilation, groups, activation)]


def _back_pool(layer: MaxPool2d | AvgPool2d, before: Shape, who: str) -> tuple[Shape, list[Module]]:
    down, across = layer.kernel_size
    side_by_side = layer.stride == layer.kernel_size and tuple(layer.padding) == (0, 0)
    if not side_by_side or before[1] % down or before[2] % across:
        raise ValueError(
            f"{who}: {layer.describe()} has no mirror image: its windows must stand side by side, without padding, and "
            f"cover {before[1:]} exactly"
        )
    return (before[0], before[1] // down, before[2] // across), [Upsample2d((down, across))]
