"""Chooses the compiled modules, once, at import: a device is a module (see ARCHITECTURE.md).

``DLCORE_ISA`` forces one CPU module (``generic``, ``avx2``, ``avx512``, ``amx``); one that cannot run here raises.
``DLCORE_NUM_THREADS`` sets the threads a kernel may use.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
from pathlib import Path
from types import ModuleType
from typing import Any

CPU_ISAS = ("amx", "avx512", "avx2", "generic")  # best first; `amx` is avx512 with products of matrices in tiles
# Only by DLCORE_ISA: avx2 with products in tiles over a model of the tile unit, for tests, and not in any wheel.
_EMULATED = "amx_emulated"
_TILED = ("amx", _EMULATED)
_NO_TILES = "the system refuses this process the tiles of AMX, or this build lacks them"
MODULES = {"amx": "avx512"}  # of those that are not one of their own name
_MOST_THREADS = 1024


def _load(isa: str) -> ModuleType:
    return importlib.import_module(f"dlcore._cpu_{MODULES.get(isa, isa)}")


def _survey(generic: ModuleType) -> dict[str, str]:
    """Each CPU module with the reason why it cannot be used here, or an empty string."""
    features = generic.cpu_features()
    reasons = {}
    emulated = (_EMULATED,) if importlib.util.find_spec(f"dlcore._cpu_{_EMULATED}") else ()
    for isa in (*CPU_ISAS, *emulated):
        if isa != "generic" and not features.get("avx2" if isa == _EMULATED else isa, False):
            reasons[isa] = "this processor lacks the instructions"
        elif importlib.util.find_spec(f"dlcore._cpu_{MODULES.get(isa, isa)}") is None:
            reasons[isa] = "not in this build"
        else:
            reasons[isa] = ""
    return reasons


def _choose(reasons: dict[str, str]) -> str:
    forced = os.environ.get("DLCORE_ISA", "").strip().lower()
    if not forced:
        return next(isa for isa in CPU_ISAS if not reasons[isa])
    if forced not in reasons:
        raise ImportError(f"DLCORE_ISA: {forced!r} is given, expected one of {', '.join(CPU_ISAS)}")
    if reasons[forced]:
        raise ImportError(f"DLCORE_ISA: {forced!r} cannot be used: {reasons[forced]}")
    return forced


def _begin(reasons: dict[str, str]) -> tuple[str, ModuleType]:
    """The module to use, ready; `reasons` learns of one that turns out not to be usable.

    Raises
    ------
    ImportError
        Where DLCORE_ISA names one that cannot be used.
    """
    chosen = _choose(reasons)
    module = _load(chosen)
    if chosen in _TILED and not module.use_tiles():
        reasons[chosen] = _NO_TILES
        return _begin(reasons)
    return chosen, module


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def _cgroup_quota(membership: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")) -> int:
    """Processors' worth of time that the control groups (version 2) of this process get, rounded up; 0: no limit.

    The least quota of the process's own group and the groups around it holds. Within a container the path of the
    group may be one of the host, and then does not exist here; the root is the container's group.
    """
    own = next((line[3:] for line in _text(membership).splitlines() if line.startswith("0::/")), "/")
    parts = [part for part in own.split("/") if part not in ("", "..")]
    least = 0
    for depth in range(len(parts) + 1):
        text = _text(root.joinpath(*parts[:depth], "cpu.max"))
        limit = re.match(r"(\d+) (\d+)$", text.strip())  # "max 100000" is none
        if limit and int(limit[1]) > 0 and int(limit[2]) > 0:
            processors = -(-int(limit[1]) // int(limit[2]))
            least = min(least, processors) if least else processors
    return least


def _default_threads() -> int:
    given = os.environ.get("DLCORE_NUM_THREADS", "").strip()
    if given:
        if not re.fullmatch(r"[0-9]{1,9}", given) or not 1 <= int(given) <= _MOST_THREADS:
            raise ImportError(f"DLCORE_NUM_THREADS: {given!r} is given, expected an integer from 1 to {_MOST_THREADS}")
        return int(given)
    first = re.match(r"\s*0*([1-9]\d*)", os.environ.get("OMP_NUM_THREADS", ""))  # of a list, where it is one
    if first:
        return min(int(first[1][:5]), _MOST_THREADS)
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(processors, _cgroup_quota() or processors, _MOST_THREADS)


_threads = _default_threads()
_generic = _load("generic")
_reasons = _survey(_generic)
isa: str
cpu: Any
isa, cpu = _begin(_reasons)

cpu.set_num_threads(_threads)
cpu.Array.device = cpu
cpu.Array.device_name = "cpu"


def get_num_threads() -> int:
    """Threads a kernel may use."""
    return int(cpu.num_threads())


def set_num_threads(n: int) -> None:
    """Set the threads a kernel may use; results have the same bits for every number.

    The default is ``DLCORE_NUM_THREADS``, else ``OMP_NUM_THREADS``, else the processors this process may use
    (affinity mask and cgroup quota). No more than four threads a processor are ever started.

    Raises
    ------
    TypeError
        Unless n is an integer.
    ValueError
        Unless 1 <= n <= 1024.
    """
    cpu.set_num_threads(n)


_precision = "exact"


def get_matmul_precision() -> str:
    """What `set_matmul_precision` was last given; ``"exact"`` at first."""
    return _precision


def set_matmul_precision(mode: str) -> None:
    """Set how float32 products of matrices are computed: x ≈ x₁ + x₂ + x₃ in parts of 8 bits, and which are multiplied.

    ``"exact"`` multiplies all parts whose product counts in float32: an error no larger than that of a chain of float32
    multiply-adds. ``"bf16x2"`` takes the first two (operands of 16 bits, relative errors about 2⁻¹⁶), ``"bf16"`` the
    first (8 bits, about 2⁻⁸), for the large products of the module ``amx``. Small ones, and numbers near the ends of
    float32's range, stay exact, and so do float64 and the other modules.

    Raises
    ------
    ValueError
        Unless mode is one of the three, and ``"exact"`` where the module in use has no other.
    """
    global _precision
    if not cpu.set_matmul_precision(mode):
        raise ValueError(f"set_matmul_precision: mode is {mode!r}, the module in use, {isa}, has 'exact' alone")
    _precision = mode


def describe() -> dict[str, Any]:
    """What was chosen, what is available, and why the others are not."""
    return {
        "isa": isa,
        "modules": {name: reason or "available" for name, reason in _reasons.items()},
        "threads": get_num_threads(),
        "memory": dict(cpu.memory_stats()),
    }
