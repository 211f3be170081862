"""Parameter groups: parts of θ that are stepped with options of their own, or not at all."""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..nn import Parameters
from ..ops.creation import is_number
from .ranges import require_flags

Groups = Sequence[Mapping[str, Any]]


class Group:
    """Some of a model's parameters with the options that differ from the optimizer's.

    Attributes
    ----------
    names : the parameters, in the order of θ
    runs : [(begin, end)], the stretches of θ they fill; a step is one kernel call
    options : the options that this group sets itself; the others are the optimizer's
    frozen : whether steps leave these parameters and their state untouched; may be changed between steps
    steps : steps made by this group: a part that was frozen starts its bias corrections when it is thawed
    memory : what else a method carries from step to step, numbers by name
    """

    def __init__(
        self, names: Sequence[str], runs: Sequence[tuple[int, int]], options: Mapping[str, Any], frozen: bool
    ) -> None:
        self.names, self.runs = tuple(names), tuple(runs)
        self.options = dict(options)
        self.frozen = frozen
        self.steps = 0
        self.memory: dict[str, float] = {}
        self.is_whole = False  # whether these are all parameters, as one stretch
        # The options of the last step with their numbers and lr_factor, where none is a schedule.
        self.cache: tuple[list[Any], dict[str, float], float] | None = None

    def __repr__(self) -> str:
        shown = "".join(f", {name}={value!r}" for name, value in self.options.items())
        return f"Group({len(self.names)} parameters, {self.steps} steps{', frozen' if self.frozen else ''}{shown})"


def make_groups(owner: str, parameters: Parameters, given: Groups | None, options: Sequence[str]) -> list[Group]:
    """The groups of an optimizer: those given, then one of the remaining parameters if there are any.

    Parameters
    ----------
    given : mappings with ``params``, a name, the dotted prefix of names ("layers.0"), a pattern ("*.bias") or a
        sequence of these; optionally ``frozen``; and any of `options`
    options : names of the options a group may set

    Raises
    ------
    TypeError, ValueError
        For a group that names no parameter, one of another group, or an unknown option.
    """
    names = list(parameters)
    if given is None:
        whole = Group(names, [(0, parameters.size)], {}, False)
        whole.is_whole = True
        return [whole]
    if isinstance(given, (str, Mapping)) or not isinstance(given, Sequence):
        raise TypeError(f"{owner}: groups is a {type(given).__name__}, expected a list of dicts")
    taken: dict[str, int] = {}
    groups = []
    for i, entry in enumerate(given):
        where = f"{owner}: groups[{i}]"
        if not isinstance(entry, Mapping):
            raise TypeError(f"{where} is a {type(entry).__name__}, expected a dict")
        if "params" not in entry:
            raise ValueError(f"{where} has no 'params'")
        own = {name: value for name, value in entry.items() if name not in ("params", "frozen")}
        for name in own:
            if name not in options:
                raise ValueError(
                    f"{where}: {name!r} is not an option of a group, which has {', '.join(options)}, frozen"
                )
        frozen = entry.get("frozen", False)
        if not isinstance(frozen, bool):
            raise ValueError(f"{where}: frozen is {frozen!r}, expected True or False")
        chosen = _matches(where, names, entry["params"])
        for name in chosen:
            if name in taken:
                raise ValueError(f"{where}: {name!r} is in groups[{taken[name]}] already")
            taken[name] = i
        groups.append(Group(chosen, _runs(parameters, chosen), own, frozen))
    rest = [name for name in names if name not in taken]
    if rest or not groups:
        groups.append(Group(rest, _runs(parameters, rest), {}, False))
    return groups


def _matches(where: str, names: Sequence[str], params: Any) -> list[str]:
    """The parameters that a group names, in the order of θ."""
    patterns = [params] if isinstance(params, str) else params
    if not isinstance(patterns, Sequence) or not all(isinstance(p, str) for p in patterns) or not patterns:
        raise ValueError(f"{where}: params is {params!r}, expected a name, a prefix, a pattern, or a list of these")
    found = set()
    for pattern in patterns:
        matched = {
            name
            for name in names
            if name == pattern or name.startswith(pattern + ".") or fnmatch.fnmatchcase(name, pattern)
        }
        if not matched:
            raise ValueError(f"{where}: params {pattern!r} matches none of {', '.join(names)}")
        found |= matched
    return [name for name in names if name in found]


def _runs(parameters: Parameters, chosen: Sequence[str]) -> list[tuple[int, int]]:
    """The stretches of θ that parameters fill; neighbours are joined."""
    wanted, runs, begin = set(chosen), list[tuple[int, int]](), 0
    for name, value in parameters.items():
        end = begin + value.size
        if name in wanted and end > begin:
            if runs and runs[-1][1] == begin:
                runs[-1] = (runs[-1][0], end)
            else:
                runs.append((begin, end))
        begin = end
    return runs


def check_count(owner: str, name: str, value: Any) -> None:
    """Raise a ValueError unless value is an integer >= 0."""
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < 0:
        raise ValueError(f"{owner}: {name} is {value!r}, expected an integer >= 0")


def check_saved_groups(owner: str, groups: Sequence[Group], saved: Any) -> None:
    """Raise a ValueError unless saved has the steps, the frozenness and the memory of as many groups."""
    if not isinstance(saved, (list, tuple)) or len(saved) != len(groups):
        raise ValueError(f"{owner}: the saved groups are {saved!r}, expected {len(groups)}")
    for i, (group, entry) in enumerate(zip(groups, saved, strict=True)):
        if not isinstance(entry, Mapping) or set(entry) != {"steps", "frozen", "memory"}:
            raise ValueError(f"{owner}: the saved groups[{i}] is {entry!r}, expected steps, frozen, memory")
        check_count(owner, f"groups[{i}].steps", entry["steps"])
        require_flags(owner, **{f"groups[{i}].frozen": entry["frozen"]})
        memory = entry["memory"]
        if not isinstance(memory, Mapping) or set(memory) != set(group.memory):
            raise ValueError(f"{owner}: groups[{i}].memory is {memory!r}, expected {sorted(group.memory)}")
        if not all(is_number(value) and math.isfinite(value) for value in memory.values()):
            raise ValueError(f"{owner}: groups[{i}].memory is {memory!r}, expected finite numbers")
