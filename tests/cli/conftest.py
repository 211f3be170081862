"""Fixtures of the command line's tests."""

import pytest


@pytest.fixture(autouse=True)
def threads(device):
    """Commands may set the number of threads; the fixture `device` puts it back."""
