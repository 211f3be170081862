"""Initial weights. Each takes a generator, a shape, the fan-in and fan-out, and a dtype, and returns a tensor.

Those with a setting are made by a function, as partial applications: modules that hold them can be pickled.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np

from .. import ops
from ..ops import Generator
from ..tensor import Tensor, tensor

Initializer = Callable[[Generator, tuple[int, ...], int, int, str], Tensor]


def constant(value: float) -> Initializer:
    """Every element is `value`."""
    return partial(_constant, value)


def _constant(
    value: float, generator: Generator, shape: tuple[int, ...], fan_in: int, fan_out: int, dtype: str
) -> Tensor:
    return ops.full(shape, value, dtype)


def zeros(generator: Generator, shape: tuple[int, ...], fan_in: int, fan_out: int, dtype: str) -> Tensor:
    """Every element is 0."""
    return ops.zeros(shape, dtype)


def normal(std: float) -> Initializer:
    """N(0, std²). Hinton (2010), A practical guide to training RBMs, section 8: std = 0.01."""
    return partial(_normal, std)


def _normal(std: float, generator: Generator, shape: tuple[int, ...], fan_in: int, fan_out: int, dtype: str) -> Tensor:
    return ops.normal(generator, shape, 0.0, std, dtype)


def uniform(bound: float) -> Initializer:
    """U(−bound, bound)."""
    return partial(_uniform, bound)


def _uniform(
    bound: float, generator: Generator, shape: tuple[int, ...], fan_in: int, fan_out: int, dtype: str
) -> Tensor:
    return ops.uniform(generator, shape, -bound, bound, dtype)


def lecun_normal(generator: Generator, shape: tuple[int, ...], fan_in: int, fan_out: int, dtype: str) -> Tensor:
    """N(0, 1 / fan_in). LeCun, Bottou, Orr, Müller (1998), Efficient BackProp, section 4.6."""
    return ops.normal(generator, shape, 0.0, math.sqrt(1 / max(fan_in, 1)), dtype)


def lecun_uniform(generator: Generator, shape: tuple[int, ...], fan_in: int, fan_out: int, dtype: str) -> Tensor:
    """U(±√(3 / fan_in)): the variance of `lecun_normal`."""
    bound = math.sqrt(3 / max(fan_in, 1))
    return ops.uniform(generator, shape, -bound, bound, dtype)


def fan_in_uniform(gain: float = 2.4) -> Initializer:
    """U(±gain / fan_in). LeCun, Bottou, Bengio, Haffner (1998), appendix A: gain = 2.4, for LeNet-5."""
    return partial(_fan_in_uniform, gain)


def _fan_in_uniform(
    gain: float, generator: Generator, shape: tuple[int, ...], fan_in: int, fan_out: int, dtype: str
) -> Tensor:
    bound = gain / max(fan_in, 1)
    return ops.uniform(generator, shape, -bound, bound, dtype)


def glorot_normal(generator: Generator, shape: tuple[int, ...], fan_in: int, fan_out: int, dtype: str) -> Tensor:
    """N(0, 2 / (fan_in + fan_out)). Glorot, Bengio (2010), Understanding the difficulty of training deep networks."""
    return ops.normal(generator, shape, 0.0, math.sqrt(2 / max(fan_in + fan_out, 1)), dtype)


def glorot_uniform(generator: Generator, shape: tuple[int, ...], fan_in: int, fan_out: int, dtype: str) -> Tensor:
    """U(±√(6 / (fan_in + fan_out))). Glorot, Bengio (2010), equation 16."""
    bound = math.sqrt(6 / max(fan_in + fan_out, 1))
    return ops.uniform(generator, shape, -bound, bound, dtype)


def he_normal(generator: Generator, shape: tuple[int, ...], fan_in: int, fan_out: int, dtype: str) -> Tensor:
    """N(0, 2 / fan_in). He, Zhang, Ren, Sun (2015), Delving deep into rectifiers, equation 10."""
    return ops.normal(generator, shape, 0.0, math.sqrt(2 / max(fan_in, 1)), dtype)


def he_uniform(generator: Generator, shape: tuple[int, ...], fan_in: int, fan_out: int, dtype: str) -> Tensor:
    """U(±√(6 / fan_in)): the variance of `he_normal`."""
    bound = math.sqrt(6 / max(fan_in, 1))
    return ops.uniform(generator, shape, -bound, bound, dtype)


def sparse(connections: int = 15, std: float = 1.0) -> Initializer:
    """`connections` inputs of each unit drawn from N(0, std²), the others 0 (a matrix (inputs, outputs)).

    Martens (2010), Deep learning via Hessian-free optimization, section 5.
    """
    return partial(_sparse, connections, std)


def _sparse(
    connections: int,
    std: float,
    generator: Generator,
    shape: tuple[int, ...],
    fan_in: int,
    fan_out: int,
    dtype: str,
) -> Tensor:
    if len(shape) != 2:
        raise ValueError(f"sparse: shape is {shape}, expected (inputs, outputs)")
    keys = ops.uniform(generator, shape, dtype=dtype).numpy()
    kept = np.argsort(np.argsort(keys, axis=0), axis=0) < connections
    return ops.normal(generator, shape, 0.0, std, dtype) * tensor(kept, dtype)


def orthogonal(gain: float = 1.0) -> Initializer:
    """`gain` times a matrix with orthonormal rows or columns, whichever are fewer.

    Filters are a matrix (out_channels, the rest). Saxe, McClelland, Ganguli (2014), Exact solutions to the nonlinear
    dynamics of learning.
    """
    return partial(_orthogonal, gain)


def _orthogonal(
    gain: float, generator: Generator, shape: tuple[int, ...], fan_in: int, fan_out: int, dtype: str
) -> Tensor:
    if len(shape) < 2:
        raise ValueError(f"orthogonal: shape is {shape}, expected at least 2 dimensions")
    rows, columns = shape[0], math.prod(shape[1:])
    tall = (max(rows, columns), min(rows, columns))
    q, r = np.linalg.qr(ops.normal(generator, tall, dtype="float64").numpy())
    q *= np.sign(np.diag(r))  # makes the distribution uniform (Mezzadri 2007)
    matrix = q if rows >= columns else q.T
    return tensor(gain * matrix.reshape(shape), dtype)


BY_ACTIVATION: dict[str, Initializer] = {
    "identity": glorot_uniform,
    "sigmoid": glorot_uniform,
    "tanh": glorot_uniform,
    "lecun_tanh": lecun_normal,
    "relu": he_normal,
    "leaky_relu": he_normal,
    "elu": he_normal,
    "softplus": he_normal,
}
