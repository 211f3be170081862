"""A model's methods run on the model's device: tensors that they make from arrays and numbers are made there."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from types import FunctionType
from typing import Any

from .. import placement


def run_on_own_device(cls: type) -> None:
    """Have the public methods of a class of models and of its mixins make their tensors on the model's device."""
    for name in dir(cls):
        found = inspect.getattr_static(cls, name)
        if isinstance(found, FunctionType) and not name.startswith("_") and not hasattr(found, "on_own_device"):
            setattr(cls, name, _on_own_device(found))


def _on_own_device(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def on_device(self: Any, *args: Any, **options: Any) -> Any:
        device = self.device
        if placement.current() == device:
            return method(self, *args, **options)
        with placement.on_device(device):
            return method(self, *args, **options)

    on_device.on_own_device = True  # type: ignore[attr-defined]
    return on_device
