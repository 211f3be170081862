"""What all models share: inputs, copies, files, summaries, laziness."""

import copy
import pickle

import dlcore
import numpy as np
import pytest
from dlcore.models import (
    MLP,
    Autoencoder,
    ContractiveAutoencoder,
    ConvolutionalAutoencoder,
    DenoisingAutoencoder,
    LinearRegression,
    LinearSVM,
    SoftmaxRegression,
    SparseAutoencoder,
    StackedAutoencoder,
)
from dlcore.models.composition import conv
from dlcore.train import Callback, EarlyStopping, History

RNG = np.random.default_rng(0)
X = RNG.uniform(0, 1, (20, 6))
Y = RNG.integers(0, 3, 20)

MODELS = {
    "MLP": lambda: MLP([6, 5, 3], "tanh", dropout=0.3, weight_decay=1e-3, seed=3),
    "MLP float64": lambda: MLP((6, 5, 3), dtype="float64"),
    "SoftmaxRegression": lambda: SoftmaxRegression(6, 3, l1=1e-3),
    "LinearSVM": lambda: LinearSVM(6, 3),
    "LinearRegression": lambda: LinearRegression(6, 1),
    "Autoencoder": lambda: Autoencoder([6, 5, 2], "sigmoid", "identity", tied=True),
    "SparseAutoencoder": lambda: SparseAutoencoder([6, 8], sparsity=0.2, loss="squared_error"),
    "SparseAutoencoder kl": lambda: SparseAutoencoder([6, 8], sparsity=0.2, penalty="kl", rho=0.1),
    "DenoisingAutoencoder": lambda: DenoisingAutoencoder([6, 5], corruption="salt-and-pepper", level=0.2, seed=2),
    "ConvolutionalAutoencoder": lambda: ConvolutionalAutoencoder(
        (1, 2, 3), [conv(2, 2)], corruption="gaussian", seed=5
    ),
    "StackedAutoencoder": lambda: StackedAutoencoder([6, 5, 4], level=(0.1, 0.3), seed=4),
    "ContractiveAutoencoder": lambda: ContractiveAutoencoder([6, 5, 3], contraction=0.3, dtype="float64"),
}


def fitted(name):
    model = MODELS[name]()
    model.fit(X, Y, epochs=2, batch_size=8)
    return model


def everything(model):
    return model.predict(X), model.parameters.storage.numpy(), model.history.records, model.config


def assert_equal(a, b):
    for left, right in zip(everything(a), everything(b), strict=True):
        assert np.array_equal(left, right) if isinstance(left, np.ndarray) else left == right


@pytest.mark.parametrize("name", MODELS)
def test_copies_and_files_predict_the_same_and_are_separate(name, tmp_path):
    model = fitted(name)
    model.save(tmp_path / "m")
    copies = [
        pickle.loads(pickle.dumps(model)),
        copy.deepcopy(model),
        copy.copy(model),
        model.clone(),
        dlcore.load(tmp_path / "m"),
    ]
    for other in copies:
        assert type(other) is type(model)
        assert_equal(other, model)
    expected = model.predict(X)
    for other in copies:
        other.fit(X, Y, epochs=1)
        assert np.array_equal(model.predict(X), expected)
    model.fit(X, Y, epochs=1)
    assert_equal_parameters = [
        np.array_equal(o.parameters.storage.numpy(), model.parameters.storage.numpy()) for o in copies
    ]
    assert all(assert_equal_parameters), "a copy's further fit has the bits of the model's own"


def test_a_pickle_of_another_version_is_refused():
    state = MODELS["MLP"]().__getstate__()
    assert state["version"] == 1
    for version in (2, None):
        with pytest.raises(ValueError, match=f"MLP: the pickle has version {version}, expected 1"):
            MLP.__new__(MLP).__setstate__(state | {"version": version})


@pytest.mark.parametrize("name", MODELS)
def test_a_model_is_made_again_from_its_config(name):
    model = MODELS[name]()
    again = type(model)(**model.config)
    assert again.config == model.config
    assert np.array_equal(again.parameters.storage.numpy(), model.parameters.storage.numpy())
    assert repr(model).startswith(f"{type(model).__name__}(")
    assert f"seed={model.config['seed']}" in repr(model)


def test_nothing_is_allocated_before_it_is_needed():
    before = dlcore.memory_stats()["system_allocations"]
    model = MLP([10**6, 10**6, 2])
    assert model.parameter_shapes()["layers.0.weight"] == (10**6, 10**6)
    assert dlcore.memory_stats()["system_allocations"] == before


def test_seeds_decide_the_initial_parameters():
    def theta(seed):
        return MLP([6, 5, 3], seed=seed).parameters.storage.numpy()

    assert np.array_equal(theta(4), theta(4))
    assert not np.array_equal(theta(4), theta(5))
    assert np.array_equal(MLP([6, 5, 3], seed=np.int64(4)).parameters.storage.numpy(), theta(4))


def test_the_network_alone_has_the_same_parameters():
    model = MLP([6, 5, 3], seed=9)
    _ = model.network.layers[0].weight  # whichever is asked first
    assert np.array_equal(model.parameters.storage.numpy(), MLP([6, 5, 3], seed=9).parameters.storage.numpy())


@pytest.mark.parametrize("name", MODELS)
def test_summary(name):
    model = MODELS[name]()
    lines = model.summary().splitlines()
    assert lines[0] == f"{type(model).__name__}: {model.parameters.size:,} parameters, {model.dtype}"
    assert lines[1].split() == ["layer", "output", "shape", "parameters"]
    counts = [line.split()[-1].replace(",", "") for line in lines[4:]]
    assert sum(int(count) for count in counts if count.isdigit()) == model.parameters.size


def test_summary_rows():
    assert MLP([6, 50, 3], dropout=0.5).summary().splitlines()[3:] == [
        "input                     (n, 6)",
        "Linear(6 → 50, relu)      (n, 50)              350",
        "Dropout(0.5)              (n, 50)",
        "Linear(50 → 3, identity)  (n, 3)               153",
    ]


@pytest.mark.parametrize(
    "x",
    [
        X.astype(np.float32),
        np.asfortranarray(X),
        X[::-1, ::-1][::-1, ::-1],
        X.tolist(),
        X.astype(">f8"),
        dlcore.tensor(X),
        np.repeat(X, 2, 0)[::2],
    ],
)
def test_any_layout_gives_the_numbers_of_a_contiguous_copy(x):
    model = MODELS["MLP float64"]()
    assert np.allclose(model.predict_proba(x), model.predict_proba(np.ascontiguousarray(X)), rtol=1e-6)


def test_inputs_are_not_changed():
    x, y = X.copy(), Y.copy()
    x.flags.writeable = y.flags.writeable = False
    MODELS["MLP"]().fit(x, y, epochs=1)
    tensor = dlcore.tensor(X.astype(np.float32))
    MODELS["MLP"]().fit(tensor, Y, epochs=1)
    assert np.array_equal(tensor.numpy(), X.astype(np.float32))


def test_integers_are_exact_in_float64():
    model = LinearRegression(1, dtype="float64")
    model.parameters.assign({"layers.0.weight": [[1.0]], "layers.0.bias": [0.0]})
    assert model.predict(np.array([[2**24 + 1]]))[0] == 2**24 + 1


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (np.ones((4, 3)), ValueError, r"predict: x has shape \(4, 3\), expected \(n, 6\)"),
        (np.ones(6), ValueError, r"predict: x has shape \(6,\), expected \(n, 6\)"),
        (np.ones((2, 2, 6)), ValueError, r"predict: x has shape \(2, 2, 6\)"),
        (np.float32(1), ValueError, r"predict: x has shape \(\)"),
        (np.ones((4, 6), complex), TypeError, "predict: x: dtype is complex128"),
        (np.full((4, 6), None), TypeError, "predict: x: dtype is object"),
        ([["a"] * 6], TypeError, "predict: x: dtype is <U1"),
        (None, TypeError, "predict: x: dtype is object"),
        ([[1.0], [1.0, 2.0]], ValueError, "predict: x"),
    ],
)
def test_wrong_inputs(x, error, message):
    with pytest.raises(error, match=message):
        MODELS["MLP"]().predict(x)


def test_no_rows_give_no_predictions():
    model = MODELS["MLP"]()
    assert model.predict(X[:0]).shape == (0,)
    assert model.predict_proba(X[:0]).shape == (0, 3)
    assert MODELS["Autoencoder"]().reconstruct(X[:0]).shape == (0, 6)


def test_predictions_do_not_depend_on_the_batches():
    model = fitted("MLP float64")
    whole = model.decision_function(X)
    for size in (1, 7, 20):
        assert np.allclose(model.decision_function(X, batch_size=size), whole, rtol=1e-13)
    with pytest.raises(ValueError, match="batch_size is 0"):
        model.predict(X, batch_size=0)


def test_not_a_number_stays_in_its_row():
    model = fitted("MLP")
    x = X.copy()
    x[4] = np.nan
    p = model.predict_proba(x)
    assert np.isnan(p[4]).all()
    assert np.array_equal(np.delete(p, 4, 0), np.delete(model.predict_proba(X), 4, 0))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"dtype": "float16"}, ValueError, "MLP: dtype is 'float16', expected 'float32' or 'float64'"),
        ({"seed": -1}, ValueError, "Generator: seed is -1"),
        ({"seed": 1.5}, TypeError, "Generator: seed is 1.5"),
        ({"seed": object()}, TypeError, "is not an argument that a file can hold"),
    ],
)
def test_wrong_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        MLP([2, 2], **arguments)


@pytest.mark.parametrize("dtype", [np.float64, np.dtype("float64"), "f8", float])
def test_dtypes_as_numpy_has_them(dtype, tmp_path):
    model = MLP([2, 2], dtype=dtype)
    assert model.dtype == model.config["dtype"] == "float64"
    model.save(tmp_path / "m")
    assert dlcore.load(tmp_path / "m").predict_proba(X[:, :2]).dtype == np.float64


def test_numpy_numbers_are_numbers():
    """The same fit with Python's and with NumPy's."""
    one = MLP([6, 5, 3], dropout=0.25, weight_decay=0.5, l1=0.125, dtype="float64")
    two = MLP(np.array([6, 5, 3]), dropout=np.float32(0.25), weight_decay=np.float32(0.5), l1=np.float16(0.125),
              dtype=np.float64)  # fmt: skip
    assert two.config == one.config
    one.fit(X, Y, epochs=2, batch_size=8, validation_fraction=0.25, early_stopping=EarlyStopping(patience=2))
    stopping = EarlyStopping(patience=np.int64(2), min_delta=np.float32(0))
    two.fit(X, Y, epochs=np.int64(2), batch_size=np.int32(8), validation_fraction=np.float32(0.25),
            early_stopping=stopping)  # fmt: skip
    assert np.array_equal(one.predict_proba(X, batch_size=np.int64(7)), two.predict_proba(X, batch_size=7))
    assert History([{"loss": np.float32(0.5)}]).records == [{"loss": 0.5}]
    for wrong in (True, np.bool_(True), 2.5, "2"):
        with pytest.raises(ValueError, match="epochs is"):
            one.fit(X, Y, epochs=wrong)


@pytest.mark.parametrize("dropout", ["", None, 1.0, -0.1, True])
def test_a_dropout_that_is_no_share(dropout):
    with pytest.raises(ValueError, match=r"MLP: dropout is .*, expected a number in \[0, 1\)"):
        MLP([2, 2, 2], dropout=dropout)


def test_predictions_in_the_middle_of_a_step_drop_nothing():
    """And the fit goes on dropping: with the same bits."""
    seen = []

    class Predict(Callback):
        def on_batch_end(self, run):
            m = run.model
            expected = m.clone().predict_proba(X)  # a copy predicts
            seen.extend(np.array_equal(found, expected) for found in (m.predict_proba(X), m.predict_proba(X)))
            seen.append(m.score(X, Y) == (expected.argmax(1) == Y).mean())
            seen.append(np.array_equal(m.decision_function(X).argmax(1), m.predict(X)))
            seen.append(m.network.training and all(module.training for _, module in m.network.modules()))

    one, two = MODELS["MLP"](), MODELS["MLP"]()
    one.fit(X, Y, epochs=2, batch_size=8)
    two.fit(X, Y, epochs=2, batch_size=8, callbacks=[Predict()])
    assert len(seen) == 5 * 6 and all(seen)
    assert np.array_equal(one.parameters.storage.numpy(), two.parameters.storage.numpy())
    assert not one.network.training


def test_a_second_fit_goes_on_with_other_orders():
    model = MODELS["MLP"]()
    first = model.fit(X, Y, epochs=1)
    second = model.fit(X, Y, epochs=1)
    assert model.history is second
    assert first is not second
    assert model.fit_generator.step == 2
