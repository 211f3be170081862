"""dlcore: classical deep models, trained with native speed."""

from __future__ import annotations

__version__ = "0.1.0"

import importlib
from typing import TYPE_CHECKING, Any

from . import nn, ops
from .autodiff import Tape, grad, is_recording, kinks, no_grad, stop_gradient, value_and_grad
from .device import (
    get_matmul_precision,
    get_num_threads,
    set_matmul_precision,
    set_num_threads,
)
from .interop import from_dlpack
from .ops import Generator
from .placement import (
    devices,
    get_default_device,
    memory_stats,
    on_device,
    release_cached_memory,
    set_default_device,
)
from .tensor import Tensor, float32, float64, int32, tensor

if TYPE_CHECKING:
    from . import calculus, data, deform, losses, models, optim, penalties, plot, reproduce, train
    from .calculus import directional_derivative, gnvp, gradcheck, gradgradcheck, hessian, hvp, jacobian, jvp, vjp
    from .models.robustness import robustness
    from .show import show_config
    from .train.store import load
    from .train.tracing import traced

# Most of the import time would be theirs, for methods, readers and file formats that a script may never touch.
_AT_FIRST_USE = ("calculus", "data", "deform", "losses", "models", "optim", "penalties", "plot", "reproduce", "train")
_CALCULUS = ("directional_derivative", "gnvp", "gradcheck", "gradgradcheck", "hessian", "hvp", "jacobian", "jvp", "vjp")
_OWNERS = {
    "load": "train.store",
    "robustness": "models.robustness",
    "show_config": "show",
    "traced": "train.tracing",
} | dict.fromkeys(_CALCULUS, "calculus")

__all__ = [
    "Generator",
    "Tape",
    "Tensor",
    "__version__",
    "calculus",
    "data",
    "deform",
    "devices",
    "directional_derivative",
    "float32",
    "float64",
    "from_dlpack",
    "get_default_device",
    "get_matmul_precision",
    "get_num_threads",
    "gnvp",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "hessian",
    "hvp",
    "int32",
    "is_recording",
    "jacobian",
    "jvp",
    "kinks",
    "load",
    "losses",
    "memory_stats",
    "models",
    "nn",
    "no_grad",
    "on_device",
    "ops",
    "optim",
    "penalties",
    "plot",
    "release_cached_memory",
    "reproduce",
    "robustness",
    "set_default_device",
    "set_matmul_precision",
    "set_num_threads",
    "show_config",
    "stop_gradient",
    "tensor",
    "traced",
    "train",
    "value_and_grad",
    "vjp",
]


def __getattr__(name: str) -> Any:
    if name in _AT_FIRST_USE:
        return importlib.import_module(f"{__name__}.{name}")
    if name in _OWNERS:
        if name == "load":
            importlib.import_module(f"{__name__}.models")  # a file can name only the classes that these register
        value = getattr(importlib.import_module(f"{__name__}.{_OWNERS[name]}"), name)
        globals()[name] = value  # the next access is an ordinary one
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
