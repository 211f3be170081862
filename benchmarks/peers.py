"""The peers that are installed; what is not is left out of a row. Call `timing.limit_threads` before."""

from __future__ import annotations

import importlib
from functools import cache
from importlib import metadata
from typing import Any

DISTRIBUTIONS = ("dlcore-native", "numpy", "torch", "jax", "scikit-learn", "rbms", "learnergy")


@cache
def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


@cache
def torch(threads: int) -> Any:
    """PyTorch with so many threads, or None."""
    found = _module("torch")
    if found is not None:
        found.set_num_threads(threads)
    return found


def jax() -> Any:
    """JAX, whose threads are as many as the processors this process may use, or None."""
    return _module("jax")


def sklearn() -> Any:
    """scikit-learn's networks (`sklearn.neural_network`), or None."""
    return _module("sklearn.neural_network")


def rbms() -> Any:
    """rbms's Bernoulli machine (`rbms.bernoulli_bernoulli.classes`), or None."""
    return _module("rbms.bernoulli_bernoulli.classes")


def learnergy() -> Any:
    """learnergy's RBM (`learnergy.models.bernoulli`), or None."""
    return _module("learnergy.models.bernoulli")


def versions() -> dict[str, str]:
    """Version of each distribution, or "not installed"."""
    found = {}
    for name in DISTRIBUTIONS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found
