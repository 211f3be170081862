"""Published settings trained again: each prints its figure and time beside the published ones."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .patience import PatienceInSteps
from .procedures import PROCEDURES
from .result import (
    figure_rows,
    is_reproduced,
    make_result,
    markdown_table,
    read_results,
    replace_table,
    write_result,
)
from .session import Session
from .setting import Figure, Setting, load_setting, parse_changes, setting_names

__all__ = [
    "PROCEDURES",
    "Figure",
    "PatienceInSteps",
    "Session",
    "Setting",
    "figure_rows",
    "is_reproduced",
    "load_setting",
    "markdown_table",
    "parse_changes",
    "read_results",
    "replace_table",
    "reproduce",
    "setting_names",
    "write_result",
]


def reproduce(
    name: str,
    folder: str | os.PathLike[str],
    *,
    data: str | os.PathLike[str] | None = None,
    quick: bool = False,
    resume: bool = False,
    seed: int = 1,
    progress: bool | None = None,
    changes: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Train a published setting and compare its figures with the published ones.

    Parameters
    ----------
    name : one of `setting_names`
    folder : where the run keeps its checkpoints and its ``result.json``
    data : the folder with MNIST's files; by default that of ``DLCORE_DATA``
    quick : whether to do the shortened run, whose figures are known too
    resume : whether to go on with the run in `folder`
    seed : int, decides everything random
    progress : as for the models' ``fit``
    changes : settings to be changed, by name; no figures are asked of such a run

    Returns
    -------
    What ``result.json`` holds: figures with the published ones, seconds and epochs of each phase, settings, machine.

    Raises
    ------
    ValueError, FileNotFoundError
        For an unknown name, or data that are missing.
    FileExistsError
        If `folder` has a run and `resume` is False.
    """
    setting = load_setting(name)
    session = Session(Path(folder), setting.resolved(quick, changes), seed, data, resume, progress)
    values = PROCEDURES[setting.procedure](session)
    result = make_result(setting, session, values, quick, bool(changes))
    write_result(session.folder / "result.json", result)
    return result
