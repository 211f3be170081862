"""Schedules against their formulas written out, their composition, their state."""

from __future__ import annotations

import copy
import json
import math
import pickle
from typing import Any

import numpy as np
import pytest
import trajectories
from dlcore import ops, optim
from dlcore.models import MLP
from dlcore.nn import Parameters
from dlcore.optim import schedules as S  # noqa: N812 - many names, each used once

STEPS = np.arange(60)


def piecewise(values: list[float], edges: list[int]) -> np.ndarray:
    return np.asarray(values)[np.searchsorted(edges, STEPS, side="right")]


def cosine_restarts(lr: float, end: float, lengths: list[int], decay: float = 1.0) -> np.ndarray:
    arcs = [end + (lr - end) * decay**i * (1 + np.cos(np.pi * np.arange(n) / n)) / 2 for i, n in enumerate(lengths)]
    return np.concatenate(arcs)[: len(STEPS)]


def one_cycle(low: float, high: float, last: float, corners: list[float], shape: Any) -> np.ndarray:
    """Through the corners (low, high, (low,) last) with arcs or lines between; `shape` maps [0, 1] to [0, 1]."""
    values = [low, high, last] if len(corners) == 3 else [low, high, low, last]
    found = []
    for t in STEPS:
        i = min(int(np.searchsorted(corners, t, side="left")), len(corners) - 1)
        i = max(i, 1)
        share = min((t - corners[i - 1]) / (corners[i] - corners[i - 1]), 1.0)
        found.append(values[i - 1] + (values[i] - values[i - 1]) * shape(share))
    return np.asarray(found)


def arc(share: float) -> float:
    return (1 - math.cos(math.pi * share)) / 2


T = STEPS.astype(float)
FORMULAS: dict[str, tuple[S.Schedule, Any]] = {
    "constant": (S.Constant(0.3), np.full(60, 0.3)),
    "step": (S.Step(0.8, 7, 0.5), 0.8 * 0.5 ** (STEPS // 7)),
    "multi-step": (S.MultiStep(0.8, [3, 4, 30], 0.1), piecewise([0.8, 0.08, 0.008, 0.0008], [3, 4, 30])),
    "no milestones": (S.MultiStep(0.8, []), np.full(60, 0.8)),
    "piecewise": (S.Piecewise([0.5, 0.9, 0.7], [5, 20]), piecewise([0.5, 0.9, 0.7], [5, 20])),
    "exponential": (S.Exponential(0.8, 0.9), 0.8 * 0.9**T),
    "inverse time": (S.InverseTime(0.8, 0.3), 0.8 / (1 + 0.3 * T)),
    "inverse root": (S.InverseTime(0.8, 0.3, 0.5), 0.8 / np.sqrt(1 + 0.3 * T)),
    "linear": (S.Linear(0.8, 0.2, 40), np.interp(T, [0, 40], [0.8, 0.2])),
    "ramp": (S.Linear(0.5, 0.9, 20), np.interp(T, [0, 20], [0.5, 0.9])),
    "polynomial": (S.Polynomial(0.8, 40, 2.5, 0.1), 0.1 + 0.7 * np.maximum(1 - T / 40, 0) ** 2.5),
    "cosine": (S.Cosine(0.8, 40, 0.1), 0.1 + 0.35 * (1 + np.cos(np.pi * np.minimum(T, 40) / 40))),
    "restarts": (S.CosineRestarts(0.8, 9, end=0.1), cosine_restarts(0.8, 0.1, [9] * 7)),
    "longer restarts": (S.CosineRestarts(0.8, 4, 3, 0.1), cosine_restarts(0.8, 0.1, [4, 12, 36, 108])),
    "lower restarts": (S.CosineRestarts(0.8, 9, decay=0.5), cosine_restarts(0.8, 0.0, [9] * 7, 0.5)),
    "one cycle": (S.OneCycle(0.8, 50), one_cycle(0.032, 0.8, 0.032e-4, [0, 14, 49], arc)),
    "one cycle, linear": (
        S.OneCycle(0.8, 50, 0.4, "linear", 10, 100), one_cycle(0.08, 0.8, 0.0008, [0, 19, 49], float)
    ),
    "one cycle, three phases": (
        S.OneCycle(0.8, 50, three_phase=True), one_cycle(0.032, 0.8, 0.032e-4, [0, 14, 28, 49], arc)
    ),
    "momentum of one cycle": (S.OneCycleMomentum(50), one_cycle(0.95, 0.85, 0.95, [0, 14, 49], arc)),
    "Sutskever's momentum": (
        S.SutskeverMomentum(0.95, 5), np.minimum(1 - 2.0 ** (-1 - np.log2(T // 5 + 1)), 0.95)
    ),
    "warm-up": (
        S.Warmup(S.Exponential(0.8, 0.9), 8, 0.25),
        np.where(T < 8, 0.8 * (0.25 + 0.75 * T / 8), 0.8 * 0.9 ** np.maximum(T - 8, 0)),
    ),
    "warm-up of a number": (S.Warmup(0.8, 8), 0.8 * np.minimum(T / 8, 1)),
    "product": (2 * S.Exponential(0.8, 0.9) * S.Linear(1, 0, 30), 1.6 * 0.9**T * np.maximum(1 - T / 30, 0)),
    "product with a function": (S.Constant(3) * (lambda step: step), 3 * T),
    "sequence": (
        S.Sequence([0.1, S.Exponential(0.8, 0.9), S.Constant(0.2)], [10, 25]),
        np.where(T < 10, 0.1, np.where(T < 25, 0.8 * 0.9 ** (T - 10), 0.2)),
    ),
    "by epoch": (S.ByEpoch(S.Exponential(0.8, 0.5), 7), 0.8 * 0.5 ** (STEPS // 7)),
    "epochs within a warm-up": (
        S.Warmup(S.ByEpoch(S.Step(0.8, 2, 0.5), 5), 10), np.where(T < 10, 0.08 * T, 0.8 * 0.5 ** ((STEPS - 10) // 10))
    ),
    "plateau at first": (S.Plateau(S.Exponential(0.8, 0.9)), 0.8 * 0.9**T),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMULAS)
def test_the_formula(name: str) -> None:
    schedule, expected = FORMULAS[name]
    found = [schedule(int(t)) for t in STEPS]
    assert all(type(value) is float for value in found) or name == "product with a function"
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("name", [name for name in FORMULAS if name != "product with a function"])
def test_copies_give_the_same_bits(name: str) -> None:
    schedule, _ = FORMULAS[name]
    for other in (pickle.loads(pickle.dumps(schedule)), copy.deepcopy(schedule)):
        assert [other(int(t)) for t in STEPS] == [schedule(int(t)) for t in STEPS]
    assert type(schedule).__name__ in repr(schedule)


@pytest.mark.parametrize("make", [make for make in trajectories.SETTINGS if make.follows_lr])
def test_every_optimizer_takes_every_schedule(make: Any) -> None:
    for schedule, _ in FORMULAS.values():
        p = Parameters({"w": (3,)})
        p.assign({"w": [1, 2, 3]})
        q = Parameters({"w": (3,)})
        q.assign({"w": [1, 2, 3]})
        scheduled, by_hand = make(p, lr=schedule), make(q)
        for step in range(3):
            scheduled.step(ops.ones((3,)))
            by_hand.lr = schedule(step)
            by_hand.step(ops.ones((3,)))
        assert p.storage.numpy().tobytes() == q.storage.numpy().tobytes()


def test_a_fit_tells_schedules_its_epochs() -> None:
    class Spy(optim.SGD):
        def step(self, gradient: Any) -> None:
            rates.append((self.current_lr(), self.values(self.groups[0])["lr"]))
            super().step(gradient)

    def make(parameters: Parameters) -> Spy:
        name = next(iter(parameters))
        return Spy(parameters, 2 * S.ByEpoch(S.Exponential(1.0, 0.5)), groups=[{"params": name, "lr": decay}])

    decay = S.ByEpoch(S.Step(0.1, 2))
    for batch, batches in ((2, 3), (6, 1)):  # the same object in a fit with other epochs
        rates: list[tuple[float, float]] = []
        MLP([4, 2]).fit(np.eye(6, 4), [0, 1] * 3, epochs=4, batch_size=batch, optimizer=make, progress=False)
        epochs = np.repeat(np.arange(4), batches)
        np.testing.assert_allclose(rates, np.stack([2 * 0.5**epochs, 0.1 * 0.1 ** (epochs // 2)], 1))


def test_epochs_outside_a_fit() -> None:
    with pytest.raises(ValueError, match=r"^ByEpoch: steps_in_epoch is not known, expected to be given outside a fit"):
        S.ByEpoch(S.Constant(1))(0)
    schedule = S.ByEpoch(S.Exponential(1.0, 0.5), 2)
    schedule.bind_epochs(9)  # what was given stays
    assert schedule(2) == 0.5


def test_a_plateau() -> None:
    """Worked out by hand: factor ½, patience 1, threshold 0.1 relative, cooldown 1."""
    plateau = S.Plateau(1.0, 0.5, patience=1, threshold=0.1, cooldown=1)
    seen = [(1.0, 1), (0.95, 1), (0.92, 0.5), (0.99, 0.5), (0.99, 0.5), (0.99, 0.25), (0.1, 0.25), (math.nan, 0.25)]
    fell = []
    for value, expected in seen:
        fell.append(plateau.observe(value))
        assert plateau(3) == expected
    assert fell == [False, False, True, False, False, True, False, False]
    plateau.reset()
    assert plateau(0) == 1.0


def test_the_least_rate_of_a_plateau() -> None:
    plateau = S.Plateau(S.Linear(0.0, 1.0, 10), 0.1, patience=0, min_lr=0.5)
    for _ in range(5):
        plateau.observe(1.0)
    assert [plateau(t) for t in (0, 3, 10)] == pytest.approx([0.0, 0.3, 0.5])  # a warm-up may be below it


def test_the_state_of_a_plateau_inside_others() -> None:
    def new() -> tuple[S.Plateau, S.Schedule]:
        plateau = S.Plateau(0.5, 0.5, patience=0)
        return plateau, S.Warmup(2 * S.Sequence([1.0, plateau], [3]), 2)

    plateau, whole = new()
    for value in (2.0, 3.0, 3.0):
        plateau.observe(value)
    other, other_whole = new()
    saved = json.loads(json.dumps(whole.state_dict()))
    other_whole.load_state_dict(saved)
    assert [other_whole(t) for t in range(9)] == [whole(t) for t in range(9)]
    assert (whole(8), other.observe(2.5)) == (0.25, True)
    for bad in ({}, [], {"1": {}}):
        with pytest.raises(ValueError, match=r"^Warmup: the saved state is .*, expected parts \['0'\]"):
            whole.load_state_dict(bad)
    for change, message in [
        ({"factor_now": -1}, "^Plateau: factor_now is -1"),
        ({"bad": 0.5}, r"^Plateau: bad is 0\.5, expected an integer"),
        ({"best": "x"}, "^Plateau: best is 'x', expected a number or None"),
        ({"more": 1}, "^Plateau: the saved state is .*, expected factor_now, best"),
    ]:
        with pytest.raises(ValueError, match=message):
            plateau.load_state_dict(plateau.state_dict() | change)
    assert S.Constant(1).state_dict() == {}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: S.Constant(math.nan), "^Constant: value is nan, expected a finite number"),
        (lambda: S.Step(0.1, 0), "^Step: step_size is 0, expected an integer >= 1"),
        (lambda: S.Step(0.1, 2.5), r"^Step: step_size is 2\.5, expected an integer >= 1"),
        (lambda: S.Step("1", 2), "^Step: lr is '1', expected a finite number"),
        (lambda: S.Step(0.1, 2, -1), "^Step: gamma is -1, expected a finite number >= 0"),
        (lambda: S.MultiStep(0.1, [3, 3]), r"^MultiStep: milestones are \[3, 3\], expected increasing ones"),
        (lambda: S.MultiStep(0.1, [0]), "^MultiStep: milestones is 0, expected an integer >= 1"),
        (lambda: S.MultiStep(0.1, 3), "^MultiStep: milestones is 3, expected a list of integers"),
        (lambda: S.Piecewise([1], [3]), "^Piecewise: there are 1 values and 1 milestones, expected one more"),
        (lambda: S.Exponential(0.1, math.inf), "^Exponential: gamma is inf"),
        (lambda: S.InverseTime(0.1, -1), "^InverseTime: rate is -1"),
        (lambda: S.InverseTime(0.1, 1, 0), "^InverseTime: power is 0, expected a finite number > 0"),
        (lambda: S.Linear(0, 1, 0), "^Linear: steps is 0"),
        (lambda: S.Polynomial(0.1, True), "^Polynomial: steps is True, expected an integer >= 1"),
        (lambda: S.Cosine(0.1, math.nan), "^Cosine: steps is nan, expected an integer >= 1"),
        (lambda: S.CosineRestarts(0.1, 5, 0), "^CosineRestarts: multiplier is 0"),
        (lambda: S.CosineRestarts(0.1, 5, decay=2), r"^CosineRestarts: decay is 2, expected a number in \[0, 1\]"),
        (lambda: S.OneCycle(0, 10), "^OneCycle: lr is 0, expected a finite number > 0"),
        (lambda: S.OneCycle(1, 1), "^OneCycle: steps is 1, expected an integer >= 2"),
        (lambda: S.OneCycle(1, 10, 1.0), r"^OneCycle: pct_start is 1\.0, expected a number in \(0, 1\)"),
        (lambda: S.OneCycle(1, 10, 0.6, three_phase=True), r"^OneCycle: pct_start is 0\.6, expected at most 0\.5"),
        (lambda: S.OneCycle(1, 10, anneal="exp"), "^OneCycle: anneal is 'exp', expected 'cos' or 'linear'"),
        (lambda: S.OneCycleMomentum(10, highest=1.0), r"^OneCycleMomentum: highest is 1\.0"),
        (lambda: S.SutskeverMomentum(1.5), r"^SutskeverMomentum: limit is 1\.5"),
        (lambda: S.Warmup(0.1, 0), "^Warmup: steps is 0"),
        (lambda: S.Warmup("x", 1), "^Warmup: schedule is 'x', expected a number or a schedule"),
        (lambda: S.Product(), "^Product: there are no factors"),
        (lambda: S.Constant(1) * "2", r"^Product: factors\[1\] is '2', expected a number or a schedule"),
        (lambda: S.Sequence([1], [1]), "^Sequence: there are 1 schedules and 1 milestones, expected one more"),
        (lambda: S.ByEpoch(1, 0), "^ByEpoch: steps_in_epoch is 0"),
        (lambda: S.Plateau(1, 1.0), r"^Plateau: factor is 1\.0, expected a number in \(0, 1\)"),
        (lambda: S.Plateau(1, threshold_mode="x"), "^Plateau: threshold_mode is 'x', expected 'rel' or 'abs'"),
        (lambda: S.Plateau(1, mode="x"), "^Plateau: mode is 'x', expected 'min' or 'max'"),
        (lambda: S.Plateau(1, patience=1.5), r"^Plateau: patience is 1\.5, expected an integer >= 0"),
    ],
)
def test_messages(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_other_messages() -> None:
    with pytest.raises(TypeError, match=r"^Plateau: value is 'x', expected a number"):
        S.Plateau(1).observe("x")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"^Schedule defines no value"):
        S.Schedule()(0)
