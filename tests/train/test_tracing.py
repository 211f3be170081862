"""`traced` steps end in the bits of plain ones, and follow what changes between calls."""

import copy
import pickle
import re
from pathlib import Path

import dlcore
import numpy as np
import pytest
from dlcore import Generator, losses, nn, ops, optim, penalties, tensor, value_and_grad
from dlcore.optim.schedules import Cosine
from tracing import RNG, Learner, X, Y, trained

LEARNERS = {
    "adam": {},
    "sgd": {"optimizer": optim.SGD, "momentum": 0.9, "nesterov": True},
    "nadam": {"optimizer": optim.NAdam},
    "adagrad": {"optimizer": optim.AdaGrad, "lr_decay": 0.1},
    "dropout": {"dropout": 0.4},
    "schedule": {"lr": Cosine(0.1, 6)},
    "own schedule": {"lr": lambda step: 0.1 / (1 + step)},
    "clipped": {"max_grad_norm": 0.1, "max_grad_value": 0.05},
    "groups": {"groups": [{"params": "*.bias", "lr": 0.1}, {"params": "layers.0.weight", "frozen": True}]},
    "batch norm": {"layers": [nn.BatchNorm1d(6)]},
}


@pytest.mark.parametrize("name", LEARNERS)
def test_the_bits_of_plain_steps(name):
    plain, fast = Learner(**copy.deepcopy(LEARNERS[name])), Learner(**copy.deepcopy(LEARNERS[name]))
    step = dlcore.traced(fast.step)
    assert trained(fast, step) == trained(plain, plain.step)
    assert (step.traced, step.recordings, step.replays) == (None, 1, 7)


def test_arrays_and_tensors_share_a_recording():
    plain, fast = Learner(), Learner()
    step = dlcore.traced(fast.step)
    forms = [
        lambda i: (X[i], Y[i]),
        lambda i: (tensor(X[i]), Y[i].astype(np.int64)),
        lambda i: (np.asfortranarray(X[i]), tensor(Y[i], "int32")),
        lambda i: (X[i].astype(">f4"), Y[i].astype(np.uint8)),
    ]
    assert trained(fast, step, given=lambda i: forms[i % 4](i)) == trained(plain, plain.step)
    assert (step.recordings, step.replays) == (1, 7)


def test_an_argument_that_is_written_afterwards():
    step = dlcore.traced(lambda x: x + 1.0)
    x = np.zeros(3, np.float32)
    results = []
    for i in range(5):
        x[:] = i
        results.append(step(x))
    assert [list(result.numpy()) for result in results] == [[i + 1.0] * 3 for i in range(5)]
    assert step.replays == 3


def test_results_are_new_tensors_and_keep_their_form():
    w = ops.full((2,), 3.0)

    @dlcore.traced
    def step(x, factor, *, flag):
        y = x * factor
        return {"y": y, "parts": (ops.sum(y), [ops.exp(y), None, flag]), "w": w, "x": x}

    assert step.__name__ == "step"
    results = [step(tensor(np.float32([i, 1])), 2.0, flag=True) for i in range(5)]
    assert step.replays == 3 and step.traced is None
    for i, result in enumerate(results):
        assert list(result["y"].numpy()) == [2.0 * i, 2.0]
        total, (exponent, none, flag) = result["parts"]
        assert float(total) == 2.0 * i + 2 and none is None and flag is True and result["w"] is w
        np.testing.assert_allclose(exponent.numpy(), np.exp([2.0 * i, 2.0]), rtol=1e-6)
        assert list(result["x"].numpy()) == [i, 1]


def test_shapes_dtypes_and_numbers_have_recordings_of_their_own():
    step = dlcore.traced(lambda x, factor: x * factor)
    for _ in range(3):
        for rows in (1, 2):
            for dtype in (np.float32, np.float64):
                for factor in (1, 2.0, 1.0, -0.0, 0.0):
                    x = np.full(rows, 3, dtype)
                    result = step(x, factor).numpy()
                    assert result.dtype == dtype and result.tobytes() == (x * dtype(factor)).tobytes()
    assert step.traced == "more than 8 signatures come and go" and step.replays == 0
    step = dlcore.traced(lambda x, factor: x * factor, signatures=20)
    for i in range(60):
        step(np.ones(1 + i % 20), 1.0)
    assert step.traced is None and step.replays == 20


def test_what_a_loop_changes_between_calls_is_followed():
    """The learning rate, the parameters, options, modes and values that the step captures."""
    found = []
    for trace in (False, True):
        learner, scale = Learner(dropout=0.3), 1.0
        objective = lambda x, y: scale * losses.cross_entropy(learner.net(x), y)  # noqa: B023, E731
        learner.gradient = value_and_grad(objective, learner.net.parameters)
        step = dlcore.traced(learner.step) if trace else learner.step
        results = []
        for i in range(36):
            if i == 5:
                learner.optimizer.lr = 0.2
            if i == 9:
                learner.optimizer.lr_factor = 0.5
            if i == 12:
                scale = 3.0
            if i == 15:
                learner.net.eval()
            if i == 18:
                learner.net.train()
                learner.net.layers[1].p = 0.1
            if i == 21:
                learner.net.parameters.assign({k: v.numpy() * 0.5 for k, v in learner.net.parameters.items()})
            if i == 24:
                learner.optimizer.load_state_dict(learner.optimizer.state_dict() | {"steps": 3})
            if i == 27:
                learner.optimizer.weight_decay = 0.1
            if i == 30:
                learner.optimizer.groups[0].frozen = True
            if i == 33:
                learner.net.layers[1].generator.step = 100
            results.append(float(step(X[i % 9], tensor(Y[i % 9], "int32"))) if trace else None)
            if not trace:
                results[-1] = float(step(tensor(X[i % 9]), tensor(Y[i % 9], "int32")))
        found.append((results, learner.everything()))
        if trace:
            assert step.traced is None and step.replays == 36 - 1 - step.recordings and 5 <= step.recordings <= 8
    assert found[0] == found[1]


def test_groups_whose_learning_rate_changes():
    found = []
    for trace in (False, True):
        learner = Learner(groups=[{"params": "*.bias", "lr": 0.1}])
        step = dlcore.traced(learner.step) if trace else learner.step
        for i in range(9):
            learner.optimizer.groups[0].options["lr"] = 0.1 / (i + 1)
            step(tensor(X[i]), tensor(Y[i], "int32"))
        found.append(learner.everything())
        assert not trace or (step.replays, step.recordings) == (7, 1)
    assert found[0] == found[1]


def test_two_optimizers_and_several_steps_of_one():
    def loop(trace):
        one, other = Learner(lr=0.1), Learner(optim.SGD, lr=0.05, momentum=0.5)

        def step(x, y):
            other.step(x, y)
            one.step(x, y)
            one.step(x, y)
            return one.step(x, y)

        run = dlcore.traced(step) if trace else step
        found = []
        for i in range(9):
            if i == 6:
                other.step(tensor(X[0]), tensor(Y[0], "int32"))
            found.append(float(run(tensor(X[i]), tensor(Y[i], "int32"))))
        return found, one.everything(), other.everything(), getattr(run, "replays", None)

    plain, fast = loop(False), loop(True)
    assert fast[:3] == plain[:3] and fast[3] == 7


def test_draws_follow_their_generators():
    def loop(trace):
        generator, other = Generator(3), Generator(9, 5)

        def step(x):
            a = ops.uniform(generator, (4,))
            b = ops.normal(other, (4,))
            return a + b * x + ops.uniform(generator, (4,))

        run = dlcore.traced(step) if trace else step
        found = []
        for i in range(9):
            if i == 5:
                generator.step, other.step = 77, 2**64 - 2
            found.append(run(tensor(np.float32([i] * 4))).numpy().tobytes())
        return found, generator.step, other.step, getattr(run, "replays", None)

    plain, fast = loop(False), loop(True)
    assert fast[:3] == plain[:3] and fast[3] == 7


def test_a_functional_style():
    def loss(w, x):
        return ops.sum(ops.square(ops.matmul(x, w)))

    @dlcore.traced
    def step(w, x):
        value, gradient = value_and_grad(loss)(w, x)
        return w - 0.01 * gradient, value

    w = plain = tensor(RNG.standard_normal((5, 2)).astype(np.float32))
    for i in range(9):
        w, value = step(w, X[i])
        gradient = value_and_grad(loss)(plain, tensor(X[i]))
        plain = plain - 0.01 * gradient[1]
        assert float(value) == float(gradient[0])
    assert step.replays == 7 and w.numpy().tobytes() == plain.numpy().tobytes()


class Trainer:
    def __init__(self, scale):
        self.scale = scale

    @dlcore.traced
    def step(self, x):
        return x * self.scale


def test_a_method_has_recordings_for_each_object():
    one, other = Trainer(2.0), Trainer(3.0)
    for _ in range(4):
        assert float(one.step(ops.ones((1,)))) == 2.0
        assert float(other.step(ops.ones((1,)))) == 3.0
    assert one.step.replays == other.step.replays == 2
    one.scale = 5.0
    assert float(one.step(ops.ones((1,)))) == 5.0
    assert one.step.recordings == 2
    for again in (copy.deepcopy(one), pickle.loads(pickle.dumps(one))):
        again.scale = 7.0
        for _ in range(3):
            assert float(again.step(ops.ones((1,)))) == 7.0
        assert again.step.replays == 1 and one.step.recordings == 2


def plus_one(x):
    return x + 1.0


def test_pickles_and_traces_of_traces():
    step = pickle.loads(pickle.dumps(dlcore.traced(plus_one, 3)))
    outer = dlcore.traced(lambda x: step(x) * 2.0)
    for _ in range(4):
        assert float(outer(ops.ones((1,)))) == 4.0
    assert outer.replays == 2 and step.replays == 0
    assert repr(step).startswith("traced(<function plus_one at")
    outer.clear()
    outer(ops.ones((1,)))
    assert outer.replays == 2


def test_within_a_derivative_and_without_one():
    step = dlcore.traced(lambda x: ops.sum(ops.square(x)))
    x = tensor(np.float32([1, 2]))
    for _ in range(4):
        assert list(dlcore.grad(step)(x).numpy()) == [2, 4]
    assert step.recordings == 0
    for _ in range(4):
        with dlcore.no_grad():
            assert float(step(x)) == 5
    assert step.replays == 2


def test_a_penalised_objective_and_a_model_of_dlcore():
    from dlcore.models import MLP

    def loop(trace):
        model = MLP([5, 4, 3], dropout=0.2)
        model.network.train()
        optimizer = optim.Adam(model.parameters)
        objective = penalties.Objective(
            model.objective, decay=(0.1, penalties.of(penalties.l2, model.parameters["layers.0.weight"]))
        )
        gradient = value_and_grad(objective, model.parameters)

        def step(x, y):
            loss, g = gradient(x, y)
            optimizer.step(g)
            return loss

        run = dlcore.traced(step) if trace else step
        found = [float(run(tensor(X[i]), tensor(Y[i], "int32"))) for i in range(9)]
        return found, model.parameters.storage.numpy().tobytes(), getattr(run, "replays", None)

    plain, fast = loop(False), loop(True)
    assert fast[:2] == plain[:2] and fast[2] == 7


def test_the_example_of_the_docs(capsys):
    """The worked example of docs/traced.md, as it stands."""
    text = (Path(__file__).parents[2] / "docs" / "traced.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    exec(compile(example, "docs/traced.md", "exec"), {"__name__": "example"})
    found = re.fullmatch(r"loss [\d.]+, test error ([\d.]+)%, (\d+) calls replayed\nNone\n", capsys.readouterr().out)
    assert found is not None and float(found[1]) < 6
    assert int(found[2]) == 20 * 45 - 4  # batches of two sizes
