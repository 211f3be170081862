"""``dlcore info``: what this installation is and what it runs on."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ..show import show_config

if TYPE_CHECKING:
    from .options import Commands


def add_parser(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser("info", help="say which compiled module is used, and why", description=__doc__)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print it."""
    show_config()
    return 0
