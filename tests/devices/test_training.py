"""Training on another device: the same losses as on the CPU, but for rounding."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dlcore
import numpy as np
import pytest
from dlcore import placement
from dlcore.models import CNN, DBN, MLP, RBM, Autoencoder
from dlcore.train import Checkpoint

RNG = np.random.default_rng(0)
X = RNG.random((24, 12)).astype(np.float32)
BINARY = (X > 0.5).astype(np.float32)
IMAGES = RNG.random((16, 1, 8, 8)).astype(np.float32)
Y = np.arange(24) % 3


def _fitted(model: Any, *data: Any, **options: Any) -> Any:
    model.fit(*data, progress=False, **options)
    return model


def mlp(device: str, **options: Any) -> Any:
    model = MLP([12, 6, 3], dropout=0.25, seed=1).to(device)
    return _fitted(model, X, Y, batch_size=4, **{"epochs": 2, "optimizer": "adam"} | options)


def mlp_with_all(device: str) -> Any:
    model = MLP([12, 6, 3], weight_decay=0.01, seed=1).to(device)
    weight = 1.0 + np.arange(24) % 2
    return _fitted(
        model, dlcore.tensor(X), Y, epochs=2, batch_size=8, optimizer="sgd", momentum=0.9, schedule="linear",
        sample_weight=weight, validation_fraction=0.25, early_stopping=1,
    )  # fmt: skip


def cnn(device: str) -> Any:
    layers = (CNN.conv(3, 3, activation="identity"), CNN.batch_norm(), CNN.pool(2), CNN.dense(4))
    model = CNN((1, 8, 8), 3, layers, seed=1)
    return _fitted(model.to(device), IMAGES, Y[:16], epochs=1, batch_size=4, optimizer="sgd", lr=0.1)


def autoencoder(device: str) -> Any:
    model = Autoencoder([12, 5], seed=1)
    return _fitted(model.to(device), X, epochs=2, batch_size=4)


def rbm(device: str) -> Any:
    return _fitted(RBM(12, 5, seed=1).to(device), BINARY, epochs=2, batch_size=4)


def dbn(device: str) -> Any:
    model = DBN([12, 6, 4], classes=3, seed=1).to(device)
    return _fitted(model, BINARY, Y, pretrain={"epochs": 1, "batch_size": 4}, epochs=1, batch_size=4)


@pytest.mark.parametrize("train", [mlp, mlp_with_all, cnn, autoencoder, rbm, dbn])
def test_a_fit_has_the_losses_of_the_cpu(other: str, train: Callable[[str], Any]) -> None:
    here, there = train("cpu"), train(other)
    assert (here.device, there.device) == ("cpu", other)
    expected, found = (
        [{k: v for k, v in r.items() if k != "seconds"} for r in m.history.records] for m in (here, there)
    )
    assert len(found) == len(expected) > 0
    for a, b in zip(found, expected, strict=True):
        assert a.keys() == b.keys()
        np.testing.assert_allclose(list(a.values()), list(b.values()), rtol=2e-4, atol=1e-6)
    np.testing.assert_allclose(there.parameters.storage.numpy(), here.parameters.storage.numpy(), rtol=2e-3, atol=2e-5)


def test_a_fit_replays_its_steps(other: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from dlcore.train import replay

    found = {}
    for enabled in (True, False):
        monkeypatch.setattr(replay, "enabled", enabled)
        seen: list[Any] = []

        class Look(dlcore.train.Callback):
            def on_epoch_end(self, run: Any) -> None:
                seen.append(run.traced)  # noqa: B023

        model = mlp(other, callbacks=[Look()])
        found[enabled] = model.parameters.storage.numpy().tolist()
        assert (seen[-1] is None) is enabled, seen
    assert found[True] == found[False]


@pytest.mark.parametrize(("first", "then"), [("cpu", "other"), ("other", "cpu"), ("other", "other")])
def test_a_fit_resumes_on_either_device(other: str, tmp_path: Path, first: str, then: str) -> None:
    places = {"cpu": "cpu", "other": other}
    whole = mlp(places[then], epochs=3)
    path = tmp_path / "checkpoint"
    mlp(places[first], epochs=2, callbacks=[Checkpoint(path)])
    resumed = mlp(places[then], epochs=3, resume=path)
    assert resumed.device == places[then]
    a, b = (m.parameters.storage.numpy() for m in (resumed, whole))
    if first == then:
        assert a.tolist() == b.tolist()
    np.testing.assert_allclose(a, b, rtol=2e-3, atol=2e-5)
    assert dlcore.load(path).device == "cpu"


def test_partial_fit_goes_on_after_a_move(other: str) -> None:
    found = []
    for places in (("cpu", "cpu"), ("cpu", other)):
        model, machine = MLP([12, 4, 3], seed=1), RBM(12, 4, seed=1)
        for place in places:
            model.to(place).partial_fit(X, Y, batch_size=8)
            machine.to(place).partial_fit(BINARY, batch_size=8)
        found.append(np.concatenate([m.parameters.storage.numpy() for m in (model, machine)]))
    np.testing.assert_allclose(found[1], found[0], rtol=2e-3, atol=2e-5)


def test_samples_are_those_of_the_cpu(other: str) -> None:
    """The same Philox words; where rounding does not turn a coin, chains are the same, state by state."""
    here = RBM(12, 5, seed=1)
    here.machine.weight = np.round(2.0 * RNG.standard_normal((12, 5)), 1)
    there = here.clone().to(other)
    assert there.gibbs(BINARY, 3).tolist() == here.gibbs(BINARY, 3).tolist()
    assert there.sample(4, steps=3, binary=True).tolist() == here.sample(4, steps=3, binary=True).tolist()
    assert placement.find(other) is there.parameters.storage.array.device
