"""Replayed steps on a device that repeats launches by itself: the bits of steps that Python makes, without its part."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dlcore
import numpy as np
import pytest
from dlcore import placement
from dlcore.models import CNN, MLP, RBM, Autoencoder
from dlcore.optim.schedules import Cosine
from dlcore.train import gradient, replay

RNG = np.random.default_rng(0)
X, Y = RNG.random((32, 8)).astype(np.float32), np.arange(32) % 3
BINARY = (X > 0.5).astype(np.float32)
MIXED = np.concatenate([RNG.standard_normal((32, 4)), np.eye(4)[np.arange(32) % 4]], 1).astype(np.float32)


def mlp(device: str, x: Any = X, **options: Any) -> Any:
    model = MLP([8, 6, 3], dropout=0.25, seed=1).to(device)
    model.fit(x, Y[: len(x)], **{"epochs": 2, "batch_size": 4, "progress": False} | options)
    return model


def scheduled(device: str) -> Any:
    return mlp(device, lr=Cosine(0.01, 16), max_grad_value=0.1, weight_decay=0.01)


def momentum(device: str) -> Any:
    return mlp(device, optimizer="sgd", momentum=0.9, nesterov=True)


def clipped(device: str) -> Any:
    return mlp(device, optimizer="nadam", max_grad_norm=0.05)


def clipped_in_parts(device: str) -> Any:
    """A group between those that learn is frozen."""
    return mlp(device, optimizer="adam", max_grad_norm=0.05, groups=[{"params": "layers.0.bias", "frozen": True}])


def cnn(device: str) -> Any:
    layers = (CNN.conv(2, 3, padding=1), CNN.pool(2), CNN.batch_norm(), CNN.dense(4))
    model = CNN((1, 4, 4), 3, layers, seed=1).to(device)
    images = np.concatenate([X, X], 1).reshape(32, 1, 4, 4)
    model.fit(images, Y, epochs=2, batch_size=4, optimizer="sgd", momentum=0.9, progress=False)
    return model


def autoencoder(device: str) -> Any:
    model = Autoencoder([8, 3], seed=1).to(device)
    model.fit(X, epochs=2, batch_size=4, progress=False)
    return model


def rbm(device: str, fit: dict[str, Any] | None = None, x: Any = BINARY, **options: Any) -> Any:
    model = RBM(8, 5, seed=1, **options).to(device)
    model.fit(x, **{"epochs": 2, "batch_size": 4, "progress": False} | (fit or {}))
    return model


def cd(device: str) -> Any:
    return rbm(device, k=3)


def pcd(device: str) -> Any:
    return rbm(device, persistent=True, n_chains=4, centered=True)


def mixed(device: str) -> Any:
    return rbm(device, {}, MIXED, visible=[("gaussian", 4), ("softmax", 4)])


def weighed(device: str) -> Any:
    return rbm(device, {"sample_weight": np.arange(1.0, 33.0)}, centered=True, sparsity_target=0.1, sparsity_cost=0.1)


def sparse(device: str) -> Any:
    return rbm(device, {}, pytest.importorskip("scipy.sparse").csr_array(BINARY))


def with_gaps(device: str) -> Any:
    x = MIXED.copy()
    x[::3, 1], x[::5, 4:] = np.nan, np.nan
    return rbm(device, {"missing": "nan"}, x, visible=[("gaussian", 4), ("softmax", 4)])


TRAINED = [
    mlp,
    scheduled,
    momentum,
    clipped,
    clipped_in_parts,
    cnn,
    autoencoder,
    cd,
    pcd,
    mixed,
    weighed,
    sparse,
    with_gaps,
]


@pytest.fixture
def replays(monkeypatch: pytest.MonkeyPatch) -> list[replay.Replay]:
    made: list[replay.Replay] = []

    class Seen(replay.Replay):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            self.plan.patience = 60.0  # however busy this machine is
            made.append(self)

    monkeypatch.setattr(gradient, "Replay", Seen)
    return made


@pytest.mark.parametrize("train", TRAINED)
def test_graphs_make_the_steps_that_python_makes(
    other: str, train: Callable[[str], Any], replays: list[replay.Replay], monkeypatch: pytest.MonkeyPatch
) -> None:
    with_graphs = train(other)
    (plan,) = [r.plan for r in replays]
    assert plan.steps_by_graphs == 14  # of two epochs of 8, but for the first and the one that is recorded
    assert (plan.steps_of_graph, plan.graphs_started, plan.launches_on_host) == (8, 2, 0)  # an epoch is one graph
    monkeypatch.setattr(replay, "enabled", False)
    without = train(other)
    assert with_graphs.parameters.storage.numpy().tobytes() == without.parameters.storage.numpy().tobytes()
    figures = [
        [{k: v for k, v in r.items() if k != "seconds"} for r in m.history.records] for m in (with_graphs, without)
    ]
    assert figures[0] == figures[1]
    assert [g.step for g in with_graphs.generators.values()] == [g.step for g in without.generators.values()]


def test_a_short_last_batch_has_graphs_of_its_own(
    other: str, replays: list[replay.Replay], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = mlp(other, X[:30], epochs=4).parameters.storage.numpy().tobytes()
    assert [(r.batch_size, r.plan.steps_by_graphs) for r in replays] == [(4, 26), (2, 3)]
    monkeypatch.setattr(replay, "enabled", False)
    assert found == mlp(other, X[:30], epochs=4).parameters.storage.numpy().tobytes()


def test_a_processor_makes_no_graphs(replays: list[replay.Replay]) -> None:
    mlp("cpu")
    plan = replays[-1].plan
    assert (plan.graphs, plan.steps_by_graphs, plan.launches_on_host) == (0, 0, plan.launches)


def test_an_epoch_is_one_graph(other: str, replays: list[replay.Replay], monkeypatch: pytest.MonkeyPatch) -> None:
    """Of as many steps as there are, once an epoch has shown how fast they are; with the bits of the single steps."""
    x = np.concatenate([BINARY, 1 - BINARY, BINARY])
    found = rbm(other, {"epochs": 4, "batch_size": 1}, x).parameters.storage.numpy().tobytes()
    (plan,) = [r.plan for r in replays]
    assert (plan.steps_of_graph, plan.steps_by_graphs, plan.launches_on_host) == (96, 4 * 96 - 2, 0)
    first = 8 + 1 + (94 - 8 - 64)  # single steps to time, a graph of 64, single steps
    assert plan.graphs_started == first + 3
    monkeypatch.setattr(replay, "enabled", False)
    assert found == rbm(other, {"epochs": 4, "batch_size": 1}, x).parameters.storage.numpy().tobytes()


@pytest.mark.parametrize("at", [17, 10, 21])  # in the first, fourth and last batch that is replayed
def test_a_fit_ends_at_a_loss_that_is_not_finite(other: str, at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it would without graphs, although they had gone on: with the parameters and draws of then."""
    found = []
    for enabled in (True, False):
        monkeypatch.setattr(replay, "enabled", enabled)
        model = MLP([8, 6, 3], dropout=0.25, seed=1).to(other)
        x = X.copy()
        x[at] = 3e38
        with pytest.raises(FloatingPointError, match=r"the loss is (nan|inf) at batch") as caught:
            model.fit(x, Y, epochs=3, batch_size=4, progress=False)
        steps = [g.step for g in model.generators.values()]
        found.append((str(caught.value), model.parameters.storage.numpy().tobytes(), steps))
    assert found[0] == found[1]


def test_a_steady_state_asks_nothing_of_the_system(other: str) -> None:
    found = []

    class Look(dlcore.train.Callback):
        def on_epoch_end(self, run: Any) -> None:
            found.append(placement.find(other).memory_stats()["system_allocations"])

    mlp(other, epochs=5, callbacks=[Look()])
    rbm_found, found = found, []
    RBM(8, 5, k=2, seed=1).to(other).fit(BINARY, epochs=5, batch_size=4, progress=False, callbacks=[Look()])
    assert rbm_found[2] == rbm_found[4] and found[2] == found[4]
