"""What every test of the case files shares: finding them, and moving their inputs to a device and back."""

from __future__ import annotations

import importlib
import os
import pkgutil
from collections.abc import Iterator
from typing import Any

import cases
import dlcore.device
import errors
import numpy as np
from case import Case, ErrorCase, magnitude
from dlcore import placement

FAMILIES = sorted(module.name for module in pkgutil.iter_modules(cases.__path__))


def _device_under_test() -> Any:
    """The CPU module in use, or the one that DLCORE_TEST_DEVICE names, built in DLCORE_TEST_DEVICE_PATH."""
    name = os.environ.get("DLCORE_TEST_DEVICE")
    if not name:
        return dlcore.device.cpu
    if path := os.environ.get("DLCORE_TEST_DEVICE_PATH"):
        dlcore.__path__.append(path)
    return placement.find(name)


DEVICE = _device_under_test()


def all_cases() -> Iterator[tuple[str, Case]]:
    for family in FAMILIES:
        for case in importlib.import_module(f"cases.{family}").CASES:
            yield family, case


def all_errors() -> Iterator[tuple[str, ErrorCase]]:
    for module in pkgutil.iter_modules(errors.__path__):
        for case in importlib.import_module(f"errors.{module.name}").ERRORS:
            yield module.name, case


def cast(argument: Any, dtype: str) -> Any:
    """A float64 input in the dtype under test; anything else as it is."""
    return argument.astype(dtype) if isinstance(argument, np.ndarray) and argument.dtype == np.float64 else argument


def arguments(case: Case, dtype: str) -> list[Any]:
    return [cast(argument, dtype) for argument in case.inputs(np.random.default_rng(0))]


def to_device(device: Any, argument: Any) -> Any:
    return device.from_numpy(np.asarray(argument, order="C")) if isinstance(argument, np.ndarray) else argument


def run(case: Case, device: Any, inputs: list[Any]) -> tuple[np.ndarray, ...]:
    result = case.call(device, *[to_device(device, argument) for argument in inputs])
    results = result if isinstance(result, tuple) else (result,)
    return tuple(r.numpy() if hasattr(r, "numpy") else np.asarray(r) for r in results)


def promoted(inputs: list[Any]) -> list[Any]:
    return [a.astype(np.float64) if isinstance(a, np.ndarray) and a.dtype == np.float32 else a for a in inputs]


def expected(case: Case, inputs: list[Any]) -> tuple[tuple[np.ndarray, Any], ...]:
    """The reference's results, each with the magnitude its error is measured against."""
    arrays = promoted(inputs)
    with np.errstate(all="ignore"):
        reference = case.reference(*arrays)
        scale = reference if case.scale is magnitude else case.scale(*arrays)
    references = reference if isinstance(reference, tuple) else (reference,)
    scales = scale if isinstance(scale, tuple) else (scale,) * len(references)
    return tuple((np.asarray(r), s) for r, s in zip(references, scales, strict=True))


def assert_close(result: np.ndarray, reference: np.ndarray, scale: Any, tolerance: float, eps: float) -> None:
    """|result - reference| <= tolerance eps scale, with NaN and infinities in the same places."""
    assert result.shape == reference.shape
    loose = np.isfinite(reference) & ~np.isfinite(np.broadcast_to(scale, reference.shape))
    assert tolerance == 0 or not loose.any(), "a finite number is measured against no finite scale: nothing could fail"
    with np.errstate(all="ignore"):
        same = result == reference
        if result.dtype.kind == "f":
            same |= np.isnan(result) & np.isnan(reference)
        error = np.abs(result.astype(np.float64) - reference)
        bad = ~(same | (error <= tolerance * eps * np.abs(scale)))
    if bad.any():
        first = np.unravel_index(np.argmax(bad), bad.shape) if bad.ndim else ()
        raise AssertionError(
            f"{bad.sum()} of {bad.size} differ; at {first}: {result[first]}, expected {reference[first]}"
        )
