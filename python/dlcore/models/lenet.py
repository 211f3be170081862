"""LeNet-5 as it was published."""

from __future__ import annotations

from typing import Any

from ..nn import LENET5_TABLE, RBF, digit_bitmaps
from ..nn.initializers import fan_in_uniform
from ..train import register
from .base import not_negative
from .composition import compose, conv, dense, frame, subsample
from .heads import RBFHead
from .supervised import Supervised

_LAYERS = (
    frame(2, background=-0.1, foreground=1.175),
    conv(6, 5),
    subsample(2),
    conv(16, 5, connections=LENET5_TABLE),
    subsample(2),
    conv(120, 5),
    dense(84),
)


@register
class LeNet5Original(Supervised):
    """LeNet-5 of 1998: scaled tanh, trainable sub-sampling, the connection table, radial basis functions.

    28×28 pixels in [0, 1] get a frame of 2 and go to −0.1 … 1.175. C1: 6 maps 5×5 (156 parameters); S2: sub-sampling
    2×2 (12); C3: 16 maps 5×5, each seeing some of the six (1 516); S4: sub-sampling 2×2 (32); C5: 120 maps 5×5 over the
    whole of S4 (48 120); F6: 84 units (10 164): 60 000 parameters in all. Every unit's f is 1.7159 tanh(⅔ a), every
    weight begins in ±2.4 / fan-in. The ten outputs are the squared distances of F6 from fixed pictures of the digits,
    `dlcore.nn.digit_bitmaps`, and the nearest is the answer.

    Parameters
    ----------
    output : "rbf" as published; "softmax" puts a layer of 10 scores (850 parameters) in the place of the distances
    rejection : j >= 0 of equation 9, the distance at which a class of rubbish stands; None learns by equation 8, the
        distance from the label's picture alone. The paper does not tell its j.
    weight_decay, l1, seed, dtype : as for `CNN`

    References
    ----------
    LeCun, Bottou, Bengio, Haffner (1998), Gradient-based learning applied to document recognition, section II.B and C,
    appendix A.
    """

    def __init__(
        self,
        output: str = "rbf",
        rejection: float | None = 10.0,
        weight_decay: float = 0.0,
        l1: float = 0.0,
        seed: int = 0,
        dtype: str = "float32",
    ) -> None:
        who = type(self).__name__
        if output not in ("rbf", "softmax"):
            raise ValueError(f"{who}: output is {output!r}, expected 'rbf' or 'softmax'")
        if rejection is not None:
            not_negative(who, rejection=rejection)
        config: dict[str, Any] = {
            "output": output,
            "rejection": rejection,
            "weight_decay": weight_decay,
            "l1": l1,
            "seed": seed,
            "dtype": dtype,
        }
        last = RBF(digit_bitmaps()) if output == "rbf" else None
        shape = (1, 28, 28)
        network = compose(shape, _LAYERS, 10, "lecun_tanh", who, fan_in_uniform(2.4), last)
        own_head = RBFHead(rejection) if output == "rbf" else None
        super().__init__(config, network, shape, 10, output, weight_decay, l1, own_head)
