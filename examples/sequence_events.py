"""A network with sub-sampling in time tells which of two events happened, and comes near the best that is possible.

A sequence is white noise with one event in it, at any time: a rise and a fall, or a fall and a rise. The mean of both
classes is the same at almost every time, so a linear model sees nothing; the optimal decision is known, and its error.
"""

import argparse

import numpy as np
from dlcore.models import CNN, SoftmaxRegression

LENGTH, EVENT, HEIGHT = 48, 8, 1.6
TEMPLATE = HEIGHT * np.sin(2 * np.pi * (np.arange(EVENT) + 0.5) / EVENT)  # of class 0; class 1 has its negative


def sequences(n, rng):
    """Sequences (n, 1, LENGTH) and their classes (n,)."""
    x = rng.standard_normal((n, 1, LENGTH))
    y = rng.integers(0, 2, n)
    start = rng.integers(0, LENGTH - EVENT + 1, n)
    x[np.arange(n)[:, None], 0, start[:, None] + np.arange(EVENT)] += np.where(y == 0, 1, -1)[:, None] * TEMPLATE
    return x, y


def optimal(x):
    """argmax_c p(x | c) ∝ Σ_t exp(x · s_c(t)), s_c(t) the event of class c from time t on, all of them of one norm."""
    match = np.lib.stride_tricks.sliding_window_view(x[:, 0], EVENT, 1) @ TEMPLATE
    return (np.exp(-match).sum(1) > np.exp(match).sum(1)).astype(int)


def network(seed):
    """5 + 3 taps in time, sub-sampled by 2 and then over what is left."""
    layers = [CNN.conv(8, 5), CNN.pool(2), CNN.conv(16, 3), CNN.pool(20)]
    return CNN((1, LENGTH), 2, layers, seed=seed)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=8000)
    parser.add_argument("--epochs", type=int, default=20)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    x, y = sequences(options.cases, rng)
    held, labels = sequences(20_000, rng)
    cnn, linear = network(seed=1), SoftmaxRegression(LENGTH, 2)
    cnn.fit(x, y, epochs=options.epochs, lr=5e-3, schedule="cosine")
    linear.fit(x[:, 0], y, epochs=options.epochs)
    print(cnn.summary())
    print(f"linear model          {100 * (1 - linear.score(held[:, 0], labels)):.2f} % wrong")
    print(f"sub-sampling in time  {100 * (1 - cnn.score(held, labels)):.2f} % wrong")
    print(f"the optimal decision  {100 * np.mean(optimal(held) != labels):.2f} % wrong, with a standard error of 0.25")


if __name__ == "__main__":
    main()
