"""The fit loop: epochs with their callbacks, and what a model says of batches of cases."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from .. import ops
from ..ops.creation import is_integer
from ..tensor import Tensor
from .batches import batches, rows
from .callbacks import Callback, Checkpoint
from .history import History
from .progress import Bar, progress_callback
from .resume import restore_run
from .run import Run
from .snapshot import put_back, snapshot

Epoch = Callable[[Run], Mapping[str, float]]


def run_epochs(
    run: Run,
    epoch: Epoch,
    callbacks: Iterable[Callback] = (),
    progress: bool | None = None,
    resume: str | os.PathLike[str] | None = None,
    begin: Callable[[], object] | None = None,
) -> History:
    """Call `epoch` until ``run.epochs`` are done or a callback stops, and keep the model whole whatever happens.

    Parameters
    ----------
    run : what is trained
    epoch : does one epoch's steps on ``run.model.parameters`` and returns its figures. It calls `end_batch` after each
        step, and raises FloatingPointError when a loss is not finite.
    callbacks : checkpoints are called after the others, so that they save what the others have seen
    progress : see `dlcore.train.progress_callback`
    resume : checkpoint file to go on from; ``run.epochs`` counts its epochs too
    begin : called when everything has been checked, before the first epoch, unless the run is resumed

    Returns
    -------
    History, which is also ``run.model.history`` from the start

    Raises
    ------
    FloatingPointError
        When a loss or a parameter is no longer finite. The parameters are those after the last finite epoch.
    KeyboardInterrupt and whatever else a step or callback raises
        The parameters are those after the last complete step, or as above where they are not finite.
    """
    if not isinstance(callbacks, Iterable):
        raise TypeError(f"fit: callbacks is {callbacks!r}, expected a list of Callback")
    given = list(callbacks)
    for callback in given:
        if not isinstance(callback, Callback):
            raise TypeError(f"fit: callbacks has a {type(callback).__name__}, expected a Callback")
    shown = progress_callback(progress, run.label)
    run.callbacks = sorted(given, key=lambda callback: isinstance(callback, Checkpoint))
    if shown is not None:
        run.callbacks.append(shown)
    for callback in run.callbacks:
        callback.check(run)
    if resume is not None:
        restore_run(resume, run)
    elif begin is not None:
        begin()
    theta = run.model.parameters.storage
    finite = snapshot(run.model)
    run.model.history = run.history
    if run.optimizer is not None:
        run.optimizer.bind_epochs(run.batches)
    try:
        for callback in run.callbacks:
            callback.on_train_begin(run)
        while not run.is_last_epoch:
            started = time.perf_counter()
            run.batch = 0
            figures = dict(epoch(run))
            if not ops.all_finite(theta):
                raise FloatingPointError("a parameter is not finite")
            run.epoch += 1
            if run.callbacks or not run.is_last_epoch:  # else nothing follows that could need it
                finite = snapshot(run.model)
            run.history.append(figures | {"seconds": time.perf_counter() - started})
            for callback in run.callbacks:
                callback.on_epoch_end(run)
        if run.callbacks:
            run.last = snapshot(run.model)
        for callback in run.callbacks:
            callback.on_train_end(run)
    except FloatingPointError as error:
        put_back(run.model, finite)
        kept = f"after epoch {run.epoch}" if run.epoch else "before the fit"
        raise FloatingPointError(
            f"fit: {error} in epoch {run.epoch + 1}; the parameters are again those {kept}. A smaller lr may help."
        ) from None
    except BaseException:
        if not ops.all_finite(theta):
            put_back(run.model, finite)
        raise
    finally:
        if isinstance(shown, Bar):
            shown.close()
    return run.history


def average(
    figures: Callable[..., Mapping[str, float]], data: Sequence[Tensor], batch_size: int = 1024
) -> dict[str, float]:
    """Mean over all cases of figures that are means over a batch's cases."""
    totals: dict[str, float] = {}
    cases = 0
    for count, batch in batches(data, batch_size):
        cases += count
        for name, value in figures(*batch).items():
            totals[name] = totals.get(name, 0.0) + value * count
    if cases == 0:
        raise ValueError("the mean over no cases is not defined")
    return {name: total / cases for name, total in totals.items()}


def map_batches(function: Callable[[Tensor], Tensor], x: Tensor, batch_size: int = 1024) -> np.ndarray[Any, Any]:
    """``function(x)`` as a NumPy array, computed `batch_size` rows at a time to bound the memory it takes."""
    if not is_integer(batch_size) or batch_size < 1:
        raise ValueError(f"predict: batch_size is {batch_size!r}, expected a positive integer")
    cases = x.shape[0]
    if cases <= batch_size:
        return function(x).numpy()
    first = function(rows(x, 0, batch_size)).numpy()
    result = np.empty((cases, *first.shape[1:]), first.dtype)
    result[:batch_size] = first
    for start in range(batch_size, cases, batch_size):
        count = min(batch_size, cases - start)
        result[start : start + count] = function(rows(x, start, count)).numpy()
    return result
