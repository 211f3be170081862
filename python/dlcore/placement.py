"""Devices by name, and the current one: where tensors are made that come from no other tensor.

An op runs where its operands are, and a result stays there. Within the methods of a model the current device is the
model's; elsewhere it is the default of the process, "cpu" at first, unless a block says otherwise (`on_device`).
"""

from __future__ import annotations

import importlib
import importlib.util
import threading
from typing import Any

from .device import cpu

# The second is the first's kernels on this processor, for tests, and not in any wheel.
_OTHERS = ("cuda", "cuda_host")
_modules: dict[str, Any] = {"cpu": cpu}
_lock = threading.Lock()
loaded: tuple[Any, ...] = (cpu,)  # the modules whose arrays there may be


class _Current(threading.local):
    module: Any = None


_state = _Current()
_default: Any = cpu


def _reason(name: str) -> str:
    """Why a device cannot be used here, or an empty string; its module is imported to find out."""
    if name in _modules:
        return ""
    if importlib.util.find_spec(f"dlcore._{name}") is None:
        return f"this build has no module for it; DLCORE_{name.upper()}=ON builds it"
    try:
        module = importlib.import_module(f"dlcore._{name}")
    except ImportError as error:
        return f"its module cannot be imported: {error}"
    return str(module.device_problem())


def find(name: str) -> Any:
    """The module of a device.

    Raises
    ------
    ValueError
        For a name that is none of "cpu" and "cuda".
    RuntimeError
        Where there is no such device, or this build has no module for it, with the reason.
    """
    module = _modules.get(name) if isinstance(name, str) else None
    return _load(name) if module is None else module


def _load(name: Any) -> Any:
    global loaded
    if name not in _OTHERS:
        raise ValueError(f"device: {name!r} is given, expected 'cpu' or 'cuda'")
    with _lock:
        if name in _modules:
            return _modules[name]
        reason = _reason(name)
        if reason:
            raise RuntimeError(f"device: {name!r} cannot be used: {reason}")
        module: Any = importlib.import_module(f"dlcore._{name}")
        module.Array.device = module
        module.Array.device_name = name
        _modules[name] = module
        loaded = (*loaded, module)
        return module


def devices() -> dict[str, str]:
    """Each device with "available" or the reason why it cannot be used here."""
    shown = [name for name in _OTHERS if name == "cuda" or importlib.util.find_spec(f"dlcore._{name}")]
    return {"cpu": "available"} | {name: _reason(name) or "available" for name in shown}


def current() -> str:
    """The name of the current device."""
    return placed(None).Array.device_name  # type: ignore[no-any-return]


def placed(device: str | None) -> Any:
    """The module of the device that is asked for, by default of the current one."""
    return find(device) if device is not None else _state.module or _default


def memory_stats(device: str | None = None) -> dict[str, int]:
    """Bytes in use, bytes cached for reuse, and the number of requests made to the system so far, of a device, by
    default the current one."""
    return dict(placed(device).memory_stats())


def release_cached_memory(device: str | None = None) -> None:
    """Give the memory kept for reuse by a device, by default the current one, back to the system."""
    placed(device).release_cached_memory()


def get_default_device() -> str:
    """The device on which tensors are made that come from no other tensor; "cpu" at first."""
    return _default.Array.device_name  # type: ignore[no-any-return]


def set_default_device(device: str) -> None:
    """Make tensors that come from no other tensor, and models, on this device from now on, in all threads.

    Raises
    ------
    ValueError, RuntimeError
        For an unknown device, and for one that cannot be used here.
    """
    global _default
    _default = find(device)


class on_device:  # noqa: N801 - reads as a statement
    """Context in which this thread's current device is the given one.

    Raises
    ------
    ValueError, RuntimeError
        For an unknown device, and for one that cannot be used here.
    """

    def __init__(self, device: str) -> None:
        self._module = find(device)
        self._before: list[Any] = []

    def __enter__(self) -> on_device:
        self._before.append(_state.module)
        _state.module = self._module
        return self

    def __exit__(self, *exception: object) -> None:
        _state.module = self._before.pop()
