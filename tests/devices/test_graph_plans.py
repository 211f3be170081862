"""A plan's runs by graphs: draws, figures, checks of values and memory that is missing."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import numpy as np
import pytest
from dlcore import Tensor, ops, placement, tensor

RNG = np.random.default_rng(0)


class Drawn:
    """A plan of steps x ← x + coin(p), with a norm that grows, whose figure is p, or the coin."""

    def __init__(self, device: str, p: list[float], watch: str = "p") -> None:
        self.module = placement.find(device)
        self.total = tensor([0.0], device=device)
        data = tensor([[0.5], *([value] for value in p)], device=device)
        self.plan = self.module.Plan()
        (staged,) = self.plan.stage([data.array], 1)
        self.plan.bring(0)
        self.plan.begin()
        try:
            coin = Tensor(self.module.bernoulli(5, 0, staged).reshape((1,)))
            self.total.array.assign((self.total + coin).array)
            self.plan.watch(staged.reshape((1,)) if watch == "p" else coin.array)
        finally:
            del coin
            self.plan.end()

    def run(self, steps: int, first: int = 1) -> list[float]:
        self.plan.run(steps, first, shifts=[(5, first, 1)])
        return list(self.plan.found)


@pytest.fixture
def p() -> list[float]:
    return [float(value) for value in RNG.integers(0, 2, 40)]  # such a coin is sure


def test_draws_are_those_of_the_processor(other: str) -> None:
    """In each step of a graph, and from run to run: the coins of the generator's next steps."""
    found = []
    for device in ("cpu", other):
        drawn = Drawn(device, [0.5] * 120, watch="coin")
        found.append([drawn.run(steps, first) for first, steps in ((1, 4), (5, 4), (9, 8), (17, 64), (81, 37))])
    assert found[0] == found[1]
    assert 40 < sum(map(sum, found[1])) < 80


@pytest.mark.parametrize("patience", [0.0, 60.0])
def test_what_is_issued_together_is_as_long_as_patience(other: str, p: list[float], patience: float) -> None:
    drawn = Drawn(other, p * 2)
    drawn.plan.patience = patience
    assert drawn.run(40) == p and drawn.run(40, 41) == p
    graph = 8 if patience == 0 else 40
    assert drawn.plan.steps_of_graph == graph
    first = 8 + 4 if patience == 0 else 8 + 1  # single steps, timed, and a graph of the others
    assert drawn.plan.graphs_started == first + 40 // graph


def test_figures_come_out_in_their_order(other: str, p: list[float]) -> None:
    """Whichever graphs make the steps: these are more than are issued together."""
    many = p * 15
    drawn = Drawn(other, many)
    assert drawn.run(600) == many
    assert drawn.total.item() in (sum(many), sum(many) + 1)  # of the recording's coin
    assert (drawn.plan.done, drawn.plan.launches_on_host, drawn.plan.steps_by_graphs) == (600, 0, 600)


def test_a_check_of_values_raises_at_its_step(other: str, p: list[float]) -> None:
    p[17] = 1.5
    drawn = Drawn(other, p)
    first = drawn.total.item()
    with pytest.raises(ValueError, match=r"bernoulli: probabilities is 1.5 at \(0, 0\), expected numbers in \[0, 1\]"):
        drawn.run(40)
    assert (drawn.plan.done, drawn.plan.found) == (17, p[:17])
    assert drawn.total.item() == first + sum(p[:17])
    assert drawn.run(22, 19) == p[18:]  # and goes on


def test_memory_that_is_missing_leaves_whole_steps(other: str, p: list[float]) -> None:
    without = 0
    for n in range(12):
        drawn = Drawn(other, p)
        first = drawn.total.item()
        drawn.module.fail_allocation_after(n)
        try:
            assert drawn.run(40) == p  # if need be without graphs, or without long ones
        finally:
            drawn.module.fail_allocation_after(-1)
        assert drawn.total.item() == first + sum(p)
        without += drawn.plan.graphs == 0
    assert 3 < without < 12


def test_memory_returns_with_the_plan(other: str, p: list[float]) -> None:
    module = placement.find(other)
    gc.collect()
    before = module.memory_stats()["in_use"]
    drawn = Drawn(other, p)
    drawn.run(40)
    assert module.memory_stats()["in_use"] > before
    del drawn
    assert module.memory_stats()["in_use"] == before


@pytest.fixture
def checked_allocations(other: str) -> Iterator[None]:
    module = placement.find(other)
    module.set_allocation_checks(True)
    yield
    module.set_allocation_checks(False)
    module.release_cached_memory()


def test_checked_allocations_have_no_graphs(other: str, p: list[float], checked_allocations: None) -> None:
    drawn = Drawn(other, p)
    assert drawn.run(40) == p
    assert drawn.plan.graphs == 0


def test_a_look_at_values_within_a_graph(other: str) -> None:
    """A step that found its labels within their range is made anew, by its caller, where it does not."""
    module = placement.find(other)
    labels, total = tensor([0, 1, 2, 1, 0, 7], "int32", device=other), tensor([0.0], device=other)
    plan = module.Plan()
    (staged,) = plan.stage([labels.array], 1)
    plan.bring(0)
    plan.begin()
    assert module.within(staged, 0, 2)
    total.array.assign((Tensor(total.array) + ops.cast(Tensor(staged), "float32")).array)
    plan.end()
    with pytest.raises(ValueError, match="within: a number is outside its range"):
        plan.run(5, 1)
    assert (plan.done, total.item(), plan.launches_on_host) == (4, 4.0, 0)


def test_what_the_host_does_stands_between_graphs(other: str) -> None:
    """A permutation is drawn there, in each step; the coins before it by a graph. Both are the processor's."""
    found = []
    for device in ("cpu", other):
        module = placement.find(device)
        p, total = tensor(np.full(16, 0.5), device=device), tensor(np.zeros(16), device=device)
        plan = module.Plan()
        plan.begin()
        try:
            coins = Tensor(module.bernoulli(6, 0, p.array))
            drawn = ops.cast(Tensor(module.permutation(5, 0, 16)), "float64") + coins * 0.5
            total.array.assign((Tensor(total.array) * 2.0 + drawn).array)
            del coins, drawn
        finally:
            plan.end()
        plan.run(12, shifts=[(5, 3, 1), (6, 7, 2)])
        found.append(total.numpy().tobytes())
    assert found[0] == found[1]
    assert (plan.launches_on_host, plan.graphs, plan.steps_by_graphs, plan.steps_of_graph) == (1, 2, 12, 0)
