"""Euclidean radial basis functions, LeNet-5's output units, and digits to set their centres."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import ops
from ..ops import Generator
from ..tensor import Tensor, as_tensor
from ..tensor import tensor as to_tensor
from .module import Module


class RBF(Module):
    """s_i = −‖x − w_i‖², x (n, inputs) → (n, units): larger is nearer, and x is as likely under unit i as e^{s_i}.

    Parameters
    ----------
    centres : w (units, inputs), finite numbers
    trainable : whether the centres are learned; otherwise they are buffers, which no optimizer sees

    References
    ----------
    LeCun, Bottou, Bengio, Haffner (1998), Gradient-based learning applied to document recognition, equation 7, whose
    y_i is −s_i.
    """

    centres: Tensor

    def __init__(self, centres: npt.ArrayLike, trainable: bool = False) -> None:
        super().__init__()
        values = np.array(as_tensor(centres, None, "RBF: centres").numpy(), np.float64)
        if values.ndim != 2 or 0 in values.shape:
            raise ValueError(f"RBF: centres has shape {values.shape}, expected (units, inputs)")
        if not np.isfinite(values).all():
            raise ValueError("RBF: centres are not all finite")
        self.units, self.inputs = values.shape
        self.trainable = bool(trainable)
        if trainable:
            self.declare("centres", values.shape, partial(_given, values))
        else:
            self.declare_buffer("centres", values.shape, values)

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim != 2 or x.shape[1] != self.inputs:
            raise ValueError(f"RBF: x has shape {x.shape}, expected (n, {self.inputs})")
        # By differences: ‖x‖² − 2 x·w + ‖w‖² cancels where x is near a centre.
        apart = ops.reshape(x, (x.shape[0], 1, self.inputs)) - self.centres
        return ops.negative(ops.sum(ops.square(apart), 2))

    def describe(self) -> str:
        return f"RBF({self.inputs} → {self.units})"


def _given(values: Any, generator: Generator, shape: tuple[int, ...], fan_in: int, fan_out: int, dtype: str) -> Tensor:
    return to_tensor(values, dtype)


_DIGITS = """
..###.. ...#... .#####. .#####. ....##. ####### ..####. ####### .#####. .#####.
.#...#. ..##... #.....# #.....# ...###. #...... .#..... ......# #.....# #.....#
#.....# .#.#... ......# ......# ..#.##. #...... #...... .....#. #.....# #.....#
#.....# ...#... ......# ......# .#..##. #...... #...... .....#. #.....# #.....#
#.....# ...#... ......# ....##. #...##. ######. #.####. ....#.. .#####. #.....#
#.....# ...#... .....#. ..###.. #...##. ......# ##....# ....#.. .#####. .######
#.....# ...#... ....#.. ....##. ####### ......# #.....# ...#... #.....# ......#
#.....# ...#... ...#... ......# ....##. ......# #.....# ...#... #.....# ......#
#.....# ...#... ..#.... ......# ....##. ......# #.....# ..#.... #.....# ......#
#.....# ...#... .#..... ......# ....##. #.....# #.....# ..#.... #.....# .....#.
.#...#. ...#... #...... #.....# ....##. .#...#. .#...#. .#..... #.....# ....#..
..###.. .#####. ####### .#####. ....##. ..###.. ..###.. .#..... .#####. .###...
"""


def digit_bitmaps() -> npt.NDArray[np.float64]:
    """±1 pictures of the ten digits, (10, 84): rows of 12 × 7 pixels, ink +1.

    LeNet-5's output units are centred on such stylised pictures (LeCun, Bottou, Bengio, Haffner 1998, figure 3):
    similar digits have similar codes. These are drawn for dlcore in that figure's manner and size; they are not its
    pixels.
    """
    rows = [line.split() for line in _DIGITS.split("\n") if line]
    pictures = [[[1.0 if mark == "#" else -1.0 for mark in row[digit]] for row in rows] for digit in range(10)]
    return np.array(pictures).reshape(10, 84)
