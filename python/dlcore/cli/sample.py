"""``dlcore sample MODEL_FILE --out PNG``: draw samples from an RBM or a DBN."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from .. import plot
from ..models import DBN, RBM
from ..ops import Generator
from ..train.store import load
from .options import add_run_options, path, positive, require_file, seed, sizes, use_threads

if TYPE_CHECKING:
    from .options import Commands


def add_parser(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser("sample", help="draw samples from a trained RBM or DBN", description=__doc__)
    parser.add_argument("model", type=Path, metavar="MODEL_FILE", help="what `dlcore train rbm` or `train dbn` wrote")
    parser.add_argument("-n", type=positive, default=64, metavar="N", help="how many (64)")
    parser.add_argument("--label", type=seed, metavar="Y", help="the class of all samples, of a DBN with label units")
    parser.add_argument("--steps", type=positive, default=1000, metavar="K", help="steps of Gibbs sampling (1000)")
    parser.add_argument("--shape", type=sizes, metavar="H,W", help="height and width of an image; a square by default")
    parser.add_argument("--seed", type=seed, default=1, metavar="S", help="decides the samples (1)")
    parser.add_argument("--out", type=path, required=True, metavar="PNG", help="the picture to write")
    add_run_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Sample and draw."""
    use_threads(options)
    require_file("--out", options.out)
    model = load(options.model)
    if not isinstance(model, (RBM, DBN)):
        raise ValueError(f"{options.model} holds a {type(model).__name__}, expected an RBM or a DBN")
    model.sample_generator = Generator(options.seed)
    clamped = {} if options.label is None else {"y": options.label}
    if clamped and not (isinstance(model, DBN) and model.belief.label_units):
        raise ValueError(f"--label is given, but {options.model} holds no DBN with label units")
    images = model.sample(options.n, options.steps, **clamped)
    plot.samples(images, options.shape, path=options.out)
    if not options.quiet:
        print(f"wrote {options.out}")
    return 0
