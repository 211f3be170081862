"""Train a restricted Boltzmann machine on the bundled digits and draw samples from it.

Pictures go to the current folder: the filters it learned, and 64 digits that it made up.
"""

from dlcore import plot
from dlcore.data import load_digits_split
from dlcore.models import RBM

train, test = load_digits_split()  # pixels in [0, 1] are taken as probabilities

rbm = RBM(n_visible=64, n_hidden=128, k=1, seed=1)
print(rbm.summary())
history = rbm.fit(train.x, epochs=50, batch_size=20, lr=0.05, validation_data=test.x, progress=True)

# How much less probable held-out digits are than those it has seen, in nats: it grows when the machine overfits.
print(f"free-energy gap {history.last['free_energy_gap']:.2f}")

plot.filters(rbm.parameters["weight"], path="rbm-filters.png")
plot.samples(rbm.sample(64, steps=1000), path="rbm-samples.png")
print("wrote rbm-filters.png and rbm-samples.png")
