"""Parameter groups: their own options, and parts that are left alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import trajectories
from dlcore import ops, optim
from dlcore.nn import Parameters

parameters = trajectories.parameters  # a: 25, b.weight: 7, b.bias: 5


def names(optimizer: optim.Optimizer) -> list[tuple[str, ...]]:
    return [group.names for group in optimizer.groups]


def test_names_prefixes_and_patterns() -> None:
    def groups(*given: Any) -> optim.SGD:
        return optim.SGD(parameters("float32"), groups=[{"params": params} for params in given])

    assert names(groups("a")) == [("a",), ("b.weight", "b.bias")]
    assert names(groups("b")) == [("b.weight", "b.bias"), ("a",)]
    assert names(groups("*.bias", "a")) == [("b.bias",), ("a",), ("b.weight",)]
    assert names(groups(["b.bias", "a"])) == [("a", "b.bias"), ("b.weight",)]
    assert names(groups("*")) == [("a", "b.weight", "b.bias")]
    assert [g.runs for g in groups("b").groups] == [((25, 37),), ((0, 25),)]
    assert [g.runs for g in groups(["b.bias", "a"]).groups] == [((0, 25), (32, 37)), ((25, 32),)]
    assert names(optim.SGD(parameters("float32"))) == [("a", "b.weight", "b.bias")]
    assert names(optim.SGD(parameters("float32"), groups=[])) == [("a", "b.weight", "b.bias")]
    assert repr(groups("a").groups[0]) == "Group(1 parameters, 0 steps)"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("make", trajectories.SETTINGS)
def test_each_group_has_the_path_of_an_optimizer_of_its_own(make: Any, dtype: str) -> None:
    """Methods without coupling between parameters: the parts' bits are those of separate optimizers."""
    own = {"lr": 0.002} | ({"weight_decay": 0.3} if "weight_decay" in make._options else {})
    if "betas" in make._options:
        own["betas"] = (0.7, 0.8)
    together = make(parameters(dtype), lr=0.01, groups=[{"params": "b.weight", **own}])
    path = trajectories.advance(together, range(40))
    for options, part in ((own, slice(25, 32)), ({"lr": 0.01}, np.r_[0:25, 32:37])):
        alone = trajectories.advance(make(parameters(dtype), **options), range(40))
        assert path[:, part].tobytes() == alone[:, part].tobytes()


@pytest.mark.parametrize(("make", "options"), trajectories.RICHEST)
def test_frozen_parameters_and_their_state_are_not_touched(make: Any, options: dict[str, Any]) -> None:
    p = parameters("float32")
    optimizer = make(p, groups=[{"params": "b.weight", "frozen": True}], **options)
    before = p.storage.numpy()
    kept = {name: values.numpy() for name, values in optimizer.state.items()}
    poison = np.ones(37, np.float32)
    poison[25:32] = np.nan  # would show wherever it is read
    for _ in range(3):
        optimizer.step(ops.full((37,), 0.0) + poison)
    after = p.storage.numpy()
    assert after[25:32].tobytes() == before[25:32].tobytes()
    assert (after[:25] != before[:25]).all() and (after[32:] != before[32:]).all()
    for name, values in optimizer.state.items():
        assert values.numpy()[25:32].tobytes() == kept[name][25:32].tobytes()
    assert [group.steps for group in optimizer.groups] == [0, 3]


@pytest.mark.parametrize("make", trajectories.SETTINGS)
def test_a_thawed_group_starts_as_a_new_optimizer_would(make: Any) -> None:
    optimizer = make(parameters("float64"), lr=0.01, groups=[{"params": "a", "frozen": True}])
    trajectories.advance(optimizer, range(10))
    optimizer.groups[0].frozen = False
    thawed = trajectories.advance(optimizer, range(10, 30))
    fresh = trajectories.advance(make(parameters("float64"), lr=0.01), range(10, 30))
    assert thawed[:, :25].tobytes() == fresh[:, :25].tobytes()


def test_all_frozen() -> None:
    p = parameters("float32")
    before = p.storage.numpy()
    optimizer = optim.SGD(p, groups=[{"params": "*", "frozen": True}], max_grad_norm=1.0)
    optimizer.step(ops.ones((37,)))
    np.testing.assert_array_equal(p.storage.numpy(), before)
    assert optimizer.steps == 1


def test_an_option_of_a_group_may_be_a_schedule() -> None:
    p = parameters("float64")
    before = p.storage.numpy()
    optimizer = optim.SGD(p, 1.0, groups=[{"params": "a", "lr": lambda step: 0.5**step}])
    for _ in range(3):
        optimizer.step(ops.ones((37,), "float64"))
    np.testing.assert_allclose(before - p.storage.numpy(), [1.75] * 25 + [3.0] * 12)


def test_empty_parameters() -> None:
    p = Parameters({"a": (0,), "b": (3, 0), "c": (2,)})
    p.assign({"a": np.zeros(0), "b": np.zeros((3, 0)), "c": [1.0, 1.0]})
    optimizer = optim.Adam(p, groups=[{"params": ["a", "b"]}])
    optimizer.step(ops.ones((2,)))
    assert [g.runs for g in optimizer.groups] == [(), ((0, 2),)]


@pytest.mark.parametrize(
    ("groups", "error", "message"),
    [
        ({"params": "a"}, TypeError, "^SGD: groups is a dict, expected a list of dicts"),
        ("a", TypeError, "^SGD: groups is a str"),
        (["a"], TypeError, r"^SGD: groups\[0\] is a str, expected a dict"),
        ([{"lr": 1}], ValueError, r"^SGD: groups\[0\] has no 'params'"),
        ([{"params": "c"}], ValueError, r"^SGD: groups\[0\]: params 'c' matches none of a, b.weight, b.bias"),
        ([{"params": ["a", "c.*"]}], ValueError, r"^SGD: groups\[0\]: params 'c.\*' matches none of"),
        ([{"params": []}], ValueError, r"^SGD: groups\[0\]: params is \[\], expected a name"),
        ([{"params": 3}], ValueError, r"^SGD: groups\[0\]: params is 3, expected a name"),
        (
            [{"params": "b"}, {"params": "*.bias"}],
            ValueError,
            r"^SGD: groups\[1\]: 'b.bias' is in groups\[0\] already",
        ),
        (
            [{"params": "a", "nesterov": True}],
            ValueError,
            r"^SGD: groups\[0\]: 'nesterov' is not an option of a group, which has lr, momentum, dampening, weight_d",
        ),
        ([{"params": "a", "frozen": 1}], ValueError, r"^SGD: groups\[0\]: frozen is 1, expected True or False"),
        ([{"params": "a", "lr": -1}], ValueError, r"^SGD: groups\[0\].lr is -1, expected a finite number >= 0"),
    ],
)
def test_messages(groups: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        optim.SGD(parameters("float32"), groups=groups)


def test_messages_of_pairs() -> None:
    with pytest.raises(ValueError, match=r"^Adam: groups\[0\].beta2 is 1, expected a number in"):
        optim.Adam(parameters("float32"), groups=[{"params": "a", "betas": (0.9, 1)}])
    with pytest.raises(ValueError, match=r"^Adam: groups\[0\].betas are 0.9, expected two numbers"):
        optim.Adam(parameters("float32"), groups=[{"params": "a", "betas": 0.9}])
