"""``dlcore reproduce NAME``: train a published setting, print its figures and time beside the published ones."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from .options import add_run_options, path, seed, table, use_threads

if TYPE_CHECKING:
    from .options import Commands

FOLDER = "dlcore-reproduce"


def add_parser(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser("reproduce", help="train a published setting again", description=__doc__)
    parser.add_argument("name", nargs="?", metavar="NAME", help="which one; --list shows them")
    parser.add_argument("--list", action="store_true", help="list the settings with their sources")
    parser.add_argument("--data", type=path, metavar="FOLDER", help="MNIST's four files (by default $DLCORE_DATA)")
    parser.add_argument("--quick", action="store_true", help="a shortened run, of which figures are expected too")
    parser.add_argument("--resume", action="store_true", help="go on with the run in --out")
    parser.add_argument("--out", type=path, metavar="FOLDER", help=f"for checkpoints and result.json ({FOLDER}/NAME)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change a setting")
    parser.add_argument("--seed", type=seed, default=1, metavar="S", help="decides everything random (1)")
    parser.add_argument("--table", type=path, metavar="FOLDER", help="print the table of a folder of results")
    parser.add_argument("--page", type=path, metavar="FILE", help="write --table's table into this page instead")
    add_run_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Do it; 1 where a figure is outside what is asked of it."""
    from .. import reproduce  # here: it imports all models, which other commands may not need

    chosen = [bool(options.name), options.list, options.table is not None]
    if sum(chosen) != 1:
        raise ValueError("expected one of NAME, --list, --table FOLDER")
    if options.page is not None and options.table is None:
        raise ValueError("--page needs --table")
    if options.list:
        print(_listing())
        return 0
    if options.table is not None:
        text = reproduce.markdown_table(reproduce.read_results(options.table), reproduce.setting_names())
        if options.page is None:
            print(text)
        else:
            reproduce.replace_table(options.page, text)
            print(f"wrote {options.page}")
        return 0
    use_threads(options)
    changes = reproduce.parse_changes(options.set)
    setting = reproduce.load_setting(options.name)
    folder = options.out or Path(FOLDER) / (f"{setting.name}-quick" if options.quick else setting.name)
    if not options.quiet:
        print(f"{setting.name}: {setting.summary}\nsource: {setting.source}", file=sys.stderr, flush=True)
    result = reproduce.reproduce(
        setting.name, folder, data=options.data, quick=options.quick, resume=options.resume, seed=options.seed,
        progress=not options.quiet, changes=changes,
    )  # fmt: skip
    print(table(reproduce.figure_rows(result)))
    print(f"{result['seconds']['all']:.0f} seconds here; published: {setting.published}")
    if setting.differences and not options.quick:
        print(f"differences: {setting.differences}")
    print(f"wrote {folder / 'result.json'}")
    return 0 if reproduce.is_reproduced(result) else 1


def _listing() -> str:
    from .. import reproduce

    rows = [["name", "what", "published"]]
    for setting in map(reproduce.load_setting, reproduce.setting_names()):
        figures = ", ".join(f"{figure.published:g} {figure.unit}".strip() for figure in setting.figures
                            if figure.published is not None)  # fmt: skip
        rows.append([setting.name, setting.summary, figures])
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    return "\n".join("  ".join(text.ljust(w) for text, w in zip(row, widths, strict=True)).rstrip() for row in rows)
