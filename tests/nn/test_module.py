"""Module: laying out parameters, attributes, copies, and what must not go wrong silently."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from dlcore import Tensor, float64, grad, ops, tensor
from dlcore.nn import Dropout, Flatten, Linear, Module, Sequential, initializers
from dlcore.optim import SGD


class Pair(Module):
    """A parameter of its own, a child, and a list of children."""

    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.declare("scale", (2,), initializers.constant(2.0))
        self.first = Linear(3, 2)
        self.rest = [Linear(2, 2), Dropout(0.5), Linear(2, 1)]
        self.sizes = [3, 2, 1]

    def forward(self, x: Tensor) -> Tensor:
        x = self.first.forward(x) * self.scale
        for layer in self.rest:
            x = layer.forward(x)
        return x


X = tensor(np.linspace(-1, 1, 12, dtype=np.float32).reshape(4, 3))


def test_names_order_and_values() -> None:
    model = Pair().build(seed=3)
    assert list(model.parameters) == [
        "scale",
        "first.weight",
        "first.bias",
        "rest.0.weight",
        "rest.0.bias",
        "rest.2.weight",
        "rest.2.bias",
    ]
    assert [path for path, _ in model.modules()] == ["", "first", "rest.0", "rest.1", "rest.2"]
    assert model.parameters.size == 2 + 8 + 6 + 3
    assert model.scale.numpy().tolist() == [2, 2]
    assert model.first.weight is model.parameters["first.weight"]
    assert model.first.bias.numpy().tolist() == [0, 0]


def test_the_seed_decides_the_values() -> None:
    a, b, c = Pair().build(3), Pair().build(3), Pair().build(4)
    assert a.parameters.theta.numpy().tobytes() == b.parameters.theta.numpy().tobytes()
    assert a.parameters.theta.numpy().tobytes() != c.parameters.theta.numpy().tobytes()
    model = Pair().build(3)
    weights = [model.parameters[n].numpy().reshape(-1)[:2] for n in ("first.weight", "rest.0.weight", "rest.2.weight")]
    assert len({w.tobytes() for w in weights}) == 3
    lazy = Pair()
    lazy(X)
    assert lazy.parameters.theta.numpy().tobytes() == Pair().build(0).parameters.theta.numpy().tobytes()


def test_building_again_changes_nothing_but_the_dtype() -> None:
    model = Pair().build(3)
    p, values = model.parameters, model.parameters.theta.numpy()
    assert model.build(99).parameters is p
    model.build(dtype="float64")
    assert model.parameters.theta.dtype == np.float64
    np.testing.assert_array_equal(model.parameters.theta.numpy(), values)
    with pytest.raises(TypeError, match=r"^build: dtype is 'int32', expected 'float32' or 'float64'"):
        model.build(dtype="int32")


def test_submodules_see_the_same_vector() -> None:
    model = Pair().build()
    part = model.first.parameters
    model.parameters.storage.array.assign(ops.ones((19,)).array)
    assert part.theta.numpy().tolist() == [1] * 8
    assert model.first.weight.numpy().tolist() == np.ones((3, 2)).tolist()
    assert model.rest[1].parameters.size == 0
    assert Flatten().parameters.size == 0


def test_a_part_built_first_keeps_its_values() -> None:
    model = Pair()
    before = model.first.weight.numpy()  # lays the part out alone
    alone = model.first.parameters
    model.build(7)
    assert model.first.weight.numpy().tobytes() == before.tobytes()
    with pytest.raises(RuntimeError, match=r"^grad: the modules were laid out in another vector since"):
        grad(lambda: ops.sum(model.first.weight), alone)()


def test_a_module_in_two_places_is_one() -> None:
    shared = Linear(2, 2)
    model = Sequential(shared, Linear(2, 2), shared).build(0)
    assert list(model.parameters) == ["layers.0.weight", "layers.0.bias", "layers.1.weight", "layers.1.bias"]


def test_assigning_a_parameter_writes_into_the_vector() -> None:
    model = Pair()
    model.first.weight = np.ones((3, 2))
    model.build()
    assert model.parameters["first.weight"].numpy().tolist() == np.ones((3, 2)).tolist()
    model.first.weight = [[1, 2], [3, 4], [5, 6]]
    assert model.parameters["first.weight"].numpy().tolist() == [[1, 2], [3, 4], [5, 6]]
    assert model.first.weight is model.parameters["first.weight"]
    with pytest.raises(ValueError, match=r"^Linear: weight has shape \(2, 3\), expected \(3, 2\)"):
        model.first.weight = np.zeros((2, 3))
    assert model.first.weight.numpy().tolist() == [[1, 2], [3, 4], [5, 6]]


def test_another_submodule_lays_the_model_out_again() -> None:
    model = Pair().build(1)
    kept, old = model.first.weight.numpy(), model.parameters
    optimizer = SGD(model.parameters, 0.1)
    model.rest = [Linear(2, 5)]
    assert list(model.parameters) == ["scale", "first.weight", "first.bias", "rest.0.weight", "rest.0.bias"]
    assert model.first.weight.numpy().tobytes() == kept.tobytes()
    for stale in (lambda: optimizer.step(old.theta), lambda: grad(lambda: ops.sum(old["scale"]), old)()):
        with pytest.raises(RuntimeError, match="laid out in another vector since; use their new parameters"):
            stale()
    model.sizes = []  # no modules in it
    current = model.parameters
    assert model.parameters is current


def test_parts_used_in_another_model_take_their_values_along() -> None:
    first = Sequential(Linear(3, 2), Linear(2, 2)).build(1)
    old = first.parameters
    second = Sequential(first[0], Linear(2, 4)).build(2)
    assert second.parameters["layers.0.weight"].numpy().tobytes() == old["layers.0.weight"].numpy().tobytes()
    assert first.parameters is not old
    assert first.parameters["layers.0.weight"] is first[0].parameters["weight"]


@pytest.mark.parametrize("make", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_copies_predict_the_same_and_are_separate(make: Callable[[Any], Any], dtype: str) -> None:
    model = Pair().build(5, dtype).eval()
    x = tensor(X.numpy(), dtype)
    expected = model(x).numpy()
    other = make(model)
    assert other(x).numpy().tobytes() == expected.tobytes()
    other.parameters.storage.array.assign(ops.zeros((19,), dtype).array)
    assert other(x).numpy().tolist() == [[0]] * 4
    assert model(x).numpy().tobytes() == expected.tobytes()
    part = make(model.first)
    assert list(part.parameters) == ["weight", "bias"]
    assert part(x).numpy().tobytes() == model.first(x).numpy().tobytes()


@pytest.mark.parametrize("make", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_an_optimizer_copied_with_its_model_stays_its_optimizer(make: Callable[[Any], Any]) -> None:
    model = Pair().build(5)
    model, optimizer, part = make((model, SGD(model.parameters, 1.0), SGD(model.first.parameters, 1.0)))
    optimizer.step(tensor(model.parameters.theta))
    assert model.parameters.theta.numpy().tolist() == [0] * 19
    model.first.bias = [1.0, 1.0]
    part.step(tensor(model.first.parameters.theta))
    assert model.first.bias.numpy().tolist() == [0, 0]


def test_unbuilt_modules_copy_too() -> None:
    assert copy.deepcopy(Pair()).build(3).parameters.size == 19


def test_a_pickle_of_another_format_is_refused() -> None:
    state = Linear(2, 2).__getstate__()
    with pytest.raises(ValueError, match=r"^Linear: the pickle has format 99, this version reads 2"):
        Linear.__new__(Linear).__setstate__({**state, "_format": 99})


def test_training_mode_reaches_every_module() -> None:
    model = Pair()
    assert all(m.training for _, m in model.modules())
    assert not any(m.training for _, m in model.eval().modules())
    assert all(m.training for _, m in model.train().modules())


def test_a_fresh_dropout_drops() -> None:
    model = Sequential(Linear(3, 4), Dropout(0.5)).build()
    assert (model(X).numpy() == 0).any()
    assert not (model.eval()(X).numpy() == 0).any()


def test_layers_cannot_be_changed_behind_the_layout() -> None:
    model = Sequential(Linear(3, 2), Linear(2, 1)).build()
    with pytest.raises(AttributeError):
        model.layers.append(Linear(1, 1))  # type: ignore[attr-defined]
    model.layers = (*model.layers[:1], Linear(2, 5))
    assert model.parameters.size == 8 + 15
    assert model(X).shape == (4, 5)
    gradient = grad(lambda: ops.sum(model(X)), model.parameters)()
    assert (gradient.numpy()[8:] != 0).any()


def test_dtypes_as_numpy_has_them() -> None:
    for dtype in (np.float64, np.dtype("float64"), "f8", float64):
        assert Linear(2, 2).build(0, dtype).parameters.theta.dtype == np.float64
    with pytest.raises(TypeError, match=r"^build: dtype is 'flat', expected 'float32' or 'float64'"):
        Linear(2, 2).build(0, "flat")


def test_parameters_are_equal_to_themselves_alone() -> None:
    a, b = Linear(2, 2).parameters, Linear(2, 2).parameters
    assert a == a and a != b and len({a, b}) == 2


def test_noise_is_seeded_once_and_differs_between_layers() -> None:
    model = Sequential(Dropout(), Dropout()).build(3)
    a, b = (layer.generator for layer in model.layers)  # type: ignore[attr-defined]
    assert a.key != b.key
    a.take(5)
    model.build(3)
    assert model.layers[0].generator.step == 5  # type: ignore[attr-defined]
    assert copy.deepcopy(model).layers[0].generator.step == 5  # type: ignore[attr-defined]


def test_messages() -> None:
    with pytest.raises(TypeError, match=r"^Module defines no forward"):
        Module()(X)
    with pytest.raises(AttributeError, match=r"^Linear has no attribute 'kernel'"):
        _ = Linear(2, 2).kernel
    with pytest.raises(TypeError, match=r"^Sequential: argument 1 is a function, expected a Module"):
        Sequential(Linear(2, 2), ops.relu)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"^linear: inner dimensions differ: x is \(4, 3\), weight is \(2, 2\)"):
        Linear(2, 2)(X)
    assert repr(Sequential(Linear(3, 2, "tanh"), Dropout(0.25))) == "Sequential(Linear(3 → 2, tanh), Dropout(0.25))"
