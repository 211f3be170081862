"""Convolutional autoencoder: the decoder enlarges where the encoder sub-sampled."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ...nn import Conv2d, ConvTranspose2d, Corruption, Linear, Module, Reshape, Sequential, Upsample2d
from ...nn.corruption import require_level
from ...train import register
from ..base import sizes
from ..composition import Shape, Spec, build_layers, conv, dense, dropout, pool
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
    forward: list[Module] = []
    back: list[Module] = []
    before = "identity"  # the activation that made what the layer sees
    for i, (spec, modules, after) in enumerate(build_layers(shape, layers, activation, who)):
        if spec["layer"] not in _BACK:
            raise ValueError(f"{who}: layer {i} ({spec['layer']}) has no mirror image, expected {', '.join(_BACK)}")
        try:
            back = _BACK[spec["layer"]](spec, modules, shape, after, before, decoder) + back
        except ValueError as error:
            raise ValueError(f"{who}: layer {i} ({spec['layer']}): {error}") from None
        forward += modules
        shape, before = after, getattr(modules[-1], "activation", before)
    if not any(isinstance(module, (Linear, Conv2d)) for module in forward):
        raise ValueError(f"{who}: layers has neither a convolution nor a dense layer")
    return forward, back, shape


def _back_conv(
    spec: Spec, modules: Sequence[Module], before: Shape, after: Shape, activation: str, decoder: str
) -> list[Module]:
    layer = modules[-1]
    assert isinstance(layer, Conv2d)
    stride, padding, dilation, groups = (layer.geometry[name] for name in ("stride", "padding", "dilation", "groups"))
    extents = [d * (k - 1) + 1 for d, k in zip(dilation, layer.kernel_size, strict=True)]
    channels = (after[0], before[0])
    if decoder == "transpose":
        more = tuple(before[1 + i] - ((after[1 + i] - 1) * stride[i] - 2 * padding[i] + extents[i]) for i in range(2))
        return [ConvTranspose2d(*channels, layer.kernel_size, stride, padding, more, dilation, groups, activation)]
    around = []
    for i in range(2):
        missing = before[1 + i] - after[1 + i] * stride[i] + extents[i] - 1
        if missing < 0 or missing % 2:
            raise ValueError(
                f"decoder 'nearest' cannot restore {before[1:]} from {after[1:]}: {after[1 + i]} repeated {stride[i]} "
                f"times and a kernel that spans {extents[i]} give no {before[1 + i]} with equal padding on both sides; "
                "use decoder 'transpose'"
            )
        around.append(missing // 2)
    larger: list[Module] = [Upsample2d(stride)] if stride != (1, 1) else []
    return [*larger, Conv2d(*channels, layer.kernel_size, 1, tuple(around), dilation, groups, activation)]


def _back_pool(
    spec: Spec, modules: Sequence[Module], before: Shape, after: Shape, activation: str, decoder: str
) -> list[Module]:
    factor = tuple(b // a for b, a in zip(before[1:], after[1:], strict=True))
    pooled: Any = modules[-1]
    if pooled.stride != pooled.kernel_size or tuple(pooled.padding) != (0, 0) or factor != pooled.kernel_size or any(
        b % a for b, a in zip(before[1:], after[1:], strict=True)
    ):  # fmt: skip
        raise ValueError(
            f"a pool that is mirrored has windows side by side that cover {before[1:]} exactly, without padding"
        )
    return [Upsample2d((factor[0], factor[1]))]


def _back_dense(
    spec: Spec, modules: Sequence[Module], before: Shape, after: Shape, activation: str, decoder: str
) -> list[Module]:
    shaped: list[Module] = [Reshape(*before)] if len(before) > 1 else []
    return [Linear(after[0], math.prod(before), activation), *shaped]


def _back_dropout(
    spec: Spec, modules: Sequence[Module], before: Shape, after: Shape, activation: str, decoder: str
) -> list[Module]:
    return []


_BACK: dict[str, Callable[[Spec, Sequence[Module], Shape, Shape, str, str], list[Module]]] = {
    "conv": _back_conv,
    "pool": _back_pool,
    "dense": _back_dense,
    "dropout": _back_dropout,
}
