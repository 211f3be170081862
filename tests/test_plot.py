"""Pictures: what is in the pixels, not how Matplotlib draws them; and that nothing global is touched."""

import subprocess
import sys

import numpy as np
import pytest
from dlcore import plot, tensor
from dlcore.train import History

matplotlib = pytest.importorskip("matplotlib")

RNG = np.random.default_rng(0)


def picture(figure):
    """The one image of a picture of tiles."""
    (axes,) = figure.axes
    (image,) = axes.get_images()
    return np.asarray(image.get_array())


def test_tile_places_every_pixel():
    images = np.arange(5 * 2 * 3, dtype=float).reshape(5, 2, 3)
    tiled = plot.tile(images, columns=3, gap=1, fill=-1.0)
    assert tiled.shape == (2 * 3 + 1, 3 * 4 + 1)
    for i in range(5):
        row, column = 1 + (i // 3) * 3, 1 + (i % 3) * 4
        np.testing.assert_array_equal(tiled[row : row + 2, column : column + 3], images[i])
    assert (tiled == -1.0).sum() == tiled.size - images.size


def test_tile_of_colour_images_without_gap():
    images = RNG.random((4, 3, 2, 2))
    tiled = plot.tile(images, gap=0)
    assert tiled.shape == (4, 4, 3)
    np.testing.assert_array_equal(tiled[2:, :2].transpose(2, 0, 1), images[2])


@pytest.mark.parametrize("columns, gap", [(0, 1), (2, -1)])
def test_tile_refuses(columns, gap):
    with pytest.raises(ValueError, match=rf"tile: columns is {columns}, gap is {gap}, expected"):
        plot.tile(np.zeros((2, 2, 2)), columns, gap)


def test_samples_of_rows_images_and_tensors_agree():
    rows = RNG.random((4, 16))
    expected = picture(plot.samples(rows))
    for same in (rows.reshape(4, 4, 4), rows.reshape(4, 1, 4, 4), tensor(rows)):
        np.testing.assert_array_equal(picture(plot.samples(same)), expected)
    np.testing.assert_array_equal(expected[1:5, 6:10], rows[1].reshape(4, 4))


def test_samples_are_clipped_to_grey():
    drawn = picture(plot.samples(np.array([[-1.0, 2.0, 0.25, 0.5]])))
    np.testing.assert_array_equal(drawn[1:3, 1:3], [[0.0, 1.0], [0.25, 0.5]])


def test_samples_writes_whole_pixels(tmp_path):
    rows = np.zeros((1, 64))
    rows[0, 0] = 1.0
    figure = plot.samples(rows, path=tmp_path / "one.png", columns=1)
    from matplotlib.image import imread

    drawn = imread(tmp_path / "one.png")[:, :, 0]
    factor = 640 // 10
    assert drawn.shape == (640, 640)
    assert (drawn[factor : 2 * factor, factor : 2 * factor] == 1.0).all()
    assert (drawn[2 * factor : 3 * factor, 2 * factor : 9 * factor] == 0.0).all()
    assert figure.axes[0].axison is False


def test_filters_are_grey_at_zero_and_scaled_each():
    weight = np.array([[1.0, 0.0], [-2.0, 0.0], [0.0, 0.0], [2.0, 0.0]])
    drawn = picture(plot.filters(weight))
    np.testing.assert_allclose(drawn[1:3, 1:3], [[0.75, 0.0], [0.5, 1.0]])
    np.testing.assert_array_equal(drawn[1:3, 4:6], 0.5)  # a unit without weights


def test_filters_of_convolutions():
    assert picture(plot.filters(RNG.normal(size=(6, 1, 5, 5)))).shape == (2 * 6 + 1, 3 * 6 + 1)
    assert picture(plot.filters(RNG.normal(size=(4, 3, 5, 5)))).shape == (13, 13, 3)
    assert picture(plot.filters(RNG.normal(size=(16, 6, 5, 5)), n=10)).shape == (10 * 6 + 1, 6 * 6 + 1)


def test_filters_draws_the_first_n():
    weight = RNG.normal(size=(9, 50))
    assert picture(plot.filters(weight, n=4)).shape == (9, 9)


def test_reconstructions_pairs_rows():
    x, y = RNG.random((5, 9)), RNG.random((5, 9))
    drawn = picture(plot.reconstructions(x, y, n=3))
    assert drawn.shape == (9, 13)
    np.testing.assert_array_equal(drawn[1:4, 9:12], x[2].reshape(3, 3))
    np.testing.assert_array_equal(drawn[5:8, 9:12], y[2].reshape(3, 3))


def test_learning_curves_draw_training_and_validation():
    history = History(
        [{"loss": 2.0, "validation_loss": 3.0, "seconds": 1.0}, {"loss": 1.0, "validation_loss": 2.5, "seconds": 1.0}]
    )
    figure = plot.learning_curves(history, title="a run")
    (axes,) = figure.axes
    solid, dashed = axes.get_lines()
    np.testing.assert_array_equal(solid.get_xdata(), [1, 2])
    np.testing.assert_array_equal(solid.get_ydata(), [2.0, 1.0])
    np.testing.assert_array_equal(dashed.get_ydata(), [3.0, 2.5])
    assert (axes.get_title(), solid.get_linestyle(), dashed.get_linestyle()) == ("loss", "-", "--")


def test_learning_curves_compare_runs(tmp_path):
    runs = {"a": History([{"loss": 1.0, "error": 0.5}]), "b": History([{"loss": 2.0}])}
    figure = plot.learning_curves(runs, path=tmp_path / "curves.svg")
    assert [axes.get_title() for axes in figure.axes] == ["loss", "error"]
    assert [len(axes.get_lines()) for axes in figure.axes] == [2, 1]
    assert (tmp_path / "curves.svg").read_text().startswith("<?xml")


@pytest.mark.parametrize(
    "call, message",
    [
        (
            lambda: plot.samples(np.zeros((2, 10))),
            r"samples: shape is \(2, 10\), image_shape is None, expected at least",
        ),
        (lambda: plot.samples(np.zeros((0, 4))), r"samples: shape is \(0, 4\), image_shape is None, expected at least"),
        (lambda: plot.samples(np.zeros((2, 4)), (1, 2, 3)), r"samples: shape is \(2, 4\), image_shape is \(1, 2, 3\)"),
        (lambda: plot.samples(np.zeros(4)), r"samples: shape is \(4,\)"),
        (lambda: plot.samples(np.zeros((2, 2, 4, 4))), "samples: images have 2 channels, expected 1 .* or 3"),
        (lambda: plot.filters(np.zeros((2, 2, 2))), r"filters: weight is \(2, 2, 2\), expected \(inputs, units\)"),
        (lambda: plot.filters(np.zeros((4, 2)), n=0), "filters: n is 0, expected at least 1"),
        (lambda: plot.filters(np.zeros((0, 1, 2, 2))), r"filters: weight is \(0, 1, 2, 2\), expected at least one"),
        (
            lambda: plot.reconstructions(np.zeros((2, 4)), np.zeros((3, 4))),
            r"reconstructions: originals are \(2, 1, 2, 2\), reconstructed are \(3, 1, 2, 2\)",
        ),
        (lambda: plot.reconstructions(np.zeros((2, 4)), np.zeros((2, 4)), n=0), "reconstructions: n is 0"),
        (lambda: plot.learning_curves(History()), "learning_curves: the history has no epochs"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_objects_are_refused():
    with pytest.raises(TypeError, match="samples: dtype is object, expected real numbers"):
        plot.samples(np.array([[None]]))


def test_matplotlib_absent(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match="plot: matplotlib is not installed; it comes with the extra 'plot'"):
        plot.samples(np.zeros((1, 4)))


def test_pyplot_is_never_imported(tmp_path):
    code = (
        "import sys, numpy; from dlcore import plot; "
        "assert not any(name.startswith('matplotlib') for name in sys.modules); "
        f"plot.samples(numpy.zeros((1, 4)), path={str(tmp_path / 'x.png')!r}); "
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
