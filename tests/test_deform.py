"""Deformed images against their definitions: where a blob goes, whole shifts, fields with the right statistics."""

import re

import dlcore
import numpy as np
import pytest
from dlcore import Generator, deform, tensor

RNG = np.random.default_rng(0)
X = RNG.uniform(0, 1, (3, 2, 6, 7))


def blob(height, width, row, column, spread=2.0):
    """A smooth bump about a place counted from the middle."""
    i, j = np.mgrid[:height, :width]
    return np.exp(-((i - (height - 1) / 2 - row) ** 2 + (j - (width - 1) / 2 - column) ** 2) / (2 * spread**2))


def centre(image):
    """Its centre of mass, counted from the middle."""
    i, j = np.indices(image.shape)
    total = image.sum()
    return (i * image).sum() / total - (image.shape[0] - 1) / 2, (j * image).sum() / total - (image.shape[1] - 1) / 2


def test_whole_shifts_are_exact():
    y = deform.shift(X, 2, -3, fill=-1.0)
    expected = np.full(X.shape, -1.0)
    expected[:, :, 2:, :-3] = X[:, :, :-2, 3:]
    assert np.array_equal(y, expected)
    own = deform.shift(X, [0, 1, 0], [0, 0, 7])
    assert np.array_equal(own[0], X[0])
    assert np.array_equal(own[1, :, 1:], X[1, :, :-1])
    assert not own[2].any()


def test_half_a_pixel_is_the_mean_of_two():
    y = deform.shift(X, 0, 0.5)
    assert y[..., 1:] == pytest.approx((X[..., 1:] + X[..., :-1]) / 2, abs=1e-15)
    assert y[..., 0] == pytest.approx(X[..., 0] / 2, abs=1e-15)


def test_quarter_turns_and_mirrors_are_exact():
    square = X[..., :6]
    assert deform.rotate(square, 90) == pytest.approx(np.rot90(square, axes=(2, 3)), abs=1e-14)
    assert deform.rotate(square, 180) == pytest.approx(square[..., ::-1, ::-1], abs=1e-14)
    assert deform.affine(X, [[1, 0], [0, -1]]) == pytest.approx(X[..., ::-1], abs=1e-15)
    assert np.array_equal(deform.affine(X, np.eye(2)), X)


def test_the_picture_goes_where_it_is_told():
    image = blob(61, 51, -8.0, 6.0)[None]
    turned = centre(deform.rotate(image, 30)[0])
    cos, sin = np.cos(np.deg2rad(30)), np.sin(np.deg2rad(30))
    up, right = 8 * cos + 6 * sin, 6 * cos - 8 * sin  # (right, up) = (6, 8) turned counter-clockwise
    assert turned == pytest.approx((-up, right), abs=0.02)
    assert centre(deform.scale(image, 1.5)[0]) == pytest.approx((-12.0, 9.0), abs=0.02)
    assert centre(deform.scale(image, 0.5)[0]) == pytest.approx((-4.0, 3.0), abs=0.02)
    a, t = np.array([[1.1, 0.3], [-0.2, 0.8]]), np.array([2.0, -3.0])
    assert centre(deform.affine(image, a, t)[0]) == pytest.approx(a @ [-8.0, 6.0] + t, abs=0.02)
    both = deform.affine(np.stack([image[0]] * 2), np.stack([a, np.eye(2)]), [[0, 0], [1, 2]])
    assert centre(both[0]) == pytest.approx(a @ [-8.0, 6.0], abs=0.02)
    assert centre(both[1]) == pytest.approx((-7.0, 8.0), abs=0.02)


def test_forms_and_types():
    rows = X[:, 0].reshape(3, 42)
    expected = deform.rotate(X[:, :1], 20)
    assert np.array_equal(deform.rotate(rows, 20, image_shape=(1, 6, 7)), expected.reshape(3, 42))
    assert np.array_equal(deform.rotate(X[:, 0], 20), expected[:, 0])
    assert np.array_equal(deform.rotate(tensor(X[:, 0]), 20), expected[:, 0])
    assert deform.scale(X.astype(np.float32), 1.2).dtype == np.float32
    assert deform.scale(X, 1.2).dtype == np.float64
    assert deform.shift(np.ones((1, 3, 3), np.uint8), 0, 0.5).dtype == np.float32
    for function, arguments in ((deform.shift, (1, 1)), (deform.elastic, ()), (deform.affine, (np.eye(2),))):
        assert function(np.zeros((0, 4, 5)), *arguments).shape == (0, 4, 5)


def test_fields_have_the_statistics_of_smoothed_noise():
    n, size, alpha, sigma = 200, 16, 34.0, 2.5
    field = deform.displacements((n, size, size), alpha, sigma, Generator(3), "float64").numpy()
    reach = 8
    bell = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    bell /= bell.sum()
    variance = alpha**2 / 3 * (bell**2).sum() ** 2  # of uniform noise in (−1, 1), 1/3; the same at the border
    neighbour = (bell[1:] * bell[:-1]).sum() / (bell**2).sum()
    # The means of 400 independent fields: 5.5 standard errors.
    for found in ((field**2)[..., 0, 0], (field**2)[..., 8, 8]):
        assert abs(found.mean() - variance) < 5.5 * found.std() / 20
    products = field[..., 5, 5] * field[..., 5, 6]
    assert abs(products.mean() - neighbour * variance) < 5.5 * products.std() / 20
    crossed = field[:, 0, 5, 5] * field[:, 1, 5, 5]
    assert abs(crossed.mean()) < 5.5 * crossed.std() / np.sqrt(n)
    assert np.sqrt(variance) == pytest.approx(0.163 * alpha / sigma, rel=0.02)


def test_elastic_follows_its_generator_and_its_strength():
    images = np.stack([blob(28, 28, 0, 0, 4.0)] * 300)
    first = deform.elastic(images, generator=5)
    assert np.array_equal(first, deform.elastic(images, generator=Generator(5)))
    assert not np.array_equal(first, deform.elastic(images, generator=6))
    assert len({image.tobytes() for image in first}) == 300
    assert np.array_equal(deform.elastic(images, 0.0), images)
    moved = np.array([centre(image) for image in first])
    assert 0.4 < moved.std() < 1.4  # the field at a bump of this width; 1.38 pixels at a point
    source = Generator(1)
    deform.elastic(images, generator=source)
    assert source.step == 2, "one draw for each 256 images"


def test_threads_do_not_matter(device):
    found = []
    for threads in (1, 2, 4):
        device.set_num_threads(threads)
        found.append(deform.elastic(np.tile(X[:1, :1], (40, 1, 4, 4)), 10.0, 2.0, 1).tobytes())
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: deform.shift(np.ones((2, 9)), 1, 1), "shift: images is (2, 9), expected (n, height, width), (n, chan"),
        (
            lambda: deform.shift(np.ones((2, 9)), 1, 1, image_shape=(1, 2, 4)),
            "shift: images is (2, 9), image_shape is (1, 2, 4), expected (channels, height, width) of as many pixels",
        ),
        (lambda: deform.shift(X, [1, 2], 0), "shift: rows has shape (2,), expected () or (3,)"),
        (lambda: deform.shift(X, np.nan, 0), "shift: rows is not finite"),
        (lambda: deform.scale(X, 0.0), "scale: factor is 0.0, expected > 0"),
        (lambda: deform.affine(X, np.ones((2, 2))), "affine: matrix is singular"),
        (lambda: deform.affine(X, np.eye(3)), "affine: matrix has shape (3, 3), expected (2, 2) or (3, 2, 2)"),
        (lambda: deform.scale(X.astype(np.float32), 1e-40), "deform: images of float32 are moved, scaled or sheared"),
        (lambda: deform.shift(X.astype(np.float32), 1e39, 0), "deform: images of float32 are moved, scaled or sheared"),
        (lambda: deform.elastic(X, -1.0), "elastic: alpha is -1.0, expected a finite number >= 0"),
        (lambda: deform.elastic(X, 1.0, 0.0), "elastic: sigma is 0.0, expected a finite number > 0"),
    ],
)
def test_refused(call, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        call()


def test_refused_types():
    with pytest.raises(TypeError, match=r"^rotate: degrees has dtype <U1, expected real numbers$"):
        deform.rotate(X, "a")
    with pytest.raises(TypeError, match="images"):
        dlcore.deform.rotate("abc", 1)
