"""Convolutional networks: gradients, shapes worked out beforehand, images and sequences, errors, the digits."""

import json
import pickle

import dlcore
import numpy as np
import pytest
from dlcore.data import load_digits_split
from dlcore.models import CNN, LeNet5
from gradients import check_gradient

RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 3, 5)


def targets():
    return dlcore.tensor(LABELS, "int32")


@pytest.mark.parametrize("kind", ["max", "average"])
@pytest.mark.parametrize(
    ("shape", "layers"),
    [
        ((2, 6, 5), lambda kind: [CNN.conv(3, 3, padding=1), CNN.pool(2, kind), CNN.dense(4)]),
        ((2, 7, 6), lambda kind: [CNN.conv(4, (3, 2), stride=(2, 1), groups=2), CNN.pool((2, 1), kind, stride=1)]),
        ((3, 11), lambda kind: [CNN.conv(4, 3, padding=1, dilation=2), CNN.pool(2, kind), CNN.conv(2, 2)]),
    ],
)
def test_gradient(shape, layers, kind):
    model = CNN(shape, 3, layers(kind), "tanh", weight_decay=0.1, dtype="float64", seed=1)
    check_gradient(model, dlcore.tensor(RNG.standard_normal((5, *shape))), targets())


def test_gradient_of_lenet():
    model = LeNet5("lecun_tanh", "average", classes=3, dtype="float64")
    check_gradient(model, dlcore.tensor(RNG.standard_normal((2, 1, 28, 28))), dlcore.tensor([0, 2], "int32"))


def test_a_convolution_is_its_formula():
    model = CNN((1, 4, 4), 2, [CNN.conv(1, 3)], "relu", dtype="float64")
    x = RNG.standard_normal((1, 4, 4))
    p = {name: value.numpy() for name, value in model.parameters.items()}
    windows = np.lib.stride_tricks.sliding_window_view(x[0], (3, 3))
    maps = np.maximum((windows * p["layers.0.weight"][0, 0]).sum((2, 3)) + p["layers.0.bias"], 0)
    expected = maps.reshape(-1) @ p["layers.2.weight"] + p["layers.2.bias"]
    assert np.allclose(model.decision_function(x[None])[0], expected)


def test_lenet_is_the_published_shape():
    model = LeNet5()
    rows = [line.split("  ") for line in model.summary().splitlines()[4:]]
    shapes = [next(cell.strip() for cell in row[1:] if "(n" in cell) for row in rows]
    assert shapes == ["(n, 6, 28, 28)", "(n, 6, 14, 14)", "(n, 16, 10, 10)", "(n, 16, 5, 5)", "(n, 400)", "(n, 120)",
                      "(n, 84)", "(n, 10)"]  # fmt: skip
    sizes = [6 * 25 + 6, 16 * 6 * 25 + 16, 400 * 120 + 120, 120 * 84 + 84, 84 * 10 + 10]
    assert model.parameters.size == sum(sizes) == 61_706
    assert LeNet5(dropout=0.5).network.describe().count("Dropout") == 2


@pytest.mark.parametrize("make", [lambda: CNN((1, 8, 8), 3), lambda: LeNet5("tanh", classes=3), lambda: CNN(
    (2, 9), 3, [CNN.conv(4, (3,), padding=[1]), CNN.pool([2], "average")])])  # fmt: skip
def test_copies_and_files(make, tmp_path):
    model = make()
    x = RNG.uniform(0, 1, (5, *model.input_shape)).astype(np.float32)
    model.fit(x, LABELS, epochs=1)
    model.save(tmp_path / "m")
    assert json.loads(json.dumps(model.config)) == model.config
    for other in (dlcore.load(tmp_path / "m"), pickle.loads(pickle.dumps(model)), model.clone()):
        assert type(other) is type(model)
        assert other.config == model.config
        assert np.array_equal(other.predict_proba(x), model.predict_proba(x))


def test_rows_of_pixels_are_images():
    model = CNN((1, 8, 8), 10)
    x = RNG.uniform(0, 1, (4, 1, 8, 8))
    assert np.array_equal(model.decision_function(x), model.decision_function(x.reshape(4, 64)))
    with pytest.raises(ValueError, match=r"predict: x has shape \(4, 8, 8\), expected \(n, 1, 8, 8\) or \(n, 64\)"):
        model.predict(x[:, 0])


def test_no_images_have_no_predictions():
    assert CNN((1, 8, 8), 10).predict(np.zeros((0, 64))).shape == (0,)
    assert LeNet5().predict_proba(np.zeros((0, 1, 28, 28))).shape == (0, 10)


def test_layers_may_have_their_own_activation():
    model = CNN((1, 8, 8), 3, [CNN.conv(2, 3, activation="tanh"), CNN.dense(4), CNN.dense(5, activation="identity")])
    found = [layer.activation for layer in model.stages() if hasattr(layer, "activation")]
    assert found == ["tanh", "relu", "identity", "identity"]


def test_nothing_is_allocated_to_work_out_shapes():
    model = CNN((3, 10**5, 10**5), 10, [CNN.conv(64, 3, padding=1), CNN.pool(2), CNN.dense(10**6)])
    assert model.parameter_shapes()["layers.3.weight"] == (64 * 50_000 * 50_000, 10**6)


@pytest.mark.parametrize(
    ("shape", "layers", "message"),
    [
        ((1, 4, 4), [CNN.conv(3, 5)], r"CNN: layer 0 \(conv\): the kernel spans 5, the padded input has 4"),
        ((1, 4, 4), [CNN.pool(2), CNN.pool(3)], r"layer 1 \(pool\): the kernel spans 3, the padded input has 2"),
        ((1, 4, 4), [CNN.conv(3, 2, dilation=4)], "the kernel spans 5"),
        ((1, 4, 4), [CNN.conv(0, 3)], "out_channels is 0, expected a positive integer"),
        ((1, 4, 4), [CNN.conv(3, 0)], "kernel_size is 0, expected 2 integers >= 1"),
        ((1, 4, 4), [CNN.conv(3, 3, stride=0)], "stride is 0, expected 2 integers >= 1"),
        ((1, 4, 4), [CNN.conv(3, 3, padding=-1)], "padding is -1, expected 2 integers >= 0"),
        ((1, 4, 4), [CNN.pool(2, padding=2)], r"layer 0 \(pool\): MaxPool2d: padding is 2, expected at most half"),
        ((1, 4, 4), [CNN.conv(3, (3, 3, 3))], r"kernel_size is \(3, 3, 3\), expected 2 integers"),
        ((3, 4, 4), [CNN.conv(4, 3, groups=2)], "2 groups do not divide 3 and 4 channels"),
        ((1, 4, 4), [CNN.conv(3, 3, activation="rely")], "activation is 'rely'"),
        ((1, 4, 4), [CNN.conv(3, 3, paddign=1)], "paddign"),
        ((1, 4, 4), [CNN.pool(2, "median")], "kind is 'median', expected 'max' or 'average'"),
        ((1, 4, 4), [CNN.dense(4), CNN.conv(3, 3)], r"layer 1 \(conv\): the input is \(4,\), expected \(channels"),
        ((1, 4, 4), [CNN.dense(0)], "outputs is 0"),
        ((1, 4, 4), [CNN.dropout(1.0)], r"layer 0 \(dropout\): Dropout: p is 1.0"),
        (
            (1, 4, 4),
            [{"layer": "eval"}],
            "layer 0 is {'layer': 'eval'}, expected one of conv, pool, subsample, batch_norm, frame, dense, dropout",
        ),
        ((1, 4, 4), ["conv"], "layer 0 is 'conv'"),
        ((1, 4, 4), "conv", "layers is a str, expected a list"),
        ((4,), [], r"input_shape is \(4,\), expected at least 2"),
        ((1, 2, 3, 4), [], r"input_shape is \(1, 2, 3, 4\), expected \(channels, length\)"),
        ((1, 0, 4), [], "input_shape is"),
    ],
)
def test_layers_that_do_not_fit(shape, layers, message):
    with pytest.raises(ValueError, match=message):
        CNN(shape, 3, layers)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"classes": 1}, "LeNet5: output 'softmax' has 1 class"),
        ({"classes": 2.5}, "LeNet5: classes is"),
        ({"pooling": "mean"}, "kind is 'mean'"),
        ({"dropout": ""}, r"LeNet5: dropout is '', expected a number in \[0, 1\)"),
        ({"activation": "rely"}, "activation is 'rely'"),
    ],
)
def test_wrong_lenet_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        LeNet5(**arguments)


def test_numpy_numbers_and_arrays_describe_layers():
    plain = CNN((1, 8, 8), 3, [CNN.conv(4, 3, padding=1), CNN.pool((2, 2)), CNN.dropout(0.5), CNN.dense(5)])
    four, half = np.int64(4), np.float32(0.5)
    layers = [CNN.conv(four, np.int32(3), padding=np.int8(1)), CNN.pool(np.array([2, 2])), CNN.dropout(half)]
    other = CNN(np.array([1, 8, 8]), np.int64(3), [*layers, CNN.dense(np.int64(5))])
    assert json.loads(json.dumps(other.config)) == json.loads(json.dumps(plain.config))
    assert other.parameter_shapes() == plain.parameter_shapes()
    assert type(plain)(**other.config).summary() == plain.summary()


def test_a_shift_in_time_is_tolerated():
    """Sequences with a bump somewhere against such with a dip: weight sharing sees it wherever it stands."""

    def sequences(positions):
        x = 0.1 * RNG.standard_normal((len(positions), 1, 24))
        y = np.arange(len(positions)) % 2
        x[np.arange(len(positions)), 0, positions] += np.where(y == 0, 1.0, -1.0)
        return x, y

    model = CNN((1, 24), 2, [CNN.conv(4, 3), CNN.pool(22)])
    model.fit(*sequences(RNG.integers(2, 12, 200)), epochs=15, lr=0.02)
    assert model.score(*sequences(RNG.integers(12, 22, 100))) > 0.95


def test_digits():
    train, test = load_digits_split()
    model = CNN(train.image_shape, 10)
    model.fit(train.images, train.y, epochs=6, batch_size=32, lr=2e-3, schedule="cosine")
    assert model.score(test.x, test.y) >= 0.97
