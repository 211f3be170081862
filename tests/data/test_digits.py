"""The bundled digits: their numbers, their fixed split, and a package file that was changed."""

import hashlib
from importlib import resources

import numpy as np
import pytest
from dlcore.data import digits, load_digits, load_digits_split

# Of the test part, from the data set's own description (optdigits.names).
CLASS_COUNTS = [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
# Of the held-out pixels as bytes of 0 to 16.
HELD_OUT_SHA256 = "24b9c1341ea594ace7f69d73412c695f8cfb53c45da18b575b11574ddc71e960"


@pytest.mark.parametrize("dtype", ["float32", "float64", np.float32, np.dtype("f8")])
def test_digits(dtype):
    data = load_digits(dtype)
    assert data.name == "digits"
    assert data.x.shape == (1797, 64)
    assert data.x.dtype == np.dtype(dtype)
    assert data.y.dtype == np.int32
    assert data.images.shape == (1797, 1, 8, 8)
    assert (data.x.min(), data.x.max()) == (0, 1)
    assert np.array_equal(data.x * 16, np.rint(data.x * 16))
    assert np.bincount(data.y).tolist() == CLASS_COUNTS
    assert data.y[:12].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]
    assert (data.images[0, 0] * 16).astype(int).tolist() == [
        [0, 0, 5, 13, 9, 1, 0, 0],
        [0, 0, 13, 15, 10, 15, 5, 0],
        [0, 3, 15, 2, 0, 11, 8, 0],
        [0, 4, 12, 0, 0, 8, 8, 0],
        [0, 5, 8, 0, 0, 9, 8, 0],
        [0, 4, 11, 0, 1, 12, 7, 0],
        [0, 2, 14, 5, 10, 12, 0, 0],
        [0, 0, 6, 13, 10, 0, 0, 0],
    ]


def test_default_is_float32_and_arrays_are_fresh():
    first, second = load_digits(), load_digits()
    assert first.x.dtype == np.float32
    first.x[:] = 7
    assert second.x.max() == 1


def test_split_is_the_published_one():
    train, test = load_digits_split()
    assert (len(train), len(test)) == (1438, 359)
    assert np.bincount(test.y).tolist() == [36, 36, 35, 37, 36, 36, 36, 36, 35, 36]
    pixels = (test.x * 16).astype(np.uint8)
    assert hashlib.sha256(pixels.tobytes()).hexdigest() == HELD_OUT_SHA256
    again = load_digits("float64").split(0.2, seed=0)
    assert np.array_equal(again[0].x, train.x)
    assert np.array_equal(again[1].y, test.y)
    assert load_digits_split("float64")[0].x.dtype == np.float64


@pytest.mark.parametrize("dtype", ["float16", "int32", "complex64", "none such", None])
def test_dtype(dtype):
    with pytest.raises(TypeError) as caught:
        load_digits(dtype)
    assert str(caught.value) == f"load_digits: dtype is {dtype!r}, expected float32 or float64"


def test_changed_file_is_refused(tmp_path, monkeypatch):
    content = bytearray(resources.files(digits.__package__).joinpath(digits.FILE_NAME).read_bytes())
    assert len(content) < 120_000
    content[1000] ^= 1
    (tmp_path / digits.FILE_NAME).write_bytes(content)
    monkeypatch.setattr(digits.resources, "files", lambda package: tmp_path)
    with pytest.raises(ValueError) as caught:
        load_digits()
    found = hashlib.sha256(content).hexdigest()
    assert str(caught.value) == f"load_digits: SHA-256 is {found}, expected {digits.SHA256} (digits.npz)"


def test_licence_ships_with_the_data():
    text = resources.files(digits.__package__).joinpath("DIGITS_LICENSE.md").read_text(encoding="utf-8")
    for credit in ("E. Alpaydin", "C. Kaynak", "10.24432/C50P49", "CC BY 4.0"):
        assert credit in text
