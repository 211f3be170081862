"""Dataset: what it accepts and refuses, its views, and the split that must never change."""

import hashlib

import numpy as np
import pytest
from dlcore.data import Dataset
from dlcore.data.dataset import _split_mix64


def make(n=10, n_classes=3, dtype=np.float32):
    x = np.arange(n * 4, dtype=dtype).reshape(n, 4)
    return Dataset(x, np.arange(n, dtype=np.int32) % n_classes, (1, 2, 2), "toy")


def test_fields_and_views():
    data = make()
    assert len(data) == 10
    assert data.images.shape == (10, 1, 2, 2)
    assert np.shares_memory(data.images, data.x)
    assert data.images[3, 0].tolist() == [[12, 13], [14, 15]]
    assert repr(data) == "Dataset(name='toy', x=(10, 4) float32, y=(10,) int32, image_shape=(1, 2, 2))"
    with pytest.raises(AttributeError):
        data.x = data.x
    plain = Dataset(data.x, data.y)
    assert plain.image_shape is None
    with pytest.raises(ValueError, match=r"images: image_shape is None, expected .* \(dataset\)"):
        _ = plain.images


def test_native_arrays_are_shared():
    x, y = np.zeros((3, 2)), np.zeros(3, np.int32)
    data = Dataset(x, y)
    assert data.x is x
    assert data.y is y


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("float32", "float32"),
        (">f4", "float32"),
        ("float64", "float64"),
        ("float16", "float32"),
        ("bool", "float32"),
        ("uint8", "float32"),
        ("int16", "float32"),
        ("int32", "float32"),
        ("int64", "float32"),
    ],
)
def test_dtype_rule(given, kept):
    data = Dataset(np.array([[0, 1], [1, 0]], dtype=given), [0, 1])
    assert data.x.dtype == np.dtype(kept)
    assert data.x.dtype.isnative
    assert data.x.tolist() == [[0, 1], [1, 0]]


def test_layouts_give_the_numbers_of_a_contiguous_copy():
    x = np.arange(12.0).reshape(3, 4)
    for layout in (np.asfortranarray(x), x.repeat(2, 1)[:, ::2], x[::-1].copy()[::-1]):
        data = Dataset(layout, np.arange(3))
        assert data.x.flags.c_contiguous
        assert np.array_equal(data.x, x)
    labels = np.arange(6)[::-2]
    assert Dataset(x, labels).y.tolist() == [5, 3, 1]


@pytest.mark.parametrize("x", [np.zeros((2, 2), complex), np.array([["a"]]), np.array([[None]])])
def test_x_of_other_types(x):
    with pytest.raises(TypeError, match=r"Dataset: x has dtype .*, expected real numbers of at most 64 bits"):
        Dataset(x, np.zeros(len(x), int))


def test_masked_arrays():
    with pytest.raises(TypeError, match="Dataset: x is a masked array, expected real numbers without a mask"):
        Dataset(np.ma.zeros((2, 2)), [0, 1])
    with pytest.raises(TypeError, match="Dataset: y is a masked array, expected labels without a mask"):
        Dataset(np.zeros((2, 2)), np.ma.zeros(2))


def test_shapes():
    with pytest.raises(ValueError, match=r"Dataset: x is \(3,\), expected \(n, n_features\)"):
        Dataset(np.zeros(3), [0, 0, 0])
    with pytest.raises(ValueError, match=r"Dataset: y is \(2,\), expected \(3,\), one label per row of x"):
        Dataset(np.zeros((3, 2)), [0, 0])
    with pytest.raises(ValueError, match=r"Dataset: y is \(3, 1\), expected \(3,\), one label per row of x"):
        Dataset(np.zeros((3, 2)), [[0], [0], [0]])


@pytest.mark.parametrize("shape", [(1, 2, 2), (4, 1), (1, -2, -2), (0, 2, 2)])
def test_image_shape(shape):
    with pytest.raises(ValueError, match=r"Dataset: image_shape is .*, expected \(channels, height, width\) with pro"):
        Dataset(np.zeros((3, 5)), [0, 0, 0], shape)


@pytest.mark.parametrize("bad", [-1, 2**31, 0.5, np.nan, np.inf])
def test_first_bad_label_is_named(bad):
    with pytest.raises(ValueError) as caught:
        Dataset(np.zeros((4, 2)), np.array([0, 1, bad, bad]))
    number = np.array([bad, 0]).astype(np.array([0, 1, bad]).dtype)[0]
    assert str(caught.value) == f"Dataset: label 2 is {number}, expected an integer from 0 to 2147483647"


def test_labels_of_other_types():
    assert Dataset(np.zeros((2, 2)), [True, False]).y.tolist() == [1, 0]
    assert Dataset(np.zeros((2, 2)), [3.0, 0.0]).y.tolist() == [3, 0]
    assert Dataset(np.zeros((1, 2)), np.array([2**31 - 1])).y.dtype == np.int32
    with pytest.raises(TypeError, match="Dataset: y has dtype <U1, expected integers"):
        Dataset(np.zeros((2, 2)), ["a", "b"])


def test_take():
    data = make()
    first = data.take(4)
    assert (len(first), first.name, first.image_shape) == (4, "toy", (1, 2, 2))
    assert np.shares_memory(first.x, data.x)
    assert len(data.take(0)) == 0
    assert data.take(0).images.shape == (0, 1, 2, 2)
    assert len(data.take(10)) == 10
    for n in (-1, 11):
        with pytest.raises(ValueError, match=rf"take: n is {n}, expected 0 to 10 \(toy\)"):
            data.take(n)


def test_split_mix64_known_answers():
    # From Vigna's splitmix64.c with the state 1234567.
    assert [int(z) for z in _split_mix64(5, 1234567)] == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]


@pytest.mark.parametrize("test_fraction", [0.01, 0.1, 0.2, 0.5, 0.77, 0.999])
@pytest.mark.parametrize("seed", [0, 1, 2**64 - 1])
def test_split_is_stratified_and_keeps_order(test_fraction, seed):
    y = np.repeat([0, 3, 4, 9], [100, 1, 37, 62])[np.random.default_rng(0).permutation(200)]
    data = Dataset(np.arange(200.0)[:, None], y)
    train, test = data.split(test_fraction, seed)
    rows = np.concatenate([train.x, test.x])[:, 0]
    assert np.array_equal(np.sort(rows), np.arange(200))
    for part in (train, test):
        assert np.all(np.diff(part.x[:, 0]) > 0)
        assert np.array_equal(part.y, y[part.x[:, 0].astype(int)])
    assert len(test) == int(200 * test_fraction + 0.5)
    for label in (0, 3, 4, 9):
        assert abs(np.sum(test.y == label) - len(test) * np.mean(y == label)) < 1
    assert (train.name, test.name) == ("dataset-train", "dataset-test")


def test_split_depends_on_the_seed_alone():
    data = make(500, 5)
    again = Dataset(data.x.copy(), data.y.astype(np.int64), data.image_shape)
    assert np.array_equal(data.split(0.2, 7)[1].x, again.split(0.2, 7)[1].x)
    assert not np.array_equal(data.split(0.2, 7)[1].x, data.split(0.2, 8)[1].x)
    assert not np.shares_memory(data.split()[0].x, data.x)


def test_split_is_pinned():
    data = Dataset(np.arange(100.0)[:, None], np.arange(100) % 7)
    held = data.split(0.2, seed=3)[1].x[:, 0].astype(np.uint8).tobytes()
    assert hashlib.sha256(held).hexdigest() == "22a0ec389e2680ae6db66614d769f8cf0eb57653d26731168946dbd48145b9b2"


def test_split_of_few():
    train, test = make(0).split()
    assert (len(train), len(test)) == (0, 0)
    assert test.x.shape == (0, 4)
    train, test = make(1, 1).split(0.2)
    assert (len(train), len(test)) == (1, 0)


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, 2, float("nan")])
def test_split_fraction(fraction):
    with pytest.raises(ValueError, match=r"split: test_fraction is .*, expected 0 < test_fraction < 1"):
        make().split(fraction)


@pytest.mark.parametrize("seed", [-1, 2**64])
def test_split_seed(seed):
    with pytest.raises(ValueError, match=rf"split: seed is {seed}, expected 0 to 2\*\*64 - 1"):
        make().split(0.2, seed)
    with pytest.raises(TypeError):
        make().split(0.2, 0.5)
