"""dlcore: classical deep models, trained with native speed."""

from __future__ import annotations

__version__ = "0.1.0"

from . import data, losses, models, nn, ops, optim, penalties, train
from .autodiff import Tape, grad, is_recording, no_grad, stop_gradient, value_and_grad
from .calculus import hessian, hvp, jacobian, jvp, vjp
from .device import get_num_threads, memory_stats, release_cached_memory, set_num_threads
from .ops import Generator
from .show import show_config
from .tensor import Tensor, float32, float64, from_dlpack, int32, tensor
from .train import load

__all__ = [
    "Generator",
    "Tape",
    "Tensor",
    "__version__",
    "data",
    "float32",
    "float64",
    "from_dlpack",
    "get_num_threads",
    "grad",
    "hessian",
    "hvp",
    "int32",
    "is_recording",
    "jacobian",
    "jvp",
    "load",
    "losses",
    "memory_stats",
    "models",
    "nn",
    "no_grad",
    "ops",
    "optim",
    "penalties",
    "release_cached_memory",
    "set_num_threads",
    "show_config",
    "stop_gradient",
    "tensor",
    "train",
    "value_and_grad",
    "vjp",
]
