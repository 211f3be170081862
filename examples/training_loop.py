"""Write the training loop yourself: a gradient is a value, and one optimizer serves backpropagation and RBMs alike."""

import dlcore
import numpy as np
from dlcore import losses, nn, optim
from dlcore.data import load_digits_split
from dlcore.models import RBM

train, test = load_digits_split()
rng = np.random.default_rng(0)

# A network is made of modules; all of its parameters are views of one vector θ.
network = nn.Sequential(nn.Linear(64, 128, "relu"), nn.Linear(128, 10)).build(seed=1)
optimizer = optim.Adam(network.parameters, lr=3e-3)


def objective(x, y):
    """The mean cross-entropy of a batch."""
    return losses.cross_entropy(network(x), y)


step = dlcore.value_and_grad(objective, network.parameters)
for _ in range(20):
    order = rng.permutation(len(train))
    for batch in np.array_split(order, 45):
        loss, gradient = step(dlcore.tensor(train.x[batch]), train.y[batch])
        optimizer.step(gradient)
predicted = network(dlcore.tensor(test.x)).numpy().argmax(axis=1)
print(f"network: last loss {loss.item():.4f}, test error {np.mean(predicted != test.y):.2%}")

# Contrastive divergence gives the same kind of gradient, so the loop is the same.
rbm = RBM(64, 100, seed=1)
optimizer = optim.SGD(rbm.parameters, lr=0.05, momentum=0.9)
for _ in range(10):
    for batch in np.array_split(rng.permutation(len(train)), 72):
        optimizer.step(rbm.cd_gradient(train.x[batch]))
restored = rbm.reconstruct(test.x)
print(f"RBM: squared error of a reconstruction {np.square(test.x - restored).sum(axis=1).mean():.2f}")
