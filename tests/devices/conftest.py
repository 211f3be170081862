"""A device beside the CPU: the one that DLCORE_TEST_DEVICE names, else the emulation of the CUDA kernels."""

from __future__ import annotations

import os
from collections.abc import Iterator

import dlcore
import pytest
from dlcore import placement


@pytest.fixture(autouse=True)
def cpu_by_default() -> Iterator[None]:
    """These tests name their devices."""
    before = dlcore.get_default_device()
    dlcore.set_default_device("cpu")
    yield
    dlcore.set_default_device(before)


@pytest.fixture
def other() -> str:
    """The name of the other device; one that DLCORE_TEST_DEVICE names must be there."""
    name = os.environ.get("DLCORE_TEST_DEVICE")
    if name is not None:
        placement.find(name)
        return name
    try:
        placement.find("cuda_host")
    except RuntimeError as error:
        pytest.skip(f"the emulation of the CUDA kernels is not built: {error}")
    return "cuda_host"
