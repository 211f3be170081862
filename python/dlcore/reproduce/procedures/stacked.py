"""Deep belief networks: learned layer by layer, then as a classifier or as one generative model."""

from __future__ import annotations

from ...models import DBN
from ..session import Session
from .classifier import fit_and_test, hold_out, test_error


def pretrained_classifier(session: Session) -> dict[str, float]:
    """A DBN of ``settings["layers"]``: RBMs by ``settings["pretrain"]``, then backpropagation."""
    settings = session.settings
    train, test = session.load_data()
    (x, _), _ = hold_out(train, settings["validation"])
    dbn = DBN(settings["layers"], 10, seed=session.seed)
    session.fit("pretraining", dbn.pretrain, x, **settings["pretrain"])
    return fit_and_test(session, dbn, train, test, pretrain=False)


def up_down(session: Session) -> dict[str, float]:
    """A DBN whose top RBM has label units: RBMs by ``settings["pretrain"]``, then all together by up-down.

    It predicts by the exact free energies of the labels.
    """
    settings = session.settings
    train, test = session.load_data()
    dbn = DBN(settings["layers"], 10, label_units=True, seed=session.seed)
    session.fit("pretraining", dbn.pretrain, train.x, train.y, **settings["pretrain"])
    before = test_error(dbn, test)
    session.fit("up-down", dbn.fit_up_down, train.x, train.y, **settings["up_down"])
    return {"test error": test_error(dbn, test), "test error before up-down": before}
