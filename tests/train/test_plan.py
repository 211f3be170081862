"""Plans: kernel calls recorded while they run, and replayed with the memory they used."""

import os
import threading

import numpy as np
import pytest
from dlcore import Tensor, ops, placement, tensor


@pytest.fixture
def plan():
    return placement.placed(None).Plan()


def test_a_plan_repeats_its_calls(plan):
    data = tensor(np.arange(12, dtype=np.float32).reshape(6, 2))
    total = ops.zeros((2, 2))
    (batch,) = plan.stage([data.array], 2)
    plan.bring(0)
    plan.begin()
    try:
        x = Tensor(batch)
        kept = ops.exp(x * 0.0) + ops.square(x)  # 1 + x²
        total.array.assign((total + kept).array)
        loss = ops.sum(kept)
        assert plan.watch(loss.array) == 4 + 0 + 1 + 4 + 9
    finally:
        plan.end()
    del kept, loss
    assert plan.reason == "" and plan.arrays_alive == 0 and plan.figures == 1
    plan.run(2, 2)
    assert plan.done == 2
    assert plan.found == [4 + 16 + 25 + 36 + 49, 4 + 64 + 81 + 100 + 121]
    squares = 1 + np.arange(12.0).reshape(3, 2, 2) ** 2
    np.testing.assert_array_equal(total.numpy(), squares.sum(0))
    plan.run(1, 1, tensor(np.array([1, 5, 0]), "int32").array)
    assert plan.found == [4 + 100 + 121 + 0 + 1]


def test_memory_is_reused_within_a_recording_and_belongs_to_the_plan(plan):
    x = ops.ones((1000,))
    plan.begin()
    y = x
    for _ in range(10):
        y = y + x
    plan.end()
    assert plan.nbytes <= 3 * 5120
    plan.run(1)  # makes graphs, where the device has them
    before = placement.placed(None).memory_stats()["in_use"]
    others = [ops.zeros((1000,)) for _ in range(10)]  # none of them in the plan's blocks
    plan.run(1)
    assert all(not other.numpy().any() for other in others)
    np.testing.assert_array_equal(y.numpy(), np.full(1000, 11, np.float32))
    del others
    assert placement.placed(None).memory_stats()["in_use"] == before


def test_arrays_outlive_their_plan():
    plan = placement.placed(None).Plan()
    plan.begin()
    y = ops.full((100,), 3.0) + ops.full((100,), 4.0)
    plan.end()
    assert plan.arrays_alive == 1
    plan.run(1)
    in_use = placement.placed(None).memory_stats()["in_use"]
    del plan
    assert placement.placed(None).memory_stats()["in_use"] < in_use
    others = [ops.zeros((100,)) for _ in range(8)]
    np.testing.assert_array_equal(y.numpy(), np.full(100, 7, np.float32))
    assert not any(other.numpy().any() for other in others)


def test_many_replays_take_no_memory(plan):
    parameters = ops.full((64, 32), 0.5)
    plan.begin()
    y = ops.softmax(ops.matmul(ops.ones((16, 64)), parameters))
    parameters.array.assign((parameters * 0.9).array)
    del y
    plan.end()
    plan.run(10)
    before = placement.placed(None).memory_stats()
    plan.run(10_000)
    assert placement.placed(None).memory_stats() == before


def test_what_is_made_before_is_kept_alive(plan):
    plan.begin()
    y = ops.full((4,), 1.0)
    plan.end()
    del y
    other = placement.placed(None).Plan()
    x, total = ops.full((1000,), 2.0), ops.zeros((1000,))
    other.begin()
    total.array.assign((total + x).array)
    other.end()
    del x
    junk = [ops.full((1000,), 9.0) for _ in range(8)]
    other.run(1)
    np.testing.assert_array_equal(total.numpy(), np.full(1000, 4, np.float32))
    del junk


def test_constants_from_the_host_are_kept(plan):
    total = ops.zeros((3,))
    plan.begin()
    total.array.assign((total + tensor(np.float32([1, 2, 3]))).array)
    plan.end()
    junk = [tensor(np.float32([9, 9, 9])) for _ in range(8)]
    plan.run(2)
    np.testing.assert_array_equal(total.numpy(), np.float32([3, 6, 9]))
    del junk


@pytest.mark.parametrize(
    ("read", "reason"),
    [
        (lambda x: x.numpy(), "numpy() reads values"),
        (lambda x: ops.sum(x).item(), "item() reads a value"),
        (ops.all_finite, "all_finite looks at values"),
        (lambda x: x.array.device.norm(x.array), "norm reads a value"),
        (lambda x: x.array.device.dot(x.array, x.array), "dot reads a value"),
        (lambda x: x.__dlpack__(), "an array is shared through DLPack"),
        (lambda x: ops.cast(x, "int32"), "cast to int32 looks at values"),
    ],
)
def test_values_that_reach_python_are_noticed(read, reason, plan):
    x = ops.ones((4,))
    plan.begin()
    try:
        read(x + x)
    finally:
        plan.end()
    assert plan.reason == reason
    with pytest.raises(ValueError, match=r"Plan.run: the step cannot be replayed: "):
        plan.run(1)


def test_a_check_of_values_is_made_in_replays_too(plan):
    p = ops.full((3,), 0.5)
    plan.begin()
    placement.placed(None).bernoulli(1, 2, p.array)
    p.array.assign((p * 3.0).array)
    plan.end()
    with pytest.raises(ValueError, match=r"bernoulli: probabilities is 1.5 at \(0,\), expected numbers in \[0, 1\]"):
        plan.run(1)
    assert plan.done == 0


def test_draws_follow_their_generator(plan):
    generator, drawn = ops.Generator(5), ops.zeros((8,))
    plan.begin()
    drawn.array.assign(ops.uniform(generator, (8,)).array)
    plan.end()
    assert plan.draws == [(5, 0, 0)]
    plan.run(3, shifts=[(5, 7, 2)])
    np.testing.assert_array_equal(drawn.numpy(), ops.uniform(ops.Generator(5, 11), (8,)).numpy())


def test_a_forked_child_replays(plan):
    x = ops.ones((4,))
    plan.begin()
    x.array.assign((x * 2.0).array)
    plan.end()
    child = os.fork()
    if child == 0:
        plan.run(3)
        os._exit(int(x.numpy()[0]))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 16
    plan.run(1)
    assert x.numpy()[0] == 4


def test_recordings_do_not_nest_and_belong_to_a_thread(plan):
    other = placement.placed(None).Plan()
    plan.begin()
    try:
        with pytest.raises(RuntimeError, match=r"Plan.begin: this thread records another plan"):
            other.begin()
        with pytest.raises(RuntimeError, match=r"Plan.begin: the plan is being recorded"):
            plan.begin()
        thread = threading.Thread(target=lambda: ops.ones((3,)) + 1.0)
        thread.start()
        thread.join()
        assert plan.launches == 0
    finally:
        plan.end()
    with pytest.raises(RuntimeError, match=r"Plan.end: this thread does not record the plan"):
        plan.end()
    with pytest.raises(ValueError, match=r"Plan.run: nothing was recorded"):
        plan.run(1)


def test_refused_arguments(plan):
    data, order = ops.ones((6, 2)), tensor(np.arange(6), "int32")
    with pytest.raises(ValueError, match=r"Plan.stage: data is \(6, 2\), expected at least 7 rows, and rows >= 1"):
        plan.stage([data.array], 7)
    (batch,) = plan.stage([data.array], 2)
    with pytest.raises(ValueError, match=r"Plan.stage: numbers of rows differ: \(6, 2\), \(4, 2\)"):
        plan.stage([ops.ones((4, 2)).array], 2)
    for first, rows in ((5, None), (-1, None), (5, order.array)):
        with pytest.raises(ValueError, match=rf"^Plan.bring: 1 steps of 2 rows from {first} do not lie within 6$"):
            plan.bring(first, rows)
    with pytest.raises(TypeError, match=r"Plan.bring: order"):
        plan.bring(0, data.array)
    theta, g = ops.ones((3,)), ops.ones((3,))
    plan.begin()
    Tensor(batch) + 1.0
    placement.placed(None).sgd(theta.array, g.array, None, 0.1, 0.0, 0.0, False, 0.0)
    plan.end()
    assert plan.numbers == 7
    for arguments, message in [
        ((-1, 0, None, [], [0.0] * 7), "Plan.run: steps is -1, expected at least 0"),
        ((1, 5, None, [], [0.0] * 7), "Plan.run: 1 steps of 2 rows from 5 do not lie within 6"),
        ((4, 0, order.array, [], [0.0] * 7), "Plan.run: 4 steps of 2 rows from 0 do not lie within 6"),
        ((2, 0, None, [], [0.0]), "Plan.run: 1 numbers, expected 7 or as many for each of 2 steps"),
    ]:
        with pytest.raises(ValueError) as caught:
            plan.run(*arguments)
        assert str(caught.value) == message
    with pytest.raises(TypeError):
        plan.run(1, 0, data.array, [], [0.0] * 7)
