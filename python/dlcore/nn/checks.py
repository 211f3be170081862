"""What constructors of layers check."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..ops import ACTIVATIONS
from ..ops.conv import Pair, pair


def float_type(dtype: Any) -> str | None:
    """ "float32" or "float64", given as anything that NumPy takes for a dtype; None for what is neither."""
    try:
        name = None if dtype is None else np.dtype(dtype).name
    except (TypeError, ValueError):
        return None
    return name if name in ("float32", "float64") else None


def require_positive(owner: str, **sizes: int) -> None:
    """Raise a ValueError that names the first size which is no integer of at least 1."""
    for name, value in sizes.items():
        if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < 1:
            raise ValueError(f"{owner}: {name} is {value!r}, expected a positive integer")


def require_groups(owner: str, groups: int, in_channels: int, out_channels: int) -> None:
    """Raise a ValueError unless the groups divide the channels on both sides."""
    if in_channels % groups or out_channels % groups:
        raise ValueError(f"{owner}: {groups} groups do not divide {in_channels} and {out_channels} channels")


def require_pair(value: Pair, name: str, lowest: int) -> tuple[int, int]:
    """(height, width) of integers that are at least `lowest`."""
    sizes = pair(value, name)
    if min(sizes) < lowest:
        raise ValueError(f"{name} is {value!r}, expected at least {lowest}")
    return sizes


def require_single(value: int, name: str, lowest: int) -> int:
    """The integer, if it is at least `lowest`."""
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < lowest:
        raise ValueError(f"{name} is {value!r}, expected an integer of at least {lowest}")
    return int(value)


def require_activation(owner: str, activation: str) -> str:
    """The name, if it is an activation's."""
    if activation not in ACTIVATIONS:
        raise ValueError(f"{owner}: activation is {activation!r}, expected one of {', '.join(ACTIVATIONS)}")
    return activation
