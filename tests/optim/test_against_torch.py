"""Trajectories and schedules against PyTorch's, where it is installed."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import trajectories
from dlcore.optim import schedules

torch = pytest.importorskip("torch")


@pytest.fixture(autouse=True)
def scalars_in_float64() -> Iterator[None]:
    """PyTorch keeps scalar states, NAdam's product of momenta among them, in the default dtype."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


WITH_PEER = [row for row in trajectories.ALL if row[1]]


def torch_trajectory(name: str, options: dict[str, Any], dtype: Any) -> np.ndarray:
    theta = torch.tensor(trajectories.start(), dtype=dtype, requires_grad=True)
    optimizer = getattr(torch.optim, name)([theta], foreach=False, **options)
    rows = []
    for step in range(trajectories.STEPS):
        here = theta.detach().numpy().astype(np.float64)
        g = trajectories.gradient(here, step, options.get("maximize", False))
        theta.grad = torch.tensor(g, dtype=dtype)
        optimizer.step()
        rows.append(theta.detach().numpy().copy())
    return np.stack(rows)


@pytest.mark.parametrize(
    ("make", "name", "options"), WITH_PEER, ids=[f"{make.__name__} {options}" for make, _, options in WITH_PEER]
)
def test_the_trajectory_is_pytorch_s(make: Any, name: str, options: dict[str, Any]) -> None:
    for dtype, relative in (("float64", 1e-10), ("float32", 1e-5)):
        expected = torch_trajectory(name, options, getattr(torch, dtype))
        found = trajectories.advance(make(trajectories.parameters(dtype), **options), range(trajectories.STEPS))
        np.testing.assert_allclose(found, expected, rtol=relative, atol=relative, err_msg=dtype)


def torch_rates(make: Any, lr: float, steps: int, momentum: str = "") -> list[float]:
    """lr, or another option, before each step."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr, momentum=0.9)
    rates = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scheduler = make(optimizer)
        for _ in range(steps):
            rates.append(optimizer.param_groups[0][momentum or "lr"])
            optimizer.step()
            scheduler.step()
    return rates


L = torch.optim.lr_scheduler
S = schedules
PAIRS: dict[str, tuple[Any, Any, int]] = {
    "constant": (lambda o: L.ConstantLR(o, 1.0), S.Constant(0.1), 20),
    "constant, then another": (lambda o: L.ConstantLR(o, 0.25, 6), S.Piecewise([0.025, 0.1], [6]), 20),
    "step": (lambda o: L.StepLR(o, 7, 0.3), S.Step(0.1, 7, 0.3), 50),
    "multi-step": (lambda o: L.MultiStepLR(o, [5, 6, 20], 0.3), S.MultiStep(0.1, [5, 6, 20], 0.3), 40),
    "exponential": (lambda o: L.ExponentialLR(o, 0.93), S.Exponential(0.1, 0.93), 100),
    "inverse time": (
        lambda o: L.LambdaLR(o, lambda t: 1 / (1 + 0.1 * t) ** 0.75), S.InverseTime(0.1, 0.1, 0.75), 100
    ),
    "cosine": (lambda o: L.CosineAnnealingLR(o, 30, 0.01), S.Cosine(0.1, 30, 0.01), 31),
    "warm restarts": (
        lambda o: L.CosineAnnealingWarmRestarts(o, 7, 1, 0.01), S.CosineRestarts(0.1, 7, 1, 0.01), 40
    ),
    "longer restarts": (
        lambda o: L.CosineAnnealingWarmRestarts(o, 5, 2, 0.01), S.CosineRestarts(0.1, 5, 2, 0.01), 100
    ),
    "linear": (lambda o: L.LinearLR(o, 0.2, 0.9, 11), S.Linear(0.02, 0.09, 11), 30),
    "polynomial": (lambda o: L.PolynomialLR(o, 20, 1.7), S.Polynomial(0.1, 20, 1.7), 30),
    "sequence": (
        lambda o: L.SequentialLR(o, [L.LinearLR(o, 0.1, 1.0, 5), L.ExponentialLR(o, 0.9)], [5]),
        S.Sequence([S.Linear(0.01, 0.1, 5), S.Exponential(0.1, 0.9)], [5]),
        40,
    ),
    "warm-up": (
        lambda o: L.SequentialLR(o, [L.LinearLR(o, 0.1, 1.0, 5), L.StepLR(o, 4, 0.5)], [5]),
        S.Warmup(S.Step(0.1, 4, 0.5), 5, 0.1),
        40,
    ),
    "chain": (
        lambda o: L.ChainedScheduler([L.LinearLR(o, 0.1, 1.0, 5), L.ExponentialLR(o, 0.9)]),
        S.Linear(0.1, 1.0, 5) * S.Exponential(0.1, 0.9),
        40,
    ),
    **{
        f"one cycle {anneal} {three}": (
            lambda o, anneal=anneal, three=three: L.OneCycleLR(
                o, 0.1, 40, pct_start=0.3, anneal_strategy=anneal, three_phase=three
            ),
            S.OneCycle(0.1, 40, 0.3, anneal, three_phase=three),
            40,
        )
        for anneal in ("cos", "linear")
        for three in (False, True)
    },
}  # fmt: skip


@pytest.mark.parametrize("name", PAIRS)
def test_the_schedule_is_pytorch_s(name: str) -> None:
    make, schedule, steps = PAIRS[name]
    np.testing.assert_allclose([schedule(t) for t in range(steps)], torch_rates(make, 0.1, steps), rtol=1e-10)


@pytest.mark.parametrize("anneal", ["cos", "linear"])
@pytest.mark.parametrize("three", [False, True])
def test_the_momentum_of_one_cycle_is_pytorch_s(anneal: str, three: bool) -> None:
    rates = torch_rates(
        lambda o: L.OneCycleLR(o, 0.1, 40, anneal_strategy=anneal, three_phase=three), 0.1, 40, "momentum"
    )
    schedule = schedules.OneCycleMomentum(40, anneal=anneal, three_phase=three)
    np.testing.assert_allclose([schedule(t) for t in range(40)], rates, rtol=1e-10)


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("threshold_mode", ["rel", "abs"])
@pytest.mark.parametrize("cooldown", [0, 3])
def test_the_plateau_is_pytorch_s(mode: str, threshold_mode: str, cooldown: int) -> None:
    options = {
        "mode": mode, "factor": 0.5, "patience": 2, "threshold": 0.05, "threshold_mode": threshold_mode,
        "cooldown": cooldown, "min_lr": 0.004,
    }  # fmt: skip
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    theirs, ours = L.ReduceLROnPlateau(optimizer, **options), schedules.Plateau(0.1, **options)
    values = 1.0 + 0.2 * np.random.default_rng(3).standard_normal(80)
    values[10] = math.nan
    rates = []
    for t, value in enumerate(values):
        theirs.step(value)
        ours.observe(value)
        rates.append((ours(t), optimizer.param_groups[0]["lr"]))
    assert len({theirs for _, theirs in rates}) > 3
    np.testing.assert_allclose(*zip(*rates, strict=True), rtol=1e-12)
