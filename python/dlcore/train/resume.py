"""The whole state of a fit in a file, and back: a resumed fit ends in the bits of an undisturbed one."""

from __future__ import annotations

import json
import os
from typing import Any

import numpy as np

from .checkpoint import load_file, save_file
from .header import Array, Header
from .run import Run
from .store import (
    HISTORY,
    TRAINING,
    check_history,
    check_model,
    history_content,
    model_content,
    parameter_tensors,
    restore_generators,
    stored_history,
)

MAX_STEPS = 2**53  # of an optimizer: integers up to here are exact as the float64 that corrections of bias take


def save_run(path: str | os.PathLike[str], run: Run) -> None:
    """Write the model and everything that the next epoch depends on; `dlcore.load` reads the same file as a model."""
    tensors, metadata = model_content(run.whole)
    if run.whole is not run.model:  # whose own history is that of its newest fit as a whole
        tensors |= history_content(run.history, TRAINING + HISTORY)
    optimizer = run.optimizer
    counts: dict[str, Any] = {}
    if optimizer is not None:
        counts = optimizer.state_dict()
        for name, array in counts.pop("state").items():
            tensors[f"{TRAINING}optimizer/{name}"] = array
    for name, tensor in run.state.items():
        tensors[f"{TRAINING}state/{name}"] = tensor.numpy()
    for name, array in run.kept.items():
        tensors[f"{TRAINING}{name}"] = array
    if run.is_changed_at_the_end():  # the file's model is what the fit leaves, more epochs go on from here
        tensors[f"{TRAINING}theta"] = run.last.numpy()
    callbacks: list[dict[str, Any]] = []
    for callback in run.callbacks:
        state = callback.state_dict()
        if not state:
            continue
        values = {}
        for name, value in state.items():
            if isinstance(value, np.ndarray):
                tensors[f"{TRAINING}callback/{len(callbacks)}/{name}"] = value
            else:
                values[name] = value
        callbacks.append({"class": type(callback).__name__, "state": values})
    metadata["training"] = {
        "epoch": run.epoch,
        "stopped": run.stopped,
        "optimizer": None if optimizer is None else [type(optimizer).__name__, counts],
        "generators": {name: [g.key, g.step] for name, g in run.generators.items()},
        "callbacks": callbacks,
        "settings": run.settings,
    }
    save_file(path, tensors, metadata)


def restore_run(path: str | os.PathLike[str], run: Run) -> None:
    """Bring a run made with the same arguments to the state that `save_run` wrote; nothing changes if it does not fit.

    Raises
    ------
    ValueError
        For a damaged file, one without a training state, one of a fit with other arguments or data of another size, or
        one with more epochs.
    """

    def check(header: Header) -> None:
        check_model(header, run.whole)
        check_history(header, TRAINING + HISTORY)
        saved = _training(header.metadata)
        if saved["epoch"] > run.epochs:
            raise ValueError(f"it has {saved['epoch']} epochs, the fit is to end with {run.epochs}")

    tensors, metadata = load_file(path, check)
    try:
        _restore(tensors, metadata, run)
    except ValueError as error:
        raise ValueError(f"fit: cannot resume from {os.fspath(path)!r}: {error}") from None


def _training(metadata: dict[str, Any]) -> dict[str, Any]:
    saved = metadata.get("training")
    if not isinstance(saved, dict):
        raise ValueError("it is a model without the state of a fit")
    kinds: dict[str, Any] = {
        "epoch": int,
        "stopped": (str, type(None)),
        "optimizer": (list, type(None)),
        "generators": dict,
        "callbacks": list,
        "settings": dict,
    }
    for name, kind in kinds.items():
        if name not in saved or not isinstance(saved[name], kind) or isinstance(saved[name], bool):
            raise ValueError(f"the training state's {name} is missing or malformed")
    if saved["epoch"] < 0:
        raise ValueError(f"the training state's epoch is {saved['epoch']}")
    return saved


def _below(tensors: dict[str, Array], prefix: str) -> dict[str, Array]:
    return {name[len(prefix) :]: array for name, array in tensors.items() if name.startswith(prefix)}


def _restore(tensors: dict[str, Array], metadata: dict[str, Any], run: Run) -> None:
    saved = _training(metadata)
    optimizer_state = _check_optimizer(saved["optimizer"], _below(tensors, f"{TRAINING}optimizer/"), run)
    _check_settings(saved["settings"], run)
    state = _below(tensors, f"{TRAINING}state/")
    _check_same("state", {name: (x.shape, x.dtype) for name, x in state.items()},
                {name: (x.shape, x.dtype) for name, x in run.state.items()})  # fmt: skip
    matched = _match_callbacks(saved["callbacks"], tensors, run)
    history = stored_history(tensors, HISTORY if run.whole is run.model else TRAINING + HISTORY)
    if len(history) != saved["epoch"]:
        raise ValueError(f"its history has {len(history)} epochs, expected {saved['epoch']}")
    last = tensors.get(f"{TRAINING}theta")
    theta = run.model.parameters.storage
    if last is not None and (last.shape != theta.shape or last.dtype != theta.dtype or not np.isfinite(last).all()):
        raise ValueError(f"its last parameters are not {theta.shape} finite numbers of {theta.dtype}")
    for callback, restored in matched:
        callback.check_state(restored, run, saved["epoch"])
    before = {name: (g.key, g.step) for name, g in run.generators.items()}
    restore_generators(saved["generators"], run.generators)
    try:
        for callback, restored in matched:
            callback.load_state_dict(restored)
    except BaseException:
        restore_generators(before, run.generators)
        raise
    # All checks are made; the rest is written.
    run.restored = [callback for callback, _ in matched]
    run.whole.parameters.assign(parameter_tensors(tensors))
    if last is not None:
        theta.array.assign(theta.array.device.from_numpy(np.ascontiguousarray(last)))
    if run.optimizer is not None:
        run.optimizer.load_state_dict(optimizer_state)
    for name, tensor in run.state.items():
        tensor.array.assign(tensor.array.device.from_numpy(np.ascontiguousarray(state[name])))
    run.epoch, run.stopped, run.history = saved["epoch"], saved["stopped"], history


def _check_settings(saved: dict[str, Any], run: Run) -> None:
    for name in dict.fromkeys([*saved, *run.settings]):
        found, expected = saved.get(name), run.settings.get(name)
        if found != expected:
            raise ValueError(f"its {name} was {json.dumps(found)[:60]}, this fit's is {json.dumps(expected)[:60]}")


def _check_same(what: str, found: dict[str, Any], expected: dict[str, Any]) -> None:
    if found != expected:
        raise ValueError(f"its {what} is {found}, expected {expected}")


def _check_optimizer(saved: list[Any] | None, state: dict[str, Array], run: Run) -> dict[str, Any]:
    found = saved[0] if saved else None
    expected = None if run.optimizer is None else type(run.optimizer).__name__
    if found != expected:
        raise ValueError(f"its optimizer is {found}, this fit's is {expected}")
    if saved is None or run.optimizer is None:
        return {}
    if len(saved) != 2 or not isinstance(saved[1], dict):
        raise ValueError("the training state's optimizer is malformed")
    _check_same("optimizer state", {name: (x.shape, x.dtype) for name, x in sorted(state.items())},
                {name: (x.shape, x.dtype) for name, x in sorted(run.optimizer.state.items())})  # fmt: skip
    whole: dict[str, Any] = saved[1] | {"state": state}
    run.optimizer.check_state_dict(whole)
    if whole["steps"] >= MAX_STEPS:
        raise ValueError(f"its optimizer has made {whole['steps']} steps, at most 2**53 - 1 can be counted")
    return whole


def _match_callbacks(saved: list[Any], tensors: dict[str, Array], run: Run) -> list[tuple[Any, dict[str, Any]]]:
    """Saved states with this run's callbacks of the same classes, in order."""
    free = list(run.callbacks)
    matched = []
    for i, entry in enumerate(saved):
        if not isinstance(entry, dict) or not isinstance(entry.get("state"), dict):
            raise ValueError("the training state's callbacks are malformed")
        callback = next((c for c in free if type(c).__name__ == entry.get("class")), None)
        if callback is None:
            raise ValueError(f"it has the state of a {json.dumps(entry.get('class'))[:60]}, which this fit lacks")
        free.remove(callback)
        matched.append((callback, entry["state"] | _below(tensors, f"{TRAINING}callback/{i}/")))
    return matched
