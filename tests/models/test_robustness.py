"""The report of accuracy under deformation: known classifiers with known answers, and a CNN beside an MLP."""

import re

import dlcore
import numpy as np
import pytest
from dlcore.data import load_digits_split
from dlcore.models import CNN, MLP, Robustness, mlp_of_size, robustness

RNG = np.random.default_rng(0)
SIZE = 9
X = np.zeros((200, 1, SIZE, SIZE), np.float32)
Y = np.arange(200) % 2
X[Y == 1, 0, 3:6, 3:6] = 1.0


class Probe:
    """Says 1 where a pixel is bright; keeps what it was shown."""

    def __init__(self, row=4, column=4):
        self.place = row, column
        self.seen = []

    def predict(self, x):
        self.seen.append(x)
        return (x.reshape(-1, SIZE, SIZE)[:, self.place[0], self.place[1]] > 0.5).astype(int)


def test_a_probe_of_the_middle_fails_where_it_must():
    probe = Probe()
    report = robustness(probe, X, Y, strengths={"shift": [0.0, 1.0, 6.0], "scale": [2.0], "rotation": [90.0]})
    assert report.accuracy["none"] == {0.0: {"Probe": 1.0}}
    assert report.accuracy["shift"][0.0]["Probe"] == 1.0
    assert report.accuracy["shift"][1.0]["Probe"] == 1.0  # the square has a pixel to spare
    assert report.accuracy["shift"][6.0]["Probe"] == 0.5  # the square has left the middle: only the 0s are right
    assert report.accuracy["scale"] == {2.0: {"Probe": 1.0}}
    assert report.accuracy["rotation"] == {90.0: {"Probe": 1.0}}
    assert report.cases == 200
    assert report.parameters == {"Probe": None}
    assert all(x.shape == X.shape for x in probe.seen)


def test_directions_are_spread_over_the_circle():
    probe = Probe()
    one = np.zeros((800, 1, SIZE, SIZE))
    one[:, 0, 4, 4] = 1.0
    robustness(probe, one, np.ones(800), strengths={"shift": [3.0], "rotation": [30.0]})
    moved = probe.seen[1]
    rows, columns = np.mgrid[:SIZE, :SIZE] - 4.0
    place = np.stack([(moved[:, 0] * axis).sum((1, 2)) for axis in (rows, columns)], 1)
    assert np.hypot(*place.T) == pytest.approx(3.0, abs=1e-6)
    assert abs(place.mean(0)).max() < 5.5 * 3 / np.sqrt(2 * 800)
    one[:, 0, 4, 7] = 1.0
    probe.seen.clear()
    robustness(probe, one, np.ones(800), strengths={"rotation": [30.0]})
    up = (probe.seen[1][:, 0, :4].sum((1, 2)) > probe.seen[1][:, 0, 5:].sum((1, 2))).mean()
    assert abs(up - 0.5) < 5.5 * 0.5 / np.sqrt(800)


def test_models_see_the_same_images_and_the_seed_decides_them():
    first, second, third = Probe(), Probe(), Probe()
    strengths = {"elastic": [4.0], "shift": [1.5]}
    robustness({"a": first, "b": second}, X, Y, strengths=strengths, seed=3)
    robustness(third, X, Y, strengths=strengths, seed=4)
    for a, b, c in zip(first.seen[1:], second.seen[1:], third.seen[1:], strict=True):
        assert np.array_equal(a, b)
        assert not np.array_equal(a, c)


def test_rows_stay_rows():
    probe = Probe()
    flat = X.reshape(200, -1)
    strengths = {"shift": [1.0], "elastic": [3.0]}
    by_rows = robustness(probe, flat, Y, image_shape=(1, SIZE, SIZE), strengths=strengths)
    assert {x.shape for x in probe.seen} == {(200, SIZE * SIZE)}
    assert by_rows.accuracy == robustness(Probe(), X, Y, strengths=strengths).accuracy
    model = CNN((1, SIZE, SIZE), 2)
    assert robustness(model, flat, Y, strengths=strengths).cases == 200  # the model tells the shape


def test_the_default_strengths_follow_the_height():
    report = dlcore.robustness(Probe(), X, Y)
    assert list(report.accuracy) == ["none", "shift", "rotation", "scale", "elastic"]
    assert list(report.accuracy["shift"]) == pytest.approx([SIZE / 28 * s for s in (1, 2, 3, 4)])
    assert list(report.accuracy["rotation"]) == [10, 20, 30, 40]
    assert list(report.accuracy["elastic"]) == pytest.approx([(SIZE / 28) ** 2 * a for a in (17, 34, 51, 68)])


def test_the_table_and_the_means():
    report = Robustness(
        {"none": {0.0: {"a": 1.0, "b": 0.75}}, "scale": {0.5: {"a": 0.5, "b": 0.25}, 1.5: {"a": 0.75, "b": 0.5}}},
        400,
        {"a": 1234, "b": None},
    )
    assert str(report).splitlines() == [
        "deformation  strength  a (1,234)      b",
        "───────────────────────────────────────",
        "none                      100.00  75.00",
        "scale             0.5      50.00  25.00",
        "scale             1.5      75.00  50.00",
    ]
    assert report.mean("scale") == {"a": 0.625, "b": 0.375}
    assert report.standard_error(0.8) == pytest.approx(0.02)


def test_an_mlp_of_equal_size():
    for size in (300, 5000, 61_706):
        model = mlp_of_size(size, 64, 10, seed=1)
        assert abs(model.parameters.size - size) <= (64 + 10 + 1) / 2
    assert mlp_of_size(5, 64, 10).config["layer_sizes"] == [64, 1, 10]


def test_weight_sharing_bears_shifts_that_an_mlp_does_not():
    """Small digits anywhere in a larger frame, learned in the middle: margins far beyond the standard error of 0.02."""
    train, test = load_digits_split()
    wide = ((0, 0), (0, 0), (3, 3), (3, 3))
    x, held = np.pad(train.images, wide), np.pad(test.images, wide)
    cnn = CNN((1, 14, 14), 10, [CNN.conv(8, 3), CNN.pool(2), CNN.conv(16, 3), CNN.pool(4)], seed=1)
    mlp = mlp_of_size(cnn.parameters.size, 196, 10, seed=1)
    for model in (cnn, mlp):
        model.fit(x[:600].reshape(600, -1), train.y[:600], epochs=6, batch_size=32, lr=1e-2)
    report = robustness({"cnn": cnn, "mlp": mlp}, held.reshape(len(held), -1), test.y, strengths={"shift": [2.0]})
    assert report.accuracy["none"][0.0]["cnn"] > 0.8
    shifted = report.accuracy["shift"][2.0]
    assert shifted["cnn"] > shifted["mlp"] + 0.15
    assert report.parameters["cnn"] == pytest.approx(report.parameters["mlp"], rel=0.1)


def test_a_picture(tmp_path):
    pytest.importorskip("matplotlib")
    from dlcore import plot

    report = robustness({"a": Probe(), "b": Probe(3, 3)}, X, Y, strengths={"shift": [1.0, 2.0], "scale": [0.5, 1.5]})
    figure = plot.robustness(report, tmp_path / "r.png", "title")
    assert (tmp_path / "r.png").stat().st_size > 1000
    shift, scale = figure.axes
    assert [line.get_xdata().tolist() for line in shift.lines] == [[0.0, 1.0, 2.0]] * 2
    assert [line.get_xdata().tolist() for line in scale.lines] == [[0.5, 1.0, 1.5]] * 2
    expected = [100 * report.accuracy["shift"][s]["b"] for s in (1.0, 2.0)]
    assert shift.lines[1].get_ydata().tolist() == [100 * report.accuracy["none"][0.0]["b"], *expected]


class Scores:
    def predict(self, x):
        return np.zeros((len(x), 10))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"models": {}}, "robustness: no models are given"),
        ({"models": Scores()}, "robustness: Scores predicts (200, 10), expected labels (200,)"),
        ({"x": X[:0], "y": Y[:0]}, "robustness: there are no cases"),
        ({"y": Y[1:]}, "robustness: y has shape (199,), expected (200,)"),
        ({"x": X.reshape(200, -1)}, "robustness: x has rows of pixels, expected an image_shape (channels, height, wid"),
        ({"x": X[0, 0, 0]}, "robustness: images is (9,), expected (n, height, width), (n, channels, height, width), o"),
        ({"strengths": {"blur": [1.0]}}, "robustness: 'blur' is not a deformation, expected some of shift, rotation"),
        ({"strengths": {"shift": [np.inf]}}, "robustness: strengths of shift are [inf], expected finite numbers"),
        ({"strengths": {"scale": [0.0]}}, "scale: factor is 0.0, expected > 0"),
    ],
)
def test_refused(arguments, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        robustness(**({"models": Probe(), "x": X, "y": Y} | arguments))


def test_what_cannot_predict_is_refused():
    with pytest.raises(TypeError, match=r"^robustness: m is a int, expected a classifier with predict$"):
        robustness({"m": 3}, X, Y)
    assert MLP([2, 2]).predict  # a model has it
