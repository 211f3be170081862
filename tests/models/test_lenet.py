"""LeNet-5 as published: its parameters counted as in the paper, its losses as in the paper, fits, files."""

import pickle
import re

import dlcore
import numpy as np
import pytest
from dlcore.data import load_digits_split
from dlcore.models import LeNet5Original
from dlcore.nn import LENET5_TABLE, digit_bitmaps
from gradients import check_gradient

RNG = np.random.default_rng(0)
X = RNG.uniform(0, 1, (3, 1, 28, 28))
Y = np.array([7, 0, 4])


def test_parameters_are_counted_as_in_the_paper():
    model = LeNet5Original()
    counts = {stage.describe().split("(")[0] + str(i): stage.parameters.size for i, stage in enumerate(model.stages())}
    assert [n for n in counts.values() if n] == [156, 12, 1516, 32, 48_120, 10_164]
    assert model.parameters.size == 60_000
    assert LeNet5Original("softmax").parameters.size == 60_850
    assert list(model.buffers) == ["layers.8.centres"]


def test_the_shapes_are_those_of_the_paper():
    rows = LeNet5Original().summary().splitlines()[4:]
    shapes = [re.search(r"\(n, [^)]*\)", row).group() for row in rows]
    assert shapes == ["(n, 1, 32, 32)", "(n, 6, 28, 28)", "(n, 6, 14, 14)", "(n, 16, 10, 10)", "(n, 16, 5, 5)",
                      "(n, 120, 1, 1)", "(n, 120)", "(n, 84)", "(n, 10)"]  # fmt: skip


def squash(a):
    return 1.7159 * np.tanh(2 * a / 3)


def windows(x, size):
    return np.lib.stride_tricks.sliding_window_view(x, (size, size), (2, 3))


def subsampled(x, w, b):
    sums = windows(x, 2)[:, :, ::2, ::2].sum((-2, -1))
    return squash(w[:, None, None] * sums + b[:, None, None])


def distances(model, x):
    """y of equation 7 for images x (n, 1, 28, 28), layer by layer."""
    p = [value.numpy() for value in model.parameters.values()]
    x = np.pad(-0.1 + 1.275 * x, ((0, 0), (0, 0), (2, 2), (2, 2)), constant_values=-0.1)
    c1 = squash(np.einsum("nchwij,ocij->nohw", windows(x, 5), p[0]) + p[1][:, None, None])
    s2 = subsampled(c1, p[2], p[3])
    c3, first = np.empty((len(x), 16, 10, 10)), 0
    for m, seen in enumerate(LENET5_TABLE):
        filters = p[4][first : first + len(seen)]
        c3[:, m] = squash(np.einsum("nchwij,cij->nhw", windows(s2[:, list(seen)], 5), filters) + p[5][m])
        first += len(seen)
    s4 = subsampled(c3, p[6], p[7])
    c5 = squash(np.einsum("nchw,ochw->no", s4, p[8]) + p[9])
    f6 = squash(c5 @ p[10] + p[11])
    return ((f6[:, None] - digit_bitmaps()) ** 2).sum(2)


def random_model(**arguments):
    model = LeNet5Original(dtype="float64", **arguments)
    for value in model.parameters.values():
        value.array.assign(dlcore.tensor(RNG.standard_normal(value.shape) / np.sqrt(max(value.size // 16, 4))).array)
    return model


def test_the_network_is_its_formula():
    model = random_model()
    y = distances(model, X)
    assert np.ptp(y) > 10
    assert model.decision_function(X) == pytest.approx(-y, rel=1e-11)
    assert model.predict(X).tolist() == y.argmin(1).tolist()


@pytest.mark.parametrize("rejection", [None, 0.0, 3.5, 100.0])
def test_the_losses_are_those_of_the_paper(rejection):
    model = random_model(rejection=rejection)
    batch = dlcore.tensor(X), dlcore.tensor(Y, "int32")
    y = distances(model, X)
    found = y[np.arange(3), Y]  # equation 8
    if rejection is not None:  # equation 9
        found = found + np.log(np.exp(-rejection) + np.exp(-y).sum(1))
    assert model.objective(*batch).item() == pytest.approx(found.mean(), rel=1e-11)
    weight = np.array([0.5, 2.0, 0.5])
    assert model.objective(*batch, dlcore.tensor(weight)).item() == pytest.approx((weight * found).mean(), rel=1e-11)


@pytest.mark.parametrize("arguments", [{}, {"rejection": None}, {"output": "softmax", "weight_decay": 0.1, "l1": 0.01}])
def test_gradient(arguments):
    check_gradient(random_model(**arguments), dlcore.tensor(X[:2]), dlcore.tensor(Y[:2], "int32"))


def test_weights_begin_within_the_published_bounds():
    model = LeNet5Original(seed=5)
    p = {name: abs(value.numpy()) for name, value in model.parameters.items()}
    fans = {"layers.1.weight": 25, "layers.2.weight": 4, "layers.4.weight": 4, "layers.5.weight": 400,
            "layers.7.weight": 120}  # fmt: skip
    for name, fan in fans.items():
        assert 0.5 * 2.4 / fan < p[name].max() <= np.float32(2.4 / fan)
    assert all(p[name].max() == 0 for name in p if name.endswith("bias"))


def large_digits():
    """The bundled 8×8 digits, each pixel drawn as 3×3, in a frame of 2."""
    parts = load_digits_split()
    return [(np.pad(np.kron(part.images, np.ones((3, 3))), ((0, 0), (0, 0), (2, 2), (2, 2))), part.y) for part in parts]


def test_it_learns_digits():
    (x, y), (held_x, held_y) = large_digits()
    model = LeNet5Original(seed=1)
    model.fit(x[:700], y[:700], epochs=3, batch_size=16, lr=4e-3, schedule="cosine")
    assert model.score(held_x, held_y) > 0.85  # 0.1 by chance; 0.9 and more with each of five seeds


def test_copies_and_files(tmp_path):
    model = LeNet5Original(rejection=2.0)
    model.fit(X, Y, epochs=1)
    model.save(tmp_path / "m")
    for other in (dlcore.load(tmp_path / "m"), pickle.loads(pickle.dumps(model)), model.clone()):
        assert other.config == model.config
        assert np.array_equal(other.decision_function(X), model.decision_function(X))
        assert other.head.rejection == 2.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"output": "svm"}, "LeNet5Original: output is 'svm', expected 'rbf' or 'softmax'"),
        ({"rejection": -1.0}, "LeNet5Original: rejection is -1.0, expected a finite number >= 0"),
        ({"weight_decay": -1}, "LeNet5Original: weight_decay is -1, expected a finite number >= 0"),
        ({"dtype": "int8"}, "LeNet5Original: dtype is 'int8', expected 'float32' or 'float64'"),
    ],
)
def test_refused(arguments, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        LeNet5Original(**arguments)


def test_distances_are_no_probabilities():
    with pytest.raises(ValueError, match=r"^predict_proba: the output is 'rbf', which gives no probabilities$"):
        LeNet5Original().predict_proba(X)
