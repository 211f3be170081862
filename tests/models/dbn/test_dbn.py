"""DBN: greedy learning, the copied weights, fine-tuning with both heads, files and refusals."""

import pickle

import dlcore
import numpy as np
import pytest
from beliefs import QUICK, SIZES, labelled, machines, theta, trained
from dlcore.data import load_digits_split
from dlcore.models import DBN
from dlcore.train import Callback, Checkpoint, EarlyStopping

# --- learning ---


def test_pretraining_is_greedy_and_its_weights_are_copied():
    """Layer by layer the same bits as RBMs trained by hand on the features below."""
    x, _ = labelled()
    dbn, twin = DBN(SIZES, 2, seed=4), DBN(SIZES, 2, seed=4)
    histories = dbn.pretrain(x, epochs=(3, 5), batch_size=20, lr=(0.1, 0.05), k=2)
    assert [len(history) for history in histories] == [3, 5] and dbn.pretrain_history is histories

    first, second = (twin._rbm(i, k=2) for i in (0, 1))
    first.fit(x, epochs=3, batch_size=20, lr=0.1)
    second.fit(first.transform(x), epochs=5, batch_size=20, lr=0.05)
    for found, expected in zip(machines(dbn), machines(twin), strict=True):
        for name in expected:
            np.testing.assert_array_equal(found[name], expected[name])

    layers = dbn.belief.recognition.layers
    for layer, machine in zip(layers, machines(dbn), strict=False):
        np.testing.assert_array_equal(layer.weight.numpy(), machine["weight"])
        np.testing.assert_array_equal(layer.bias.numpy(), machine["hidden_bias"])
    np.testing.assert_array_equal(dbn.transform(x), second.transform(first.transform(x)))


def test_fit_pretrains_a_fresh_network_only():
    x, y = labelled()
    dbn = DBN(SIZES, 2, seed=1)
    assert not dbn.is_pretrained
    dbn.fit(x, y, epochs=1, pretrain=QUICK)
    assert dbn.is_pretrained and len(dbn.pretrain_history[0]) == 3
    before = machines(dbn)
    dbn.fit(x, y, epochs=1, pretrain=QUICK)
    for found, expected in zip(machines(dbn), before, strict=True):
        np.testing.assert_array_equal(found["weight"], expected["weight"])

    whole = DBN(SIZES, 2, seed=1)
    whole.pretrain(x, **QUICK)
    parts = DBN(SIZES, 2, seed=1)
    parts.pretrain(x, **QUICK)
    parts.fit(x, y, epochs=2)
    whole.fit(x, y, epochs=2, pretrain={"epochs": 100})
    np.testing.assert_array_equal(theta(whole), theta(parts))


def test_the_default_rate_is_that_of_sgd_named_or_not():
    x, _ = labelled()
    one, two = DBN(SIZES, seed=1), DBN(SIZES, seed=1)
    one.pretrain(x, **QUICK)
    two.pretrain(x, optimizer="sgd", **QUICK)
    assert theta(one).tobytes() == theta(two).tobytes()


def test_pretraining_watches_held_out_cases():
    x, _ = labelled()
    held, _ = labelled(50, seed=1)
    dbn = DBN(SIZES, 2, seed=4)
    low, top = dbn.pretrain(x, validation_data=held, **QUICK)
    gap = dbn.rbms[0].free_energy(held).mean() - dbn.rbms[0].free_energy(x[:50]).mean()
    assert low.last["free_energy_gap"] == pytest.approx(gap, rel=1e-3)
    features = dbn.rbms[0].transform
    gap = dbn.rbms[1].free_energy(features(held)).mean() - dbn.rbms[1].free_energy(features(x[:50])).mean()
    assert top.last["free_energy_gap"] == pytest.approx(gap, rel=1e-3, abs=1e-4)


def test_fine_tuning_leaves_the_machines_alone():
    x, y = labelled()
    dbn = DBN(SIZES, 2, seed=1, weight_decay=0.1)
    dbn.pretrain(x, **QUICK)
    before, features = machines(dbn), dbn.transform(x)
    dbn.fit(x, y, epochs=3)
    for found, expected in zip(machines(dbn), before, strict=True):
        for name in expected:
            np.testing.assert_array_equal(found[name], expected[name])
    assert (dbn.transform(x) != features).any()


def test_without_pretraining_the_machines_stay_as_they_began():
    x, y = labelled()
    dbn = DBN(SIZES, 2, seed=1)
    before = machines(dbn)
    dbn.fit(x, y, epochs=2, pretrain=False)
    for found, expected in zip(machines(dbn), before, strict=True):
        np.testing.assert_array_equal(found["weight"], expected["weight"])
    assert dbn.pretrain_history == [] and dbn.is_pretrained


@pytest.mark.parametrize("output", ["softmax", "svm"])
def test_learns_labels(output):
    x, y = labelled(400)
    held, truth = labelled(200, seed=1)
    dbn = DBN(SIZES, 2, output=output, seed=1)
    pretrain = {"epochs": 20, "batch_size": 20}
    history = dbn.fit(x, y, epochs=30, lr=0.01, validation_data=(held, truth), pretrain=pretrain)
    assert history.names == ["loss", "validation_loss", "validation_accuracy", "seconds"]
    assert dbn.score(held, truth) == pytest.approx(history.last["validation_accuracy"])
    assert dbn.score(held, truth) > 0.95
    scores = dbn.decision_function(held)
    np.testing.assert_array_equal(dbn.predict(held), scores.argmax(1))
    if output == "softmax":
        exponents = np.exp(scores - scores.max(1, keepdims=True))
        np.testing.assert_allclose(dbn.predict_proba(held), exponents / exponents.sum(1, keepdims=True), rtol=1e-5)
    else:
        with pytest.raises(ValueError, match="predict_proba: the output is 'svm', which gives no probabilities"):
            dbn.predict_proba(held)


def test_the_svm_head_has_the_squared_hinge():
    dbn = trained(output="svm")
    x, y = labelled(7)
    signs = np.where(np.arange(2) == y[:, None], 1.0, -1.0)
    expected = np.square(np.maximum(0, 1 - signs * dbn.decision_function(x))).sum(1).mean()
    objective = dbn.objective(dlcore.tensor(x), dlcore.tensor(y, "int32"))
    assert objective.item() == pytest.approx(expected, rel=1e-5)


def test_digits_with_the_defaults():
    train, test = load_digits_split()
    dbn = DBN([64, 256, 256], 10, seed=1)
    dbn.fit(train.x, train.y)
    assert 1 - dbn.score(test.x, test.y) <= 0.04


def test_same_seed_same_bits_for_any_number_of_threads(device):
    found = []
    for threads in (1, 2):
        device.set_num_threads(threads)
        found.append(theta(trained(seed=6)).tobytes())
    assert found[0] == found[1] != theta(trained(seed=7)).tobytes()


# --- files ---


@pytest.mark.parametrize("copy", ["file", "pickle", "clone"])
def test_copies_go_on_like_the_original(tmp_path, copy):
    x, y = labelled()
    dbn = trained()
    dbn.sample(2, steps=2)
    if copy == "file":
        dbn.save(tmp_path / "dbn")
        other = dlcore.load(tmp_path / "dbn")
    else:
        other = pickle.loads(pickle.dumps(dbn)) if copy == "pickle" else dbn.clone()
    assert other.config == dbn.config and other.history == dbn.history and other.is_pretrained
    np.testing.assert_array_equal(other.predict_proba(x), dbn.predict_proba(x))
    np.testing.assert_array_equal(other.sample(4, steps=3), dbn.sample(4, steps=3))
    for model in (dbn, other):
        model.fit(x, y, epochs=1)
    np.testing.assert_array_equal(theta(other), theta(dbn))


def test_a_resumed_fit_ends_in_the_same_bits(tmp_path):
    x, y = labelled()
    arguments = {"batch_size": 30, "schedule": "constant", "pretrain": QUICK}
    whole, half, resumed = (DBN(SIZES, 2, seed=3) for _ in range(3))
    whole.fit(x, y, epochs=6, **arguments)
    half.fit(x, y, epochs=4, callbacks=[Checkpoint(tmp_path / "half")], **arguments)
    resumed.fit(x, y, epochs=6, resume=tmp_path / "half", **arguments)
    np.testing.assert_array_equal(theta(resumed), theta(whole))
    assert resumed.pretrain_history == []  # a resumed fit does not pre-train


def test_summary_shows_the_network():
    lines = DBN([64, 32, 16], 10).summary().splitlines()
    assert lines[0] == "DBN: 7,562 parameters, float32"
    assert [line.split("  ")[0] for line in lines[3:]] == [
        "input",
        "Linear(64 → 32, sigmoid)",
        "Linear(32 → 16, sigmoid)",
        "Linear(16 → 10, identity)",
    ]


# --- refusals ---


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"x": np.zeros((200, 5))}, r"fit: x has shape \(200, 5\), expected \(n, 16\)"),
        ({"x": np.full((200, 16), 1.5)}, r"fit: x has 1.5 in row 0, expected values in \[0, 1\]"),
        ({"x": np.full((200, 16), np.nan)}, "fit: x has nan in row 0"),
        ({"validation_data": (np.full((2, 16), 1.5), [0, 1])}, "fit: validation_data: x has 1.5 in row 0, expected"),
        ({"y": np.full(200, 2)}, r"fit: y: 2 at index 0 is outside \[0, 2\)"),
        ({"y": np.zeros(199)}, "fit: x has 200 cases, y has 199"),
        ({"batch_size": 0}, "fit: batch_size is 0, expected a positive integer"),
        ({"epochs": -1}, "fit: epochs is -1, expected an integer >= 0"),
        ({"lr": -1.0}, "Adam: lr is -1.0, expected"),
        ({"pretrain": "yes"}, "fit: pretrain is 'yes', expected True, False or arguments"),
        ({"pretrain": {"epochs": (1, 2, 3)}}, "pretrain: epochs has 3 values, expected one or 2"),
        ({"pretrain": {"lr": [0.1]}}, "pretrain: lr has 1 values, expected one or 2"),
        ({"pretrain": {"k": 0}}, "RBM: k is 0, expected an integer from 1"),
        ({"pretrain": {"epoch": 3}}, "fit: 'epoch' is not an option of sgd"),
        ({"pretrain": {"epochs": [2, -1]}}, "fit: epochs is -1, expected an integer >= 0"),
        ({"pretrain": {"lr": [0.1, np.nan]}}, "SGD: lr is nan, expected a finite number >= 0"),
        ({"early_stopping": EarlyStopping("los")}, "EarlyStopping: monitor is 'los', the history has loss, seconds"),
        ({"progress": 1, "pretrain": {"progress": False}}, "fit: progress is 1, expected None, True or False"),
    ],
)
def test_fit_refuses_before_it_changes_anything(arguments, message):
    x, y = labelled()
    dbn = DBN(SIZES, 2)
    before = theta(dbn)
    with pytest.raises(ValueError, match=message):
        dbn.fit(**({"x": x, "y": y, "epochs": 1} | arguments))
    np.testing.assert_array_equal(theta(dbn), before)
    assert not dbn.is_pretrained


@pytest.mark.parametrize(
    "callback, error, message",
    [
        ("oops", TypeError, "fit: callbacks has a str, expected a Callback"),
        (Checkpoint("/no/such/folder/a"), FileNotFoundError, "Checkpoint: there is no folder '/no/such/folder'"),
    ],
)
def test_callbacks_are_checked_before_the_pretraining(callback, error, message):
    x, y = labelled()
    dbn = DBN(SIZES, 2)
    before = theta(dbn)
    with pytest.raises(error, match=message):
        dbn.fit(x, y, callbacks=[callback], pretrain=QUICK)
    np.testing.assert_array_equal(theta(dbn), before)
    assert {g.step for g in dbn.generators.values()} == {0}


class Interrupt(Callback):
    """Ctrl-C at a batch, counted over all layers."""

    def __init__(self, batch):
        self.left = batch

    def on_batch_end(self, run):
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


@pytest.mark.parametrize("batch", [2, 34])
def test_an_interrupted_pretraining_leaves_the_model_as_it_was(batch):
    x, _ = labelled()
    whole, other = DBN(SIZES, 2, seed=3), DBN(SIZES, 2, seed=3)
    before = theta(other)
    with pytest.raises(KeyboardInterrupt):
        other.pretrain(x, callbacks=(c for c in [Interrupt(batch)]), **QUICK)  # 30 batches are a layer's
    np.testing.assert_array_equal(theta(other), before)
    assert not other.is_pretrained and other.pretrain_history == []
    for dbn in (whole, other):
        dbn.pretrain(x, **QUICK)
    np.testing.assert_array_equal(theta(other), theta(whole))


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda dbn: dbn.pretrain(np.full((3, 16), -1.0)), "pretrain: x has -1.0 in row 0, expected values in"),
        (lambda dbn: dbn.transform(np.zeros((3, 4))), r"transform: x has shape \(3, 4\), expected \(n, 16\)"),
        (lambda dbn: dbn.reconstruct(np.full((3, 16), 2.0)), "reconstruct: x has 2.0 in row 0"),
        (lambda dbn: dbn.sample(3, steps=0), "sample: steps is 0, expected an integer from 1"),
        (lambda dbn: dbn.sample(3, start=np.zeros((2, 16))), "sample: start has 2 cases, expected 3"),
        (lambda dbn: dbn.sample(1, start=np.full((1, 16), 2.0)), "sample: start: x has 2.0 in row 0"),
        (lambda dbn: dbn.sample(-1), "sample: n is .*, expected at least 1 positive integers"),
    ],
)
def test_methods_refuse(call, message):
    with pytest.raises(ValueError, match=message):
        call(DBN(SIZES, 2))


@pytest.mark.parametrize(
    "options, message",
    [
        ({"layer_sizes": [16]}, "DBN: layer_sizes is .*, expected at least 2 positive integers"),
        ({"layer_sizes": [16, 0]}, "DBN: layer_sizes is .*, expected at least 2 positive integers"),
        ({"classes": 1}, "DBN: output 'softmax' has 1 class, expected at least 2"),
        ({"output": "sigmoid"}, "DBN: output is 'sigmoid', expected 'softmax' or 'svm'"),
        ({"weight_std": -1.0}, "DBN: weight_std is -1.0, expected a finite number >= 0"),
    ],
)
def test_constructor_refuses(options, message):
    with pytest.raises(ValueError, match=message):
        DBN(**({"layer_sizes": SIZES, "classes": 2} | options))
