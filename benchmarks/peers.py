"""The peers that are installed; what is not is left out of a row. Call `timing.limit_threads` before."""

from __future__ import annotations

import importlib
import sys
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


@cache
def _blas() -> Any:
    """The BLAS libraries that are loaded (threadpoolctl), or None."""
    found = _module("threadpoolctl")
    return found and found.ThreadpoolController().select(user_api="blas")


def set_threads(threads: int) -> None:
    """Set the threads of all libraries that can change theirs: dlcore, PyTorch and NumPy's BLAS."""
    import dlcore

    dlcore.set_num_threads(threads)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)
    if (blas := _blas()) is not None:
        blas.limit(limits=threads)


def changes_threads(candidate: str) -> bool:
    """Whether `set_threads` reaches what computes this candidate of a row."""
    if candidate.startswith(("dlcore", "torch", "rbms", "learnergy")):
        return True
    return candidate.startswith(("numpy", "scikit-learn")) and _blas() is not None


def versions() -> dict[str, str]:
    """Version of each distribution, or "not installed"."""
    found = {}
    for name in DISTRIBUTIONS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found
