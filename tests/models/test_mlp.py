"""Perceptrons and linear models: gradients, heads, penalties, fits with known ends, errors."""

import dlcore
import numpy as np
import pytest
from dlcore import ops
from dlcore.data import load_digits_split
from dlcore.models import MLP, LinearRegression, LinearSVM, SoftmaxRegression
from gradients import check_gradient

RNG = np.random.default_rng(0)
X = RNG.standard_normal((12, 5))
LABELS = RNG.integers(0, 4, 12)


def batch(output, weights=False):
    y = {
        "softmax": dlcore.tensor(LABELS, "int32"),
        "svm": dlcore.tensor(LABELS, "int32"),
        "sigmoid": dlcore.tensor(RNG.uniform(0, 1, (12, 4))),
        "identity": dlcore.tensor(RNG.standard_normal((12, 4))),
    }[output]
    return (dlcore.tensor(X), y, *([dlcore.tensor(RNG.uniform(0, 2, 12))] if weights else []))


@pytest.mark.parametrize("weights", [False, True])
@pytest.mark.parametrize("output", ["softmax", "svm", "sigmoid", "identity"])
def test_gradient(output, weights):
    model = MLP([5, 7, 4], "tanh", output, weight_decay=0.3, l1=0.1, seed=2, dtype="float64")
    check_gradient(model, *batch(output, weights))


@pytest.mark.parametrize("activation", dlcore.ops.ACTIVATIONS)
def test_gradient_of_every_activation(activation):
    check_gradient(MLP([5, 6, 6, 4], activation, dtype="float64"), *batch("softmax"))


@pytest.mark.parametrize("model", [SoftmaxRegression, LinearSVM, LinearRegression])
def test_gradient_of_linear_models(model):
    made = model(5, 4, weight_decay=0.2, l1=0.1, dtype="float64")
    values = {name: RNG.standard_normal(shape) for name, shape in made.parameter_shapes().items()}
    made.parameters.assign(values)
    check_gradient(made, *batch({SoftmaxRegression: "softmax", LinearSVM: "svm"}.get(model, "identity")))


def numpy_scores(model, x):
    p = {name: value.numpy() for name, value in model.parameters.items()}
    return np.maximum(x @ p["layers.0.weight"] + p["layers.0.bias"], 0) @ p["layers.1.weight"] + p["layers.1.bias"]


def test_objective_is_its_formula():
    model = MLP([5, 7, 4], weight_decay=0.3, l1=0.1, dtype="float64")
    x, y, w = batch("softmax", weights=True)
    scores = numpy_scores(model, X)
    losses = np.log(np.exp(scores).sum(1)) - scores[np.arange(12), LABELS]
    weights = [model.parameters[f"layers.{i}.weight"].numpy() for i in (0, 1)]
    penalty = sum(0.15 * (v**2).sum() + 0.1 * abs(v).sum() for v in weights)
    assert model.objective(x, y).item() == pytest.approx(losses.mean() + penalty)
    assert model.objective(x, y, w).item() == pytest.approx((losses * w.numpy()).mean() + penalty)


def test_svm_loss_is_its_formula():
    model = MLP([5, 7, 4], output="svm", dtype="float64")
    x, y = batch("svm")
    signs = np.where(np.arange(4) == LABELS[:, None], 1, -1)
    expected = (np.maximum(1 - signs * numpy_scores(model, X), 0) ** 2).sum(1).mean()
    assert model.objective(x, y).item() == pytest.approx(expected)


def test_predictions():
    scores = numpy_scores(model := MLP([5, 7, 4], dtype="float64"), X)
    assert np.allclose(model.decision_function(X), scores)
    exp = np.exp(scores)
    assert np.allclose(model.predict_proba(X), exp / exp.sum(1, keepdims=True))
    labels = model.predict(X)
    assert labels.dtype == np.int32
    assert np.array_equal(labels, scores.argmax(1))
    assert model.score(X, LABELS) == pytest.approx((labels == LABELS).mean())


def test_sigmoid_predictions():
    model = MLP([5, 7, 2], output="sigmoid", dtype="float64")
    scores = numpy_scores(model, X)
    assert np.allclose(model.predict_proba(X), 1 / (1 + np.exp(-scores)))
    assert np.array_equal(model.predict(X), scores > 0)
    y = RNG.integers(0, 2, (12, 2))
    assert model.score(X, y) == pytest.approx(((scores > 0) == y).mean())
    single = MLP([5, 7, 1], output="sigmoid")
    assert single.predict(X).shape == (12,)
    assert single.predict_proba(X).shape == (12, 1)
    single.fit(X, y[:, 0], epochs=1)
    single.fit(X, y[:, :1], epochs=1, validation_data=(X, y[:, 0]))
    assert single.history["validation_accuracy"][0] == pytest.approx(single.score(X, y[:, 0]))


def test_r_squared():
    model = LinearRegression(5, 2, dtype="float64")
    y = RNG.standard_normal((12, 2))
    expected = 1 - ((y - 0) ** 2).sum(0) / ((y - y.mean(0)) ** 2).sum(0)  # it starts at 0
    assert model.score(X, y) == pytest.approx(expected.mean())
    assert np.isnan(model.score(X, np.ones((12, 2))))


def test_linear_regression_ends_at_the_normal_equations():
    y = X @ [1.0, -2.0, 0.5, 0.0, 3.0] + 0.7 + 0.1 * RNG.standard_normal(12)
    ridge = 0.05
    model = LinearRegression(5, weight_decay=ridge, dtype="float64")
    model.fit(X, y, epochs=3000, batch_size=12, optimizer="sgd", lr=0.05, momentum=0.9)
    centred, target = X - X.mean(0), y - y.mean()
    w = np.linalg.solve(2 / 12 * centred.T @ centred + ridge * np.eye(5), 2 / 12 * centred.T @ target)
    assert np.allclose(model.parameters["layers.0.weight"].numpy()[:, 0], w, atol=1e-8)
    assert model.predict(X).shape == (12,)


@pytest.mark.parametrize("output", ["softmax", "sigmoid"])
def test_held_out_figures_are_weighted_means(output):
    w = np.array([5.0, 1, 2, 3, 1, 0, 1, 9, 2, 0, 1, 4])
    model = MLP([5, 7, 4], output=output, dtype="float64")
    y = LABELS if output == "softmax" else np.eye(4)[LABELS]
    history = model.fit(X, y, epochs=1, optimizer="sgd", lr=0.0, validation_fraction=0.5, sample_weight=w)
    order = ops.permutation(ops.Generator(model.split_key), 12).numpy()
    one_hot = np.eye(4)[LABELS]
    p = model.predict_proba(X)
    if output == "softmax":
        losses, right = -np.log(p[np.arange(12), LABELS]), p.argmax(1) == LABELS
    else:
        losses = -(one_hot * np.log(p) + (1 - one_hot) * np.log(1 - p)).mean(1)
        right = ((p > 0.5) == one_hot).mean(1)
    for part, name in ((order[:6], "validation_loss"), (order[6:], "loss")):
        assert history[name] == [pytest.approx(np.average(losses[part], weights=w[part]))]
    assert history["validation_accuracy"] == [pytest.approx(np.average(right[order[:6]], weights=w[order[:6]]))]


def test_scores_are_of_finite_cases():
    with pytest.raises(ValueError, match="score: x is not finite at row 2"):
        MLP([5, 7, 4]).score(np.where(np.arange(12)[:, None] == 2, np.nan, X), LABELS)


def test_a_part_whose_weights_are_all_0():
    order = ops.permutation(ops.Generator(MLP([5, 7, 4]).split_key), 12).numpy()
    for kept, name in ((order[:1], "to learn from"), (order[1:], "held out")):
        with pytest.raises(ValueError, match=f"fit: sample_weight is 0 for all cases {name}"):
            MLP([5, 7, 4]).fit(X, LABELS, sample_weight=np.isin(np.arange(12), kept), validation_fraction=0.05)


def test_sample_weights_are_repeated_cases():
    w = np.array([0, 1, 2, 3, 1, 0, 1, 1, 2, 0, 1, 0])
    options = {"epochs": 5, "batch_size": 100, "optimizer": "sgd", "lr": 0.3, "shuffle": False}
    weighted = MLP([5, 7, 4], "tanh", dtype="float64")
    repeated = weighted.clone()
    history = weighted.fit(X, LABELS, sample_weight=w, **options)
    expected = repeated.fit(np.repeat(X, w, 0), np.repeat(LABELS, w), **options)
    assert np.allclose(weighted.parameters.storage.numpy(), repeated.parameters.storage.numpy(), atol=1e-12)
    assert history["loss"] == pytest.approx(expected["loss"])


@pytest.mark.parametrize(
    ("weight", "error", "message"),
    [
        (np.ones(11), ValueError, r"sample_weight has shape \(11,\), expected \(12,\)"),
        (np.ones((12, 1)), ValueError, r"sample_weight has shape \(12, 1\)"),
        (np.zeros(12), ValueError, "sample_weight is 0 for all cases"),
        (-np.arange(12.0), ValueError, "sample_weight is -1.0 at index 1, expected a finite number >= 0"),
        (np.where(np.arange(12) == 3, np.nan, 1), ValueError, "sample_weight is nan at index 3"),
        (np.ones(12, complex), TypeError, "sample_weight has dtype complex128"),
    ],
)
def test_wrong_sample_weights(weight, error, message):
    with pytest.raises(error, match=f"fit: {message}"):
        MLP([5, 7, 4]).fit(X, LABELS, sample_weight=weight)


def test_validation_fraction_holds_out_the_same_cases_each_time():
    model = MLP([5, 7, 4], seed=1, dtype="float64")
    history = model.fit(X, LABELS, epochs=2, validation_fraction=0.25, optimizer="sgd", lr=0.0)
    assert len(set(history["validation_loss"])) == 1
    again = model.fit(X, LABELS, epochs=1, validation_fraction=0.25, optimizer="sgd", lr=0.0)
    assert again["validation_loss"] == history["validation_loss"][:1]
    whole = model.fit(X, LABELS, epochs=1, optimizer="sgd", lr=0.0)["loss"][0]
    assert 9 * history["loss"][0] + 3 * history["validation_loss"][0] == pytest.approx(12 * whole)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"validation_fraction": 0.0}, r"validation_fraction is 0.0, expected a number in \(0, 1\)"),
        ({"validation_fraction": 1}, "validation_fraction is 1"),
        ({"validation_fraction": "a"}, "validation_fraction is 'a'"),
        ({"validation_fraction": 0.99}, "validation_fraction 0.99 of 12 cases leaves none"),
        ({"validation_fraction": 0.5, "validation_data": (X, LABELS)}, "are both given"),
        ({"validation_data": X}, r"validation_data is not a pair \(x, y\)"),
        ({"validation_data": (X[:0], LABELS[:0])}, "validation_data has no cases"),
        ({"validation_data": (X[:, :2], LABELS)}, r"validation_data: x has shape \(12, 2\), expected \(n, 5\)"),
        ({"early_stopping": 3}, "early stopping on 'validation_loss' needs validation_data or validation_fraction"),
        ({"early_stopping": 0}, "EarlyStopping: patience is 0"),
        ({"momentum": 0.9}, "'momentum' is not an option of adam"),
    ],
)
def test_wrong_fit_arguments_change_nothing(arguments, message):
    model = MLP([5, 7, 4])
    before = model.parameters.storage.numpy()
    with pytest.raises(ValueError, match=message):
        model.fit(X, LABELS, **arguments)
    assert np.array_equal(model.parameters.storage.numpy(), before)
    assert model.fit_generator.step == 0


@pytest.mark.parametrize(
    ("y", "error", "message"),
    [
        (LABELS[:5], ValueError, "x has 12 cases, y has 5"),
        (np.where(np.arange(12) == 7, 4, LABELS), ValueError, r"y: 4 at index 7 is outside \[0, 4\)"),
        (LABELS - 5, ValueError, r"y: -\d at index 0 is outside \[0, 4\)"),
        (LABELS + 0.5, ValueError, "y: .* at index 0 is not an integer"),
        (np.where(np.arange(12) == 2, np.nan, LABELS), ValueError, "y: nan at index 2 is not an integer"),
        (LABELS[:, None], ValueError, r"y: shape is \(12, 1\), expected \(n,\)"),
        (["a"] * 12, TypeError, "y: dtype is"),
        (None, TypeError, "y: dtype is object"),
    ],
)
def test_wrong_labels(y, error, message):
    with pytest.raises(error, match=f"fit: {message}"):
        MLP([5, 7, 4]).fit(X, y)


@pytest.mark.parametrize(
    ("output", "y", "message"),
    [
        ("identity", np.ones((12, 3)), r"y has shape \(12, 3\), expected \(n, 4\)"),
        ("identity", np.ones(12), r"y has shape \(12,\), expected \(n, 4\)"),
        ("identity", np.where(np.eye(12, 4) > 0, np.inf, 0), "y is not finite at index 0"),
        ("sigmoid", np.eye(12, 4) * 1.5, "y is 1.5 at index 0, expected values in"),
        ("sigmoid", -np.eye(12, 4), "y is -1.0 at index 0"),
    ],
)
def test_wrong_targets(output, y, message):
    with pytest.raises(ValueError, match=f"fit: {message}"):
        MLP([5, 7, 4], output=output).fit(X, y)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([5],), r"MLP: layer_sizes is \[5\], expected at least 2 positive integers"),
        (([5, 0],), "layer_sizes is"),
        (([5, 2.5],), "layer_sizes is"),
        ((5,), "MLP: layer_sizes is 5"),
        (([5, 1],), "MLP: output 'softmax' has 1 class, expected at least 2"),
        (([5, 4, 3], "rely"), "activation is 'rely'"),
        (([5, 4, 3], "relu", "max"), "MLP: output is 'max', expected one of softmax, sigmoid, identity, svm"),
        (([5, 4, 3], "relu", "softmax", 1.0), "MLP: dropout is 1.0, expected a number in"),
        (([5, 4, 3], "relu", "softmax", 0, -1), "MLP: weight_decay is -1, expected a finite number >= 0"),
        (([5, 4, 3], "relu", "softmax", 0, 0, float("nan")), "MLP: l1 is nan"),
    ],
)
def test_wrong_constructor_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        MLP(*arguments)


def test_probabilities_only_where_there_are_some():
    for output in ("svm", "identity"):
        with pytest.raises(ValueError, match=f"predict_proba: the output is '{output}', which gives no prob"):
            MLP([5, 4, 3], output=output).predict_proba(X)


def test_score_errors():
    model = MLP([5, 7, 4])
    with pytest.raises(ValueError, match="score: x has 12 cases, y has 3"):
        model.score(X, LABELS[:3])
    with pytest.raises(ValueError, match="score: there are no cases"):
        model.score(X[:0], LABELS[:0])


def test_l1_makes_weights_small_and_dropout_is_off_when_predicting():
    penalised, free = (SoftmaxRegression(5, 4, l1=l1) for l1 in (0.5, 0.0))
    for model in (penalised, free):
        model.fit(X, LABELS, epochs=200, batch_size=12, optimizer="sgd", lr=0.05)
    sizes = [abs(model.parameters["layers.0.weight"].numpy()).max() for model in (penalised, free)]
    assert sizes[0] < 0.1 * sizes[1]
    model = MLP([5, 40, 4], dropout=0.9)
    model.fit(X, LABELS, epochs=1)
    assert np.array_equal(model.predict_proba(X), model.predict_proba(X))


@pytest.mark.parametrize(
    ("model", "lowest"),
    [(lambda: MLP([64, 64, 10]), 0.95), (lambda: SoftmaxRegression(64, 10), 0.92), (lambda: LinearSVM(64, 10), 0.92)],
)
def test_digits(model, lowest):
    train, test = load_digits_split()
    made = model()
    made.fit(train.x, train.y, epochs=12, batch_size=32, lr=3e-3, schedule="cosine")
    assert made.score(test.x, test.y) >= lowest
