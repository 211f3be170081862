"""Train a restricted Boltzmann machine on digits, say how probable unseen ones are, draw samples, restore halves.

    python rbm_samples.py [mnist]

Without an argument it takes the bundled 8×8 digits (seconds), with "mnist" the real ones (some minutes).
Pictures go to the current folder.
"""

import sys

import numpy as np
from dlcore import plot
from dlcore.data import load_digits_split, load_mnist
from dlcore.models import RBM

if sys.argv[1:] == ["mnist"]:
    train, test = load_mnist()
    name, hidden, epochs, batch_size = "rbm-mnist", 500, 30, 100
else:
    train, test = load_digits_split()
    name, hidden, epochs, batch_size = "rbm-digits", 128, 50, 20
shape = train.image_shape
seen, unseen = ((data.x > 0.5).astype("float32") for data in (train, test))  # likelihoods are of binary pixels

rbm = RBM(seen.shape[1], hidden, persistent=True, centered=True, seed=1)
print(rbm.summary())
history = rbm.fit(
    seen, epochs=epochs, batch_size=batch_size, lr=0.05, momentum=0.0, weight_decay=0.0, schedule="linear",
    validation_data=unseen, progress=True,
)  # fmt: skip

# How much less probable held-out digits are than those it has seen, in nats: it grows when the machine overfits.
print(f"free-energy gap {history.last['free_energy_gap']:.2f}")
below, above = rbm.ais(base=seen, betas=2000, seed=2), rbm.reverse_ais(base=seen, betas=2000, seed=3)
for found, what in ((below, "AIS"), (above, "reverse AIS")):
    value = rbm.log_likelihood(unseen, found.log_z)
    print(f"log p(v) by {what}: {value:.2f} nats a digit, standard error {found.standard_error:.2f}")

plot.filters(rbm.parameters["weight"], shape, n=40, path=f"{name}-filters.png")
start = seen[:50]
plot.samples(rbm.sample(50, steps=1000, start=start), shape, columns=10, path=f"{name}-samples.png")

cut = unseen[:10].copy()
cut.reshape(-1, *shape)[:, :, shape[1] // 2 :] = np.nan  # rows of the lower half
plot.reconstructions(np.nan_to_num(cut, nan=0.5), rbm.impute(cut), shape, path=f"{name}-restored.png")
print(f"wrote {name}-filters.png, -samples.png and -restored.png")
