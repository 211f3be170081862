"""How sparse a code is, beside what it costs in reconstruction."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ...ops.creation import is_number
from ..base import Array
from .coding import CodingModel

NEAR_ZERO = 1e-2


@dataclass(frozen=True)
class SparsityReport:
    """Figures of a code h (cases, units).

    Sizes of activations can be compared only between codes of one scale: with weights of its own, a decoder can make up
    for an encoder that shrinks everything. The figures called scaled, and Hoyer's, do not change when h is multiplied
    by a number. None of them says anything unless the reconstruction errors are near each other.

    Parameters
    ----------
    cases, units : int
    reconstruction_error : mean over the cases of Σ (x − x̂)²
    mean_activation : mean of |h|
    exact_zero : share of the elements that are 0
    near_zero : share with |h| < threshold
    active_units : mean over the cases of the number of units with |h| >= threshold
    scaled_mean : mean of |h| / rms(h), at most 1
    scaled_near_zero : share with |h| < threshold · rms(h)
    hoyer : mean over the cases of (√m − ‖h‖₁ / ‖h‖₂) / (√m − 1), from 0 (all equal) to 1 (one unit speaks); 0 for a
        case whose code is 0, and for one unit
    silent_units : share of the units that are 0 in every case, and so carry nothing

    References
    ----------
    Hoyer (2004), Non-negative matrix factorization with sparseness constraints, equation 3.
    """

    cases: int
    units: int
    reconstruction_error: float
    mean_activation: float
    exact_zero: float
    near_zero: float
    active_units: float
    scaled_mean: float
    scaled_near_zero: float
    hoyer: float
    silent_units: float

    def __str__(self) -> str:
        return sparsity_table({"": self})


def sparsity_report(model: CodingModel, x: Any, threshold: float = NEAR_ZERO) -> SparsityReport:
    """The figures of the codes that an autoencoder gives to cases.

    Parameters
    ----------
    x : (n, *input_shape), at least one case; held out, unless the training set is what is asked about
    threshold : below which an activation counts as nearly 0
    """
    cases = model.as_cases(x, "sparsity_report").numpy()
    if len(cases) == 0:
        raise ValueError("sparsity_report: there are no cases")
    if not is_number(threshold) or not 0 < threshold < math.inf:
        raise ValueError(f"sparsity_report: threshold is {threshold!r}, expected a finite number > 0")
    code = model.encode(cases)
    size: Array = np.abs(code.reshape(len(code), -1).astype(np.float64))
    error = np.square(cases.astype(np.float64) - model.decode(code)).sum() / len(cases)
    units = size.shape[1]
    rms = float(np.sqrt(np.square(size).mean()))
    l1, l2 = size.sum(1), np.sqrt(np.square(size).sum(1))
    hoyer = (math.sqrt(units) - l1 / np.where(l2 > 0, l2, 1.0)) / max(math.sqrt(units) - 1, 1e-300)
    return SparsityReport(
        cases=len(cases),
        units=units,
        reconstruction_error=float(error),
        mean_activation=float(size.mean()),
        exact_zero=float((size == 0).mean()),
        near_zero=float((size < threshold).mean()),
        active_units=float((size >= threshold).sum(1).mean()),
        scaled_mean=float(size.mean() / rms) if rms else 0.0,
        scaled_near_zero=float((size < threshold * rms).mean()) if rms else 1.0,
        hoyer=float(np.where(l2 > 0, hoyer, 0.0).mean()) if units > 1 else 0.0,
        silent_units=float((size == 0).all(0).mean()),
    )


def sparsity_table(reports: Mapping[str, SparsityReport]) -> str:
    """Reports side by side as text: a line for each figure, a column for each name."""
    names = list(reports)
    columns = [asdict(report) for report in reports.values()]
    rows = [["", *names]] if any(names) else []
    for figure in SparsityReport.__dataclass_fields__:
        rows.append([figure.replace("_", " "), *(_text(figure, column[figure]) for column in columns)])
    widths = [max(len(row[i]) for row in rows) for i in range(len(names) + 1)]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *(text.rjust(w) for text, w in zip(row[1:], widths[1:], strict=True))])
        for row in rows
    )


def _text(figure: str, value: float) -> str:
    if isinstance(value, int):
        return str(value)
    if figure in ("exact_zero", "near_zero", "scaled_near_zero", "silent_units"):
        return f"{100 * value:.1f} %"
    return f"{value:.3f}"
