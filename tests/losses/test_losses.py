"""Losses against float64 NumPy formulas, at ordinary and at extreme arguments."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from derivatives import Derivative, check_first, check_second
from dlcore import Tensor, grad, hessian, losses, ops, tensor
from loss_table import COUNTING, LOSSES, Row

Rng = np.random.Generator
INF = float("inf")


def cast(y: np.ndarray, dtype: str) -> np.ndarray:
    return y.astype(dtype) if y.dtype.kind == "f" else y


ROWS = [pytest.param(row, id=name) for name, row in LOSSES.items()]
ALL_ROWS = [*ROWS, *(pytest.param(row, id=name) for name, row in COUNTING.items())]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("row", ALL_ROWS)
def test_values_reductions_and_weights(row: Row, dtype: str, rng: Rng) -> None:
    f, y = row.inputs(rng)
    f, y = f.astype(dtype), cast(y, dtype)
    f64, y64 = f.astype(np.float64), y.astype(np.float64) if y.dtype.kind == "f" else y
    each = row.each(f64, y64)
    mass = np.broadcast_to(row.mass(f64, y64), each.shape)
    weight = rng.uniform(0, 2, 6).astype(dtype)
    weight[2] = 0
    whole = rng.uniform(0, 2, each.shape).astype(dtype)
    spread = weight.reshape(6, *(1,) * (each.ndim - 1)) * np.ones_like(each)
    tolerance = 40 * np.finfo(dtype).eps
    for options, expected in [
        ({"reduction": "none"}, each),
        ({"reduction": "sum"}, each.sum()),
        ({}, each.sum() / mass.sum()),
        ({"reduction": "none", "sample_weight": weight}, spread * each),
        ({"reduction": "sum", "sample_weight": weight}, (spread * each).sum()),
        ({"sample_weight": weight}, (spread * each).sum() / (spread * mass).sum()),
        ({"sample_weight": whole}, (whole * each).sum() / (whole * mass).sum()),
        ({"sample_weight": np.full(6, 3.0, dtype)}, each.sum() / mass.sum()),
    ]:
        found = row.function(f, y, **options)
        assert found.dtype == np.dtype(dtype)
        assert found.shape == np.shape(expected)
        # A fused loss rounds at the size of its terms, here up to about 20.
        np.testing.assert_allclose(found.numpy(), expected, rtol=tolerance, atol=20 * tolerance)
        loss = row.make(options.get("reduction", "mean"))
        for again in (loss, loss.value):
            values = again(f, y, options.get("sample_weight")).numpy()
            np.testing.assert_allclose(values, found.numpy(), rtol=4 * np.finfo(dtype).eps)


@pytest.mark.parametrize("row", ROWS)
def test_gradients(row: Row, rng: Rng) -> None:
    f, y = row.inputs(rng)
    weight = tensor(np.linspace(0.5, 1.5, 6))
    for options in ({}, {"reduction": "sum", "sample_weight": weight}, {"sample_weight": weight}):
        case = Derivative((), lambda f, o=options: row.function(f, y, **o), lambda rng: [f])
        check_first(case, rng)
        check_second(case, rng)


@pytest.mark.parametrize("row", ROWS)
def test_gradient_and_hessian_of_the_class(row: Row, rng: Rng) -> None:
    """Against the tape's gradient and the whole Hessian, whose other parts must be 0."""
    f, y = row.inputs(rng)
    weight = np.linspace(0.5, 1.5, 6)
    for reduction, w in (("mean", None), ("sum", weight), ("mean", weight), ("none", None), ("none", weight)):
        loss = row.make(reduction)

        def total(x: Tensor, loss: Any = loss, w: Any = w) -> Tensor:
            return ops.sum(loss(x, y, w))

        np.testing.assert_allclose(loss.gradient(f, y, w).numpy(), grad(total)(f).numpy(), rtol=1e-13, atol=1e-15)
        whole = hessian(total)(f).numpy()
        expected = np.zeros_like(whole)
        found = loss.hessian(f, y, w).numpy()
        if loss.rows:
            assert found.shape == (*f.shape, f.shape[1])
            expected[np.arange(6), :, np.arange(6), :] = found
        else:
            assert found.shape == f.shape
            expected.reshape(f.size, f.size)[np.diag_indices(f.size)] = found.reshape(-1)
        np.testing.assert_allclose(whole, expected, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("row", [p for p in ROWS if p.values[0].make("mean").rows])
def test_the_classes_are_on_axis_1_of_any_rank(row: Row, rng: Rng) -> None:
    """(n, C, 2, 3) with targets (n, 2, 3) or (n, C, 2, 3) is six losses of (n, C)."""
    pairs = [row.inputs(rng) for _ in range(6)]

    def together(arrays: list[np.ndarray]) -> np.ndarray:
        return np.stack(arrays, -1).reshape(*arrays[0].shape, 2, 3)

    f, y = together([p[0] for p in pairs]), together([p[1] for p in pairs])
    loss = row.make("none")
    value, gradient, second = (op(f, y).numpy() for op in (loss.value, loss.gradient, loss.hessian))
    np.testing.assert_allclose(value, together([loss(*p).numpy() for p in pairs]), rtol=1e-12)
    np.testing.assert_allclose(gradient, together([loss.gradient(*p).numpy() for p in pairs]), rtol=1e-11, atol=1e-15)
    one = np.stack([loss.hessian(*p).numpy() for p in pairs], 1)  # (n, 6, C, C)
    np.testing.assert_allclose(second, one.reshape(6, 2, 3, *one.shape[2:]), rtol=1e-10, atol=1e-15)
    weight = rng.uniform(0, 1, (6, 2, 3))
    np.testing.assert_allclose(loss(f, y, weight).numpy(), weight * value, rtol=1e-14)


@pytest.mark.parametrize("row", ALL_ROWS)
def test_a_batch_may_be_empty_unless_its_mean_is_asked_for(row: Row, rng: Rng) -> None:
    f, y = (a[:0] for a in row.inputs(rng))
    assert row.function(f, y, reduction="none").size == 0
    assert row.function(f, y, reduction="sum").item() == 0
    with pytest.raises(ValueError, match="the mean of no losses is not defined"):
        row.function(f, y)


@pytest.mark.parametrize("row", ROWS)
def test_convexity_and_the_lipschitz_constant_are_as_stated(row: Row, rng: Rng) -> None:
    """Along many segments: the middle of a convex loss lies below, and slopes reach L but do not pass it."""
    loss = row.make("none")
    steepest, above = 0.0, 0.0
    for _ in range(60):
        (a, y), (b, _) = row.inputs(rng), row.inputs(rng)
        a, b = ((x * 3 if x.min() < 0 and "log_prob" not in repr(loss) else x) for x in (a, b))
        ends = [loss(x, y).numpy() for x in (a, b)]
        above = max(above, float((loss((a + b) / 2, y).numpy() - (ends[0] + ends[1]) / 2).max()))
        steepest = max(steepest, float(abs(loss.gradient(a, y).numpy()).max()))
    assert (above <= 1e-12) == loss.convex, above
    assert steepest <= loss.lipschitz * (1 + 1e-8)
    assert loss.lipschitz == INF or steepest > 0.5 * loss.lipschitz


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
    f = 3 * rng.standard_normal((6, 4))
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
