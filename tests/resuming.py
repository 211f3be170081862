"""Models, data and comparisons for the tests of resumed fits."""

import os
import signal

import numpy as np
import pytest
from dlcore.models import MLP
from dlcore.train import Callback

RNG = np.random.default_rng(0)
X = RNG.uniform(0, 1, (40, 6)).astype(np.float32)
Y = RNG.integers(0, 3, 40)


def make(seed=1):
    return MLP([6, 8, 3], dropout=0.3, seed=seed)


class Kill(Callback):
    """Ends a fit as a kill would, after the epoch's checkpoint was not yet written."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_epoch_end(self, run):
        if run.epoch == self.epoch:
            raise KeyboardInterrupt


class End(Callback):
    """Ends a fit at a batch, counted over all layers of a pre-training: by an exception, or as the system does."""

    def __init__(self, batch, kill=False):
        self.left, self.kill = batch, kill

    def on_batch_end(self, run):
        self.left -= 1
        if self.left == 0:
            if self.kill:
                os.kill(os.getpid(), signal.SIGKILL)
            raise KeyboardInterrupt


def state(model):
    """Everything that a further fit depends on."""
    return model.parameters.storage.numpy().tobytes(), {n: (g.key, g.step) for n, g in model.generators.items()}


def figures(history):
    return [{name: value for name, value in record.items() if name != "seconds"} for record in history.records]


def refused(path, model, reason, **arguments):
    before = state(model)
    with pytest.raises(ValueError, match=reason):
        model.fit(X, Y, **({"epochs": 5} | arguments), resume=path)
    assert state(model) == before
    assert len(model.history) == 0
