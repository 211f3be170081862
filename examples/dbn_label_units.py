"""A deep belief network that learns digits and their labels together, reads digits, and draws the digits it is told to.

    python dbn_label_units.py [mnist]

Without an argument it takes the bundled 8×8 digits (seconds), with "mnist" the real ones (some minutes).
Pictures go to the current folder. Killed at any time, it goes on where it was when it is started again.
"""

import sys
from pathlib import Path

import numpy as np
from dlcore import plot
from dlcore.data import load_digits_split, load_mnist
from dlcore.models import DBN
from dlcore.train import Checkpoint

if sys.argv[1:] == ["mnist"]:
    train, test = load_mnist()
    name, sizes, batch_size, epochs, tuning = "dbn-mnist", [784, 500, 500, 1000], 100, 5, 5
else:
    train, test = load_digits_split()
    name, sizes, batch_size, epochs, tuning = "dbn-digits", [64, 100, 100], 20, 15, 10
shape = train.image_shape


def saved(part):
    """Arguments of a fit that saves its state after every epoch, and goes on from what it finds there."""
    file = Path(f"{name}-{part}.dlcore")
    return {"callbacks": [Checkpoint(file)], "resume": file if file.exists() else None}


dbn = DBN(sizes, classes=10, label_units=True, seed=1)
dbn.pretrain(train.x, train.y, epochs=epochs, batch_size=batch_size, lr=0.1, **saved("pretraining"))
print(f"greedy pre-training: {100 * (1 - dbn.score(test.x, test.y)):.2f} % of {len(test)} test digits are misread")
plot.filters(dbn.belief.machines[0].weight, shape, n=40, path=f"{name}-filters.png")

dbn.fit_up_down(
    train.x, train.y, epochs=tuning, batch_size=batch_size, lr=0.02, momentum=0.5, k=(1, 3, 5), **saved("up-down")
)
print(f"up-down: {100 * (1 - dbn.score(test.x, test.y)):.2f} %")

bound = dbn.log_likelihood_bound(test.x, samples=5, ais={"chains": 50, "betas": 1000, "seed": 1})
print(f"log p(v) >= {bound.value:.1f} nats a digit, standard error {bound.standard_error:.2f}")

plot.reconstructions(test.x[:10], dbn.reconstruct(test.x[:10]), shape, path=f"{name}-reconstructions.png")
labels = np.repeat(np.arange(10), 10)
plot.samples(dbn.sample(y=labels, steps=1000), shape, columns=10, path=f"{name}-classes.png")
plot.samples(dbn.sample(64, steps=300, start=train.x[:64]), shape, path=f"{name}-samples.png")
dbn.save(f"{name}.dlcore")
print(f"wrote {name}-filters.png, -reconstructions.png, -classes.png and -samples.png")
