"""What this installation of dlcore is and what it runs on, for people and for bug reports."""

from __future__ import annotations

import importlib.util
import os
import platform

import numpy as np

from . import __version__, device, placement

OPTIONAL = {"matplotlib": "plot", "tqdm": "progress", "pooch": "download"}  # package -> the extra that brings it


def config_text() -> str:
    """The text that `show_config` prints: versions, modules, threads, optional packages; one fact a line."""
    from importlib.metadata import version  # here: it is a quarter of the package's import time, and few ask

    facts = device.describe()
    forced = os.environ.get("DLCORE_ISA", "").strip()
    lines = [
        f"dlcore {__version__}, Python {platform.python_version()}, NumPy {np.__version__}",
        f"platform  {platform.system()} {platform.machine()}",
        f"module    {facts['isa']} ({'forced by DLCORE_ISA' if forced else 'the best that runs here'})",
    ]
    for name, state in facts["modules"].items():
        lines.append(f"  {name:<7} {'in use' if name == facts['isa'] else state}")
    for name, state in placement.devices().items():
        if name != "cpu":
            unproven = "available by to({!r}): never chosen by itself, as no kernel has run on a GPU yet"
            lines.append(f"  {name:<7} {unproven.format(name) if state == 'available' else state}")
    lines.append(f"threads   {facts['threads']}")
    for package, extra in OPTIONAL.items():
        if importlib.util.find_spec(package) is None:
            lines.append(f"  {package:<12}not installed (extra '{extra}')")
        else:
            lines.append(f"  {package:<12}{version(package)}")
    return "\n".join(lines)


def show_config() -> None:
    """Print which compiled module was chosen, which others there are and why they were not, threads and versions."""
    print(config_text())
