"""The kinds of units in the layers of a restricted Boltzmann machine: how they are written, and what data they take."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np

from ... import ops
from ...ops.creation import is_integer
from ...tensor import Tensor

KINDS = ("bernoulli", "softmax", "gaussian")
SUM_ERROR = 1e-3  # by which the values of a softmax group may miss 1: data are often given in few digits


class Segment(NamedTuple):
    """Visible units begin … end − 1 of one kind; softmax units are groups of `group` units, of others it is 1."""

    kind: str
    begin: int
    end: int
    group: int


def visible_segments(visible: Any, n_visible: int, who: str) -> tuple[Segment, ...]:
    """The segments of a visible layer; neighbours of one kind are one.

    Parameters
    ----------
    visible : "bernoulli", "gaussian", "softmax" (one group of all units) or "softmax:g" (groups of g) for all units; or
        a list of (kind, units), in order: ("softmax", 10) is one group of ten, ("softmax:5", 100) are twenty of five

    Raises
    ------
    ValueError
    """
    whole = isinstance(visible, str)
    try:
        given = [(visible, n_visible)] if whole else [(kind, units) for kind, units in visible]
    except (TypeError, ValueError):
        given = []
    found: list[Segment] = []
    for kind, units in given:
        name, colon, size = kind.partition(":") if isinstance(kind, str) else ("", "", "")
        counted = size.isascii() and size.isdigit()  # "²" is a digit, too
        group = int(size) if counted else units if name == "softmax" and not colon else 1
        good = name in KINDS and (not colon or (name == "softmax" and counted))
        if not good or not is_integer(units) or units < 1 or group < 1 or units % group:
            given = []
            break
        begin = found[-1].end if found else 0
        found.append(Segment(name, begin, begin + int(units), int(group)))
    if not given:
        raise ValueError(
            f"{who}: visible is {visible!r}, expected 'bernoulli', 'gaussian', 'softmax' or 'softmax:g' with whole "
            "groups of g units, or a list of such kinds with their numbers of units"
        )
    if found[-1].end != n_visible:
        raise ValueError(f"{who}: visible has {found[-1].end} units, expected n_visible = {n_visible}")
    runs = [list(run) for _, run in groupby(found, key=lambda s: (s.kind, s.group))]
    return tuple(Segment(run[0].kind, run[0].begin, run[-1].end, run[0].group) for run in runs)


def require_hidden(hidden: Any, segments: Sequence[Segment], who: str) -> str:
    """The kind of the hidden units, "bernoulli" or "gaussian".

    Raises
    ------
    ValueError
    """
    if hidden not in ("bernoulli", "gaussian"):
        raise ValueError(f"{who}: hidden is {hidden!r}, expected 'bernoulli' or 'gaussian'")
    if hidden == "gaussian" and any(s.kind == "gaussian" for s in segments):
        raise ValueError(f"{who}: gaussian units in both layers need not have a distribution; expected them in one")
    return str(hidden)


def is_plain(segments: Sequence[Segment]) -> bool:
    """Whether all units are Bernoulli."""
    return all(s.kind == "bernoulli" for s in segments)


def require_values(x: Tensor, segments: Sequence[Segment], who: str, name: str) -> None:
    """Raise a ValueError with the first row of x (n, units) that the units cannot have.

    Bernoulli and softmax units take values in [0, 1], of which those of a softmax group add to 1; Gaussian ones take
    finite numbers.
    """
    if is_plain(segments):
        if x.size and not (ops.min(x).item() >= 0.0 and ops.max(x).item() <= 1.0):  # a NaN wins both
            _refuse(x.numpy(), 0, 0.0, 1.0, who, name)
        return
    values = x.numpy()
    for kind, begin, end, group in segments:
        part = values[:, begin:end]
        if kind == "gaussian":
            if not np.isfinite(part).all():
                _refuse(part, begin, -np.finfo(part.dtype).max, np.finfo(part.dtype).max, who, name)
            continue
        if not ((part >= 0.0) & (part <= 1.0)).all():
            _refuse(part, begin, 0.0, 1.0, who, name)
        if kind == "softmax":
            sums = part.reshape(len(part), (end - begin) // group, group).sum(2, dtype=np.float64)
            bad = np.argwhere(~(np.abs(sums - 1.0) <= SUM_ERROR))
            if len(bad):
                row, column = bad[0]
                first = begin + column * group
                raise ValueError(
                    f"{who}: the softmax group {first} to {first + group - 1} of {name} adds to "
                    f"{sums[row, column]:.6g} in row {row}, expected 1"
                )


def _refuse(part: np.ndarray[Any, Any], begin: int, low: Any, high: Any, who: str, name: str) -> None:
    row, column = np.argwhere(~((part >= low) & (part <= high)))[0]
    expected = "values in [0, 1]" if high == 1.0 else f"a finite number for the gaussian unit {begin + column}"
    raise ValueError(f"{who}: {name} has {part[row, column]} in row {row}, expected {expected}")
