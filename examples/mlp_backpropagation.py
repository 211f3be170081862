"""Backpropagation by hand beside dlcore's, and a perceptron beside linear models on the bundled digits.

The gradient of a network with one hidden layer is written out in NumPy, as Rumelhart, Hinton and Williams did in 1986,
and compared with the gradient that dlcore computes. With a folder of MNIST's files by --data the models learn those.
"""

import argparse
from pathlib import Path

import dlcore
import numpy as np
from dlcore.data import load_digits_split, load_mnist
from dlcore.models import MLP, LinearSVM, SoftmaxRegression


def by_hand(x, labels, w1, b1, w2, b2):
    """The mean cross-entropy of softmax(tanh(x W1 + b1) W2 + b2) and its gradient by W1, b1, W2, b2."""
    n = len(x)
    hidden = np.tanh(x @ w1 + b1)
    scores = hidden @ w2 + b2
    p = np.exp(scores - scores.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    loss = -np.log(p[np.arange(n), labels]).mean()
    dscores = (p - np.eye(10)[labels]) / n  # forward to the scores, then back, layer by layer
    dhidden = dscores @ w2.T * (1 - hidden**2)
    return loss, [x.T @ dhidden, dhidden.sum(0), hidden.T @ dscores, dscores.sum(0)]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="folder of MNIST's four files")
    parser.add_argument("--epochs", type=int, default=20)
    options = parser.parse_args()
    train, test = load_digits_split() if options.data is None else load_mnist(options.data)
    inputs = train.x.shape[1]

    model = MLP([inputs, 16, 10], "tanh", seed=1, dtype="float64")
    x, y = train.x[:50].astype(np.float64), train.y[:50]
    loss, gradient = by_hand(x, y, *(value.numpy() for value in model.parameters.values()))
    value, g = dlcore.value_and_grad(model.objective, model.parameters)(dlcore.tensor(x), dlcore.tensor(y, "int32"))
    pairs = zip(gradient, model.parameters.split(g).values(), strict=True)
    print(f"the loss by hand, by dlcore  {loss:.12f} {value.item():.12f}")
    print(f"largest difference of the two gradients  {max(abs(a - b.numpy()).max() for a, b in pairs):.2e}")

    models = {
        "linear": SoftmaxRegression(inputs, 10),
        "linear by margin": LinearSVM(inputs, 10),
        "one hidden layer": MLP([inputs, 128, 10], seed=1),
        "two, with dropout": MLP([inputs, 256, 128, 10], dropout=0.2, seed=1),
    }
    for name, model in models.items():
        model.fit(train.x, train.y, epochs=options.epochs, batch_size=32, lr=2e-3, schedule="cosine")
        print(f"{name}, test error %  {100 * (1 - model.score(test.x, test.y)):.2f}")


if __name__ == "__main__":
    main()
