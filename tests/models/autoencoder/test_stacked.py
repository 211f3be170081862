"""Stacked autoencoders: layers learned one by one, resumed in any of them, as a deep coder and as a classifier."""

import signal
import subprocess
import sys

import dlcore
import numpy as np
import pytest
from dlcore.data import load_digits_split
from dlcore.models import MLP, Autoencoder, StackedAutoencoder
from dlcore.train import Checkpoint, load_file
from gradients import check_gradient
from resuming import End, figures, state

RNG = np.random.default_rng(0)
X = RNG.uniform(0, 1, (40, 6)).astype(np.float32)
HELD = RNG.uniform(0, 1, (10, 6)).astype(np.float32)
SIZES = [6, 5, 4, 3]
SETTINGS = {"epochs": (3, 4, 2), "lr": (0.05, 0.02, 0.01), "batch_size": 4}  # 10 batches an epoch


def make(**options):
    return StackedAutoencoder(SIZES, seed=3, **({"level": (0.1, 0.2, 0.3)} | options))


@pytest.mark.parametrize("activation", ["sigmoid", "tanh"])
@pytest.mark.parametrize("tied", [True, False])
def test_each_layer_is_an_autoencoder_of_the_features_below(tied, activation):
    """The same learning by hand, with one autoencoder a layer, gives the same bits."""
    stack = make(corruption=None, tied=tied, activation=activation)
    start = stack.clone()
    histories = stack.pretrain(X, shuffle=False, **SETTINGS)
    features = X
    for i in range(3):
        layer, back = start.layer_pair(i)
        given = (layer.weight, layer.bias, back.bias) + (() if tied else (back.weight,))
        loss = "binary_cross_entropy" if i == 0 or activation == "sigmoid" else "squared_error"
        alone = Autoencoder.from_layers([given], activation=activation, loss=loss, tied=tied)
        history = alone.fit(features, epochs=SETTINGS["epochs"][i], lr=SETTINGS["lr"][i], batch_size=4, shuffle=False)
        assert figures(history) == figures(histories[i])
        layer, back = stack.layer_pair(i)
        assert np.array_equal(layer.weight.numpy(), alone.parameters["encoder.layers.0.weight"].numpy())
        assert np.array_equal(back.bias.numpy(), alone.parameters["decoder.layers.0.bias"].numpy())
        features = alone.encode(features)
    assert np.array_equal(stack.encode(X), features)


@pytest.mark.parametrize("tied", [True, False])
def test_the_whole_is_the_deep_autoencoder(tied):
    stack = make(tied=tied, dtype="float64")
    layers = []
    for i in range(3):
        layer, back = stack.layer_pair(i)
        layers.append((layer.weight, layer.bias, back.bias) + (() if tied else (back.weight,)))
    deep = Autoencoder.from_layers(layers, activation="sigmoid", tied=tied)
    assert np.allclose(stack.reconstruct(X), deep.reconstruct(X), rtol=1e-12)
    assert stack.parameters.size == deep.parameters.size
    check_gradient(stack, dlcore.tensor(X.astype("f8")))


def test_layers_learn_with_their_own_noise():
    stack = make()
    assert [coder.corruption.level for coder in stack.stack.coders] == [0.1, 0.2, 0.3]
    before = {name: g.step for name, g in stack.generators.items()}
    assert set(before) == {"fit"} | {f"network.coders.{i}.corruption" for i in range(3)}
    stack.pretrain(X, **SETTINGS)
    drawn = {name: g.step - before[name] for name, g in stack.generators.items()}
    assert drawn == {
        "fit": 9, "network.coders.0.corruption": 30, "network.coders.1.corruption": 40,
        "network.coders.2.corruption": 20,
    }  # fmt: skip
    one = make(level=0.2)
    assert [coder.corruption.level for coder in one.stack.coders] == [0.2] * 3


@pytest.mark.parametrize("settings", [{}, {"optimizer": "sgd", "momentum": 0.5}, {"early_stopping": 1}], ids=str)
@pytest.mark.parametrize("batch", [30, 31, 55, 89])
def test_resumed_bits_equal_undisturbed_bits(tmp_path, settings, batch):
    path, given = tmp_path / "c", SETTINGS | settings | {"validation_data": HELD}
    whole, broken, resumed = make(), make(), make()
    expected = whole.pretrain(X, **given)
    with pytest.raises(KeyboardInterrupt):
        broken.pretrain(X, callbacks=[Checkpoint(path), End(batch)], **given)
    assert state(broken) == state(make()), "all or nothing"
    found = resumed.pretrain(X, resume=path, **given)
    assert [figures(history) for history in found] == [figures(history) for history in expected]
    assert state(resumed) == state(whole)
    for stack in (whole, resumed):
        stack.fit(X, epochs=2)
    assert state(resumed) == state(whole)


CHILD = """
import sys
sys.path[:0] = {paths!r}
from dlcore.train import Checkpoint
from resuming import End
from test_stacked import X, SETTINGS, make
make().pretrain(X, callbacks=[Checkpoint({file!r}), End({batch}, kill=True)], **SETTINGS)
"""


def test_a_killed_process_loses_an_epoch_at_most(tmp_path):
    file, batch = tmp_path / "c", 56
    code = CHILD.format(paths=[path for path in sys.path if "tests" in path], file=str(file), batch=batch)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == -signal.SIGKILL, done.stderr
    saved = load_file(file)[1]["training"]
    assert (saved["settings"]["layer"], saved["epoch"]) == (1, 2)
    assert isinstance(dlcore.load(file), StackedAutoencoder)
    whole, resumed = make(), make()
    whole.pretrain(X, **SETTINGS)
    resumed.pretrain(X, resume=file, **SETTINGS)
    assert state(resumed) == state(whole)


def test_the_classifier_starts_at_the_encoders():
    stack = make()
    stack.pretrain(X, **SETTINGS)
    mlp = stack.classifier(4, dropout=0.5, weight_decay=0.1)
    assert isinstance(mlp, MLP) and mlp.config["layer_sizes"] == [*SIZES, 4]
    head = {name: value.numpy() for name, value in list(mlp.parameters.items())[-2:]}
    weight, bias = head.values()
    assert np.allclose(mlp.decision_function(X), stack.encode(X) @ weight + bias, atol=1e-6)
    before = stack.parameters.storage.numpy()
    mlp.fit(X, np.arange(40) % 4, epochs=2)
    assert np.array_equal(stack.parameters.storage.numpy(), before), "a copy"
    one = Autoencoder([6, 3], "tanh", "sigmoid").classifier(2, "svm")
    assert (one.config["activation"], one.config["output"]) == ("sigmoid", "svm")


def test_pretraining_helps_where_labels_are_few():
    train, test = load_digits_split()
    sizes = [64, 100, 100, 100]
    stack = StackedAutoencoder(sizes, level=0.3, seed=1)
    stack.pretrain(train.x, epochs=8, lr=3e-3, batch_size=32)
    scores = []
    for mlp in (stack.classifier(10), MLP([*sizes, 10], "sigmoid", seed=1)):
        mlp.fit(train.x[:100], train.y[:100], epochs=30, batch_size=20, lr=3e-3)
        scores.append(mlp.score(test.x, test.y))
    assert scores[0] > scores[1] + 0.05, scores


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: make(level=(0.1, 0.2)), ValueError, "StackedAutoencoder: level has 2 values, expected one or 3"),
        (lambda: make(level=(0.1, 2, 0.3)), ValueError, "StackedAutoencoder: the level of masking corruption is 2"),
        (lambda: make(corruption="x"), ValueError, "StackedAutoencoder: corruption is 'x'"),
        (lambda: make().pretrain(X * 2), ValueError, r"pretrain: x has values from .*, expected \[0, 1\]"),
        (lambda: make().pretrain(X[:0]), ValueError, "there are no cases"),
        (lambda: make().pretrain(X, epochs=(1, 2)), ValueError, "pretrain: epochs has 2 values, expected one or 3"),
        (lambda: make().pretrain(X, epochs=(1, 1, -1)), ValueError, "epochs is -1, expected an integer >= 0"),
        (lambda: make().pretrain(X, lr=(0.1, 0.1, -1)), ValueError, "lr is -1"),
        (lambda: make().pretrain(X, callbacks=None), TypeError, "pretrain: callbacks is None, expected a list of"),
        (lambda: make().pretrain(X, validation_data=X[:, :2]), ValueError, "pretrain: validation_data: x has shape"),
        (lambda: make().pretrain(X, speed=3), ValueError, "'speed' is not an option of adam"),
        (
            lambda: Autoencoder([6, 4, 3], "relu", "identity").classifier(3),
            ValueError,
            "classifier: the code's activation is 'identity', the hidden layers' 'relu', expected the same",
        ),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_a_refused_pretraining_changes_nothing():
    stack = make()
    before = state(stack)
    with pytest.raises(ValueError, match="lr is"):
        stack.pretrain(X, epochs=1, lr=(0.1, 0.1, -1))
    assert state(stack) == before
    assert stack.pretrain_history == []


def test_a_checkpoint_of_another_pretraining_is_refused(tmp_path):
    path = tmp_path / "c"
    with pytest.raises(KeyboardInterrupt):
        make().pretrain(X, callbacks=[Checkpoint(path), End(45)], **SETTINGS)

    def refused(reason, stack=None, **changes):
        other = stack or make()
        before = state(other)
        with pytest.raises(ValueError, match=reason):
            other.pretrain(X, resume=path, **(SETTINGS | changes))
        assert state(other) == before

    refused("its config is not this StackedAutoencoder's", make(level=0.1))
    refused("its batch_size was 4, this fit's is 5", batch_size=5)
    refused("its layers below was", lr=(0.1, 0.02, 0.01))
    refused("its layers below was", epochs=(4, 4, 2))
    make().save(path)
    refused("it is not a checkpoint of a pre-training")
