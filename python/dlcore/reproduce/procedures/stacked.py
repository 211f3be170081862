"""Stacks of RBMs learned layer by layer, each a phase that resumes, and classifiers that begin with their weights."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from ...models import DBN, RBM
from ..session import Session
from .classifier import fit_and_test, hold_out


def pretrained_classifier(session: Session) -> dict[str, float]:
    """A DBN of ``settings["layers"]``: RBMs by ``settings["pretrain"]``, then backpropagation."""
    settings = session.settings
    train, test = session.load_data()
    (x, _), _ = hold_out(train, settings["validation"])
    rbms = learn_rbms(session, x, settings["layers"], settings["pretrain"])
    dbn = DBN(settings["layers"], 10, **settings.get("dbn", {}), seed=session.seed)
    for i, rbm in enumerate(rbms):
        dbn.belief.machines[i].parameters.assign({name: value.numpy() for name, value in rbm.parameters.items()})
        weight, bias = rbm.machine.weight.numpy(), rbm.machine.hidden_bias.numpy()
        dbn.belief.recognition[i].parameters.assign({"weight": weight, "bias": bias})
    return fit_and_test(session, dbn, train, test, pretrain=False)


def learn_rbms(session: Session, x: Any, widths: Sequence[int], settings: Sequence[dict[str, Any]]) -> list[RBM]:
    """RBMs from the bottom up, each on the features of the one below.

    Parameters
    ----------
    settings : for each layer the arguments of `RBM.fit`, those of the RBM in "rbm" among them
    """
    rbms: list[RBM] = []
    for i, (visible, hidden) in enumerate(pairwise(widths)):
        given = dict(settings[i])
        rbm = RBM(visible, hidden, **given.pop("rbm", {}), seed=session.seed + i)
        session.fit(f"rbm-{i + 1}", rbm, x, **given)
        x = rbm.transform(x)
        rbms.append(rbm)
    return rbms
