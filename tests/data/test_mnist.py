"""The MNIST family: synthetic sets in every spelling, every refusal, and the real set where it is at hand."""

import os

import numpy as np
import pytest
from dlcore.data import load_mnist, write_idx

REAL_FOLDER = os.environ.get("DLCORE_DATA", "")
NAMES = {
    "train_images": "train-images-idx3-ubyte",
    "train_labels": "train-labels-idx1-ubyte",
    "test_images": "t10k-images-idx3-ubyte",
    "test_labels": "t10k-labels-idx1-ubyte",
}


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    monkeypatch.delenv("DLCORE_DATA", raising=False)


def arrays(n_train=7, n_test=3, seed=0):
    rng = np.random.default_rng(seed)
    return {
        "train_images": rng.integers(0, 256, (n_train, 28, 28), dtype=np.uint8),
        "train_labels": rng.integers(0, 10, n_train, dtype=np.uint8),
        "test_images": rng.integers(0, 256, (n_test, 28, 28), dtype=np.uint8),
        "test_labels": rng.integers(0, 10, n_test, dtype=np.uint8),
    }


def put(folder, content, mark="-idx", suffix=""):
    folder.mkdir(parents=True, exist_ok=True)
    for key, array in content.items():
        write_idx(folder / (NAMES[key].replace("-idx", mark) + suffix), array)


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("mark", ["-idx", ".idx"])
def test_spellings(tmp_path, mark, suffix):
    content = arrays()
    put(tmp_path, content, mark, suffix)
    for data, part in zip(load_mnist(tmp_path), ("train", "test"), strict=True):
        images, labels = content[f"{part}_images"], content[f"{part}_labels"]
        assert data.name == f"mnist-{part}"
        assert data.x.shape == (len(images), 784)
        assert data.x.dtype == np.float32
        assert data.y.dtype == np.int32
        assert data.images.shape == (len(images), 1, 28, 28)
        assert np.array_equal(data.images[:, 0], images / np.float32(255))
        assert np.array_equal(data.y, labels)


def test_scaling_is_the_rounded_quotient(tmp_path):
    content = arrays()
    content["train_images"][0].flat[:256] = np.arange(256)
    put(tmp_path, content)
    for dtype in (np.float32, np.float64):
        x = load_mnist(tmp_path, dtype=dtype)[0].x
        assert x.dtype == dtype
        assert x[0, :256].tolist() == [dtype(grey / 255) for grey in range(256)]


def test_empty_set(tmp_path):
    put(tmp_path, arrays(0, 0))
    train, test = load_mnist(tmp_path)
    assert train.images.shape == test.images.shape == (0, 1, 28, 28)


def test_mixed_spellings_and_plain_before_compressed(tmp_path):
    content, other = arrays(), arrays(seed=1)
    put(tmp_path, {"train_images": content["train_images"], "test_labels": content["test_labels"]}, ".idx", ".gz")
    put(tmp_path, {"train_labels": content["train_labels"], "test_images": content["test_images"]})
    put(tmp_path, {"train_labels": other["train_labels"]}, suffix=".gz")
    assert np.array_equal(load_mnist(tmp_path)[0].y, content["train_labels"])


def test_folder_of_the_name_goes_first(tmp_path, monkeypatch):
    here, below = arrays(seed=1), arrays(seed=2)
    put(tmp_path, here)
    put(tmp_path / "kmnist", below)
    assert np.array_equal(load_mnist(tmp_path)[0].y, here["train_labels"])
    assert np.array_equal(load_mnist(tmp_path, name="kmnist")[0].y, below["train_labels"])
    assert load_mnist(tmp_path, name="kmnist")[1].name == "kmnist-test"
    monkeypatch.setenv("DLCORE_DATA", str(tmp_path))
    assert np.array_equal(load_mnist()[0].y, here["train_labels"])
    assert np.array_equal(load_mnist(name="kmnist")[0].y, below["train_labels"])


def test_environment_does_not_pass_one_set_for_another(tmp_path, monkeypatch):
    put(tmp_path, arrays())
    monkeypatch.setenv("DLCORE_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="load_mnist: files of fashion-mnist are missing"):
        load_mnist(name="fashion-mnist")
    assert len(load_mnist(tmp_path, name="fashion-mnist")[0]) == 7


def test_no_folder_known():
    with pytest.raises(FileNotFoundError) as caught:
        load_mnist()
    message = str(caught.value)
    assert message.startswith("load_mnist: folder is not given and DLCORE_DATA is not set, expected one of them")
    assert all(name in message for name in NAMES.values())
    assert message.endswith("or fetch them with dlcore.data.download('mnist', folder)")


def test_missing_files_are_listed(tmp_path):
    content = arrays()
    del content["test_labels"]
    put(tmp_path, content)
    with pytest.raises(FileNotFoundError) as caught:
        load_mnist(tmp_path)
    message = str(caught.value)
    assert message.startswith("load_mnist: files of mnist are missing; put the four files in one folder, or fetch")
    assert f"dlcore.data.download('mnist', folder); looked for {tmp_path / 'mnist' / 'train-images'}" in message
    assert message.endswith(f", {tmp_path / 't10k-labels[-.]idx1-ubyte[.gz]'}")
    assert str(tmp_path / "train-images") not in message
    with pytest.raises(FileNotFoundError, match="missing; put the four files in one folder; looked for"):
        load_mnist(tmp_path, name="letters")


@pytest.mark.parametrize(
    ("change", "file", "message"),
    [
        ({"train_images": np.zeros((7, 27, 28), np.uint8)}, "train_images", "load_mnist: images are (7, 27, 28), "),
        ({"train_images": np.zeros((7, 784), np.uint8)}, "train_images", "idx: magic number is 0x00000802, expected"),
        ({"test_labels": np.zeros((3, 1), np.uint8)}, "test_labels", "idx: magic number is 0x00000802, expected"),
        ({"test_labels": np.zeros(3, np.int32)}, "test_labels", "idx: magic number is 0x00000c01, expected 0x00000801"),
        ({"test_labels": np.zeros(4, np.uint8)}, "test_labels", "load_mnist: labels are 4, expected 3, one per image"),
        (
            {"train_labels": np.zeros(0, np.uint8)},
            "train_labels",
            "load_mnist: labels are 0, expected 7, one per image",
        ),
        ({"test_labels": np.array([9, 10, 11], np.uint8)}, "test_labels", "load_mnist: label 1 is 10, expected 0 to 9"),
    ],
)
def test_refusals(tmp_path, change, file, message):
    put(tmp_path, arrays() | change)
    with pytest.raises(ValueError) as caught:
        load_mnist(tmp_path)
    assert str(caught.value).startswith(message)
    assert str(caught.value).endswith(f"({tmp_path / NAMES[file]})")


def test_dtype(tmp_path):
    with pytest.raises(TypeError, match="load_mnist: dtype is 'int8', expected float32 or float64"):
        load_mnist(tmp_path, dtype="int8")


@pytest.mark.skipif(not REAL_FOLDER, reason="DLCORE_DATA does not name the folder of MNIST")
def test_real_set(monkeypatch):
    monkeypatch.setenv("DLCORE_DATA", REAL_FOLDER)
    train, test = load_mnist()
    assert (len(train), len(test)) == (60000, 10000)
    assert np.bincount(train.y).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert np.bincount(test.y).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert train.y[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    # The mean and deviation that the literature normalizes with.
    assert float(train.x.mean(dtype=np.float64)) == pytest.approx(0.1307, abs=5e-5)
    assert float(train.x.std(dtype=np.float64)) == pytest.approx(0.3081, abs=5e-5)
