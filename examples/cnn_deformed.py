"""A convolutional network beside a multilayer perceptron of equal size, on digits shifted, turned, scaled and bent.

With a folder of MNIST's files the networks are LeNet-5 of 1998, its modern reading, and a perceptron of as many
parameters; without one they are small ones on the bundled digits. Pictures go to the folder given by --out: what the
first layer learned, what it makes of a digit, deformed digits, and the accuracies.
"""

import argparse
from pathlib import Path

import dlcore
import numpy as np
from dlcore import deform, nn, plot
from dlcore.data import load_digits_split, load_mnist
from dlcore.models import CNN, LeNet5, LeNet5Original, mlp_of_size


def first_layers(model, image):
    """The filters of the first convolution, and its maps of an image with those of the sub-sampling behind it."""
    stages = model.stages()
    first = next(i for i, stage in enumerate(stages) if len(stage.parameters))
    last = next(i for i, stage in enumerate(stages) if isinstance(stage, (nn.MaxPool2d, nn.SubSample2d)))
    x = dlcore.tensor(image[None], model.dtype)
    maps = []
    for i, stage in enumerate(stages[: last + 1]):
        x = stage(x)
        if i in (first, last):
            maps.append(x.numpy()[0])
    return stages[first].weight, maps


def spread(images):
    """Each image brought to [0, 1] by itself."""
    low, high = images.min((-2, -1), keepdims=True), images.max((-2, -1), keepdims=True)
    return (images - low) / np.maximum(high - low, 1e-12)


def same_size(maps, size):
    """Maps (n, height, width) in the middle of white squares."""
    below = [size - maps.shape[1], size - maps.shape[2]]
    around = [(0, 0), *((gap // 2, gap - gap // 2) for gap in below)]
    return np.pad(maps, around, constant_values=1.0)


def deformed(images, height):
    """Rows of pictures: as they are, shifted, turned, scaled, bent."""
    step = height / 28
    return np.concatenate([
        images,
        deform.shift(images, 3 * step, -3 * step),
        deform.rotate(images, 30),
        deform.scale(images, 0.7),
        deform.elastic(images, 50 * step**2, 4 * step, generator=1),
    ])  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="folder of MNIST's four files")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--limit", type=int, help="use the first training cases only")
    parser.add_argument("--out", type=Path, default=Path())
    options = parser.parse_args()
    if options.data is None:
        train, test = load_digits_split()
        models = {"CNN": CNN((1, 8, 8), 10, [CNN.conv(16, 3, padding=1), CNN.pool(2), CNN.conv(32, 3), CNN.dense(32)])}
    else:
        train, test = load_mnist(options.data)
        models = {"LeNet-5, 1998": LeNet5Original(seed=1), "LeNet-5, modern": LeNet5(seed=1)}
    shown = next(iter(models.values()))
    models["MLP"] = mlp_of_size(shown.parameters.size, train.x.shape[1], 10, seed=1)
    train = train.take(options.limit or len(train))
    for model in models.values():
        model.fit(train.x, train.y, epochs=options.epochs, lr=2e-3, schedule="cosine", progress=None)
    report = dlcore.robustness(models, test.x, test.y, image_shape=test.image_shape)
    print(report)

    height = test.image_shape[1]
    filters, (maps, sampled) = first_layers(shown, test.images[0])
    plot.filters(filters, path=options.out / "cnn-filters.png")
    count = min(len(maps), 6)
    size = max(height, maps.shape[1])
    rows = [same_size(spread(part[:count]), size) for part in (maps, sampled)]
    digit = same_size(test.images[0], size)
    blank = np.ones_like(digit)
    tiles = np.concatenate([digit, rows[0], blank, rows[1]])
    plot.samples(tiles, columns=count + 1, path=options.out / "cnn-maps.png")
    plot.samples(deformed(test.images[:10], height), columns=10, path=options.out / "cnn-deformed.png")
    plot.robustness(report, options.out / "cnn-robustness.png")


if __name__ == "__main__":
    main()
