"""What features learned without labels are worth where few cases have labels."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from ... import ops
from ...data import Dataset
from ...models import MLP, RBM
from ...ops import Generator
from ..session import Session

_LABEL_STREAM = 2**34 + 1  # of the seed, for which cases keep their labels


def few_labels(session: Session) -> dict[str, float]:
    """Accuracy in per cent of an MLP that begins with an RBM's weights, and from random ones, and the gain.

    For each number in ``settings["labels"]`` the mean over ``settings["draws"]`` sets of as many cases of each class,
    the same for both.
    """
    settings = session.settings
    train, test = session.load_data()
    rbm = RBM(train.x.shape[1], **settings["rbm"], seed=session.seed)
    session.fit("rbm", rbm.fit, train.x, **settings["pretrain"])
    found: dict[str, float] = {}
    for labels in settings["labels"]:
        means = {}
        for start, weights in (("pre-trained", rbm), ("random", None)):
            fit = settings["fit"][str(labels)][start]
            values = []
            for draw in range(settings["draws"]):
                task = partial(_accuracy, session, train, test, labels, draw, weights, fit)
                values.append(session.measure(f"{labels} labels, {start}, draw {draw + 1}", task))
            means[start] = float(np.mean(values))
        found |= {f"{labels} labels, {start}": value for start, value in means.items()}
        found[f"{labels} labels, gain"] = means["pre-trained"] - means["random"]
    return found


def _accuracy(
    session: Session, train: Dataset, test: Dataset, labels: int, draw: int, rbm: RBM | None, fit: Mapping[str, Any]
) -> float:
    chosen = draw_labels(train.y, labels, session.seed, draw)
    hidden = session.settings["rbm"]["n_hidden"]
    mlp = MLP([train.x.shape[1], hidden, 10], "sigmoid", **session.settings["mlp"], seed=session.seed + draw)
    if rbm is not None:
        first = {"layers.0.weight": rbm.machine.weight.numpy(), "layers.0.bias": rbm.machine.hidden_bias.numpy()}
        mlp.parameters.assign({name: value.numpy() for name, value in mlp.parameters.items()} | first)
    mlp.fit(train.x[chosen], train.y[chosen], progress=False, **fit)
    return 100.0 * mlp.score(test.x, test.y)


def draw_labels(y: Any, count: int, seed: int, draw: int) -> Any:
    """Indices of `count` cases, as many of each of the ten classes."""
    order = ops.permutation(Generator(seed).split(_LABEL_STREAM + draw), len(y)).numpy()
    each = count // 10
    return np.sort(np.concatenate([order[y[order] == digit][:each] for digit in range(10)]))
