"""Convolution whose outputs see only some of the inputs: LeCun's connection tables."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from .. import ops
from ..ops import Generator
from ..ops.activation import PARAMETERS
from ..ops.conv import Pair
from ..ops.creation import is_integer
from ..tensor import Tensor
from .checks import require_activation, require_pair, require_positive
from .initializers import BY_ACTIVATION, Initializer, zeros
from .module import Module

# LeCun, Bottou, Bengio, Haffner (1998), table I: the maps of S2 that each map of C3 sees.
LENET5_TABLE = (
    (0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5),
    (0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5),
    (0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5),
    (0, 1, 2, 3, 4, 5),
)  # fmt: skip


class PartialConv2d(Module):
    """f(cross-correlation plus bias), where output map m sees the input maps connections[m] only.

    The weight (connections in all, kernel_height, kernel_width) holds the filters that there are, output map by output
    map: missing ones are neither stored, nor learned, nor decayed.

    Parameters
    ----------
    in_channels : int
    connections : for each output map the input maps it sees, in ascending order
    kernel_size, stride, padding, dilation : int or (height, width)
    activation : name of f
    initializer : for the filters, called for each output map with its own fan-in; chosen by the activation where not
        given. The bias starts at 0.

    References
    ----------
    LeCun, Bottou, Bengio, Haffner (1998), Gradient-based learning applied to document recognition, table I.
    """

    weight: Tensor

    def __init__(
        self,
        in_channels: int,
        connections: Sequence[Sequence[int]],
        kernel_size: Pair,
        stride: Pair = 1,
        padding: Pair = 0,
        dilation: Pair = 1,
        activation: str = "identity",
        initializer: Initializer | None = None,
    ) -> None:
        super().__init__()
        require_positive("PartialConv2d", in_channels=in_channels)
        self.connections = check_connections(connections, in_channels, "PartialConv2d")
        self.in_channels, self.out_channels = in_channels, len(self.connections)
        self.kernel_size = require_pair(kernel_size, "PartialConv2d: kernel_size", 1)
        self.geometry: dict[str, Any] = {
            "stride": require_pair(stride, "PartialConv2d: stride", 1),
            "padding": require_pair(padding, "PartialConv2d: padding", 0),
            "dilation": require_pair(dilation, "PartialConv2d: dilation", 1),
        }
        self.activation = require_activation("PartialConv2d", activation)
        self._slope = PARAMETERS.get(activation, 0.0)
        sizes = [len(seen) for seen in self.connections]
        # Where each filter stands in the whole (out_channels · in_channels) that the convolution takes.
        self._places = np.array(
            [m * in_channels + i for m, seen in enumerate(self.connections) for i in seen], np.int32
        )
        area = self.kernel_size[0] * self.kernel_size[1]
        used = np.bincount([i for seen in self.connections for i in seen], minlength=in_channels)
        draw = partial(_by_output, initializer or BY_ACTIVATION[activation], sizes)
        self.declare("weight", (sum(sizes), *self.kernel_size), draw, area, round(float(used.mean())) * area)
        self.declare("bias", (self.out_channels,), zeros)

    def whole_weight(self) -> Tensor:
        """The weight (out_channels, in_channels, kernel_height, kernel_width) with zeros for what is not connected."""
        whole = ops.scatter_add(self.weight, self._places, self.out_channels * self.in_channels)
        return ops.reshape(whole, (self.out_channels, self.in_channels, *self.kernel_size))

    def forward(self, x: Tensor) -> Tensor:
        return ops.conv2d(
            x, self.whole_weight(), self.bias, **self.geometry, activation=self.activation, parameter=self._slope
        )

    def describe(self) -> str:
        height, width = self.kernel_size
        joins = f"{len(self._places)} of {self.in_channels * self.out_channels}"
        return f"PartialConv2d({self.in_channels} → {self.out_channels}, {joins}, {height}×{width}, {self.activation})"


def check_connections(connections: Any, in_channels: int, who: str) -> tuple[tuple[int, ...], ...]:
    """The table as tuples.

    Raises
    ------
    ValueError
        Unless each output map lists at least one input map, in ascending order and within range.
    """
    try:
        table = [list(seen) for seen in connections]
    except TypeError:
        raise ValueError(f"{who}: connections is {connections!r}, expected a list of lists of input maps") from None
    if not table:
        raise ValueError(f"{who}: connections is empty, expected a list of input maps for each output map")
    for m, seen in enumerate(table):
        good = all(is_integer(i) and 0 <= i < in_channels for i in seen)
        if not seen or not good or any(b <= a for a, b in itertools.pairwise(seen)):
            raise ValueError(
                f"{who}: connections[{m}] is {seen}, expected input maps in ascending order from 0 to {in_channels - 1}"
            )
    return tuple(tuple(int(i) for i in seen) for seen in table)


def _by_output(
    initializer: Initializer,
    sizes: Sequence[int],
    generator: Generator,
    shape: tuple[int, ...],
    area: int,
    fan_out: int,
    dtype: str,
) -> Tensor:
    """Filters of each output map with the fan-in that it has, `area` for each input map it sees."""
    parts = [initializer(generator, (size, *shape[1:]), size * area, fan_out, dtype) for size in sizes]
    return ops.concatenate(parts, 0)
