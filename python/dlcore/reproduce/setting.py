"""The published settings: one JSON file each in ``settings/``, and what is asked of their figures."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

Values = dict[str, Any]
_FOLDER = "settings"
_KEYS = {"order", "summary", "source", "procedure", "published", "differences", "figures", "settings", "quick"}


@dataclass(frozen=True)
class Figure:
    """A number that a run gives, with the published one and the range in which it counts as reproduced.

    Parameters
    ----------
    name, unit : what it is
    published : the source's figure; None where it has none
    expected : of a shortened run, where it has been measured
    at_least, at_most : the range; infinite where only one side, or none, is asked
    """

    name: str
    unit: str = ""
    published: float | None = None
    expected: float | None = None
    at_least: float = -math.inf
    at_most: float = math.inf

    @property
    def asked(self) -> str:
        """The range as text; empty where nothing is asked."""
        low, high = math.isfinite(self.at_least), math.isfinite(self.at_most)
        if low and high:
            return f"{self.at_least:g} to {self.at_most:g}"
        return f">= {self.at_least:g}" if low else f"<= {self.at_most:g}" if high else ""

    def is_within(self, value: float) -> bool | None:
        """Whether a value is in the range; None where nothing is asked."""
        return self.at_least <= value <= self.at_most if self.asked else None


@dataclass(frozen=True)
class Setting:
    """One row of published results.

    Parameters
    ----------
    order : where it stands in tables
    summary : what is trained
    source : where the figure was published
    procedure : name of the function that does it, see `dlcore.reproduce.procedures`
    published : the source's setting and time, in words
    differences : what is done otherwise, in words; empty where nothing is
    settings : the procedure's arguments
    figures : what it gives
    quick, quick_figures : what the shortened run changes in `settings`, and what it gives
    """

    name: str
    order: int
    summary: str
    source: str
    procedure: str
    published: str
    differences: str
    settings: Values
    figures: tuple[Figure, ...]
    quick: Values = field(default_factory=dict)
    quick_figures: tuple[Figure, ...] = ()

    def resolved(self, quick: bool, changes: Mapping[str, Any] | None = None) -> Values:
        """The procedure's arguments, shortened or not, with `changes` put over them.

        Raises
        ------
        ValueError
            For a change of what the setting does not have.
        """
        known = set(self.settings) | set(self.quick)
        for key in changes or {}:
            if key not in known:
                raise ValueError(f"reproduce: {self.name} has no {key!r}, expected one of {', '.join(sorted(known))}")
        return merged(merged(self.settings, self.quick) if quick else self.settings, changes or {})


def setting_names() -> list[str]:
    """The names that `load_setting` knows, in the order of the table."""
    return [setting.name for setting in sorted(map(load_setting, _files()), key=lambda setting: setting.order)]


def load_setting(name: str) -> Setting:
    """The setting of that name.

    Raises
    ------
    ValueError
        If there is none.
    """
    files = _files()
    if name not in files:
        raise ValueError(f"reproduce: name is {name!r}, expected one of {', '.join(sorted(files))}")
    text = resources.files(__package__).joinpath(_FOLDER).joinpath(f"{name}.json").read_text(encoding="utf-8")
    content = json.loads(text)
    if set(content) != _KEYS:
        raise ValueError(f"reproduce: {name}.json has {sorted(content)}, expected {sorted(_KEYS)}")
    quick = content.pop("quick")
    figures = tuple(Figure(**figure) for figure in content.pop("figures"))
    shortened = tuple(Figure(**figure) for figure in quick["figures"])
    return Setting(name=name, figures=figures, quick=quick["settings"], quick_figures=shortened, **content)


def _files() -> list[str]:
    folder = resources.files(__package__).joinpath(_FOLDER)
    return [file.name[: -len(".json")] for file in folder.iterdir() if file.name.endswith(".json")]


def merged(values: Mapping[str, Any], changes: Mapping[str, Any]) -> Values:
    """`values` with `changes` put over them, mappings key by key."""
    found = dict(values)
    for name, value in changes.items():
        old = found.get(name)
        found[name] = merged(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return found


def parse_changes(texts: list[str]) -> Values:
    """Changes from texts such as ``fit.epochs=3``: the keys of nested settings, and a JSON value.

    Raises
    ------
    ValueError
    """
    changes: Values = {}
    for text in texts:
        path, separator, value = text.partition("=")
        if not separator or not all(path.split(".")):
            raise ValueError(f"reproduce: {text!r} is given, expected KEY.KEY=VALUE")
        try:
            found: Any = json.loads(value)
        except json.JSONDecodeError:
            found = value  # a word needs no quotes
        for key in reversed(path.split(".")):
            found = {key: found}
        changes = merged(changes, found)
    return changes
