"""What images pass through before the first layer that learns."""

from __future__ import annotations

import math

from .. import ops
from ..ops.conv import Pair
from ..ops.creation import is_number
from ..tensor import Tensor
from .checks import require_pair
from .module import Module


class PixelFrame(Module):
    """background + (foreground − background) · x, with a frame of background around: x (n, channels, height, width).

    LeNet-5 takes digits of 28×28 pixels from 0 (paper) to 1 (ink) with a frame of 2 pixels, so that strokes may end in
    the centre of a receptive field, as −0.1 and 1.175: the mean pixel is then about 0 and the variance about 1.

    Parameters
    ----------
    padding : int or (height, width), the frame's width on each side
    background, foreground : what 0 and 1 become

    References
    ----------
    LeCun, Bottou, Bengio, Haffner (1998), Gradient-based learning applied to document recognition, section II.B.
    """

    def __init__(self, padding: Pair = 2, background: float = -0.1, foreground: float = 1.175) -> None:
        super().__init__()
        self.padding = require_pair(padding, "PixelFrame: padding", 0)
        for name, value in (("background", background), ("foreground", foreground)):
            if not is_number(value) or not math.isfinite(value):
                raise ValueError(f"PixelFrame: {name} is {value!r}, expected a finite number")
        self.background, self.foreground = float(background), float(foreground)

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim != 4:
            raise ValueError(f"PixelFrame: x has shape {x.shape}, expected (n, channels, height, width)")
        for axis, width in zip((2, 3), self.padding, strict=True):
            if width:
                x = ops.embed(x, axis, width, x.shape[axis] + 2 * width)
        return ops.affine(x, self.foreground - self.background, self.background)

    def describe(self) -> str:
        height, width = self.padding
        return f"PixelFrame({height}, {width}: {self.background:g} to {self.foreground:g})"
