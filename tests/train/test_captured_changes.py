"""What a traced step reaches besides its arguments: where it changes, the step is recorded anew."""

import functools
import math
from dataclasses import dataclass

import dlcore
import numpy as np
from dlcore import losses, nn, ops, optim, tensor, value_and_grad
from tracing import ones, values_of

RATES = {"decay": 0.5}
FACTOR = 2.0


def test_a_value_that_changes_again_and_again():
    run = dlcore.traced(lambda x: x * RATES["decay"])
    found = values_of(run, 30, lambda i: RATES.update(decay=float(i)))
    assert found == [3.0 * i for i in range(30)]
    assert run.traced == "RATES['decay'], which it captures, changes again and again" and run.recordings <= 8
    run.clear()
    assert values_of(run, 4) == [87] * 4 and run.traced is None


@dataclass(eq=False)
class Settings:
    scale: float = 2.0
    unused: object = None

    @property
    def doubled(self):
        return 2 * self.scale

    def power(self, x):
        return helper(x) ** self.exponent

    exponent = 1


def helper(x, by=3.0):
    return x * (by * FACTOR)


class Scaled(nn.Module):
    def __init__(self, scale):
        super().__init__()
        self.scale = scale

    def forward(self, x):
        return x * self.scale if self.training else x


class Child(Scaled):
    def forward(self, x):
        return super().forward(x) + 1.0


def test_what_changes_is_recorded_anew():
    settings, chosen, parts, net = Settings(unused=iter([])), [1.0, 2.0], (helper,), nn.Sequential(Child(4.0))
    bound = functools.partial(helper, by=2.0)

    def step(x):
        y = settings.power(x) + settings.doubled * parts[0](x) + math.sqrt(chosen[1]) * bound(x)
        for factor in chosen:
            y = y + factor
        return net(y) + sum(losses_of(x))

    def losses_of(x):
        return [ops.sum(x) * v for v in RATES.values()]

    changes = [
        lambda: setattr(settings, "scale", 5.0),
        lambda: setattr(settings, "exponent", 2),
        lambda: setattr(Settings, "exponent", 3),
        lambda: globals().update(FACTOR=7.0),
        lambda: chosen.append(9.0),
        lambda: chosen.__setitem__(1, 4.0),
        lambda: RATES.update(decay=0.25),
        lambda: RATES.update(new=1.0),
        lambda: setattr(net.layers[0], "scale", 3.0),
        lambda: net.eval(),
        lambda: setattr(Settings, "power", lambda self, x: x),
        lambda: globals().update(helper=lambda x, by=1.0: x * by),
        lambda: setattr(settings, "unused", 3),
    ]
    run = dlcore.traced(step)
    kept = FACTOR, dict(RATES), Settings.power, helper
    try:
        for i, change in enumerate([lambda: None, *changes]):
            change()
            for _ in range(4):
                assert float(ops.sum(run(ones()))) == float(ops.sum(step(ones()))), i
            assert run.traced is None, (i, run.traced)
    finally:
        Settings.power, Settings.exponent = kept[2], 1
        RATES.clear()
        RATES.update(kept[1])
        globals().update(FACTOR=kept[0], helper=kept[3])
    assert len(changes) - 2 <= run.recordings <= len(changes) + 1
    assert run.replays >= 3 * len(changes)


class Shared:
    weight = ops.full((3,), 2.0)
    factors = (2.0, 3.0)
    parts: list[float] = [1.0]  # noqa: RUF012 - a list that all objects share

    @classmethod
    def total(cls, x):
        return x * sum(cls.factors)

    @property
    def bias(self):
        try:
            return self.late
        except AttributeError:
            return 0.0


def test_what_a_class_holds():
    shared, kept = Shared(), dict(vars(Shared))

    def step(x):
        return shared.total(x) * Shared.weight + sum(shared.parts) + shared.bias

    changes = [
        lambda: setattr(Shared, "weight", ops.full((3,), 3.0)),
        lambda: setattr(Shared, "factors", (1.0, 5.0)),
        lambda: Shared.parts.append(4.0),
        lambda: setattr(shared, "parts", [7.0]),
        lambda: setattr(shared, "late", 5.0),
        lambda: setattr(Shared, "total", lambda self, x: x),
    ]
    run = dlcore.traced(step)
    try:
        for i, change in enumerate([lambda: None, *changes]):
            change()
            for _ in range(4):
                assert float(ops.sum(run(ones()))) == float(ops.sum(step(ones()))), i
            assert run.traced is None, (i, run.traced)
    finally:
        for name in ("weight", "factors", "total"):
            setattr(Shared, name, kept[name])
        Shared.parts[:] = [1.0]
    assert run.recordings == 1 + len(changes)


def test_a_tensor_in_another_place_and_written_in_its_own():
    held = {"w": ops.full((3,), 2.0)}
    run = dlcore.traced(lambda x: x * held["w"])

    def change(i):
        if i == 4:
            held["w"].array.assign(ops.full((3,), 5.0).array)
        if i == 6:
            held["w"] = ops.full((3,), 7.0)

    assert values_of(run, 9, change) == [6] * 4 + [15] * 2 + [21] * 3
    assert run.recordings == 2 and run.traced is None


def test_the_kind_of_a_number_counts():
    held = {"w": 1}
    run = dlcore.traced(
        lambda x: x * (3.0 if held["w"] is True else 2.0) * (1.0 if math.copysign(1, held["w"]) > 0 else -1.0)
    )

    def change(i):
        held["w"] = (1, 1, 1, True, True, 0.0, 0.0, -0.0, -0.0)[i]

    assert values_of(run, 9, change) == [6, 6, 6, 9, 9, 6, 6, -6, -6]


def test_another_loss_in_the_same_step():
    net = nn.Sequential(nn.Linear(3, 2)).build()
    optimizer = optim.SGD(net.parameters, 0.0)
    loss_of = losses.cross_entropy
    labels = tensor(np.array([0, 1]), "int32")

    def step(x):
        loss, g = value_and_grad(lambda v: loss_of(net(v), labels), net.parameters)(x)
        optimizer.step(g)
        return loss

    run = dlcore.traced(step)
    x = ops.ones((2, 3))
    first = [float(run(x)) for _ in range(4)]
    loss_of = functools.partial(losses.cross_entropy, reduction="sum")
    second = [float(run(x)) for _ in range(4)]
    assert len({*first}) == len({*second}) == 1 and math.isclose(second[0], 2 * first[0], rel_tol=1e-6)
    assert run.recordings == 2 and run.traced is None
