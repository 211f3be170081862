"""A network in a training loop of one's own, and calls of a step, for the tests of `traced`."""

import numpy as np
from dlcore import losses, nn, ops, optim, tensor, value_and_grad

RNG = np.random.default_rng(0)
X = [RNG.standard_normal((7, 5)).astype(np.float32) for _ in range(9)]
Y = [RNG.integers(0, 3, 7).astype(np.int32) for _ in range(9)]


class Learner:
    """A network with what a training loop of one's own holds."""

    def __init__(self, optimizer=optim.Adam, dropout=0.0, dtype="float32", layers=(), **options):
        parts = [nn.Linear(5, 6, "relu"), *layers]
        if dropout:
            parts.append(nn.Dropout(dropout))
        self.net = nn.Sequential(*parts, nn.Linear(6, 3)).build(seed=1, dtype=dtype)
        self.optimizer = optimizer(self.net.parameters, **options)
        self.gradient = value_and_grad(lambda x, y: losses.cross_entropy(self.net(x), y), self.net.parameters)

    def step(self, x, y):
        loss, gradient = self.gradient(x, y)
        self.optimizer.step(gradient)
        return loss

    def everything(self):
        saved = self.optimizer.state_dict()
        noise = [part.generator.step for _, part in self.net.modules() if isinstance(part, nn.Dropout)]
        state = {name: value.tobytes() for name, value in saved.pop("state").items()}
        buffers = {name: value.numpy().tobytes() for name, value in self.net.buffers.items()}
        return self.net.parameters.storage.numpy().tobytes(), state, saved, buffers, noise


def trained(learner, step, calls=9, given=lambda i: (tensor(X[i]), tensor(Y[i], "int32"))):
    found = [float(step(*given(i))) for i in range(calls)]
    return found, learner.everything()


def ones():
    return ops.ones((3,))


def values_of(step, calls=5, change=None):
    """The results of calls with ones, `change` being called before each."""
    found = []
    for i in range(calls):
        if change is not None:
            change(i)
        result = step(ones())
        found.append(None if result is None else float(ops.sum(result[0] if isinstance(result, tuple) else result)))
    return found
