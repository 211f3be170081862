"""A module as a function of its input and its parameters, for numerical derivatives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from derivatives import Derivative, check_first, check_jacobian, check_second
from dlcore import Tensor, tensor


def built(module: Any, seed: int = 0) -> Any:
    """The module in float64, with random parameters."""
    module.build(1, "float64")
    values = np.random.default_rng(seed).standard_normal(module.parameters.size)
    module.parameters.storage.array.assign(tensor(values).array)
    return module


def as_function(module: Any) -> Callable[..., Tensor]:
    """(x, *parameters) -> module(x)."""
    names = list(module.parameters)

    def f(x: Tensor, *values: Tensor) -> Tensor:
        module.__dict__.update(zip(names, values, strict=True))
        return module.forward(x)  # type: ignore[no-any-return]

    return f


def check_derivatives(module: Any, shape: tuple[int, ...], seed: int = 0) -> None:
    """First and second derivatives by the input and every parameter, and the Jacobian where it is small."""
    shapes = [shape, *(value.shape for value in module.parameters.values())]
    case = Derivative(("module",), as_function(module), lambda rng: [rng.standard_normal(s) for s in shapes])
    for check in (check_first, check_jacobian, check_second):
        check(case, np.random.default_rng(seed))
