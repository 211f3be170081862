"""Parameters: named views of one vector."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from dlcore import ops, tensor
from dlcore.nn import Parameters

SHAPES = {"w": (2, 3), "empty": (0, 4), "scalar": (), "part.a": (2,), "part.b": (1, 2), "partial": (1,)}


def made(dtype: str = "float32") -> Parameters:
    p = Parameters(SHAPES, dtype)
    p.storage.array.assign(tensor(np.arange(p.size), dtype).array)
    return p


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_layout(dtype: str) -> None:
    p = made(dtype)
    assert p.size == 12
    assert p.theta.dtype == np.dtype(dtype)
    assert list(p) == list(SHAPES)
    assert {name: t.shape for name, t in p.items()} == SHAPES
    assert p["w"].numpy().tolist() == [[0, 1, 2], [3, 4, 5]]
    assert p["scalar"].item() == 6
    assert p["part.b"].numpy().tolist() == [[9, 10]]
    assert p.tensors[0] is p["w"]
    assert len(p) == 6
    assert "part.a" in p
    assert repr(p).startswith(f"Parameters(12 {dtype}; w: (2, 3), empty: (0, 4), scalar: ()")


def test_views_share_the_vector() -> None:
    p = made()
    p["w"].array.assign(ops.zeros((2, 3)).array)
    assert p.theta.numpy().tolist() == [0] * 6 + list(range(6, 12))
    p.storage.array.assign(ops.ones((12,)).array)
    assert p["part.a"].numpy().tolist() == [1, 1]


def test_split_and_gradient_have_the_same_layout() -> None:
    p = made()
    pieces = p.split(p.theta)
    assert {name: t.numpy().tolist() for name, t in pieces.items()} == {n: t.numpy().tolist() for n, t in p.items()}
    vector, views = p.new_gradient()
    for i, view in enumerate(views):
        view.assign(view.device.full(view.shape, float(i), view.dtype))
    assert vector.numpy().tolist() == [0] * 6 + [2] + [3] * 2 + [4] * 2 + [5]
    assert p.concatenate([None] * 6).numpy().tolist() == [0] * 12
    assert p.concatenate(p.tensors).numpy().tolist() == list(range(12))
    assert Parameters({}).concatenate([]).shape == (0,)


def test_below_is_a_stretch_of_the_same_tensors() -> None:
    p = made()
    part = p.below("part")
    assert list(part) == ["a", "b"]
    assert part["b"] is p["part.b"]
    assert part.theta.numpy().tolist() == [7, 8, 9, 10]
    part.storage.array.assign(ops.zeros((4,)).array)
    assert p.theta.numpy().tolist() == [0, 1, 2, 3, 4, 5, 6, 0, 0, 0, 0, 11]
    assert part.split(part.theta)["b"].shape == (1, 2)
    assert p.below("nothing").size == 0


def test_assign_takes_all_or_nothing() -> None:
    p = made()
    values = {name: np.full(shape, 2, np.int64) for name, shape in SHAPES.items()}
    p.assign(values)
    assert p.theta.numpy().tolist() == [2] * 12
    p.assign({name: t.numpy().astype(np.float64) * 1.5 for name, t in p.items()})
    assert p.theta.numpy().tolist() == [3] * 12
    for change, message in [
        ({"w": np.zeros((3, 2))}, r"^Parameters: w has shape \(3, 2\), expected \(2, 3\)"),
        ({"partial": np.zeros(2)}, r"^Parameters: partial has shape \(2,\), expected \(1,\)"),
        ({"other": 1.0}, r"^Parameters: missing \[\], unknown \['other'\]"),
    ]:
        with pytest.raises(ValueError, match=message):
            p.assign({**{n: np.zeros(s) for n, s in SHAPES.items()}, **change})
        assert p.theta.numpy().tolist() == [3] * 12
    with pytest.raises(ValueError, match=r"^Parameters: missing \['empty', 'part.a'.*unknown \[\]"):
        p.assign({"w": np.zeros((2, 3))})
    with pytest.raises(TypeError, match=r"^Parameters: dtype is object"):
        p.assign({**dict(p), "w": None})


@pytest.mark.parametrize("make", [copy.deepcopy, lambda p: pickle.loads(pickle.dumps(p))])
def test_copies_keep_their_views(make: object) -> None:
    p = made("float64")
    whole, part = make((p, p.below("part")))  # type: ignore[operator]
    assert whole.theta.numpy().tolist() == list(range(12))
    assert whole.theta.dtype == np.float64
    assert part["a"] is whole["part.a"]
    whole.storage.array.assign(ops.zeros((12,), "float64").array)
    assert whole["w"].numpy().tolist() == np.zeros((2, 3)).tolist()
    assert part.theta.numpy().tolist() == [0] * 4
    assert p.theta.numpy().tolist() == list(range(12))


def test_no_dtype_but_floats() -> None:
    with pytest.raises(TypeError, match="dtype is 'float16'"):
        Parameters({"w": (2,)}, "float16")
