"""Small belief networks for the tests of DBNs."""

import numpy as np
from dlcore.models import DBN
from machines import bars

SIZES = [16, 10, 6]
QUICK = {"epochs": 3, "batch_size": 20}


def labelled(n=200, seed=0):
    """Bars, and whether the first row is on."""
    x = bars(n, seed, flip=0.02)
    return x, (x[:, :4].sum(1) > 2).astype(np.int32)


def trained(seed=1, **options):
    x, y = labelled()
    dbn = DBN(SIZES, 2, seed=seed, **options)
    dbn.fit(x, y, epochs=3, pretrain=QUICK)
    return dbn


def theta(dbn):
    return dbn.parameters.storage.numpy()


def machines(dbn):
    return [{name: value.numpy() for name, value in rbm.parameters.items()} for rbm in dbn.rbms]
