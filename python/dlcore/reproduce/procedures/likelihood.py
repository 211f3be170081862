"""How probable test cases are under an RBM: exactly, or between AIS and reverse AIS."""

from __future__ import annotations

import math
from typing import Any

from ... import ops
from ...models import RBM
from ...ops import Generator
from ..session import Session

_WEIGHT_STREAM = 2**34  # of the seed, for weights that are drawn here


def rbm_likelihood(session: Session) -> dict[str, float]:
    """Fit an RBM on binary cases; ``settings["likelihood"]`` is ``{"method": "exact"}`` or AIS with its arguments."""
    settings = session.settings
    train, test = session.load_data()
    seen, unseen = ((data.x > settings["threshold"]).astype("float32") for data in (train, test))
    rbm = RBM(seen.shape[1], **settings["rbm"], seed=session.seed)
    if settings.get("weights") == "glorot-4":
        draw_weights(rbm, session.seed)
    session.fit("rbm", rbm.fit, seen, **settings["fit"])
    given = dict(settings["likelihood"])
    if given.pop("method") == "exact":
        log_z = session.measure("log Z", rbm.log_partition)
        return {"test log-likelihood": rbm.log_likelihood(unseen, log_z)}
    burn_in = given.pop("burn_in")
    base = seen if given.pop("base") == "data" else "uniform"
    low = session.measure("AIS", lambda: _estimate(rbm.ais(base=base, seed=session.seed, **given)))
    high = session.measure(
        "reverse AIS", lambda: _estimate(rbm.reverse_ais(base=base, burn_in=burn_in, seed=session.seed + 1, **given))
    )
    upper, lower = (rbm.log_likelihood(unseen, found["log_z"]) for found in (low, high))
    return {
        "AIS log-likelihood": upper,
        "reverse AIS log-likelihood": lower,
        "bracket": upper - lower,
        "AIS standard error": low["standard_error"],
        "reverse AIS standard error": high["standard_error"],
    }


def draw_weights(rbm: RBM, seed: int) -> None:
    """W ~ U(±4 √(6 / (n + m))): Glorot and Bengio's bound for sigmoid units."""
    bound = 4.0 * math.sqrt(6.0 / (rbm.n_visible + rbm.n_hidden))
    weight = rbm.machine.weight
    drawn = ops.uniform(Generator(seed).split(_WEIGHT_STREAM), weight.shape, -bound, bound, rbm.dtype)
    weight.array.assign(drawn.array)


def _estimate(found: Any) -> dict[str, float]:
    return {"log_z": found.log_z, "standard_error": found.standard_error, "ess": found.ess}
