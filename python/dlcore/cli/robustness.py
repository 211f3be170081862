"""``dlcore robustness MODEL_FILE …``: accuracy of classifiers on shifted, turned, scaled and bent images."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import plot
from ..models import robustness
from ..train.store import load
from .options import add_run_options, load_data, path, positive, require_file, seed, use_threads

if TYPE_CHECKING:
    from .options import Commands


def add_parser(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser("robustness", help="accuracy of classifiers on deformed images", description=__doc__)
    parser.add_argument("model", type=Path, nargs="+", metavar="MODEL_FILE", help="what `dlcore train` wrote")
    parser.add_argument("--data", default="digits", help="whose test set to deform, as for `dlcore train` (digits)")
    parser.add_argument("--limit", type=positive, metavar="N", help="use the first N cases only")
    parser.add_argument("--seed", type=seed, default=0, metavar="S", help="decides directions and fields (0)")
    parser.add_argument("--out", type=path, metavar="PNG", help="draw the curves to this picture")
    add_run_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Deform, predict, count."""
    use_threads(options)
    if options.out is not None:
        require_file("--out", options.out)
    _, test = load_data(options.data)
    if test.image_shape is None:
        raise ValueError(f"{test.name} does not say how wide its images are")
    models: dict[str, Any] = {}
    for file in options.model:
        model = load(file)
        if not callable(getattr(model, "predict", None)):
            raise ValueError(f"{file} holds a {type(model).__name__}, expected a classifier")
        models[_name(file, models)] = model
    cases = test.take(min(options.limit or len(test), len(test)))
    report = robustness(models, cases.x, cases.y, image_shape=test.image_shape, seed=options.seed)
    print(report.table())
    if options.out is not None:
        plot.robustness(report, options.out)
        if not options.quiet:
            print(f"wrote {options.out}")
    return 0


def _name(file: Path, taken: dict[str, Any]) -> str:
    """The file's name without its suffix, or its whole path where that is taken."""
    return str(file) if file.stem in taken else file.stem
