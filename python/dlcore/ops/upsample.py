"""Larger images from smaller ones: transposed convolution, `conv2d`'s gradient by its input, and repetition."""

from __future__ import annotations

from ..tensor import Tensor
from .activation import activation as activate
from .activation import parameter_of
from .broadcast import broadcast_to
from .conv import Pair, input_gradient, pair
from .movement import embed, reshape, transpose


def conv_transpose2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Pair = 1,
    padding: Pair = 0,
    output_padding: Pair = 0,
    dilation: Pair = 1,
    groups: int = 1,
    activation: str = "identity",
    parameter: float | None = None,
) -> Tensor:
    """f(y + bias), y[n, o, i s + u d − p, j s + v d − p] = Σ x[n, c, i, j] w[c, o, u, v]: the transpose of `conv2d`.

    Parameters
    ----------
    x : (n, in_channels, height, width)
    weight : (in_channels, out_channels / groups, kernel_height, kernel_width)
    bias : (out_channels,), optional
    stride, padding, dilation : int or (height, width), of the convolution whose transpose this is
    output_padding : int or (height, width), less than stride or less than dilation: rows and columns more, at the end,
        since several sizes have the same convolved size
    activation : name of an activation

    Returns
    -------
    (n, out_channels, (height − 1) stride − 2 padding + dilation (kernel_height − 1) + output_padding + 1, likewise)

    Raises
    ------
    ValueError
        For shapes that do not fit, or an output of no rows or columns.

    References
    ----------
    Zeiler, Krishnan, Taylor, Fergus (2010), Deconvolutional networks; Dumoulin, Visin (2016), A guide to convolution
    arithmetic for deep learning, chapter 4.
    """
    who = "conv_transpose2d"
    steps, edges = pair(stride, f"{who}: stride"), pair(padding, f"{who}: padding")
    more, spread = pair(output_padding, f"{who}: output_padding"), pair(dilation, f"{who}: dilation")
    slope = parameter_of(activation, parameter, who)
    if x.ndim != 4 or weight.ndim != 4 or x.shape[1] != weight.shape[0]:
        raise ValueError(
            f"{who}: x is {x.shape}, weight is {weight.shape}, expected (n, in_channels, height, width) and "
            "(in_channels, out_channels / groups, kernel_height, kernel_width)"
        )
    size = []
    for i, name in enumerate(("height", "width")):
        if not 0 <= more[i] < max(steps[i], spread[i]):
            raise ValueError(
                f"{who}: output_padding is {output_padding!r}, expected at least 0 and less than stride {stride!r} "
                f"or dilation {dilation!r}"
            )
        extent = spread[i] * (weight.shape[2 + i] - 1) + 1
        size.append((x.shape[2 + i] - 1) * steps[i] - 2 * edges[i] + extent + more[i])
        if size[i] < 1:
            raise ValueError(f"{who}: the output's {name} is {size[i]} for x {x.shape} and weight {weight.shape}")
        if more[i] >= steps[i] > 0:  # whole steps more: the convolution of that size would have rows that x lacks
            x = embed(x, 2 + i, 0, x.shape[2 + i] + more[i] // steps[i])
    y = input_gradient(x, weight, (size[0], size[1]), (steps, edges, spread, groups))
    if bias is not None:
        channels = y.shape[1]
        if bias.shape != (channels,):
            raise ValueError(f"{who}: bias is {bias.shape}, expected ({channels},)")
        y = y + reshape(bias, (1, channels, 1, 1))
    return y if activation == "identity" else activate(y, activation, slope)


def upsample_nearest2d(x: Tensor, factor: Pair) -> Tensor:
    """Each pixel repeated: y[…, i, j] = x[…, ⌊i / factor⌋, ⌊j / factor⌋], x (n, channels, height, width).

    Parameters
    ----------
    factor : int or (height, width), at least 1
    """
    down, across = pair(factor, "upsample_nearest2d: factor")
    if x.ndim != 4:
        raise ValueError(f"upsample_nearest2d: x is {x.shape}, expected (n, channels, height, width)")
    if min(down, across) < 1:
        raise ValueError(f"upsample_nearest2d: factor is {factor!r}, expected at least 1")
    n, channels, height, width = x.shape
    # In two copies of long runs, since one broadcast along both axes would move element by element.
    if across > 1:
        x = transpose(broadcast_to(reshape(x, (1, x.size)), (across, x.size)), (1, 0))
    if down > 1:
        rows = n * channels * height
        x = broadcast_to(reshape(x, (rows, 1, width * across)), (rows, down, width * across))
    return reshape(x, (n, channels, height * down, width * across))
