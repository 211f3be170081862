"""A deep autoencoder from a stack of RBMs, beside logistic PCA and PCA with as many numbers a case."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...models import DBN, Autoencoder
from ..session import Session


def deep_autoencoder(session: Session) -> dict[str, float]:
    """Squared error of a case, summed over its pixels, on test cases: of the autoencoder, logistic PCA and PCA."""
    settings = session.settings
    train, test = session.load_data()
    widths = settings["layers"]
    dbn = DBN(widths, None, code="gaussian", seed=session.seed)
    session.fit("pretraining", dbn.pretrain, train.x, **settings["pretrain"])
    deep = dbn.unroll()
    before = _squared_error(deep, test.x)
    session.fit("fine-tuning", deep.fit, train.x, **settings["fit"])
    shallow = Autoencoder([widths[0], widths[-1]], code_activation="identity", seed=session.seed)
    session.fit("logistic PCA", shallow.fit, train.x, **settings["logistic_pca"])
    return {
        "deep autoencoder": _squared_error(deep, test.x),
        "logistic PCA": _squared_error(shallow, test.x),
        "PCA": session.measure("PCA", lambda: pca_error(train.x, test.x, widths[-1])),
        "deep autoencoder before fine-tuning": before,
    }


def _squared_error(model: Autoencoder, x: Any) -> float:
    return float(np.square(model.reconstruct(x) - x).sum(axis=1, dtype=np.float64).mean())


def pca_error(seen: Any, unseen: Any, components: int) -> float:
    """Mean over the rows of `unseen` of the squared distance from the affine space of `seen`'s first components."""
    mean = seen.mean(axis=0, dtype=np.float64)
    centred = seen - mean
    _, vectors = np.linalg.eigh(centred.T @ centred)  # the eigenvalues rise
    basis = vectors[:, -components:]
    rest = unseen - mean
    return float((np.square(rest).sum(axis=1) - np.square(rest @ basis).sum(axis=1)).mean())
