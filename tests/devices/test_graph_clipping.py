"""The norm to which gradients are clipped, found and used on the device in a graph: the bits of single steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from dlcore import placement, tensor

LIMIT = 1.5
NUMBERS = [0.25, 0.0, 0.0, 0.0, 0.0, 0.0, -1.0]  # of SGD: lr, ..., the factor of the gradient before it is clipped


class Clipped:
    """A plan of steps θ ← θ + clip(g) / 4 of ascent, where g are rows of data."""

    def __init__(self, device: str, rows: np.ndarray) -> None:
        self.module = placement.find(device)
        self.theta = tensor(np.linspace(-1.0, 1.0, rows.shape[1]), str(rows.dtype), device=device).array
        data = tensor(np.concatenate([rows[:1], rows]), str(rows.dtype), device=device).array
        self.plan = self.module.Plan()
        (staged,) = self.plan.stage([data], 1)
        self.plan.bring(0)
        self.plan.begin()
        try:
            self.step(staged)
        finally:
            self.plan.end()

    def step(self, g: Any) -> None:
        g = g.reshape((self.theta.size,))
        factor = self.module.clip_factor(g, LIMIT)
        self.module.sgd(self.theta, g, None, *NUMBERS[:3], False, 0.0, False, -factor)

    def bits(self) -> bytes:
        return self.theta.numpy().tobytes()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_bits_of_single_steps(other: str, dtype: str) -> None:
    rng = np.random.default_rng(0)
    rows = (rng.standard_normal((40, 1000)) * rng.choice([0.0, 1e-3, 0.05, 1.0, 1e9], (40, 1))).astype(dtype)
    graphs, single = Clipped(other, rows), Clipped(other, rows)
    graphs.plan.run(40, 1, numbers=NUMBERS)
    for row in rows:
        single.step(tensor(row, dtype, device=other).array)
    assert graphs.bits() == single.bits()
    assert (graphs.plan.steps_by_graphs, graphs.plan.launches_on_host) == (40, 0)
    norms = np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
    by_hand = np.linspace(-1.0, 1.0, 1000) + 0.25 * (rows * np.minimum(1, LIMIT / np.maximum(norms, 1e-300)))[
        [0, *range(40)]
    ].sum(0)
    assert np.allclose(graphs.theta.numpy(), by_hand, rtol=0, atol=1e-5 if dtype == "float32" else 1e-13)


def test_norms_whose_squares_leave_the_range(other: str) -> None:
    """They are found step by step, as without graphs; those far below the limit need not."""
    rows = np.ones((16, 4))
    rows[5], rows[11], rows[13] = 1e-170, 1e170, 0.0
    graphs, single = Clipped(other, rows), Clipped(other, rows)
    graphs.plan.run(16, 1, numbers=NUMBERS)
    for row in rows:
        single.step(tensor(row, "float64", device=other).array)
    assert graphs.bits() == single.bits()
    assert graphs.plan.steps_by_graphs == 8  # the others were issued with the one of 1e170


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_norm_that_is_not_finite_raises_at_its_step(other: str, bad: float) -> None:
    rows = np.ones((40, 4), np.float32)
    rows[17, 2] = bad
    graphs, single = Clipped(other, rows), Clipped(other, rows)
    with pytest.raises(FloatingPointError, match=f"clip_factor: the norm of the gradient is {bad}"):
        graphs.plan.run(40, 1, numbers=NUMBERS)
    for row in rows[:17]:
        single.step(tensor(row, device=other).array)
    assert (graphs.plan.done, graphs.bits()) == (17, single.bits())
