"""``dlcore demo``: a DBN, a CNN and a sparse autoencoder on the bundled digits, with their test errors and pictures."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from .options import add_run_options, load_data, path, require_writable, table, use_threads
from .recipes import RECIPES
from .runs import Result, figure_text, pictures_possible, write_pictures
from .runs import run as run_recipe

if TYPE_CHECKING:
    from .options import Commands

SEEDS = {"dbn": (1, 2, 3), "cnn": (1, 2, 3), "sparse-autoencoder": (1,)}
TARGETS = {"dbn": 0.04, "cnn": 0.02}  # test error that no seed may exceed


def add_parser(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser("demo", help="see it work: three models on the bundled digits", description=__doc__)
    parser.add_argument(
        "--out", type=path, default=Path("dlcore-demo"), metavar="FOLDER", help="for the pictures (dlcore-demo)"
    )
    add_run_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Train, print a table, write pictures; 1 where a target is missed."""
    use_threads(options)
    options.out.mkdir(parents=True, exist_ok=True)
    require_writable("--out", options.out)
    train, test = load_data("digits")
    rows = [["model", "seed", "figure", "value", "target", "seconds"]]
    missed = []
    started = time.perf_counter()
    for name, seeds in SEEDS.items():
        for i, seed in enumerate(seeds):
            if not options.quiet:
                print(f"{name}, seed {seed} …", file=sys.stderr, flush=True)
            result = run_recipe(RECIPES[name], train, test, {"seed": seed}, {"progress": False})
            rows += _rows(name, result)
            if name in TARGETS and result.figures["test error"] > TARGETS[name]:
                missed.append(f"{name} with seed {seed}: {figure_text('test error', result.figures['test error'])}")
            if i == 0 and pictures_possible():
                write_pictures(options.out, name, result.model, test)
    print(table(rows))
    print(f"{time.perf_counter() - started:.0f} seconds in all")
    if pictures_possible():
        print(f"pictures are in {options.out}")
    else:
        print("pictures are left out: matplotlib is not installed (extra 'plot')", file=sys.stderr)
    for text in missed:
        print(f"dlcore demo: target missed by {text}", file=sys.stderr)
    return 1 if missed else 0


def _rows(name: str, result: Result) -> list[list[str]]:
    rows = []
    for i, (figure, value) in enumerate(result.figures.items()):
        target = f"<= {figure_text(figure, TARGETS[name])}" if figure == "test error" else ""
        head = [name, str(result.seed)] if i == 0 else ["", ""]
        rows.append([*head, figure, figure_text(figure, value), target, f"{result.seconds:.1f}" if i == 0 else ""])
    return rows
