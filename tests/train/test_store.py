"""Models in files: only registered classes, shapes checked before memory is taken, nothing run."""

import resource
import subprocess
import sys
import time

import dlcore
import numpy as np
import pytest
from dlcore.models import MLP, Autoencoder, Model, SparseAutoencoder
from dlcore.train import History, load_file, read_header, save_file
from processes import python


@pytest.fixture
def path(tmp_path):
    MLP([3, 4, 2], dropout=0.5, seed=7).save(tmp_path / "model")
    return tmp_path / "model"


def test_round_trip(path):
    m = dlcore.load(path)
    assert type(m) is MLP
    assert m.config == MLP([3, 4, 2], dropout=0.5, seed=7).config
    x = np.ones((2, 3))
    assert np.array_equal(m.predict_proba(x), MLP([3, 4, 2], dropout=0.5, seed=7).predict_proba(x))


def test_a_fresh_process_loads_what_it_has_not_imported(path):
    """`dlcore.load` brings the models in; below them, in dlcore.train, there is none that would refuse them all."""
    code = f"import dlcore; print(type(dlcore.load({str(path)!r})).__name__, hasattr(dlcore.train, 'load'))"
    assert python(code) == "MLP False"


def test_a_loaded_model_learns_on_as_the_saved_one(tmp_path):
    x, y = np.random.default_rng(0).uniform(size=(30, 3)), np.arange(30) % 2
    m = MLP([3, 4, 2], dropout=0.5)
    m.fit(x, y, epochs=2)
    m.save(tmp_path / "m")
    loaded = dlcore.load(tmp_path / "m")
    assert loaded.history == m.history
    for one in (m, loaded):
        one.fit(x, y, epochs=2)
    assert np.array_equal(m.parameters.storage.numpy(), loaded.parameters.storage.numpy())


def change(path, **metadata):
    tensors, found = load_file(path)
    save_file(path, tensors, found | metadata)


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        ({"model": "Model"}, 'its model is "Model", expected one of .*MLP'),
        ({"model": "os.system"}, 'its model is "os.system"'),
        ({"model": ["MLP"]}, "its model is"),
        ({"model": "Autoencoder"}, "Autoencoder's config is refused"),
        ({"config": None}, "MLP's config is missing"),
        ({"config": {}}, "MLP's config is refused: .*layer_sizes"),
        ({"config": {"layer_sizes": [3, 4, 2], "evil": 1}}, "config is refused: .*evil"),
        ({"config": {"layer_sizes": [3, 4, 2]}}, "its config is not this MLP's"),  # not what a save writes
        ({"config": {"layer_sizes": "342"}}, "config is refused: MLP: layer_sizes is '342'"),
        ({"config": {"layer_sizes": [[3], 4, 2]}}, "config is refused"),
        ({"config": {"layer_sizes": [3, 4, 2], "activation": ["relu"]}}, "config is refused"),
        ({"config": {"layer_sizes": [3, 4, 2], "output": {}}}, "config is refused"),
        ({"config": {"layer_sizes": [3, 4, 2], "seed": -1}}, "config is refused: Generator: seed is -1"),
        ({"config": {"layer_sizes": [3, 4, 2], "dtype": "int32"}}, "config is refused: MLP: dtype is 'int32'"),
        ({"config": {"layer_sizes": [1] * 2**14}}, "bytes in its config, at most 32768"),
        ({"generators": {}}, "generators are"),
        ({"generators": None}, "generators are None"),
        ({"generators": {"fit": [0], "network.layers.1": 3}}, "must be an iterable"),
        ({"generators": {"fit": [0, 0, 0], "network.layers.1": [0]}}, "argument"),
    ],
)
def test_a_hostile_description_is_refused(path, metadata, reason):
    change(path, **metadata)
    with pytest.raises(ValueError, match=f"is refused: .*{reason}|is refused: {reason}"):
        dlcore.load(path)


@pytest.mark.parametrize("sizes", [[3, 5, 2], [3, 4, 4, 2], [3, 2]])
def test_parameters_of_other_shapes_are_refused(path, sizes):
    config = read_header(path).metadata["config"]
    change(path, config=config | {"layer_sizes": sizes})
    with pytest.raises(ValueError, match=r"has shape .*, expected .* for this MLP"):
        dlcore.load(path)


def test_a_huge_description_takes_no_memory(path):
    """4 TiB are asked for by the config; the process may have 2 GiB more than it needs to start."""
    config = read_header(path).metadata["config"]
    change(path, config=config | {"layer_sizes": [10**6, 10**6, 2]})
    code = f"""
import resource, dlcore
size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + 2**31, size + 2**31))
try:
    dlcore.load({str(path)!r})
except ValueError as error:
    print(error)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "'layers.0.weight' has shape (3, 4), expected (1000000, 1000000)" in run.stdout
    assert resource.getrlimit(resource.RLIMIT_AS)[0] != 0


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"loss": np.ones(2, np.float32)}, r"'history/loss' is float32 \(2,\), expected float64"),
        ({"loss": np.ones((2, 2))}, r"'history/loss' is float64 \(2, 2\)"),
        ({"loss": np.array(1.0)}, r"'history/loss' is float64 \(\)"),
        ({"loss": np.ones(2), "other": np.ones(3)}, r"'history/other' is float64 \(3,\), expected float64 \(2,\)"),
        ({"loss": np.ones(2**21 + 1)}, "the model has 2097153 epochs in its history, at most 2097152"),
        ({str(i): np.ones(2**15) for i in range(300)}, "epochs in its history"),
    ],
)
def test_a_hostile_history_is_refused(path, columns, reason):
    tensors, metadata = load_file(path)
    save_file(path, tensors | {f"history/{name}": values for name, values in columns.items()}, metadata)
    with pytest.raises(ValueError, match=f"is refused: {reason}|is refused: .*{reason}"):
        dlcore.load(path)


def test_a_long_history_and_missing_figures_survive(tmp_path):
    model = MLP([2, 2])
    records = [{"loss": 1.0 / (i + 1), "seconds": 0.1} | ({"rare": 1.0} if i % 7 == 0 else {}) for i in range(100_000)]
    model.history = History(records)
    model.save(tmp_path / "m")
    assert dlcore.load(tmp_path / "m").history == model.history


def test_what_cannot_be_loaded_is_not_saved(tmp_path, monkeypatch):
    monkeypatch.setattr("dlcore.train.store.MAX_CONFIG", 100)
    with pytest.raises(ValueError, match=r"the model has 1.. bytes in its config, at most 100"):
        MLP([2, 2]).save(tmp_path / "m")
    monkeypatch.setattr("dlcore.train.store.MAX_EPOCHS", 3)
    assert list(tmp_path.iterdir()) == []


def test_only_registered_classes_are_saved(tmp_path):
    class Own(MLP):
        pass

    with pytest.raises(TypeError, match="save: Own is not a registered model class"):
        Own([2, 2]).save(tmp_path / "m")
    assert not (tmp_path / "m").exists()
    assert issubclass(SparseAutoencoder, Autoencoder)
    assert issubclass(SparseAutoencoder, Model)


def test_a_safetensors_reader_reads_it(path):
    numpy_reader = pytest.importorskip("safetensors.numpy")
    found = numpy_reader.load_file(path)
    expected = dlcore.load(path).parameters
    assert set(found) == set(expected)
    for name, value in found.items():
        assert np.array_equal(value, expected[name].numpy())


def test_the_longest_description_is_refused_within_seconds(path):
    config = read_header(path).metadata["config"]
    change(path, config=config | {"layer_sizes": [1] * 10_500 + [2]})
    started = time.process_time()
    with pytest.raises(ValueError, match=r"has shape .*, expected .* for this MLP"):
        dlcore.load(path)
    assert time.process_time() - started < 3
