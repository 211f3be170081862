"""DBN: unrolled into a deep autoencoder; stacks without classes, Gaussian visible units and linear codes."""

import dlcore
import numpy as np
import pytest
from beliefs import QUICK, SIZES, labelled, machines, theta, trained
from dlcore.data import load_digits_split
from dlcore.models import DBN, Autoencoder
from machines import sigmoid
from resuming import state


def stack(widths=SIZES, seed=1, **options):
    dbn = DBN(widths, seed=seed, **options)
    dbn.pretrain(labelled()[0], **QUICK)
    return dbn


@pytest.mark.parametrize("tied", [False, True])
def test_the_autoencoder_starts_at_the_stack(tied):
    dbn = stack(dtype="float64")
    x, _ = labelled(9)
    coder = dbn.unroll(tied=tied)
    assert isinstance(coder, Autoencoder) and coder.config["layer_sizes"] == SIZES and coder.config["tied"] is tied
    np.testing.assert_allclose(coder.encode(x), dbn.transform(x), rtol=1e-12)
    np.testing.assert_allclose(coder.reconstruct(x), dbn.reconstruct(x), rtol=1e-12)
    h = x
    for machine in machines(dbn):
        h = sigmoid(h @ machine["weight"] + machine["hidden_bias"])
    np.testing.assert_allclose(coder.encode(x), h, rtol=1e-12)
    for machine in machines(dbn)[::-1]:
        h = sigmoid(h @ machine["weight"].T + machine["visible_bias"])
    np.testing.assert_allclose(coder.reconstruct(x), h, rtol=1e-12)
    before = state(dbn)
    coder.fit(x, epochs=1)
    assert state(dbn) == before, "the weights are copies"


def test_a_linear_code():
    """Gaussian hidden units on top: their means are the fields (Hinton and Salakhutdinov 2006)."""
    dbn = DBN([16, 10, 3], code="gaussian", dtype="float64", seed=1)
    x, _ = labelled()
    dbn.pretrain(x, epochs=(10, 30), batch_size=20, lr=(0.1, 0.01))
    low, top = machines(dbn)
    code = sigmoid(x @ low["weight"] + low["hidden_bias"]) @ top["weight"] + top["hidden_bias"]
    np.testing.assert_allclose(dbn.transform(x), code, rtol=1e-10)
    assert code.min() < -0.1, "no probabilities"
    coder = dbn.unroll()
    assert coder.config["code_activation"] == "identity"
    np.testing.assert_allclose(coder.encode(x), code, rtol=1e-10)
    features = sigmoid(code @ top["weight"].T + top["visible_bias"])
    expected = sigmoid(features @ low["weight"].T + low["visible_bias"])
    np.testing.assert_allclose(coder.reconstruct(x), expected, rtol=1e-10)
    assert dbn.sample(5, steps=3).shape == (5, 16)


def test_gaussian_visible_units():
    """Standardised data; the fields of the first layer are of v / s, the reconstruction is linear."""
    x = np.random.default_rng(0).standard_normal((300, 6)) @ np.random.default_rng(1).standard_normal((6, 6)) / 2.5
    x = (x - x.mean(0)) / x.std(0)
    dbn = DBN([6, 8, 4], visible="gaussian", dtype="float64", seed=1)
    history = dbn.pretrain(x, epochs=20, batch_size=20)[0]
    assert history["reconstruction_error"][-1] < history["reconstruction_error"][0]
    low, top = machines(dbn)
    field = (x / np.exp(low["log_variance"])) @ low["weight"] + low["hidden_bias"]
    h = sigmoid(sigmoid(field) @ top["weight"] + top["hidden_bias"])
    np.testing.assert_allclose(dbn.transform(x), h, rtol=1e-10)
    expected = sigmoid(h @ top["weight"].T + top["visible_bias"]) @ low["weight"].T + low["visible_bias"]
    coder = dbn.unroll()
    assert coder.config["loss"] == "squared_error"
    np.testing.assert_allclose(coder.encode(x), h, rtol=1e-10)
    np.testing.assert_allclose(coder.reconstruct(x), expected, rtol=1e-10)
    np.testing.assert_allclose(dbn.reconstruct(x), expected, rtol=1e-10)
    assert dbn.sample(4, steps=3).shape == (4, 6)
    labels = (x[:, 0] > 0).astype(np.int32)
    wide = DBN([6, 8, 4], 2, visible="gaussian", seed=1)
    wide.fit(x, labels, epochs=30, lr=0.02, pretrain={"epochs": 5, "batch_size": 20})
    assert wide.score(x, labels) > 0.9


def test_pretraining_makes_a_better_deep_autoencoder():
    train, test = load_digits_split()
    x, held = train.x[:500], test.x
    dbn = DBN([64, 60, 30, 6], code="gaussian", seed=1)
    dbn.pretrain(x, epochs=12, batch_size=10, lr=(0.1, 0.1, 0.01))
    fresh = Autoencoder([64, 60, 30, 6], activation="sigmoid", code_activation="identity", seed=1)
    found = {}
    for name, coder in (("pretrained", dbn.unroll()), ("fresh", fresh)):
        coder.fit(x, epochs=2, batch_size=250, optimizer="cg", line_searches=3)
        found[name] = np.square(held - coder.reconstruct(held)).sum(1).mean()
    assert found["pretrained"] < 0.9 * found["fresh"], found


# --- stacks without classes ---


def test_a_stack_without_classes(tmp_path):
    x, _ = labelled()
    dbn, twin = stack(), trained()
    twin.pretrain(x, **QUICK)
    assert [name for name in dbn.parameters if name.startswith("recognition")] == [] and dbn.is_pretrained
    assert not DBN(SIZES).is_pretrained
    h = x
    for rbm in dbn.rbms:
        h = rbm.transform(h)
    np.testing.assert_array_equal(dbn.transform(x), h)
    assert dbn.sample(3, steps=2).shape == (3, 16) and dbn.reconstruct(x).shape == x.shape
    dbn.save(tmp_path / "dbn")
    other = dlcore.load(tmp_path / "dbn")
    np.testing.assert_array_equal(other.transform(x), dbn.transform(x))
    np.testing.assert_array_equal(theta(dbn.clone()), theta(dbn))
    lines = dbn.summary().splitlines()
    assert [line.split("  ")[0] for line in lines[3:]] == ["input", "Linear(16 → 10, sigmoid)", "RBM(10 ↔ 6)"]


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda m, x, y: m.fit(x, y), "fit: this DBN has no classes; pretrain and fit_up_down learn without labels"),
        (lambda m, x, y: m.partial_fit(x, 9 * y), "partial_fit: this DBN has no classes"),
        (lambda m, x, y: m.predict(x), "DBN: there are no scores without classes: make the model with classes="),
        (lambda m, x, y: m.predict_proba(x), "DBN: there are no scores without classes"),
        (lambda m, x, y: m.score(x, y), "score: this DBN has no classes"),
        (lambda m, x, y: m.unroll(loss="squared_error"), "unroll: loss is 'squared_error', expected 'binary_cross_ent"),
        (lambda m, x, y: m.unroll(tied=1), "unroll: tied is 1, expected True or False"),
        (lambda m, x, y: DBN(SIZES, 2, label_units=True).unroll(), "unroll: the top RBM has label units"),
        (
            lambda m, x, y: DBN([3, 2], visible=[("bernoulli", 1), ("softmax", 2)]).unroll(),
            "unroll: the visible units are .*, expected one kind",
        ),
        (lambda m, x, y: DBN(SIZES, visible="relu"), "DBN: visible is 'relu', expected 'bernoulli'"),
        (lambda m, x, y: DBN(SIZES, code="relu"), "DBN: code is 'relu', expected 'bernoulli' or 'gaussian'"),
    ],
)
def test_refusals(call, message):
    x, y = labelled()
    model = stack()
    before = state(model)
    with pytest.raises(ValueError, match=message):
        call(model, x, y)
    assert state(model) == before


def test_tied_weights_are_refused_where_they_differ():
    dbn = stack()
    dbn.belief.inference[0].weight.array.assign(dlcore.tensor(np.zeros((16, 10), np.float32)).array)
    with pytest.raises(ValueError, match="unroll: tied is True, but the weights up and down differ"):
        dbn.unroll(tied=True)
    assert dbn.unroll().config["tied"] is False


@pytest.mark.parametrize("widths", [[6, 4], [6, 4, 3]])
def test_tied_weights_are_refused_where_variances_part_them(widths):
    x = 2.0 * np.random.default_rng(0).standard_normal((100, 6))
    dbn = DBN(widths, visible="gaussian", seed=1)
    dbn.belief.tie()
    tied = dbn.unroll(tied=True)  # all variances are 1 yet
    np.testing.assert_allclose(tied.reconstruct(x), dbn.reconstruct(x), rtol=1e-5, atol=1e-7)
    dbn.pretrain(x, epochs=2, batch_size=20)
    with pytest.raises(ValueError, match="unroll: tied is True, but the weights up and down differ"):
        dbn.unroll(tied=True)
    np.testing.assert_array_equal(dbn.unroll().reconstruct(x), dbn.reconstruct(x))
