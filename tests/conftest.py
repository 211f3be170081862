"""Fixtures: the installed package's device module, arrays on it, and its thread count."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any

import dlcore
import driver
import numpy as np
import pytest

# What a test makes is made on the device under test, unless it names another.
dlcore.set_default_device(driver.DEVICE.Array.device_name)


@pytest.fixture(autouse=True)
def interruptible() -> Iterator[None]:
    """Ctrl-C raises, also where the run was started in the background and so inherited SIGINT ignored."""
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, previous)


@pytest.fixture
def device() -> Any:
    """The device module under test, with the thread count restored afterwards."""
    module = driver.DEVICE
    threads = module.num_threads()
    yield module
    module.set_num_threads(threads)


@pytest.fixture
def checked(device: Any) -> Iterator[Any]:
    """The device with poisoned allocations, guard bytes and full teams; fails if a kernel wrote behind an array."""
    before = device.guard_violations()
    device.release_cached_memory()
    device.set_allocation_checks(True)
    device.set_full_teams(True)
    yield device
    device.set_full_teams(False)
    device.set_allocation_checks(False)
    device.release_cached_memory()
    assert device.guard_violations() == before, "a kernel wrote behind the end of an array"


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)
