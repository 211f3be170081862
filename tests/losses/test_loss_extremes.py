"""Losses where a plain formula cancels, overflows or multiplies 0 by infinity; references written out in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from dlcore import hessian, hvp, losses, ops


def leading(scores: list[float]) -> np.ndarray:
    """softmax − one-hot of the first score, which leads, by sums of the others alone."""
    others = np.exp(np.array(scores[1:]) - scores[0])
    rest = others.sum()
    return np.concatenate([[-rest], others]) / (1 + rest)


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize(("dtype", "scores"), [("float32", [20.0, 0, 0]), ("float64", [50.0, 1, 2])])
def test_the_gradient_at_a_confident_target_does_not_cancel(dtype: str, scores: list[float], wide: bool) -> None:
    scores = scores + [-5.0] * 97 if wide else scores
    f, expected = np.array([scores], dtype), leading(scores)
    hot = np.zeros_like(f)
    hot[0, 0] = 1
    smoothed = losses.CrossEntropy(label_smoothing=1e-9)
    s = 1e-9 / len(scores)
    rtol = 1e-6 if dtype == "float32" else 1e-12
    for loss, y, truth in (
        (losses.CrossEntropy(), [0], expected),
        (losses.CrossEntropy(), hot, expected),
        (losses.CrossEntropy(class_weight=np.full(len(scores), 0.5)), [0], expected),
        (losses.CrossEntropy(class_weight=np.full(len(scores), 0.5)), hot, expected / 2),
        (losses.KLDivergence("logits"), hot, expected),
        (smoothed, [0], expected + np.concatenate([[s * (len(scores) - 1)], np.full(len(scores) - 1, -s)])),
    ):  # with class_weight and labels the mean divides by the weight again
        found = loss.gradient(f, y).numpy()[0].astype(float)
        few = 50 * rtol if loss is smoothed and dtype == "float32" else rtol  # 1 − 1e-9 is 1 there
        np.testing.assert_allclose(found[0], truth[0], rtol=few)
        if loss is not smoothed:
            np.testing.assert_allclose(found, truth, rtol=rtol)


def test_ties_share_the_target() -> None:
    for width in (3, 100):
        f, y = np.zeros((1, width)), np.full((1, width), 0.0)
        y[0, :2] = 0.75, 0.25
        np.testing.assert_allclose(losses.CrossEntropy().gradient(f, y).numpy(), 1 / width - y, rtol=1e-14)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_focal_from_rows_keeps_its_digits(dtype: str, rng: np.random.Generator) -> None:
    f = (12 * rng.standard_normal((200, 3))).astype(dtype)
    y = rng.integers(0, 3, 200)
    x = f.astype(np.longdouble)
    own = x[np.arange(200), y]
    x[np.arange(200), y] = -np.inf
    top = x.max(1)
    u = own - top - np.log(np.exp(x - top[:, None]).sum(1))
    rtol, floor = (2e-7, 1e-37) if dtype == "float32" else (1e-12, 0.0)
    for gamma in (0.5, 2.0):
        loss = np.logaddexp(0, -u)
        expected = np.exp(-gamma * np.logaddexp(0, u)) * loss
        found = losses.Focal(gamma, reduction="none")(f, y).numpy()
        assert found.dtype == dtype
        np.testing.assert_allclose(found, expected.astype(float), rtol=rtol, atol=floor)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_predicted_variance_at_extremes(dtype: str) -> None:
    loss, zero = losses.GaussianNLL(), np.zeros(1, dtype)
    with np.errstate(over="ignore"):
        for residual, s in ((0.0, -1e4), (0.0, -200.0), (0.5, 1e4), (0.7, 0.3), (0.0, 1e4)):
            f = np.array([[residual, s]], dtype)
            r, v_inverse = float(f[0, 0]), float(np.exp(np.array(-s, "longdouble")).astype(dtype))
            q = r * r * v_inverse if r else 0.0
            slope = r * v_inverse if r else 0.0
            np.testing.assert_allclose(loss(f, zero).numpy(), 0.5 * (q + f[0, 1]), rtol=1e-6)
            np.testing.assert_allclose(loss.gradient(f, zero).numpy()[0], [slope, 0.5 - q / 2], rtol=1e-6)
            expected = [[v_inverse, -slope], [-slope, q / 2]]
            np.testing.assert_allclose(loss.hessian(f, zero).numpy()[0], expected, rtol=1e-6)
    # 1/v leaves single precision, r²/v does not.
    f = np.array([[1e-30, -200.0]], dtype)
    np.testing.assert_allclose(loss(f, zero).numpy(), 0.5e-60 * np.exp(200.0), rtol=2e-6)


def test_hessians_at_probability_0() -> None:
    found = losses.CrossEntropy("none", False).hessian([[0.0, 1, 0], [0.5, 0.5, 0]], [0, 1]).numpy()
    np.testing.assert_array_equal(found, [np.diag([np.inf, 0, 0]), np.diag([0, 4.0, 0])])
    found = losses.KLDivergence().hessian([[0.0, 1, 0.5]], [[0.5, 0.5, 0]]).numpy()
    np.testing.assert_array_equal(found, [np.diag([np.inf, 0.5, 0])])
    y = np.array([1.0, 0, 1])
    whole = hessian(lambda p: losses.log_loss(p, y, reduction="sum"))(np.array([0, 0.5, 1.0])).numpy()
    np.testing.assert_array_equal(whole, np.diag([np.inf, 4, 1]))


def test_what_a_weight_of_0_leaves_out_may_hold_anything() -> None:
    loss = losses.LogLoss(class_weight=[0, 1])
    for found in (loss.value([1.0], [0.0]), loss.gradient([1.0], [0.0]), loss.hessian([1.0], [0.0])):
        np.testing.assert_array_equal(found.numpy().reshape(-1), [0])
    f = np.array([[np.nan, 0], [1.0, 0]])
    plain = losses.CrossEntropy()
    for options in ({"ignore_index": 1}, {"class_weight": [1, 0]}):
        loss_of: Any = losses.CrossEntropy(**options)
        assert loss_of(f, [1, 0]).item() == plain(f[1:], [0]).item()
        np.testing.assert_array_equal(
            loss_of.gradient(f, [1, 0]).numpy(), [[0, 0], plain.gradient(f[1:], [0]).numpy()[0]]
        )
        np.testing.assert_array_equal(loss_of.hessian(f, [1, 0]).numpy()[1], plain.hessian(f[1:], [0]).numpy()[0])
        assert not loss_of.hessian(f, [1, 0]).numpy()[0].any()
    certain = losses.CrossEntropy(from_logits=False, ignore_index=1)
    np.testing.assert_array_equal(certain.gradient([[np.nan, 0], [0.5, 0.5]], [1, 0]).numpy(), [[0, 0], [-2, 0]])


@pytest.mark.parametrize("loss", [losses.AbsoluteError(), losses.EpsilonInsensitive(0.0)])
def test_a_kink_that_prediction_and_target_stay_on_is_not_crossed(loss: Any) -> None:
    product = hvp(lambda x: loss(x[:2], x[2:]))
    np.testing.assert_array_equal(product(np.ones(4), np.zeros(4)).numpy(), np.zeros(4))
    for direction in ([1.0, 0, 0, 0], [0, 0, 0, 1.0], [1.0, 0, -1.0, 0]):
        with pytest.raises(ValueError, match="exactly at a kink"):
            product(np.array(direction), np.zeros(4))


def test_classes_take_the_options_of_their_functions(rng: np.random.Generator) -> None:
    f, y = rng.standard_normal((4, 3)), rng.standard_normal((4, 3))
    assert losses.MeanSquaredError(reduction="sum")(f, y).item() == pytest.approx(((f - y) ** 2).sum())
    np.testing.assert_allclose(losses.mean_squared_error(f, y, reduction="none").numpy(), (f - y) ** 2, rtol=1e-14)
    v = rng.uniform(0.5, 2, (4, 3))
    given = losses.GaussianNLL(v, reduction="none")
    expected = 0.5 * ((f - y) ** 2 / v + np.log(v))
    np.testing.assert_allclose(given(f, y).numpy(), expected, rtol=1e-13)
    np.testing.assert_allclose(losses.gaussian_nll(f, y, v, reduction="none").numpy(), expected, rtol=1e-13)
    np.testing.assert_allclose(given.hessian(f, y).numpy(), 1 / v, rtol=1e-13)
    assert losses.gaussian_nll(f[:, :2], y[:, 0], None).item() == losses.GaussianNLL()(f[:, :2], y[:, 0]).item()
    np.testing.assert_allclose(
        losses.GaussianNLL(0.0, eps=0.5)(f, y).item(), 0.5 * ((f - y) ** 2 / 0.5 + np.log(0.5)).mean()
    )


@pytest.mark.parametrize("loss", [losses.CrossEntropy(), losses.KLDivergence("logits")])
def test_targets_below_0_are_refused(loss: Any) -> None:
    with pytest.raises(ValueError, match=r"target: -5.0 at index \[0, 1\] is below 0"):
        loss([[0.0, 1.0]], np.array([[1, -5]], "float32"))
    assert "sum" in type(loss).domain or "Σ" in type(loss).domain


def test_over_variance_masks_only_zeros() -> None:
    s = np.full(3, -2000.0)
    found = ops.over_variance(np.array([1.0, 0, 1]), np.array([1.0, 1, 0]), s, 1).numpy()
    np.testing.assert_array_equal(found, [np.inf, 0, 0])
