"""partial_fit: the steps of a fit cut into calls, the optimizer's state kept between them, and what is refused."""

import pickle
import re

import dlcore
import numpy as np
import pytest
from dlcore.models import CNN, MLP, LinearRegression, LinearSVM, SoftmaxRegression
from dlcore.optim import SGD, Adam
from dlcore.optim.schedules import Exponential

RNG = np.random.default_rng(0)
X = RNG.standard_normal((48, 6))
Y = RNG.integers(0, 3, 48)
MODELS = {
    "MLP": lambda: MLP([6, 5, 3], "tanh", dropout=0.3, weight_decay=1e-3, seed=3),
    "CNN": lambda: CNN((1, 6), 3, [CNN.conv(4, 3), CNN.dropout(0.5)], "tanh", seed=2),
    "SoftmaxRegression": lambda: SoftmaxRegression(6, 3, l1=1e-3),
    "LinearSVM": lambda: LinearSVM(6, 3),
    "LinearRegression": lambda: LinearRegression(6, 1),
}


def theta(model):
    return model.parameters.storage.numpy()


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "cg"])
@pytest.mark.parametrize("name", MODELS)
def test_calls_on_parts_take_the_steps_of_one_epoch(name, optimizer):
    options = {"sgd": {"lr": 0.05, "momentum": 0.9}}.get(optimizer, {})
    whole, parts = MODELS[name](), MODELS[name]()
    whole.fit(X, Y, epochs=1, batch_size=8, optimizer=optimizer, shuffle=False, **options)
    for start in (0, 16, 32):
        given = {"optimizer": optimizer, **options} if start != 32 else {}  # left out: go on with what there is
        assert parts.partial_fit(X[start : start + 16], Y[start : start + 16], batch_size=8, **given) is parts
    assert theta(parts).tobytes() == theta(whole).tobytes()
    assert parts.online.optimizer.steps == 6
    assert len(parts.history) == 0


def test_a_linear_regression_follows_momentum_as_published():
    model = LinearRegression(6, 1, dtype="float64")
    y = RNG.standard_normal(48)
    weight = RNG.uniform(0, 3, 48)
    w, b, vw, vb = np.zeros(6), 0.0, np.zeros(6), 0.0
    for start in range(0, 48, 12):
        rows = slice(start, start + 12)
        model.partial_fit(X[rows], y[rows], optimizer="sgd", lr=0.03, momentum=0.8, sample_weight=weight[rows])
        r = weight[rows] * (X[rows] @ w + b - y[rows])
        loss = ((X[rows] @ w + b - y[rows]) ** 2 * weight[rows]).mean()
        vw, vb = 0.8 * vw + 2 * X[rows].T @ r / 12, 0.8 * vb + 2 * r.mean()
        w, b = w - 0.03 * vw, b - 0.03 * vb
        assert model.online.loss == pytest.approx(loss, rel=1e-12)
    assert theta(model) == pytest.approx(np.append(w, b), rel=1e-12)


def test_the_rate_changes_and_the_state_stays():
    model, other = SoftmaxRegression(6, 3), SoftmaxRegression(6, 3)
    own = Adam(other.parameters, lr=0.1)
    for lr in (0.1, 0.01, Exponential(0.01, 0.5)):
        model.partial_fit(X, Y, lr=lr)
        own.lr = lr
        other.partial_fit(X, Y, optimizer=own)
    assert theta(model).tobytes() == theta(other).tobytes()
    assert other.online.optimizer is own
    assert model.online.optimizer.steps == 3


def test_other_options_and_a_fit_begin_with_a_fresh_optimizer():
    model = SoftmaxRegression(6, 3)
    first = model.partial_fit(X, Y, optimizer="sgd", momentum=0.9).online.optimizer
    assert model.partial_fit(X, Y).online.optimizer is first
    second = model.partial_fit(X, Y, optimizer="sgd", momentum=0.5).online.optimizer
    assert second is not first
    model.fit(X, Y, epochs=0)
    assert model.partial_fit(X, Y).online.optimizer is second, "a fit of no epochs changes nothing"
    model.fit(X, Y, epochs=1)
    assert model.online is None
    assert model.partial_fit(X, Y).online.optimizer.steps == 1
    assert model.clone().online is None


def test_a_stream_goes_on_from_files_to_the_same_bits(tmp_path):
    whole = MODELS["MLP"]()
    own = Adam(whole.parameters, lr=0.02)
    for _ in range(4):
        whole.partial_fit(X, Y, batch_size=16, optimizer=own)
    part = MODELS["MLP"]()
    first = Adam(part.parameters, lr=0.02)
    for _ in range(2):
        part.partial_fit(X, Y, batch_size=16, optimizer=first)
    part.save(tmp_path / "model")
    kept = pickle.dumps(first.state_dict())
    resumed = dlcore.load(tmp_path / "model")
    second = Adam(resumed.parameters, lr=0.02)
    second.load_state_dict(pickle.loads(kept))
    for _ in range(2):
        resumed.partial_fit(X, Y, batch_size=16, optimizer=second)
    assert theta(resumed).tobytes() == theta(whole).tobytes()


def test_a_stream_without_all_classes_at_a_time_is_learned():
    centres = 4.0 * np.eye(3, 6)
    model = MLP([6, 8, 3], seed=1)
    for i in range(150):
        label = np.full(16, i % 3)
        model.partial_fit(centres[label] + RNG.standard_normal((16, 6)), label, lr=0.01)
    labels = RNG.integers(0, 3, 500)
    assert model.score(centres[labels] + RNG.standard_normal((500, 6)), labels) > 0.9  # 0.33 without learning


def test_dropout_is_at_rest_after_a_call():
    model = MODELS["MLP"]().partial_fit(X, Y)
    assert not any(module.training for _, module in model.network.modules())
    assert np.array_equal(model.predict(X), model.predict(X))


def test_steps_that_are_not_finite_leave_the_parameters():
    model = MLP([6, 5, 3], "identity", dropout=0.3, seed=1).partial_fit(X, Y)
    before, steps = theta(model), {name: g.step for name, g in model.generators.items()}
    text = r"partial_fit: the loss is (nan|inf) at batch \d; the parameters are again those before it. A smaller lr may"
    with pytest.raises(FloatingPointError, match=text):
        model.partial_fit(1e6 * X, Y, optimizer="sgd", lr=1e30, batch_size=8)
    assert theta(model).tobytes() == before.tobytes()
    assert {name: g.step for name, g in model.generators.items()} == steps
    assert model.online is None
    with pytest.raises(FloatingPointError, match="partial_fit: a parameter is not finite; the parameters are again"):
        model.partial_fit(1e3 * X, Y, optimizer="sgd", lr=3e38)
    assert theta(model).tobytes() == before.tobytes()


REFUSED = {
    "partial_fit: y: 3 at index 0 is outside [0, 3)": {"y": np.full(48, 3)},
    "partial_fit: x has shape (48, 5), expected (n, 6)": {"x": X[:, 1:]},
    "partial_fit: x is not finite at row 0": {"x": np.full((48, 6), np.nan)},
    "partial_fit: x has 48 cases, y has 47": {"y": Y[1:]},
    "partial_fit: there are no cases to learn from": {"x": X[:0], "y": Y[:0]},
    "partial_fit: batch_size is 0, expected a positive integer": {"batch_size": 0},
    "partial_fit: sample_weight has shape (3,), expected (48,)": {"sample_weight": np.ones(3)},
    "partial_fit: sample_weight is -1.0 at index 0, expected a finite number >= 0": {"sample_weight": -np.ones(48)},
    "partial_fit: 'speed' is not an option of adam, which has ": {"speed": 1},
    "partial_fit: optimizer is 'sdg', expected one of sgd, adagrad": {"optimizer": "sdg"},
    "partial_fit: optimizer is a function, expected a name or an Optimizer of model.trained_parameters": {
        "optimizer": lambda parameters: Adam(parameters)
    },
    "partial_fit: optimizer was made for other parameters than this model's": {
        "optimizer": SGD(SoftmaxRegression(2, 2).parameters, lr=0.1)
    },
    "Adam: lr is -1.0, expected ": {"lr": -1.0},
}


@pytest.mark.parametrize("message", REFUSED)
def test_refused(message):
    model = SoftmaxRegression(6, 3).partial_fit(X, Y)
    before, online, lr = theta(model), model.online, model.online.optimizer.lr
    with pytest.raises((ValueError, TypeError), match=f"^{re.escape(message)}"):
        model.partial_fit(**({"x": X, "y": Y} | REFUSED[message]))
    assert theta(model).tobytes() == before.tobytes()
    assert model.online is online
    assert model.online.optimizer.lr == lr


def test_refused_combinations():
    model = SoftmaxRegression(6, 3)
    with pytest.raises(ValueError, match=r"^partial_fit: optimizer is an object, which has its own lr and options$"):
        model.partial_fit(X, Y, optimizer=SGD(model.parameters, lr=0.1), lr=0.1)
    model.partial_fit(X, Y, optimizer="l-bfgs")
    with pytest.raises(ValueError, match=r"^partial_fit: BatchMinimizer takes no lr$"):
        model.partial_fit(X, Y, lr=0.1)
