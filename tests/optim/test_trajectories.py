"""200 steps of every method, with every combination of options, against the published rules in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import trajectories
from dlcore import Tensor, grad, ops, optim, tensor
from dlcore.nn import Linear


@pytest.mark.parametrize(("make", "name", "options"), trajectories.ALL, ids=trajectories.IDS)
def test_the_trajectory_is_the_published_rule_s(make: Any, name: str, options: dict[str, Any]) -> None:
    expected = trajectories.published(make, options)
    for dtype, relative in (("float64", 1e-10), ("float32", 1e-5)):
        optimizer = make(trajectories.parameters(dtype), **options)
        found = trajectories.advance(optimizer, range(trajectories.STEPS))
        assert optimizer.steps == trajectories.STEPS
        np.testing.assert_allclose(found, expected, rtol=relative, atol=relative, err_msg=dtype)


@pytest.mark.parametrize(("make", "options"), trajectories.RICHEST, ids=lambda x: getattr(x, "__name__", ""))
def test_parts_give_the_bits_of_the_whole(make: Any, options: dict[str, Any]) -> None:
    """Groups with equal options cut θ at odd places; each element's arithmetic stays the same."""
    whole = trajectories.advance(make(trajectories.parameters("float32"), **options), range(50))
    groups = [{"params": "b.weight"}, {"params": "*.bias"}]
    parts = trajectories.advance(make(trajectories.parameters("float32"), groups=groups, **options), range(50))
    assert whole.tobytes() == parts.tobytes()


def test_a_model_learns() -> None:
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((50, 4)), rng.standard_normal((4, 1))
    model = Linear(4, 1).build(0, "float64")
    optimizer = optim.Adam(model.parameters, 0.05)

    def loss(x: Any, y: Any) -> Tensor:
        return ops.mean(ops.squared_error(model(x), tensor(y)))

    step = grad(loss, model.parameters)
    for _ in range(600):
        optimizer.step(step(x, x @ w))
    np.testing.assert_allclose(model.weight.numpy(), w, atol=1e-4)
