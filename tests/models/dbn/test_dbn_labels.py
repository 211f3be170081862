"""DBN with label units: their exact distribution, prediction, and samples of a class, against enumeration."""

import pickle

import dlcore
import numpy as np
import pytest
from beliefs import QUICK, SIZES, labelled, machines, theta
from dlcore.models import DBN
from dlcore.models.dbn.label_units import label_scores
from dlcore.train import Checkpoint
from gradients import check_gradient
from machines import check_mean, sigmoid, states
from resuming import End, figures, state


def with_labels(widths=(6, 5, 4), classes=3, seed=2, spread=0.8, dtype="float64"):
    """A network of random parameters, and the float64 parts of its top RBM: W, U, b, d, c."""
    dbn = DBN(widths, classes, label_units=True, dtype=dtype, seed=seed)
    rng = np.random.default_rng(seed)
    dbn.parameters.assign({name: spread * rng.standard_normal(x.shape) for name, x in dbn.parameters.items()})
    dbn.belief.tie()
    dbn.belief.teach()
    return dbn


def top_parts(dbn):
    top = {name: value.astype(np.float64) for name, value in machines(dbn)[-1].items()}
    width = dbn.belief.widths[-2]
    return top["weight"][:width], top["weight"][width:], *np.split(top["visible_bias"], [width]), top["hidden_bias"]


def joint_of_top(dbn):
    """p(f, y) of the top RBM, hidden states enumerated, not summed by a formula: (feature states, classes)."""
    W, U, b, d, c = top_parts(dbn)
    f, h = states(len(b)), states(len(c))
    exponent = (
        (f @ b)[:, None, None] + d[None, :, None] + (h @ c)[None, None, :] + (f @ W @ h.T)[:, None, :]
        + (U @ h.T)[None, :, :]
    )  # fmt: skip
    p = np.exp(exponent).sum(2)
    return f, p / p.sum()


def below(dbn, x):
    """Features of the top RBM without sampling."""
    for machine in machines(dbn)[:-1]:
        x = sigmoid(x @ machine["weight"] + machine["hidden_bias"])
    return x


@pytest.mark.parametrize("dtype, tolerance", [("float64", 1e-12), ("float32", 3e-6)])
def test_prediction_is_the_exact_conditional_of_binary_features(dtype, tolerance):
    dbn = with_labels((5, 4), dtype=dtype)  # one RBM: the cases are its features
    f, p = joint_of_top(dbn)
    expected = p / p.sum(1, keepdims=True)
    np.testing.assert_allclose(dbn.predict_proba(f), expected, atol=tolerance)
    np.testing.assert_array_equal(dbn.predict(f), expected.argmax(1))
    assert dbn.score(f, expected.argmax(1)) == 1.0


def test_prediction_from_means_is_a_softmax_of_free_energies():
    """With features in between, too, −F(f, y) decides; here hidden units are summed out by the RBM's own kernel."""
    dbn = with_labels()
    x = np.random.default_rng(0).random((9, 6))
    features = below(dbn, x)
    energies = np.stack(
        [dbn.rbms[-1].free_energy(np.hstack([features, np.tile(np.eye(3)[y], (9, 1))])) for y in range(3)], 1
    )
    p = np.exp(energies.min(1, keepdims=True) - energies)
    np.testing.assert_allclose(dbn.predict_proba(x), p / p.sum(1, keepdims=True), rtol=1e-10)
    scores = dbn.decision_function(x)
    np.testing.assert_allclose(scores - scores[:, :1], energies[:, :1] - energies, rtol=1e-9, atol=1e-12)


def test_blocks_of_cases_have_the_same_bits():
    rng = np.random.default_rng(0)
    field, U, d = (dlcore.tensor(rng.standard_normal(shape), "float32") for shape in ((700, 300), (10, 300), (10,)))
    whole = label_scores(field, U, d).numpy()  # 700 cases are three blocks
    one = label_scores(dlcore.tensor(field.numpy()[650:651]), U, d).numpy()
    np.testing.assert_array_equal(whole[650:651], one)
    expected = np.logaddexp(0, field.numpy()[:, None].astype(np.float64) + U.numpy()).sum(2) + d.numpy()
    np.testing.assert_allclose(whole, expected, rtol=1e-5)


def test_features_sum_the_label_out():
    dbn = with_labels()
    x = np.random.default_rng(0).random((9, 6))
    W, U, _, _, c = top_parts(dbn)
    given = sigmoid((below(dbn, x) @ W + c)[:, None, :] + U)
    expected = (dbn.predict_proba(x)[:, :, None] * given).sum(1)
    np.testing.assert_allclose(dbn.transform(x), expected, rtol=1e-10)


def test_the_discriminative_gradient():
    dbn = with_labels((6, 5, 4))
    x, y = np.random.default_rng(0).random((7, 6)), np.arange(7) % 3

    class Trained:  # the network's parameters alone: the generative model has no part in the objective
        dtype, parameters = dbn.dtype, dbn.trained_parameters
        objective = staticmethod(dbn.objective)

    check_gradient(Trained, dlcore.tensor(x), dlcore.tensor(y, "int32"))


# --- generation ---


@pytest.mark.parametrize("widths", [(4, 3), (6, 5, 4), (5, 4, 4, 3)])
def test_samples_of_a_class_follow_the_exact_conditional(widths):
    n = 20_000
    dbn = with_labels(widths)
    f, p = joint_of_top(dbn)
    for y in (0, 2):
        conditional = p[:, y] / p[:, y].sum()
        given, share = f, conditional
        for machine in machines(dbn)[-2:0:-1]:  # binary layers between
            on = sigmoid(given @ machine["weight"].T + machine["visible_bias"])
            lower = states(len(machine["visible_bias"]))
            transition = np.prod(np.where(lower[None] == 1, on[:, None], 1 - on[:, None]), -1)
            given, share = lower, share @ transition
        if len(widths) == 2:
            # of one RBM: probabilities given the hidden units, which have the conditional mean
            found = dbn.sample(n, steps=40, y=y)
            check_mean(found.mean(0), share @ f, found.var(0), n)
            continue
        v = sigmoid(given @ machines(dbn)[0]["weight"].T + machines(dbn)[0]["visible_bias"])
        mean = share @ v
        check_mean(dbn.sample(n, steps=40, y=y).mean(0), mean, share @ v**2 - mean**2, n)


def test_samples_of_several_classes_keep_their_places():
    n = 6_000
    dbn = with_labels()
    labels = np.arange(n) % 3
    found = dbn.sample(y=labels, steps=40)
    assert found.shape == (n, 6) and found.dtype == np.float64
    f, p = joint_of_top(dbn)
    v = sigmoid(f @ machines(dbn)[0]["weight"].T + machines(dbn)[0]["visible_bias"])
    for y in range(3):
        share = p[:, y] / p[:, y].sum()
        mean = share @ v
        check_mean(found[labels == y].mean(0), mean, share @ v**2 - mean**2, n // 3)


def test_free_samples_follow_the_marginal():
    n = 20_000
    dbn = with_labels()
    f, p = joint_of_top(dbn)
    v = sigmoid(f @ machines(dbn)[0]["weight"].T + machines(dbn)[0]["visible_bias"])
    mean = p.sum(1) @ v
    check_mean(dbn.sample(n, steps=60).mean(0), mean, p.sum(1) @ v**2 - mean**2, n)


def test_samples_start_at_cases():
    dbn = with_labels()
    x = np.random.default_rng(0).random((4, 6))
    assert dbn.sample(start=x, steps=1).shape == (4, 6)
    one, two = dbn.clone(), dbn.clone()
    np.testing.assert_array_equal(one.sample(4, start=x, y=1, steps=2), two.sample(start=x, y=[1, 1, 1, 1], steps=2))
    assert one.sample(y=2, steps=1).shape == (1, 6)


# --- learning ---


def three_classes(n=240, seed=0):
    """Bars, and how many of the upper two rows are on."""
    x, _ = labelled(n, seed)
    return x, ((x[:, :4].sum(1) > 2).astype(np.int32) + (x[:, 4:8].sum(1) > 2)).astype(np.int32)


def test_pretraining_learns_the_labels():
    x, y = three_classes(600)
    held, truth = three_classes(200, seed=1)
    dbn = DBN([16, 20, 30], 3, label_units=True, seed=1)
    histories = dbn.pretrain(x, y, epochs=40, batch_size=20, validation_data=(held, truth))
    assert "free_energy_gap" in histories[1].names
    assert dbn.score(held, truth) > 0.9
    assert (dbn.sample(40, steps=200, y=0)[:, :8].mean() < dbn.sample(40, steps=200, y=2)[:, :8].mean() - 0.5).all()


def test_the_top_rbm_learns_features_and_labels_together():
    x, y = three_classes()
    dbn, twin = (DBN(SIZES, 3, label_units=True, seed=4) for _ in range(2))
    dbn.pretrain(x, y, **QUICK)
    first, second = (twin._rbm(i) for i in (0, 1))
    first.fit(x, epochs=3, batch_size=20, lr=0.1)
    seen = np.hstack([first.transform(x), np.eye(3, dtype=np.float32)[y]])
    second.fit(seen, epochs=3, batch_size=20, lr=0.1)
    for found, expected in zip(machines(dbn), machines(twin), strict=True):
        for name in expected:
            np.testing.assert_array_equal(found[name], expected[name])


def test_backpropagation_goes_on_from_the_free_energies():
    x, y = three_classes()
    dbn = DBN(SIZES, 3, label_units=True, seed=1)
    dbn.pretrain(x, y, epochs=10, batch_size=20)
    before, generative = dbn.score(x, y), machines(dbn)
    history = dbn.fit(x, y, epochs=40, lr=0.02, batch_size=20)
    assert history["loss"][-1] < history["loss"][0] and dbn.score(x, y) > max(before, 0.95)
    for found, expected in zip(machines(dbn), generative, strict=True):
        np.testing.assert_array_equal(found["weight"], expected["weight"])
    fresh = DBN(SIZES, 3, label_units=True, seed=1)
    fresh.fit(x, y, epochs=1, pretrain=QUICK)  # pre-trains with the labels
    assert len(fresh.pretrain_history) == 2


@pytest.mark.parametrize("copy", ["file", "pickle", "clone"])
def test_copies_go_on_like_the_original(tmp_path, copy):
    x, y = three_classes()
    dbn = DBN(SIZES, 3, label_units=True, seed=1)
    dbn.fit(x, y, epochs=2, pretrain=QUICK)
    if copy == "file":
        dbn.save(tmp_path / "dbn")
        other = dlcore.load(tmp_path / "dbn")
    else:
        other = pickle.loads(pickle.dumps(dbn)) if copy == "pickle" else dbn.clone()
    np.testing.assert_array_equal(other.predict_proba(x), dbn.predict_proba(x))
    np.testing.assert_array_equal(other.sample(4, steps=3, y=1), dbn.sample(4, steps=3, y=1))
    for model in (dbn, other):
        model.fit(x, y, epochs=1)
    np.testing.assert_array_equal(theta(other), theta(dbn))


def test_a_killed_pretraining_resumes_with_its_labels(tmp_path):
    x, y = three_classes(200)
    path = tmp_path / "c"
    whole, broken, resumed = (DBN(SIZES, 3, label_units=True, seed=3) for _ in range(3))
    expected = whole.pretrain(x, y, **QUICK)
    with pytest.raises(KeyboardInterrupt):
        broken.pretrain(x, y, callbacks=[Checkpoint(path), End(45)], **QUICK)  # in the middle of the top RBM's epochs
    found = resumed.pretrain(x, y, resume=path, **QUICK)
    assert [figures(h) for h in found] == [figures(h) for h in expected] and state(resumed) == state(whole)


# --- refusals ---


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda m, x, y: m.pretrain(x), "pretrain: y is None, expected labels for the label units"),
        (lambda m, x, y: m.pretrain(x, y[:3]), "pretrain: x has 240 cases, y has 3"),
        (lambda m, x, y: m.pretrain(x, y + 1), r"pretrain: y: 3 at index \d+ is outside \[0, 3\)"),
        (lambda m, x, y: m.pretrain(x, y, validation_data=x), r"pretrain: validation_data is not a pair \(x, y\)"),
        (lambda m, x, y: m.sample(3, y=[0, 1]), "sample: y has 2 labels, expected 3"),
        (lambda m, x, y: m.sample(3, y=3), r"sample: y: 3 at index 0 is outside \[0, 3\)"),
        (lambda m, x, y: m.sample(2, start=x[:3], y=0), "sample: start has 3 cases, expected 2"),
        (lambda m, x, y: m.sample(0, y=1), "sample: n is .*, expected at least 1 positive integers"),
        (lambda m, x, y: DBN(SIZES, 3).sample(3, y=1), "sample: y is given, but the model has no label units"),
        (lambda m, x, y: DBN(SIZES, 3).pretrain(x, y), "pretrain: y is given, but the model has no label units"),
        (lambda m, x, y: DBN(SIZES, label_units=True), "DBN: label_units are softmax units, expected classes and"),
        (lambda m, x, y: DBN(SIZES, 3, "svm", label_units=True), "DBN: label_units are softmax units, expected"),
        (lambda m, x, y: DBN(SIZES, 3, label_units=1), "DBN: label_units is 1, expected True or False"),
        (
            lambda m, x, y: DBN(SIZES, 3, label_units=True, code="gaussian"),
            "DBN: label_units are for a top RBM of Bernoulli units",
        ),
        (
            lambda m, x, y: DBN([16, 4], 3, label_units=True, visible="gaussian"),
            "DBN: label_units are for a top RBM of Bernoulli units",
        ),
    ],
)
def test_refusals(call, message):
    x, y = three_classes()
    model = DBN(SIZES, 3, label_units=True)
    before = state(model)
    with pytest.raises(ValueError, match=message):
        call(model, x, y)
    assert state(model) == before
