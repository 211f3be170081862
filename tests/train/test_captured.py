"""What a traced step may not reach besides its arguments: it runs as it is, and says why."""

import random
import time

import dlcore
import numpy as np
import pytest
from dlcore import Generator, nn, ops, optim, tensor, value_and_grad
from tracing import ones, values_of

COUNTER = [0]
WEIGHTS = np.ones(3)
TOTAL = 0.0


def counts(x):
    COUNTER[0] += 1
    return x + float(COUNTER[0])


def counts_globally(x):
    global TOTAL
    TOTAL += 1.0
    return x + TOTAL


def prints(x):
    print(end="")
    return x + 1.0


def draws_itself(x):
    return x * random.random()


def asks_the_time(x):
    return x * (time.perf_counter() * 0.0 + 1.0)


def reads_numpy(x):
    return x * tensor(WEIGHTS, "float32")


def calls_numpy(x):
    return x * tensor(np.linspace(0, 1, 3), "float32")


def imports(x):
    import math

    return x * math.e


def reads_the_loss(x):
    y = ops.sum(x)
    return y * 2.0 if y > 1.0 else y


def returns_a_number(x):
    return ops.full((1,), float(ops.sum(x)))


def asks_by_name(x):
    return getattr(ops, "ex" + "p")(x)


def makes_a_generator(x):
    return x + ops.uniform(Generator(3), (3,))


def returns_an_object(x):
    return x + 1.0, Other(3)


class Other:
    def __init__(self, value):
        self.value = value


def keeps(x):
    KEPT.append(x + 1.0)
    return x + 1.0


KEPT = []


def iterates(x):
    return x * next(NUMBERS)


NUMBERS = iter([1.0] * 50)


def computes_nothing(x):
    return None


REFUSED = {
    counts: "it changes COUNTER[0], which it captures",
    counts_globally: "it sets the global TOTAL",
    prints: "it calls print, which is not dlcore's own",
    draws_itself: "it calls Random.random, which is not dlcore's own",
    asks_the_time: "it calls perf_counter, which is not dlcore's own",
    reads_numpy: "it captures WEIGHTS, a ndarray, whose changes cannot be seen",
    calls_numpy: "it calls linspace, which is not dlcore's own",
    imports: "it imports math",
    reads_the_loss: "item() reads a value",
    returns_a_number: "item() reads a value",
    asks_by_name: "it calls getattr, which is not dlcore's own",
    makes_a_generator: "a generator that it does not capture is drawn from",
    returns_an_object: "it returns Other, which is not dlcore's own",
    keeps: "it changes KEPT, which it captures",
    iterates: "it calls next, which is not dlcore's own",
    computes_nothing: "it computes nothing",
}


@pytest.mark.parametrize("step", REFUSED, ids=lambda step: step.__name__)
def test_steps_that_run_as_they_are(step):
    """With the values of plain calls, and the reason."""
    COUNTER[0] = 0
    globals()["TOTAL"] = 0.0
    random.seed(4)
    plain = values_of(step)
    COUNTER[0] = 0
    globals()["TOTAL"] = 0.0
    random.seed(4)
    run = dlcore.traced(step)
    assert values_of(run) == plain
    assert run.replays == 0
    assert run.traced == REFUSED[step]


def test_state_of_closures_and_objects():
    calls = 0

    def step(x):
        nonlocal calls
        calls += 1
        return x + float(calls)

    run = dlcore.traced(step)
    assert values_of(run) == [6, 9, 12, 15, 18] and run.traced == "it sets calls, which it captures"

    class Counting:
        def __init__(self):
            self.calls = 0

        def step(self, x):
            self.calls += 1
            return x + float(self.calls)

    run = dlcore.traced(Counting().step)
    assert values_of(run) == [6, 9, 12, 15, 18] and run.traced == "it sets the attribute calls"

    class Magic:
        def __getattr__(self, name):
            return 2.0

    magic = Magic()
    run = dlcore.traced(lambda x: x * magic.anything)
    assert values_of(run) == [6] * 5 and run.traced.endswith("Magic computes its attributes")


def test_optimizers_and_arguments_of_others():
    net = nn.Sequential(nn.Linear(3, 1)).build()

    class Own(optim.SGD):
        pass

    def loop(optimizer, change=lambda _: None):
        def step(x):
            loss, g = value_and_grad(lambda v: ops.sum(net(v)), net.parameters)(x)
            change(optimizer)
            optimizer.step(g)
            return loss

        run = dlcore.traced(step)
        for _ in range(3):
            run(ops.ones((2, 3)))
        return run.traced

    assert loop(Own(net.parameters)).endswith("Own, which is not dlcore's own")
    slow = optim.SGD(net.parameters)
    assert loop(slow, lambda optimizer: setattr(optimizer, "lr", 0.1)) == "it calls setattr, which is not dlcore's own"
    proximal = optim.ProximalL1(optim.SGD(net.parameters, 0.1), 0.1)
    assert loop(proximal) == "ProximalL1 thresholds by a number that Python computes"
    run = dlcore.traced(lambda x, shape: ops.full(shape, 1.0) + x)
    for _ in range(3):
        run(ones(), (3,))
    assert run.traced == "an argument is a tuple, expected tensors, arrays, numbers, strings or None"
    weight = net.parameters["layers.0.weight"]
    run = dlcore.traced(lambda x: x + weight)
    for _ in range(3):
        assert float(ops.sum(run(weight))) == 2 * float(ops.sum(weight))
    assert run.traced == "an argument is what the step captures too" and run.replays == 0
    other = tensor(weight.numpy())
    run = dlcore.traced(lambda x: x + weight)
    for given in (other, other, other, weight, other):
        assert float(ops.sum(run(given))) == 2 * float(ops.sum(weight))
        assert (run.traced is None) == (given is other)
    assert run.replays == 2


def test_what_a_step_asks_of_optimizers_and_generators():
    net, generator = nn.Sequential(nn.Linear(3, 1)).build(), Generator(4)
    optimizer = optim.SGD(net.parameters, 0.1, groups=[{"params": "*.bias", "lr": 0.5}])

    def stepped(x):
        loss, g = value_and_grad(lambda v: ops.sum(net(v)), net.parameters)(x)
        optimizer.step(g)
        return loss

    def warm(x):
        return stepped(x) * (1.0 if optimizer.steps < 4 else 2.0)

    def scaled(x):
        return stepped(x) * optimizer.lr

    def asking(x):
        return stepped(x) * optimizer.current_lr()

    def of_group(x):
        return stepped(x) * optimizer.groups[0].options["lr"]

    def counted(x):
        return x + ops.uniform(generator, (3,)) * float(generator.step)

    def taken(x):
        return x * float(generator.take())

    reasons = {
        warm: "it changes optimizer.steps, which it captures",
        scaled: None,
        asking: "it asks for current_lr, which steps change",
        of_group: None,
        counted: "it changes generator.step, which it captures",
        taken: "it asks for take, which steps change",
    }
    for step, reason in reasons.items():
        found = []
        for run in (step, dlcore.traced(step)):
            net.parameters.assign({name: np.zeros(value.shape) for name, value in net.parameters.items()})
            optimizer.steps = generator.step = 0
            values = []
            for i in range(8):
                optimizer.lr = 0.1 if i < 6 else 0.2
                optimizer.groups[0].options["lr"] = 0.5 if i < 4 else 0.25
                values.append(float(ops.sum(run(ones() if step in (counted, taken) else ops.ones((2, 3))))))
            found.append(values)
        assert found[0] == found[1]
        assert run.traced == reason, step
