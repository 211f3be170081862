"""Counter-based randomness; native in ``csrc/random.cpp``.

A sample is a function of a key (the seed), a step (which draw of the generator this is) and the element's index; it
depends on neither the number of threads nor what was drawn elsewhere. A generator's state is those two integers.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import placement
from ..autodiff import differentiable
from ..tensor import Tensor
from .broadcast import Result
from .creation import is_number

_LIMIT = 2**64


class Generator:
    """A stream of Philox4x32-10 draws: `key` is the seed, `step` counts the draws made.

    Parameters
    ----------
    seed : int in [0, 2⁶⁴)

    References
    ----------
    Salmon, Moraes, Dror, Shaw (2011), Parallel random numbers: as easy as 1, 2, 3.
    """

    __slots__ = ("key", "step")

    def __init__(self, seed: int = 0, step: int = 0) -> None:
        for name, value in (("seed", seed), ("step", step)):
            if not isinstance(value, (int, np.integer)) or isinstance(value, bool):
                raise TypeError(f"Generator: {name} is {value!r}, expected an integer")
            if not 0 <= value < _LIMIT:
                raise ValueError(f"Generator: {name} is {value}, expected 0 <= {name} < 2**64")
        self.key = int(seed)
        self.step = int(step)

    def take(self, steps: int = 1) -> int:
        """The next step, reserving `steps` of them."""
        step = self.step
        self.step = (step + steps) % _LIMIT
        return step

    def split(self, stream: int) -> Generator:
        """An independent generator for a numbered purpose: its key is a hash of this key and the number."""
        return Generator(_mix(_mix(self.key) ^ (stream + 1)))

    def __repr__(self) -> str:
        return f"Generator(seed={self.key}, step={self.step})"

    def __reduce__(self) -> tuple[Any, ...]:
        return (Generator, (self.key, self.step))


def _mix(z: int) -> int:
    """The SplitMix64 finaliser (Steele, Lea, Flood 2014)."""
    z = (z + 0x9E3779B97F4A7C15) % _LIMIT
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % _LIMIT
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB % _LIMIT
    return z ^ (z >> 31)


def uniform(
    generator: Generator,
    shape: tuple[int, ...],
    low: float = 0.0,
    high: float = 1.0,
    dtype: Any = "float32",
    device: str | None = None,
) -> Tensor:
    """Uniform samples in [low, high): the same bits on every device in [0, 1), elsewhere the same but for rounding."""
    y = Tensor(placement.placed(device).uniform(generator.key, generator.step, shape, low, high, np.dtype(dtype).name))
    generator.take()  # after the draw: one that fails leaves the generator as it was
    return y


def normal(
    generator: Generator,
    shape: tuple[int, ...],
    mean: float = 0.0,
    std: float = 1.0,
    dtype: Any = "float32",
    device: str | None = None,
) -> Tensor:
    """Gaussian samples (Box–Muller), the same on every device but for rounding."""
    y = Tensor(placement.placed(device).normal(generator.key, generator.step, shape, mean, std, np.dtype(dtype).name))
    generator.take()
    return y


def bernoulli(generator: Generator, probabilities: Tensor) -> Tensor:
    """1 with the given probability, else 0; a constant to every derivative."""
    device = probabilities.array.device
    y = Tensor(device.bernoulli(generator.key, generator.step, probabilities.array))
    generator.take()
    return y


def permutation(generator: Generator, n: int, device: str | None = None) -> Tensor:
    """0 … n − 1 in random order, int32; the same on every device."""
    y = Tensor(placement.placed(device).permutation(generator.key, generator.step, n))
    generator.take()
    return y


def dropout(x: Tensor, p: float, generator: Generator) -> Tensor:
    """x with each element set to 0 with probability p and the others scaled by 1 / (1 − p).

    The mask is a function of the generator's step and is computed again for the gradient instead of being kept.

    Raises
    ------
    ValueError
        Unless 0 <= p < 1.

    References
    ----------
    Srivastava et al. (2014), Dropout.
    """
    if not is_number(p) or not 0 <= p < 1:
        raise ValueError(f"dropout: p is {p}, expected 0 <= p < 1")
    if p == 0:
        return x
    y = _dropout(x, p, generator.key, generator.step)
    generator.take()
    return y


@differentiable(1)
def _dropout(x: Tensor, p: float, key: int, step: int) -> Result:
    return Tensor(x.array.device.dropout(key, step, x.array, p)), lambda dy: _dropout(dy, p, key, step)
