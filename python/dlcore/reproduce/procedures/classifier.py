"""A classifier from random weights, stopped by validation cases, tested once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ... import models
from ...data import Dataset
from ...train import Callback, EarlyStopping
from ..patience import PatienceInSteps
from ..session import Session

Pair = tuple[Any, Any]


def classify(session: Session) -> dict[str, float]:
    """Fit ``settings["model"]`` and test it."""
    train, test = session.load_data()
    model = make(session)
    found = fit_and_test(session, model, train, test)
    batch = session.settings.get("whole_batches")
    if batch:
        found |= {"test error, whole batches": test_error(model, test.take(len(test) // batch * batch))}
    return found


def make(session: Session) -> Any:
    """The model that ``settings["model"]`` describes: a class of `dlcore.models` by name, and its arguments."""
    given = dict(session.settings["model"])
    return getattr(models, given.pop("class"))(**given, seed=session.seed)


def fit_and_test(session: Session, model: Any, train: Dataset, test: Dataset, **others: Any) -> dict[str, float]:
    """Fit with ``settings["fit"]`` and ``settings["stopping"]``; the test error in per cent of what that leaves.

    `others` are arguments of ``fit`` too. ``settings["validation"]`` is the share of the training set, its last cases,
    that is for validation.
    """
    batch = session.settings.get("whole_batches", 1)
    kept, held = hold_out(train, session.settings["validation"], batch)
    arguments = dict(session.settings["fit"]) | others
    if held is not None:
        arguments["validation_data"] = held
    session.fit("fit", model.fit, *kept, callbacks=stopping(session.settings.get("stopping")), **arguments)
    return {"test error": test_error(model, test)}


def hold_out(train: Dataset, share: float, batch: int = 1) -> tuple[Pair, Pair | None]:
    """(x, y) to learn from and (x, y) of the last cases, `share` of all; None where it is 0.

    Each is cut to whole batches, as the Deep Learning Tutorials do.
    """
    count = len(train) - round(len(train) * share)
    kept = count // batch * batch
    end = count + (len(train) - count) // batch * batch
    held = (train.x[count:end], train.y[count:end]) if end > count else None
    return (train.x[:kept], train.y[:kept]), held


def stopping(given: Mapping[str, Any] | None) -> list[Callback]:
    """The callback that ``settings["stopping"]`` describes: patience in steps, or in epochs of a ``monitor``."""
    if given is None:
        return []
    return [EarlyStopping(**given) if "monitor" in given else PatienceInSteps(**given)]


def test_error(model: Any, test: Dataset) -> float:
    """Share of wrong predictions, in per cent."""
    return 100.0 * (1.0 - float(model.score(test.x, test.y)))
