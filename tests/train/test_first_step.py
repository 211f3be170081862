"""Which step of a fit is recorded: the first where the model was trained before, else the second."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from dlcore import nn, ops, tensor
from dlcore.models import MLP
from dlcore.train import gradient, replay
from test_replay import FITS, Watch, everything

X = np.random.default_rng(1).random((40, 6), dtype=np.float32)
Y = np.arange(40) % 3


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """How the steps are made, one after the other."""
    made: list[str] = []
    eager, record, replays = gradient.Steps._eager, replay.Replay.record, replay.Replay.steps

    def noted_eager(self: Any, run: Any, order: Any, hooks: Any, most: int | None = None) -> None:
        before = run.batch
        eager(self, run, order, hooks, most)
        made.extend(["eager"] * (run.batch - before))

    def noted_record(self: Any, *arguments: Any) -> Any:
        made.append("recorded")
        return record(self, *arguments)

    def noted_replays(self: Any, *arguments: Any) -> Any:
        found = replays(self, *arguments)
        made.extend(["replayed"] * len(found))
        return found

    monkeypatch.setattr(gradient.Steps, "_eager", noted_eager)
    monkeypatch.setattr(replay.Replay, "record", noted_record)
    monkeypatch.setattr(replay.Replay, "steps", noted_replays)
    return made


FRESH = ["eager", "recorded", *["replayed"] * 3]
TRAINED = ["recorded", *["replayed"] * 4]


def fit(model: Any, steps: list[str]) -> tuple[list[str], str | None]:
    steps.clear()
    watch = Watch()
    model.fit(X, Y, epochs=1, batch_size=8, progress=False, callbacks=[watch])
    return list(steps), watch.traced


def rebuilt(model: MLP) -> MLP:
    network = model.network
    assert isinstance(network, nn.Sequential)
    network.layers = (nn.Dropout(0.1), *network.layers)
    return model


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda model: model, TRAINED),
        (lambda model: model.clone(), FRESH),
        (lambda model: pickle.loads(pickle.dumps(model)), FRESH),
        (copy.deepcopy, FRESH),
        (rebuilt, FRESH),
    ],
    ids=["the same", "clone", "pickle", "copy", "rebuilt"],
)
def test_what_is_recorded(change: Callable[[MLP], MLP], expected: list[str], steps: list[str]) -> None:
    model = MLP([6, 5, 3])
    assert fit(model, steps) == (FRESH, None)
    assert fit(change(model), steps) == (expected, None)


def test_after_a_move(steps: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """What modules keep lies on the device that the vector was on."""
    model = MLP([6, 5, 3])
    fit(model, steps)
    parameters = model.parameters
    parameters.storage = type(parameters.storage)(parameters.storage.array)  # as `Parameters.to` does
    assert fit(model, steps) == (FRESH, None)


@pytest.mark.parametrize("name", FITS)
def test_a_second_fit_has_the_bits_of_an_eager_one(
    name: str, steps: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    make, data, options = FITS[name]
    found = []
    for replayed in (False, True):
        monkeypatch.setattr(replay, "enabled", replayed)
        model, watch = make(), Watch()
        for epochs in (1, 2):
            steps.clear()
            arguments = {"batch_size": 8} | options
            model.fit(*data, **arguments, epochs=epochs, progress=False, callbacks=[watch])
        assert steps[0] == ("recorded" if replayed else "eager")
        found.append(everything(model, watch))
    assert found[0] == found[1]


def behind_its_back(model: MLP, layer: nn.Module) -> MLP:
    """The model with another first layer that its layout does not know of."""
    network = model.network
    assert isinstance(network, nn.Sequential)
    layer._home = network._home
    network.__dict__["layers"] = (layer, *network.layers)
    return model


class Keeps(nn.Module):
    """Keeps an array from its first use: what a recording must not be made of."""

    __module__ = "dlcore.tests"  # counted as dlcore's own

    def forward(self, x: Any) -> Any:
        kept = self.__dict__.setdefault("kept", {})
        if x.shape not in kept:
            kept[x.shape] = ops.exp(tensor(np.zeros(x.shape, np.float32)))
        return x * kept[x.shape]


def test_what_is_kept_from_a_first_use_is_no_lasting_objection(steps: list[str]) -> None:
    model = MLP([6, 5, 3])
    fit(model, steps)
    made, traced = fit(behind_its_back(model, Keeps()), steps)
    assert traced is None
    assert made == ["recorded", "eager", "recorded", *["replayed"] * 2]


def test_a_lasting_objection_is_found_twice(steps: list[str]) -> None:
    """Then the steps are eager to the end."""
    model = MLP([6, 5, 3])
    fit(model, steps)

    class Looks(nn.Module):
        __module__ = "dlcore.tests"

        def forward(self, x: Any) -> Any:
            return x * float(ops.max(x))

    made, traced = fit(behind_its_back(model, Looks()), steps)
    assert made == ["recorded", "eager", "recorded", "eager", "eager"]
    assert traced == "item() reads a value"
