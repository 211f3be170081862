"""What all first-order methods share: schedules, state, messages."""

from __future__ import annotations

import copy
import json
import math
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import trajectories
from dlcore import ops, optim
from dlcore.nn import Linear, Parameters
from dlcore.optim.schedules import Cosine, Plateau
from dlcore.optim.schedules import Linear as Ramp

N = trajectories.N
parameters = trajectories.parameters


def test_a_schedule_is_asked_before_each_step() -> None:
    p = Parameters({"w": (1,)}, "float64")
    p.assign({"w": [0.0]})
    asked: list[int] = []

    def schedule(step: int) -> float:
        asked.append(step)
        return 2.0**step

    optimizer = optim.SGD(p, schedule)
    for _ in range(4):
        optimizer.step(ops.ones((1,), "float64"))
    assert asked == [0, 1, 2, 3]
    assert p["w"].numpy().tolist() == [-15]
    assert optim.SGD(p, 0.5).current_lr() == 0.5


@pytest.mark.parametrize("make", [m for m in trajectories.SETTINGS if m.follows_lr])
def test_every_number_may_be_a_schedule(make: Any) -> None:
    """A constant one gives the bits of the number; one that changes does not."""
    options = max(trajectories.SETTINGS[make][1], key=len)
    numbers = {n: v for n, v in options.items() if n in make._options}

    def constant(value: Any) -> Any:
        return tuple(map(constant, value)) if isinstance(value, tuple) else lambda step: value

    plain = trajectories.advance(make(parameters("float32"), **options), range(20))
    called = make(parameters("float32"), **options | {n: constant(v) for n, v in numbers.items()})
    assert trajectories.advance(called, range(20)).tobytes() == plain.tobytes()
    falling = make(parameters("float32"), **options | {"lr": Cosine(0.01, 20)})
    assert trajectories.advance(falling, range(20)).tobytes() != plain.tobytes()


def test_a_momentum_ramp() -> None:
    """v ← μ(t) v + g with μ from 0 to 0.5 in two steps."""
    p = Parameters({"w": (1,)}, "float64")
    p.assign({"w": [0.0]})
    optimizer = optim.SGD(p, 1.0, momentum=Ramp(0.0, 0.5, 2))
    path = []
    for _ in range(4):
        optimizer.step(ops.ones((1,), "float64"))
        path.append(float(p["w"].numpy()[0]))
    v = np.array([1.0, 1.25, 1.625, 1.8125])
    np.testing.assert_allclose(path, -np.cumsum(v), rtol=1e-15)


def test_lr_factor_scales_every_group() -> None:
    p = parameters("float64")
    before = p.storage.numpy()
    optimizer = optim.SGD(p, 0.1, groups=[{"params": "a", "lr": 0.2}])
    optimizer.lr_factor = 0.5
    optimizer.step(ops.ones((N,), "float64"))
    np.testing.assert_allclose(before - p.storage.numpy(), [0.1] * 25 + [0.05] * 12)
    assert optimizer.current_lr() == 0.05


WITH_GROUPS = [{"params": "b.weight", "lr": 0.003}, {"params": "a", "frozen": True}]


@pytest.mark.parametrize("groups", [None, WITH_GROUPS], ids=["whole", "groups"])
@pytest.mark.parametrize(("make", "options"), trajectories.PLAIN + trajectories.RICHEST)
def test_a_restored_optimizer_goes_on_bit_for_bit(make: Any, options: dict[str, Any], groups: Any) -> None:
    def new() -> optim.Optimizer:
        made: optim.Optimizer = make(parameters("float32"), groups=groups, **options)
        return made

    def thaw(optimizer: optim.Optimizer) -> None:
        for group in optimizer.groups:
            group.frozen = False

    undisturbed, first, second = new(), new(), new()
    trajectories.advance(undisturbed, range(10))
    thaw(undisturbed)
    whole = trajectories.advance(undisturbed, range(10, 30))

    trajectories.advance(first, range(10))
    thaw(first)
    trajectories.advance(first, range(10, 15))
    saved = first.state_dict()
    plain = {name: value for name, value in saved.items() if name != "state"}
    assert json.loads(json.dumps(plain)) == plain
    second.parameters.storage.array.assign(first.parameters.storage.array)
    second.load_state_dict(pickle.loads(pickle.dumps(saved)))
    assert second.steps == 15
    assert [g.steps for g in second.groups] == [g.steps for g in first.groups]
    resumed = trajectories.advance(second, range(15, 30))
    assert resumed.tobytes() == whole[5:].tobytes()


@pytest.mark.parametrize(("make", "options"), trajectories.RICHEST)
def test_copies_go_on_alone(make: Any, options: dict[str, Any]) -> None:
    model = Linear(4, 3).build(0)
    optimizer = make(model.parameters, **options)
    g = ops.ones((15,))
    optimizer.step(g)
    other_model, other = copy.deepcopy((model, optimizer))
    assert other.parameters.storage.array is not optimizer.parameters.storage.array
    before = model.parameters.storage.numpy()
    other.step(g)
    assert model.parameters.storage.numpy().tobytes() == before.tobytes()
    optimizer.step(g)
    assert model.parameters.storage.numpy().tobytes() == other_model.parameters.storage.numpy().tobytes()


def test_the_state_of_a_schedule_is_saved() -> None:
    def new() -> tuple[Plateau, optim.Optimizer]:
        plateau = Plateau(0.5, factor=0.5, patience=0)
        groups = [{"params": "a", "lr": 0.1 * Plateau(1.0, patience=0)}]
        return plateau, optim.SGD(parameters("float32"), plateau, groups=groups)

    plateau, optimizer = new()
    for value in (1.0, 2.0, 2.0):
        plateau.observe(value)
    assert optimizer.current_lr() == 0.125
    other_plateau, other = new()
    other.load_state_dict(json.loads(json.dumps(optimizer.state_dict() | {"state": {}})))
    assert other.current_lr() == 0.125
    assert other_plateau.state_dict() == plateau.state_dict()
    with pytest.raises(ValueError, match=r"^SGD: the saved schedules are {"):
        optim.SGD(parameters("float32"), groups=[{"params": "a"}]).load_state_dict(optimizer.state_dict())


P = Parameters({"w": (3,)})
P.assign({"w": [1, 2, 3]})
ONES = ops.ones((3,))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: optim.SGD([1.0]), TypeError, r"^SGD: parameters is a list, expected Parameters \(model.parameters\)"),
        (lambda: optim.SGD(Linear(2, 2)), TypeError, "^SGD: parameters is a Linear, expected Parameters"),
        (lambda: optim.SGD(P, lr=-1), ValueError, "^SGD: lr is -1, expected a finite number >= 0"),
        (lambda: optim.SGD(P, lr=math.nan), ValueError, "^SGD: lr is nan"),
        (lambda: optim.SGD(P, lr=math.inf), ValueError, "^SGD: lr is inf"),
        (lambda: optim.SGD(P, lr=True), ValueError, "^SGD: lr is True"),
        (lambda: optim.SGD(P, lr="0.1"), ValueError, "^SGD: lr is '0.1'"),
        (lambda: optim.SGD(P, momentum=1.0), ValueError, r"^SGD: momentum is 1.0, expected a number in \[0, 1\)"),
        (lambda: optim.SGD(P, dampening=-0.1), ValueError, r"^SGD: dampening is -0.1, expected a number in \[0, 1\]"),
        (lambda: optim.SGD(P, weight_decay=-1e-4), ValueError, "^SGD: weight_decay is -0.0001"),
        (lambda: optim.SGD(P, nesterov=True), ValueError, "^SGD: nesterov needs a momentum above 0 and no dampening"),
        (lambda: optim.SGD(P, momentum=0.9, dampening=0.1, nesterov=True), ValueError, "^SGD: nesterov needs"),
        (lambda: optim.SGD(P, nesterov=1), ValueError, "^SGD: nesterov is 1, expected True or False"),
        (lambda: optim.SGD(P, maximize="yes"), ValueError, "^SGD: maximize is 'yes', expected True or False"),
        (lambda: optim.SGD(P, beta=1), TypeError, "^SGD: 'beta' is not an option, which are lr, momentum, dampening"),
        (lambda: optim.SGD(P, max_grad_norm=0), ValueError, "^SGD: max_grad_norm is 0, expected a finite number > 0"),
        (lambda: optim.SGD(P, max_grad_value=-1), ValueError, "^SGD: max_grad_value is -1, expected a finite number"),
        (lambda: optim.AdaGrad(P, eps=-1), ValueError, "^AdaGrad: eps is -1"),
        (lambda: optim.AdaGrad(P, lr_decay=-1), ValueError, "^AdaGrad: lr_decay is -1"),
        (lambda: optim.AdaGrad(P, initial_accumulator_value=-1), ValueError, "^AdaGrad: initial_accumulator_value"),
        (lambda: optim.RMSProp(P, alpha=1.0), ValueError, "^RMSProp: alpha is 1.0"),
        (lambda: optim.RMSProp(P, momentum=math.nan), ValueError, "^RMSProp: momentum is nan"),
        (lambda: optim.RMSProp(P, centered=None), ValueError, "^RMSProp: centered is None, expected True or False"),
        (lambda: optim.AdaDelta(P, rho=1.0), ValueError, "^AdaDelta: rho is 1.0"),
        (lambda: optim.Adam(P, betas=(1.0, 0.9)), ValueError, "^Adam: beta1 is 1.0"),
        (lambda: optim.Adam(P, betas=(0.9, 1.0)), ValueError, "^Adam: beta2 is 1.0"),
        (lambda: optim.Adam(P, betas=(0.9,)), ValueError, r"^Adam: betas are \(0.9,\), expected two numbers"),
        (lambda: optim.Adam(P, betas=0.9), ValueError, "^Adam: betas are 0.9, expected two numbers"),
        (lambda: optim.Adam(P, amsgrad=0), ValueError, "^Adam: amsgrad is 0, expected True or False"),
        (lambda: optim.AdamW(P, eps=math.nan), ValueError, "^AdamW: eps is nan"),
        (lambda: optim.AdamW(P, weight_decay=None), ValueError, "^AdamW: weight_decay is None"),
        (lambda: optim.NAdam(P, momentum_decay=-1), ValueError, "^NAdam: momentum_decay is -1"),
        (lambda: optim.Rprop(P, etas=(1.0, 1.2)), ValueError, r"^Rprop: eta_minus is 1.0, expected .* in \(0, 1\)"),
        (lambda: optim.Rprop(P, etas=(0.5, 1.0)), ValueError, "^Rprop: eta_plus is 1.0, expected a finite number > 1"),
        (lambda: optim.Rprop(P, step_sizes=(1, 0.5)), ValueError, r"^Rprop: step_sizes are \(1, 0.5\), expected the"),
        (lambda: optim.Rprop(P, Cosine(1, 9)), ValueError, "^Rprop: lr is a schedule, expected a number"),
        (lambda: optim.Lion(P, betas=(0.9, math.nan)), ValueError, "^Lion: beta2 is nan"),
        (lambda: optim.SGD(P).step(ops.ones((2,))), ValueError, r"^SGD: gradient is \(2,\), expected \(3,\)"),
        (lambda: optim.SGD(P).step([1, 2, 3]), TypeError, "^SGD: gradient is a list, expected a Tensor"),
        (
            lambda: optim.SGD(P).step(ops.ones((3,), "float64")),
            TypeError,
            "^SGD: gradient is float64, expected float32",
        ),
        (lambda: optim.SGD(P, lambda step: -1.0).step(ONES), ValueError, "^SGD: lr is -1.0"),
        (lambda: optim.SGD(P, lambda step: math.nan).step(ONES), ValueError, "^SGD: lr is nan"),
        (lambda: optim.SGD(P, lambda step: None).step(ONES), ValueError, "^SGD: lr is None"),
        (lambda: optim.Adam(P, betas=(lambda step: 1.0, 0.9)).step(ONES), ValueError, "^Adam: beta1 is 1.0"),
        (lambda: optim.Optimizer(P, 0.1).step(ONES), TypeError, "^Optimizer defines no update"),
    ],
)
def test_messages(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
    assert P.theta.numpy().tolist() == [1, 2, 3]


def test_bad_state_changes_nothing() -> None:
    optimizer = optim.Adam(parameters("float32"))
    optimizer.step(ops.ones((N,)))
    good = optimizer.state_dict()
    group = {"steps": 1, "frozen": False, "memory": {}}
    for change, error, message in [
        ({"state": {}}, ValueError, r"^Adam: state has \[\], expected \['first_moment', 'second_moment'\]"),
        ({"steps": -1}, ValueError, "^Adam: steps is -1, expected an integer >= 0"),
        ({"steps": 1.5}, ValueError, "^Adam: steps is 1.5"),
        ({"lr_factor": math.nan}, ValueError, "^Adam: lr_factor is nan"),
        ({"groups": []}, ValueError, r"^Adam: the saved groups are \[\], expected 1"),
        ({"groups": [{}]}, ValueError, r"^Adam: the saved groups\[0\] is {}, expected steps, frozen, memory"),
        ({"groups": [group | {"steps": -1}]}, ValueError, r"^Adam: groups\[0\].steps is -1"),
        ({"groups": [group | {"frozen": 1}]}, ValueError, r"^Adam: groups\[0\].frozen is 1"),
        ({"groups": [group | {"memory": {"x": 1}}]}, ValueError, r"^Adam: groups\[0\].memory is .*, expected \[\]"),
        ({"schedules": {"lr.0": {}}}, ValueError, r"^Adam: the saved schedules are .*, expected \[\]"),
        (
            {"state": {"first_moment": np.zeros(N), "second_moment": np.zeros(3)}},
            ValueError,
            r"^Adam: second_moment is \(3,\), expected \(37,\)",
        ),
        ({"state": {"first_moment": np.zeros(N), "second_moment": "x"}}, TypeError, "expected real numbers"),
    ]:
        with pytest.raises(error, match=message):
            optimizer.load_state_dict({**good, **change})
        assert optimizer.steps == 1
        for name, values in good["state"].items():
            np.testing.assert_array_equal(optimizer.state[name].numpy(), values)
    for saved, message in (([], "is a list, expected a dict"), ({"steps": 1}, "lacks .'groups', 'lr_factor'")):
        with pytest.raises(ValueError, match=message):
            optimizer.load_state_dict(saved)
    wide = {n: v.astype(np.float64)[::1] for n, v in good["state"].items()}
    optimizer.load_state_dict(good | {"steps": 3, "state": wide})
    assert optimizer.steps == 3
    nadam = optim.NAdam(parameters("float32"))
    bad = nadam.state_dict()
    bad["groups"][0]["memory"] = {"mu_product": math.nan}
    with pytest.raises(ValueError, match=r"^NAdam: groups\[0\].memory is .*, expected finite numbers"):
        nadam.load_state_dict(bad)


@pytest.mark.parametrize(("make", "options"), trajectories.RICHEST)
def test_a_failed_step_counts_for_nothing(make: Any, options: dict[str, Any]) -> None:
    p = parameters("float32")
    optimizer = make(p, max_grad_norm=1.0, **options)
    before, saved = p.storage.numpy(), optimizer.state_dict()
    for bad in (ops.ones((N,), "float64"), ops.full((N,), math.nan), ops.full((N,), math.inf)):
        with pytest.raises((TypeError, FloatingPointError)):
            optimizer.step(bad)
    after = optimizer.state_dict()
    assert optimizer.steps == 0
    assert after["groups"] == saved["groups"]
    np.testing.assert_array_equal(p.storage.numpy(), before)
    for name, values in saved["state"].items():
        np.testing.assert_array_equal(after["state"][name], values)
