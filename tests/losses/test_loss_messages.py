"""What losses say about bad input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from dlcore import grad, losses

INF = float("inf")
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
        (
            lambda: grad(lambda f: losses.zero_one(f, [1.0]))([1.0]),
            ValueError,
            "^zero_one: a gradient is asked for, but it is 0 wherever it exists; train with a surrogate: hinge, "
            "squared_hinge, log_loss, binary_cross_entropy or cross_entropy, or evaluate stop_gradient",
        ),
        (lambda: losses.ZeroOne().gradient([1.0], [1.0]), ValueError, "^zero_one: a gradient is asked for"),
        (lambda: losses.ZeroOne().hessian([1.0], [1.0]), ValueError, "^zero_one: a gradient is asked for"),
        (
            lambda: losses.Tolerance(1.0).gradient([1.0], [1.0]),
            ValueError,
            "^tolerance: a gradient is asked for, .* train with its trainable form epsilon_insensitive, or huber",
        ),
        (
            lambda: losses.tolerance(F3, F3, -1),
            ValueError,
            "^tolerance: tolerance is -1, expected a finite number >= 0",
        ),
        (lambda: losses.huber(F3, F3, 0), ValueError, "^huber: delta is 0, expected a finite number > 0"),
        (lambda: losses.huber(F3, F3, "1"), ValueError, "^huber: delta is '1', expected a finite number > 0"),
        (lambda: losses.Huber(np.nan), ValueError, "^huber: delta is nan, expected a finite number > 0"),
        (
            lambda: losses.epsilon_insensitive(F3, F3, -0.5),
            ValueError,
            "^epsilon_insensitive: epsilon is -0.5, expected a finite number >= 0",
        ),
        (
            lambda: losses.correntropy(F3, F3, 0.0),
            ValueError,
            "^correntropy: sigma is 0.0, expected a finite number > 0",
        ),
        (lambda: losses.gaussian_kernel(F3, F3, INF), ValueError, "^gaussian_kernel: sigma is inf, expected a finite"),
        (lambda: losses.GaussianNLL(-1), ValueError, "^gaussian_nll: variance is -1, expected a finite number >= 0"),
        (
            lambda: losses.GaussianNLL()(F3, F3[:, 0]),
            ValueError,
            r"^gaussian_nll: prediction is \(2, 3\), expected \(n, 2, ...\): mean and log variance",
        ),
        (
            lambda: losses.gaussian_nll(F3, F3, F3[0]),
            ValueError,
            r"^gaussian_nll: variance is \(3,\), expected a number or \(2, 3\)",
        ),
        (
            lambda: losses.gaussian_nll(F3, F3, F3.astype("f8")),
            TypeError,
            "^gaussian_nll: dtypes differ: prediction is float32, variance is float64",
        ),
        (
            lambda: losses.gaussian_nll(F3, F3, F3 - 2),
            ValueError,
            r"^gaussian_nll: variance: -2.0 at index \[0, 0\] is below 0",
        ),
        (
            lambda: losses.gaussian_nll(F3, F3, eps=0),
            ValueError,
            "^gaussian_nll: eps is 0, expected a finite number > 0",
        ),
        (
            lambda: losses.SigmaAnnealing(0, 1, 5),
            ValueError,
            "^SigmaAnnealing: start is 0, expected a finite number > 0",
        ),
        (
            lambda: losses.SigmaAnnealing(1, 1, 0),
            ValueError,
            "^SigmaAnnealing: steps is 0, expected a finite number >= 1",
        ),
        (lambda: losses.squared_hinge(F3, F3), ValueError, r"^squared_hinge: 0.0 at index \[0, 0\] is neither -1 nor"),
        (lambda: losses.perceptron(F3, F3, -1), ValueError, "^perceptron: margin is -1, expected a finite number >= 0"),
        (
            lambda: losses.multiclass_hinge(F3, [0, 1], form="ww"),
            ValueError,
            "^multiclass_hinge: form is 'ww', expected one of one_vs_rest, crammer_singer",
        ),
        (
            lambda: losses.multiclass_hinge(F3, [0, 1], class_weight=[1, 2]),
            ValueError,
            r"^multiclass_hinge: class_weight has shape \(2,\) and dtype float64, expected \(3,\) of numbers",
        ),
        (
            lambda: losses.log_loss(F3 + 1.5, F3),
            ValueError,
            r"^log_loss: probability: 1.5 at index \[0, 0\] is outside \[0, 1\]",
        ),
        (
            lambda: losses.log_loss(F3, F3 - 1),
            ValueError,
            r"^log_loss: target: -1.0 at index \[0, 0\] is outside \[0, 1\]",
        ),
        (lambda: losses.log_loss(F3, F3, eps=0.5), ValueError, "^log_loss: eps is 0.5, expected .* >= 0 and < 0.5"),
        (
            lambda: losses.binary_cross_entropy(F3, F3, class_weight=[1, -1]),
            ValueError,
            r"^binary_cross_entropy: class_weight: -1 at index \[1\] is not a finite number >= 0",
        ),
        (
            lambda: losses.binary_focal(F3, F3 + 0.5),
            ValueError,
            r"^binary_focal: 0.5 at index \[0, 0\] is neither 0 nor 1",
        ),
        (
            lambda: losses.binary_focal(F3, F3, -1),
            ValueError,
            "^binary_focal: gamma is -1, expected a finite number >= 0",
        ),
        (lambda: losses.binary_focal(F3, F3, alpha=1.5), ValueError, "^binary_focal: alpha is 1.5, expected a finite"),
        (lambda: losses.focal(F3, [0, 3]), ValueError, r"^focal: 3 at index 1 is outside \[0, 3\)"),
        (
            lambda: losses.focal(F3, [0, 1], gamma=None),
            ValueError,
            "^focal: gamma is None, expected a finite number >= 0",
        ),
        (
            lambda: losses.cross_entropy(F3, [0, 1], label_smoothing=1.5),
            ValueError,
            "^cross_entropy: label_smoothing is 1.5, expected a finite number >= 0",
        ),
        (
            lambda: losses.cross_entropy(F3, [0, 1], ignore_index=0.5),
            ValueError,
            "^cross_entropy: ignore_index is 0.5, expected an integer or None",
        ),
        (
            lambda: losses.cross_entropy(F3, F3, ignore_index=0),
            ValueError,
            "^cross_entropy: ignore_index is given, but the target holds probabilities, not labels",
        ),
        (
            lambda: losses.cross_entropy(F3, [1, 1], ignore_index=1),
            ValueError,
            "^cross_entropy: the sum of the weights is 0.0, expected more than 0",
        ),
        (
            lambda: losses.cross_entropy(F3, [0, 1], class_weight=[[1, 2, 3]]),
            ValueError,
            r"^cross_entropy: class_weight has shape \(1, 3\) and dtype int64, expected a vector of numbers",
        ),
        (
            lambda: losses.cross_entropy(F3 - 1, [0, 1], from_logits=False),
            ValueError,
            r"^cross_entropy: probability: -1.0 at index \[0, 0\] is outside \[0, 1\]",
        ),
        (
            lambda: losses.CrossEntropy("avg"),
            ValueError,
            "^cross_entropy: reduction is 'avg', expected one of mean, sum",
        ),
        (
            lambda: losses.kl_divergence(F3, F3, "p"),
            ValueError,
            "^kl_divergence: input is 'p', expected one of probabilities, log_probabilities, logits",
        ),
        (
            lambda: losses.kl_divergence(F3, F3 - 1),
            ValueError,
            r"^kl_divergence: target: -1.0 at index \[0, 0\] is below 0",
        ),
        (
            lambda: losses.kl_divergence(F3 - 1, F3),
            ValueError,
            r"^kl_divergence: probability: -1.0 at index \[0, 0\] is below 0",
        ),
        (
            lambda: losses.kl_divergence(F3[0], F3[0]),
            ValueError,
            r"^kl_divergence: probabilities have shape \(3,\), expected \(n, classes\)",
        ),
        (lambda: losses.poisson(F3, F3 - 1), ValueError, r"^poisson: target: -1.0 at index \[0, 0\] is below 0"),
        (
            lambda: losses.poisson(F3 - 1, F3, log_input=False),
            ValueError,
            r"^poisson: rate: -1.0 at index \[0, 0\] is below 0",
        ),
        (
            lambda: losses.squared_error(F3, F3, sample_weight=F3[:, :2]),
            ValueError,
            r"^squared_error: sample_weight is \(2, 2\), expected \(2,\) or \(2, 3\)",
        ),
        (
            lambda: grad(lambda t: losses.hinge(F3, t, "sum"))(np.ones_like(F3)),
            ValueError,
            "^pointwise_loss: kind 'hinge' has no derivative by its target, which is -1 or",
        ),
        (lambda: losses.labels([[1]]), ValueError, r"^labels: shape is \(1, 1\), expected \(n,\)"),
        (lambda: losses.labels([2**31]), ValueError, r"^labels: 2147483648 at index 0 is outside \[0, 2147483648\)"),
    ],
)
def test_messages(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
