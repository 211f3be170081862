"""A run's folder: checkpoints of its fits, what was measured, seconds; a killed run goes on from there."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..data import Dataset, load_digits_split, load_mnist
from ..train import Callback, Checkpoint, Run

STATE = "state.json"


class ProcessorTime(Callback):
    """Seconds that this process has spent in a fit, kept in its checkpoint: on a busy machine less than has passed."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._last = 0.0

    def on_train_begin(self, run: Run) -> None:
        self._last = time.process_time()

    def on_epoch_end(self, run: Run) -> None:
        now = time.process_time()
        self.seconds, self._last = self.seconds + now - self._last, now

    def state_dict(self) -> dict[str, Any]:
        return {"seconds": self.seconds}

    def check_state(self, saved: dict[str, Any], run: Run, epoch: int) -> None:
        if not isinstance(saved.get("seconds"), float):
            raise ValueError("ProcessorTime: the saved state lacks the seconds")

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        self.seconds = float(saved["seconds"])


class Session:
    """One run of a setting, in phases: fits, which resume within, and measurements, which are made once.

    Parameters
    ----------
    folder : for its files; made, where it is missing, when the first phase begins
    settings : the procedure's arguments; a run that goes on must have those it began with
    seed : int, decides everything random
    data : the folder with MNIST's files; by default that of ``DLCORE_DATA``
    resume : whether to go on where the folder has a run
    progress : as for the models' ``fit``

    Raises
    ------
    FileExistsError
        If the folder has a run and `resume` is False.
    ValueError
        If the folder's run has other settings or another seed.
    """

    def __init__(
        self,
        folder: Path,
        settings: Mapping[str, Any],
        seed: int,
        data: str | os.PathLike[str] | None = None,
        resume: bool = False,
        progress: bool | None = None,
    ) -> None:
        self.folder, self.settings, self.seed, self.progress = folder, dict(settings), seed, progress
        self.seconds: dict[str, float] = {}
        self.processor_seconds: dict[str, float] = {}
        self.epochs: dict[str, list[int]] = {}
        self._data = data
        self._file = folder / STATE
        self._state: dict[str, Any] = {"settings": self.settings, "seed": seed, "measured": {}}
        if self._file.exists():
            if not resume:
                raise FileExistsError(
                    f"reproduce: {str(folder)!r} has a run; --resume goes on with it, --out names another folder"
                )
            found = json.loads(self._file.read_text(encoding="utf-8"))
            for name in ("settings", "seed"):
                if found.get(name) != json.loads(json.dumps(self._state[name])):
                    raise ValueError(f"reproduce: the run in {str(folder)!r} has other {name}, it cannot go on")
            self._state = found

    def load_data(self) -> tuple[Dataset, Dataset]:
        """The training and the test set that the settings name, cut to their ``limit``."""
        name = self.settings["data"]
        if name not in ("mnist", "digits"):
            raise ValueError(f"reproduce: data is {name!r}, expected 'mnist' or 'digits'")
        train, test = load_digits_split() if name == "digits" else load_mnist(self._data)
        most = self.settings.get("limit") or [len(train), len(test)]
        return train.take(min(most[0], len(train))), test.take(min(most[1], len(test)))

    def say(self, text: str) -> None:
        """A line about what happens, unless the run is quiet."""
        if self.progress is not False and sys.stderr is not None:
            print(text, file=sys.stderr, flush=True)

    def fit(self, phase: str, method: Callable[..., Any], *data: Any, **arguments: Any) -> None:
        """Call a model's ``fit``, ``pretrain`` or ``fit_up_down``, from this phase's checkpoint where there is one.

        The seconds are those of the epochs, in all processes that had a part in them.
        """
        if not self._file.exists():
            self._write()
        path = self.folder / f"{phase}.checkpoint"
        self.say(f"{phase}: {'goes on from its checkpoint' if path.exists() else 'begins'}")
        clock = ProcessorTime()
        callbacks = [clock, *arguments.pop("callbacks", ()), Checkpoint(path)]
        found = method(
            *data, callbacks=callbacks, progress=self.progress, resume=path if path.exists() else None, **arguments
        )
        histories = found if isinstance(found, list) else [found]  # a stack has one for each layer
        self.seconds[phase] = sum(history.seconds for history in histories)
        self.epochs[phase] = [len(history) for history in histories]
        self.processor_seconds[phase] = clock.seconds

    def measure(self, phase: str, function: Callable[[], Any]) -> Any:
        """What `function` returns, in types that JSON holds; a run that goes on takes it from the run before."""
        measured = self._state["measured"]
        if phase not in measured:
            self.say(f"{phase}: begins")
            started, used = time.perf_counter(), time.process_time()
            value = json.loads(json.dumps(function()))
            measured[phase] = {
                "value": value,
                "seconds": time.perf_counter() - started,
                "processor_seconds": time.process_time() - used,
            }
            self._write()
        self.seconds[phase] = measured[phase]["seconds"]
        self.processor_seconds[phase] = measured[phase]["processor_seconds"]
        return measured[phase]["value"]

    def _write(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        replace_text(self._file, json.dumps(self._state, indent=1))


def replace_text(path: Path, text: str) -> None:
    """Write a file in one step: a kill leaves the old one."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_text(text + "\n", encoding="utf-8")
    fresh.replace(path)
