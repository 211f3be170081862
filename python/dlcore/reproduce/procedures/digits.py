"""RBM features of small digits against their pixels, under logistic regression."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...data import Dataset, load_digits
from ...models import RBM, SoftmaxRegression
from ..session import Session

_SHIFTS = ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1))


def digits_features(session: Session) -> dict[str, float]:
    """Accuracy on a fifth of the digits nudged five-fold: logistic regression on an RBM's features and on pixels.

    The mean over ``settings["splits"]`` ways to choose that fifth.
    """
    whole = nudged(load_digits())
    low, high = whole.x.min(axis=0), whole.x.max(axis=0)
    scaled = Dataset((whole.x - low) / np.where(high > low, high - low, 1.0), whole.y, whole.image_shape, whole.name)
    runs = [_one_split(session, scaled, split) for split in range(session.settings["splits"])]
    found = {name: float(np.mean([run[name] for run in runs])) for name in runs[0]}
    found["gain"] = found["accuracy on features"] - found["accuracy on pixels"]
    return found


def _one_split(session: Session, data: Dataset, split: int) -> dict[str, float]:
    settings, seed = session.settings, session.seed + split
    train, test = data.split(0.2, seed=seed)
    rbm = RBM(train.x.shape[1], **settings["rbm"], seed=seed)
    session.fit(f"rbm {split + 1}", rbm.fit, train.x, **settings["pretrain"])
    sets = {"features": (rbm.transform(train.x), rbm.transform(test.x)), "pixels": (train.x, test.x)}
    found = {}
    for name, (seen, unseen) in sets.items():
        given = dict(settings[name])
        decay = 1.0 / (given.pop("C") * len(train))
        model = SoftmaxRegression(seen.shape[1], 10, weight_decay=decay, seed=seed)
        session.fit(f"{name} {split + 1}", model.fit, seen, train.y, batch_size=len(train), shuffle=False, **given)
        found[f"accuracy on {name}"] = float(model.score(unseen, test.y))
    return found


def nudged(data: Dataset) -> Dataset:
    """The cases and their copies moved by one pixel in each of four directions; what moves in is 0."""
    images = data.images
    copies = [_moved(images, down, right).reshape(len(data), -1) for down, right in _SHIFTS]
    return Dataset(np.concatenate(copies), np.tile(data.y, len(_SHIFTS)), data.image_shape, f"{data.name}-nudged")


def _moved(images: Any, down: int, right: int) -> Any:
    height, width = images.shape[2:]
    padded = np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1)))
    return padded[:, :, 1 - down : 1 - down + height, 1 - right : 1 - right + width]
