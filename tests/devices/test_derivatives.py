"""Derivatives on another device, of a sample of the ops that test_ops checks."""

from __future__ import annotations

import dlcore
import numpy as np
import pytest
from derivatives import Derivative, check_first, check_second
from test_ops import CASES

SAMPLE = CASES[::7]


@pytest.mark.parametrize("case", SAMPLE, ids=lambda case: f"{'_'.join(case.names)} {case.label}".strip())
def test_derivatives(other: str, case: Derivative, rng: np.random.Generator) -> None:
    with dlcore.on_device(other):
        check_first(case, rng)
        check_second(case, rng)
