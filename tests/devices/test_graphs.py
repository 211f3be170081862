"""Replayed steps on a device that repeats launches by itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from dlcore import nn, placement, tensor
from dlcore.models import CNN, MLP, RBM
from dlcore.optim.schedules import Cosine
from dlcore.train import gradient, replay

RNG = np.random.default_rng(0)
X, Y = RNG.random((32, 8)).astype(np.float32), np.arange(32) % 3
BINARY = (X > 0.5).astype(np.float32)


def mlp(device: str) -> Any:
    """Draws and numbers that change from step to step."""
    model = MLP([8, 6, 3], dropout=0.25, seed=1).to(device)
    model.fit(X, Y, epochs=2, batch_size=4, lr=Cosine(0.01, 16), progress=False)
    return model


def cnn(device: str) -> Any:
    layers = (CNN.conv(2, 3, padding=1), CNN.pool(2), CNN.batch_norm(), CNN.dense(4))
    model = CNN((1, 4, 4), 3, layers, seed=1).to(device)
    images = np.concatenate([X, X], 1).reshape(32, 1, 4, 4)
    model.fit(images, Y, epochs=2, batch_size=4, optimizer="sgd", momentum=0.9, progress=False)
    return model


def pcd(device: str) -> Any:
    model = RBM(8, 5, persistent=True, n_chains=4, seed=1).to(device)
    model.fit(BINARY, epochs=2, batch_size=4, progress=False)
    return model


@pytest.fixture
def replays(monkeypatch: pytest.MonkeyPatch) -> list[replay.Replay]:
    made: list[replay.Replay] = []

    class Seen(replay.Replay):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            made.append(self)

    monkeypatch.setattr(gradient, "Replay", Seen)
    return made


@pytest.mark.parametrize("train", [mlp, cnn, pcd])
def test_a_graph_makes_the_steps_that_python_makes(
    other: str, train: Any, replays: list[replay.Replay], monkeypatch: pytest.MonkeyPatch
) -> None:
    with_graphs = train(other).parameters.storage.numpy()
    assert len(replays) >= 1
    plan = replays[-1].plan
    assert 1 <= plan.graphs < plan.launches
    monkeypatch.setattr(replay, "enabled", False)
    assert with_graphs.tolist() == train(other).parameters.storage.numpy().tolist()


def test_a_processor_makes_no_graphs(replays: list[replay.Replay]) -> None:
    mlp("cpu")
    assert replays[-1].plan.graphs == 0


def test_what_needs_the_host_stands_between_graphs(other: str) -> None:
    """A graph before the loss, one behind it; a loss that is not finite ends the step before the second."""
    module = placement.find(other)
    weight, data = tensor([2.0], device=other), tensor([[1.0], [3.0], [np.nan], [5.0]], device=other)
    plan = module.Plan()
    (staged,) = plan.stage([data.array], 1)
    plan.bring(0)
    plan.begin()
    try:
        product = module.matmul(staged, weight.array.reshape((1, 1)))
        scaled = module.affine(product, 2.0, 1.0)
        assert plan.watch(scaled.reshape((1,))) == 5.0
        module.sgd(weight.array, scaled.reshape((1,)), None, 0.5, 0.0, 0.0, False, 0.0)
    finally:
        del product, scaled
        plan.end()
    assert weight.numpy().tolist() == [-0.5]
    plan.run(3, 1, numbers=[0.5, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0])
    assert (plan.done, plan.found[0], len(plan.found), plan.graphs) == (1, -2.0, 2, 2)
    assert np.isnan(plan.found[1])
    assert weight.numpy().tolist() == [0.5]
    assert nn.Linear(1, 1).to(other)(tensor([[1.0]], device=other)).device == other  # the pool goes on as before
