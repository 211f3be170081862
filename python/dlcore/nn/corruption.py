"""Noise on inputs, for models that learn to remove it."""

from __future__ import annotations

import math

from .. import ops
from ..ops import Generator
from ..ops.creation import is_number
from ..tensor import Tensor
from .module import Module

CORRUPTIONS = ("masking", "salt-and-pepper", "gaussian")


def require_level(owner: str, kind: str, level: float) -> float:
    """The level, if it suits a kind of corruption.

    Raises
    ------
    ValueError
    """
    if kind not in CORRUPTIONS:
        raise ValueError(f"{owner}: corruption is {kind!r}, expected one of {', '.join(CORRUPTIONS)}")
    good = is_number(level) and 0 <= level < (math.inf if kind == "gaussian" else 1)
    if not good:
        expected = "a finite number >= 0" if kind == "gaussian" else "a number in [0, 1)"
        raise ValueError(f"{owner}: the level of {kind} corruption is {level!r}, expected {expected}")
    return float(level)


def corrupt(x: Tensor, kind: str, level: float, generator: Generator) -> Tensor:
    """x with noise: elements set to 0 with probability `level` ("masking"), to 0 or 1, as a fair coin falls, with
    probability `level` ("salt-and-pepper"), or x + level · ε with ε ~ N(0, 1) ("gaussian", not clipped).

    Raises
    ------
    ValueError
        For another kind, or a level outside [0, 1), for "gaussian" outside [0, ∞).

    References
    ----------
    Vincent, Larochelle, Lajoie, Bengio, Manzagol (2010), Stacked denoising autoencoders, section 3.3.
    """
    level = require_level("corrupt", kind, level)
    if kind == "gaussian":
        return x + ops.normal(generator, x.shape, 0.0, level, x.dtype, x.device)
    if kind == "masking":
        return x * ops.bernoulli(generator, ops.full(x.shape, 1.0 - level, x.dtype, x.device))
    struck = ops.bernoulli(generator, ops.full(x.shape, level, x.dtype, x.device))
    coin = ops.bernoulli(generator, ops.full(x.shape, 0.5, x.dtype, x.device))
    return ops.where(struck, coin, x)


class Corruption(Module):
    """`corrupt` while training, the identity otherwise.

    Parameters
    ----------
    kind : "masking", "salt-and-pepper" or "gaussian"
    level : probability in [0, 1), or standard deviation >= 0 of "gaussian"
    """

    def __init__(self, kind: str = "masking", level: float = 0.3) -> None:
        super().__init__()
        self.kind, self.level = kind, require_level("Corruption", kind, level)
        self.generator = Generator(0)

    def seed_noise(self, generator: Generator) -> None:
        self.generator = generator

    def forward(self, x: Tensor) -> Tensor:
        return corrupt(x, self.kind, self.level, self.generator) if self.training and self.level else x

    def describe(self) -> str:
        return f"Corruption({self.kind}, {self.level:g})"
