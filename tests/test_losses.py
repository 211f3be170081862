"""Losses and penalties against float64 NumPy formulas, at ordinary and at extreme arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from derivatives import Derivative, check_first, check_second
from dlcore import Tensor, grad, losses, ops, penalties, tensor

Rng = np.random.Generator
INF = float("inf")


def log_softmax(x: np.ndarray) -> np.ndarray:
    m = x.max(1, keepdims=True)
    return x - m - np.log(np.exp(x - m).sum(1, keepdims=True))


def signs_of(labels: np.ndarray, classes: int) -> np.ndarray:
    return 2.0 * np.eye(classes)[labels] - 1


def scores(rng: Rng) -> np.ndarray:
    return 3 * rng.standard_normal((6, 4))


# name: (loss, inputs, losses of the single cases or elements in float64)
LOSSES: dict[str, tuple[Callable[..., Tensor], Callable[[Rng], tuple[Any, Any]], Callable[..., np.ndarray]]] = {
    "squared_error": (
        losses.squared_error,
        lambda rng: (scores(rng), scores(rng)),
        lambda f, y: (f - y) ** 2,
    ),
    "cross_entropy labels": (
        losses.cross_entropy,
        lambda rng: (scores(rng), rng.integers(0, 4, 6)),
        lambda f, y: -log_softmax(f)[np.arange(6), y],
    ),
    "cross_entropy soft": (
        losses.cross_entropy,
        lambda rng: (scores(rng), rng.dirichlet(np.ones(4), 6)),
        lambda f, y: -(y * log_softmax(f)).sum(1),
    ),
    "binary_cross_entropy": (
        losses.binary_cross_entropy,
        lambda rng: (scores(rng), rng.uniform(0, 1, (6, 4))),
        lambda f, y: -y * np.log(1 / (1 + np.exp(-f))) - (1 - y) * np.log(1 - 1 / (1 + np.exp(-f))),
    ),
    "hinge": (
        losses.hinge,
        lambda rng: (scores(rng)[:, 0], rng.choice([-1.0, 1.0], 6)),
        lambda f, t: np.maximum(0, 1 - t * f),
    ),
    "multiclass_hinge": (
        losses.multiclass_hinge,
        lambda rng: (scores(rng), rng.integers(0, 4, 6)),
        lambda f, y: np.maximum(0, 1 - signs_of(y, 4) * f).sum(1),
    ),
    "multiclass_hinge squared": (
        lambda f, y, **o: losses.multiclass_hinge(f, y, squared=True, **o),
        lambda rng: (scores(rng), rng.integers(0, 4, 6)),
        lambda f, y: (np.maximum(0, 1 - signs_of(y, 4) * f) ** 2).sum(1),
    ),
}
PARAMETERS = [pytest.param(*row, id=name) for name, row in LOSSES.items()]


def cast(y: np.ndarray, dtype: str) -> np.ndarray:
    return y.astype(dtype) if y.dtype.kind == "f" else y


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("loss", "inputs", "reference"), PARAMETERS)
def test_values_reductions_and_weights(loss: Any, inputs: Any, reference: Any, dtype: str, rng: Rng) -> None:
    f, y = inputs(rng)
    f, y = f.astype(dtype), cast(y, dtype)
    each = reference(f.astype(np.float64), y.astype(np.float64) if y.dtype.kind == "f" else y)
    weight = rng.uniform(0, 2, 6).astype(dtype)
    weight[2] = 0
    spread = weight.reshape(6, *(1,) * (each.ndim - 1)) * np.ones_like(each)
    tolerance = 40 * np.finfo(dtype).eps
    for options, expected in [
        ({"reduction": "none"}, each),
        ({"reduction": "sum"}, each.sum()),
        ({}, each.mean()),
        ({"reduction": "none", "sample_weight": weight}, spread * each),
        ({"reduction": "sum", "sample_weight": weight}, (spread * each).sum()),
        ({"sample_weight": weight}, (spread * each).sum() / spread.sum()),
        ({"sample_weight": np.full(6, 3.0, dtype)}, each.mean()),
    ]:
        found = loss(f, y, **options)
        assert found.dtype == np.dtype(dtype)
        assert found.shape == np.shape(expected)
        # A fused loss rounds at the size of its terms, here up to about 20.
        np.testing.assert_allclose(found.numpy(), expected, rtol=tolerance, atol=20 * tolerance)


@pytest.mark.parametrize(("loss", "inputs", "reference"), PARAMETERS)
def test_gradients(loss: Any, inputs: Any, reference: Any, rng: Rng) -> None:
    f, y = inputs(rng)
    weight = tensor(np.linspace(0.5, 1.5, 6))
    for options in ({}, {"reduction": "sum", "sample_weight": weight}, {"sample_weight": weight}):
        case = Derivative((), lambda f, o=options: loss(f, y, **o), lambda rng: [f])
        check_first(case, rng)
        check_second(case, rng)


@pytest.mark.parametrize(("loss", "inputs", "reference"), PARAMETERS)
def test_a_batch_may_be_empty_unless_its_mean_is_asked_for(loss: Any, inputs: Any, reference: Any, rng: Rng) -> None:
    f, y = (a[:0] for a in inputs(rng))
    assert loss(f, y, reduction="none").size == 0
    assert loss(f, y, reduction="sum").item() == 0
    with pytest.raises(ValueError, match="the mean of no losses is not defined"):
        loss(f, y)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_cross_entropy_at_extremes(dtype: str) -> None:
    rows = np.array(
        [[1e4, 0, -1e4], [1e30, 0, 0], [-1e30, 0, 0], [0, -INF, -INF], [5, 5, -INF], [1e30, 1e30, 0]], dtype
    )
    y = [1, 1, 1, 0, 1, 0]
    expected = np.array([1e4, 1e30, np.log(2), 0, np.log(2), np.log(2)])
    found = losses.cross_entropy(rows, y, reduction="none").numpy()
    np.testing.assert_allclose(found, expected, rtol=4 * np.finfo(dtype).eps)
    g = grad(lambda f: losses.cross_entropy(f, y, "sum"))(rows).numpy()
    assert np.isfinite(g).all()
    np.testing.assert_allclose(g.sum(1), 0, atol=1e-6)
    np.testing.assert_allclose(g[1], [1, -1, 0])
    # A label at a masked class costs infinitely much, and is not NaN.
    assert losses.cross_entropy(rows[3:4], [1], reduction="none").numpy().tolist() == [INF]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_binary_cross_entropy_at_extremes(dtype: str) -> None:
    f = np.array([1e4, -1e4, 1e30, -1e30, 1e4, -1e4, 0, -INF, INF], dtype)
    t = np.array([0, 1, 0, 1, 1, 0, 0.5, 0, 1], dtype)
    expected = [1e4, 1e4, 1e30, 1e30, 0, 0, np.log(2), 0, 0]
    found = losses.binary_cross_entropy(f, t, "none").numpy()
    np.testing.assert_allclose(found, expected, rtol=4 * np.finfo(dtype).eps)
    g = grad(lambda f: losses.binary_cross_entropy(f, t, "sum"))(f).numpy()
    np.testing.assert_allclose(g, [1, -1, 1, -1, 0, 0, 0, 0, 0])


@pytest.mark.parametrize("bad", [np.nan, INF])
def test_a_bad_row_leaves_the_others_alone(bad: float, rng: Rng) -> None:
    f = scores(rng)
    y = rng.integers(0, 4, 6)
    soft = rng.dirichlet(np.ones(4), 6)
    spoiled = f.copy()
    spoiled[2, 1] = bad
    others = np.arange(6) != 2
    for loss in (losses.cross_entropy, losses.multiclass_hinge):
        good, found = loss(f, y, reduction="none").numpy(), loss(spoiled, y, reduction="none").numpy()
        np.testing.assert_array_equal(found[others], good[others])
        assert not np.isfinite(found[2]) or y[2] == 1
        g, h = (grad(lambda x: loss(x, y, reduction="sum"))(x).numpy() for x in (f, spoiled))  # noqa: B023
        np.testing.assert_array_equal(h[others], g[others])
    for loss in (losses.squared_error, losses.binary_cross_entropy):
        good, found = loss(f, soft, "none").numpy(), loss(spoiled, soft, "none").numpy()
        np.testing.assert_array_equal(found[others], good[others])


def test_targets_of_many_kinds() -> None:
    f = np.array([[1.0, 2.0, 0.5], [0.0, 1.0, 3.0]])
    expected = losses.cross_entropy(f, [2, 0]).item()
    for y in (
        (2, 0),
        np.array([2, 0], np.uint8),
        np.array([2.0, 0.0]),
        tensor([2, 0], "int32"),
        np.array([[0, 0, 1], [1, 0, 0]], bool),
        [[0, 0, 1], [1, 0, 0]],
        ((0, 0, 1), (1, 0, 0)),
        tensor([[0, 0, 1], [1, 0, 0]], "int32"),
        tensor([[0, 0, 1], [1, 0, 0]], "float64"),
    ):
        assert losses.cross_entropy(f, y).item() == expected
    assert losses.hinge([0.5, 2.0], [1, -1], "none").numpy().tolist() == [0.5, 3]
    assert losses.squared_error([[1, 2]], tensor([[0, 0]], "int32"), "sum").item() == 5


def test_labels() -> None:
    y = losses.labels([0, 2, 1], 3)
    assert y.numpy().dtype == np.int32
    assert losses.labels(y) is y
    assert losses.labels(np.array([1.0, 0.0])).numpy().tolist() == [1, 0]
    assert losses.labels([]).size == 0


W = tensor([[1.0, -2.0], [0.0, 3.0]])


def test_penalties() -> None:
    assert penalties.l1(W).item() == 6
    assert penalties.l2(W).item() == 7
    assert penalties.l1(W, W, W).item() == 18
    assert penalties.activity_l1(W).item() == 3
    assert grad(penalties.l1)(W).numpy().tolist() == [[1, -1], [0, 1]]
    assert grad(penalties.l2)(W).numpy().tolist() == W.numpy().tolist()
    assert grad(penalties.activity_l1)(W).numpy().tolist() == [[0.5, -0.5], [0, 0.5]]


F3 = np.zeros((2, 3), np.float32)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: losses.squared_error(F3, F3, "avg"),
            ValueError,
            "^squared_error: reduction is 'avg', expected one",
        ),
        (
            lambda: losses.squared_error(F3, F3[0]),
            ValueError,
            r"^squared_error: shapes differ: prediction is \(2, 3\), target is \(3,\)",
        ),
        (
            lambda: losses.squared_error(F3, F3.astype("f8")),
            TypeError,
            "^squared_error: dtypes differ: prediction is float32, target is float64",
        ),
        (lambda: losses.squared_error("x", F3), TypeError, "^squared_error: dtype is <U1, expected real numbers"),
        (
            lambda: losses.squared_error(F3, F3, sample_weight=[1, 1, 1]),
            ValueError,
            r"^squared_error: sample_weight is \(3,\), expected \(2,\)",
        ),
        (
            lambda: losses.squared_error(F3, F3, sample_weight=np.ones(2)),
            TypeError,
            "^squared_error: dtypes differ: sample_weight is float64, the losses are float32",
        ),
        (
            lambda: losses.squared_error(F3, F3, sample_weight=[0, 0]),
            ValueError,
            r"^squared_error: the sum of sample_weight is 0.0, expected more than 0",
        ),
        (
            lambda: losses.squared_error(F3, F3, sample_weight=[np.nan, 0]),
            ValueError,
            "^squared_error: the sum of sample_weight is nan",
        ),
        (
            lambda: losses.cross_entropy(F3[0], [1]),
            ValueError,
            r"^cross_entropy: logits have shape \(3,\), exp",
        ),
        (
            lambda: losses.cross_entropy(F3, [0, 3]),
            ValueError,
            r"^softmax_cross_entropy: target 3 at index 1 is",
        ),
        (lambda: losses.cross_entropy(F3, [0, -1]), ValueError, r"^cross_entropy: -1 at index 1 is outside \[0"),
        (lambda: losses.cross_entropy(F3, [0, 0.5]), ValueError, "^cross_entropy: 0.5 at index 1 is not an integer"),
        (lambda: losses.cross_entropy(F3, [np.nan, 0]), ValueError, "^cross_entropy: nan at index 0 is not an integer"),
        (
            lambda: losses.cross_entropy(F3, [0, 1, 2]),
            ValueError,
            r"^cross_entropy: target is \(3,\), expected class indices \(2,\)",
        ),
        (lambda: losses.cross_entropy(F3, ["a", "b"]), TypeError, "^cross_entropy: dtype is <U1, expected integers"),
        (lambda: losses.cross_entropy(F3, None), TypeError, "^cross_entropy: dtype is object, expected integers"),
        (lambda: losses.cross_entropy(F3, F3[:, :2]), ValueError, "^cross_entropy: shapes differ"),
        (
            lambda: losses.cross_entropy(F3, np.zeros((2, 3, 1))),
            ValueError,
            r"^cross_entropy: target is \(2, 3, 1\), expected class indices \(2,\)",
        ),
        (lambda: losses.hinge([1.0, 2.0], [1, 0]), ValueError, r"^hinge: 0.0 at index \[1\] is neither -1 nor \+1"),
        (lambda: losses.hinge(F3, F3 + 2), ValueError, r"^hinge: 2.0 at index \[0, 0\] is neither -1 nor \+1"),
        (
            lambda: losses.multiclass_hinge(F3[0], [1]),
            ValueError,
            r"^multiclass_hinge: scores have shape \(3,\), expected \(n, classes\)",
        ),
        (
            lambda: losses.multiclass_hinge(F3, [1]),
            ValueError,
            r"^multiclass_hinge: target is \(1,\), expected class indices \(2,\)",
        ),
        (
            lambda: losses.multiclass_hinge(F3, [1, 3]),
            ValueError,
            r"^multiclass_hinge: 3 at index 1 is outside \[0, 3\)",
        ),
        (lambda: losses.labels([[1]]), ValueError, r"^labels: shape is \(1, 1\), expected \(n,\)"),
        (lambda: losses.labels([2**31]), ValueError, r"^labels: 2147483648 at index 0 is outside \[0, 2147483648\)"),
        (lambda: penalties.l1(), ValueError, "^l1: no tensors are given"),
        (lambda: penalties.activity_l1(ops.zeros((0, 3))), ValueError, r"^activity_l1: the code has shape \(0, 3\)"),
    ],
)
def test_messages(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
