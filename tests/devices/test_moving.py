"""Parameters, modules, optimizers and models that move between devices."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import dlcore
import numpy as np
import pytest
from dlcore import nn, ops, optim, tensor, value_and_grad
from dlcore.models import DBN, MLP, RBM

X = np.random.default_rng(0).random((12, 6)).astype(np.float32)
Y = np.arange(12) % 3


def test_parameters_move_in_place(other: str) -> None:
    layer = nn.Sequential(nn.Linear(3, 4, "tanh"), nn.Linear(4, 2)).build(3)
    whole = layer.parameters
    part = whole.below("layers.1")
    deeper = part.below("weight")
    tensors, values = whole.tensors, {name: x.numpy() for name, x in whole.items()}
    assert layer.to(other) is layer
    assert layer.parameters is whole
    assert (layer.device, whole.device, part.device, deeper.device) == (other,) * 4
    assert all(a is b for a, b in zip(whole.tensors, tensors, strict=True))
    part.storage.array.assign((part.storage + 1.0).array)
    for name, x in layer.to("cpu").parameters.items():
        assert x.device == "cpu"
        expected = values[name] + 1.0 if name.startswith("layers.1") else values[name]
        assert x.numpy().tolist() == expected.tolist(), name
    with pytest.raises(ValueError, match=r"^Parameters: to moves a whole vector, these are a part of one$"):
        part.to(other)
    with pytest.raises(ValueError, match=r"^Linear: to moves a whole network, this module is 'layers.1' of one$"):
        layer.layers[1].to(other)


def test_a_module_is_initialised_alike_on_every_device(other: str) -> None:
    here = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)).build(3)
    asked = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)).to(other)
    assert asked.device == other
    with dlcore.on_device(other):
        current = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)).build(3)
    for there in (asked.build(3), current):
        assert there.parameters.storage.device == other
        assert there.parameters.storage.numpy().tolist() == here.parameters.storage.numpy().tolist()
        assert {x.device for x in there.buffers.values()} == {other}
        assert there(tensor(X[:, :3], device=other)).device == other
    here.to(other).layers[1].running_mean = np.arange(4.0)
    assert here.to("cpu").layers[1].running_mean.numpy().tolist() == [0.0, 1.0, 2.0, 3.0]


@pytest.mark.parametrize("kind", [optim.SGD, optim.Adam, optim.Rprop, optim.AdaDelta])
def test_an_optimizer_follows_its_parameters(other: str, kind: Any) -> None:
    def objective(x: Any) -> Any:
        return ops.sum(ops.square(layer(x) - 1.0))

    found = []
    for places in (("cpu",) * 4, ("cpu", other, "cpu", other)):
        layer = nn.Linear(6, 2).build(1, "float64")
        options = {"momentum": 0.9} if kind is optim.SGD else {}
        method = kind(layer.parameters, 0.01, **options)
        average = optim.EMA(layer.parameters, 0.5)
        for place in places:
            layer.to(place)
            step = value_and_grad(objective, layer.parameters)
            method.step(step(tensor(X.astype(np.float64), device=place))[1])
            average.update()
        found.append(np.concatenate([layer.parameters.storage.numpy(), average.average.numpy()]))
        assert {x.device for x in method.state.values()} == {places[-1]}
    np.testing.assert_allclose(found[1], found[0], rtol=1e-10)
    layer.to("cpu")
    with pytest.raises(ValueError, match=rf"^{kind.__name__}: gradient is on {other}, the parameters are on cpu$"):
        method.step(ops.zeros(layer.parameters.storage.shape, "float64", other))


def test_a_model_computes_where_it_is_and_returns_arrays(other: str) -> None:
    model = MLP([6, 5, 3], seed=1)
    expected = model.predict_proba(X)
    assert model.to(other) is model
    assert (model.device, model.parameters.device) == (other, other)
    given = tensor(X)
    for x in (X, given, given.to(other), X.tolist()):
        found = model.predict_proba(x, batch_size=5)
        assert isinstance(found, np.ndarray)
        np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert model.score(given, tensor(Y, "int32")) == model.to("cpu").score(X, Y)
    fresh = MLP([6, 5, 3], seed=1).to(other)  # before its parameters are made
    np.testing.assert_allclose(fresh.predict_proba(X), expected, rtol=1e-5)
    with dlcore.on_device(other):
        assert MLP([6, 5, 3]).device == other


def test_copies_stay_and_pickles_and_files_hold_no_device(other: str, tmp_path: Path) -> None:
    model = MLP([6, 5, 3], dropout=0.5, seed=1).to(other)
    model.fit(X, Y, epochs=1, progress=False)
    expected = model.predict_proba(X)
    for same in (model.clone(), copy.deepcopy(model)):
        assert same.device == other
        assert same.predict_proba(X).tolist() == expected.tolist()
    path = tmp_path / "model"
    model.save(path)
    for moved in (pickle.loads(pickle.dumps(model)), dlcore.load(path)):
        assert moved.device == "cpu"
        np.testing.assert_allclose(moved.predict_proba(X), expected, rtol=1e-5)
        assert moved.to(other).predict_proba(X).tolist() == expected.tolist()
    with dlcore.on_device(other):
        assert dlcore.load(path).device == other
    module = copy.deepcopy(model.network)
    assert module.device == other


def test_an_rbm_moves_with_its_chains(other: str) -> None:
    v = (X > 0.5).astype(np.float32)
    rbm = RBM(6, 4, persistent=True, n_chains=5, centered=True, seed=2)
    rbm.fit(v, epochs=1, batch_size=4, progress=False)
    chains, offsets = rbm.chains.numpy(), rbm.terms.offsets.numpy()
    rbm.to(other)
    assert {x.device for x in rbm.own_tensors()} == {other}
    assert rbm.chains.numpy().tolist() == chains.tolist()
    assert rbm.terms.offsets.numpy().tolist() == offsets.tolist()
    rbm.fit(v, epochs=1, batch_size=4, progress=False)
    assert rbm.chains.device == other
    copied = rbm.clone()
    assert {x.device for x in copied.own_tensors()} == {other}
    rbm.to("cpu").fit(v, epochs=1, batch_size=4, progress=False)
    assert rbm.chains.device == "cpu"


def test_a_dbn_moves_whole(other: str) -> None:
    v = (X > 0.5).astype(np.float32)
    dbn = DBN([6, 5, 4], seed=2)
    expected = dbn.transform(v)
    np.testing.assert_allclose(dbn.to(other).transform(v), expected, rtol=1e-5)
    assert dbn.parameters.device == other
    assert dbn.sample(2, steps=2).shape == (2, 6)
