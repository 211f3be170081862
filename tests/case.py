"""One declaration of a kernel call serves every check: correctness, threads, guard bytes, instruction sets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


def magnitude(*arguments: Any) -> np.ndarray | float:
    """Default error scale: the reference's own magnitude (see `Case.scale`)."""
    raise AssertionError("a marker, never called")


@dataclass(frozen=True)
class Case:
    """
    name : what is special about this call: "ragged tail", "one row".
    functions : names of the device functions it covers.
    inputs : rng -> arguments. Float arrays are made in float64 and cast to the dtype under test;
        int32 arrays, numbers, tuples, strings and None are passed as they are.
    call : (device, *arguments) -> Array, number, or a tuple of them; arrays among the inputs come as device Arrays.
    reference : (*arguments) -> the same in float64 NumPy, from the cast arguments promoted to float64. Not dlcore.
    tolerance : allowed |result - reference| in units of eps(dtype) * scale. 0 demands equality.
    scale : (*arguments) -> the magnitude errors are measured against, e.g. sum |a||b| for a product.
    dtypes : the float dtypes it runs in.
    """

    name: str
    functions: tuple[str, ...]
    inputs: Callable[[np.random.Generator], Sequence[Any]]
    call: Callable[..., Any]
    reference: Callable[..., Any]
    tolerance: float = 4.0
    scale: Callable[..., Any] = magnitude
    dtypes: tuple[str, ...] = ("float32", "float64")


@dataclass(frozen=True)
class ErrorCase:
    """A call that must fail: `call(device, array)` raises `error`, and `message` (a pattern) matches all of it."""

    name: str
    functions: tuple[str, ...]
    call: Callable[..., Any]  # (device, array) where array(nested list or ndarray, dtype="float32") -> device Array
    error: type[Exception]
    message: str
