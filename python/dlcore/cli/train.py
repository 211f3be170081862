"""``dlcore train MODEL``: train a model, say how good it is, write it and pictures of it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..data import Dataset
from ..nn.corruption import CORRUPTIONS
from .options import (
    add_run_options,
    load_data,
    path,
    positive,
    rate,
    require_file,
    seed,
    sizes,
    table,
    use_threads,
)
from .recipes import RECIPES
from .runs import Result, figure_text, make_model, pictures_possible, write_pictures
from .runs import run as run_recipe

if TYPE_CHECKING:
    from .options import Commands

MODEL_SUFFIX = ".dlcore"
MODEL_OPTIONS: dict[str, dict[str, Any]] = {
    "layers": {"type": sizes, "metavar": "A,B,…", "help": "hidden units of each layer"},
    "head": {"choices": ("softmax", "svm"), "help": "what the scores mean: probabilities, or margins"},
    "pretrain_epochs": {"type": positive, "metavar": "N", "help": "passes over the data for each RBM"},
    "corruption": {"choices": CORRUPTIONS, "help": "noise that is learned to be removed"},
    "level": {"type": rate, "metavar": "X", "help": "share of the pixels struck, or the noise's standard deviation"},
    "k": {"type": positive, "metavar": "N", "help": "Gibbs steps for each gradient"},
    "persistent": {"action": "store_true", "default": None, "help": "let the chains go on from step to step (PCD)"},
}


def add_parser(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser("train", help="train a model on the bundled digits or your data", description=__doc__)
    models = parser.add_subparsers(dest="model", required=True, metavar="MODEL")
    for name, recipe in RECIPES.items():
        model = models.add_parser(name, help=recipe.summary, description=f"Train a {recipe.summary}.")
        model.add_argument(
            "--data",
            default="digits",
            help="digits (bundled, the default), a folder of the MNIST family's IDX files, an .npz file with x and y, "
            "or mnist, fashion-mnist, kmnist below $DLCORE_DATA",
        )
        model.add_argument("--limit", type=positive, metavar="N", help="use the first N training cases only")
        model.add_argument("--epochs", type=positive, metavar="N", help="passes over the data")
        model.add_argument("--batch-size", type=positive, metavar="N", help="cases to a step")
        model.add_argument("--lr", type=rate, metavar="X", help="learning rate at the start")
        for option in sorted(recipe.options):
            model.add_argument(f"--{option.replace('_', '-')}", dest=option, **MODEL_OPTIONS[option])
        model.add_argument("--seed", type=seed, default=1, metavar="S", help="decides everything random (1)")
        model.add_argument("--seeds", type=positive, default=1, metavar="K", help="train K times, seeds S to S + K - 1")
        model.add_argument("--out", type=path, metavar="FOLDER", help="write the model and pictures of it here")
        model.add_argument("--save", type=path, metavar="FILE", help="write the model to this file")
        model.add_argument(
            "--pictures", action=argparse.BooleanOptionalAction, help="whether pictures are written to --out (yes)"
        )
        add_run_options(model)
        model.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Train, report, write. With several seeds the first one's model and pictures are written."""
    _check_outputs(options)
    use_threads(options)
    train, test = load_data(options.data)
    if options.limit is not None:
        train = train.take(min(options.limit, len(train)))
    recipe = RECIPES[options.model]
    settings = {name: getattr(options, name) for name in recipe.options if getattr(options, name) is not None}
    fit = _fit_arguments(options, settings, train)
    settings["seed"] = options.seed
    summary = make_model(recipe, train, test, settings).summary()
    print(f"{train.name}: {len(train)} cases, {test.name}: {len(test)} cases\n{summary}", flush=True)
    results = []
    for i in range(options.seeds):
        settings["seed"] = (options.seed + i) % 2**64
        results.append(run_recipe(recipe, train, test, settings, fit))
        if i == 0:
            _write(results[0], options, test)
    print(_report(results), flush=True)
    return 0


def _check_outputs(options: argparse.Namespace) -> None:
    """Refuse before the training what would fail after it."""
    if options.pictures and options.out is None:
        raise ValueError("--pictures needs a folder to write them to, --out")
    if options.pictures and not pictures_possible():
        raise ImportError("--pictures needs matplotlib, which comes with the extra 'plot'")
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
        require_file("--out", model_file(options))
    if options.save is not None:
        require_file("--save", options.save)


def model_file(options: argparse.Namespace) -> Path:
    """Where ``--out`` has the model."""
    return Path(options.out / f"{options.model}{MODEL_SUFFIX}")


def _fit_arguments(options: argparse.Namespace, settings: dict[str, Any], train: Dataset) -> dict[str, Any]:
    given = {name: getattr(options, name) for name in ("epochs", "batch_size", "lr")}
    fit = {name: value for name, value in given.items() if value is not None}
    fit["progress"] = not options.quiet
    passes = settings.pop("pretrain_epochs", None)
    if passes is not None:
        fit["pretrain"] = RECIPES[options.model].fit_settings(train)["pretrain"] | {"epochs": passes}
    return fit


def _write(result: Result, options: argparse.Namespace, test: Dataset) -> None:
    files = [] if options.save is None else [options.save]
    if options.out is not None:
        files.append(model_file(options))
    for file in files:
        result.model.save(file)
    if options.out is not None and options.pictures is not False:
        if pictures_possible():
            files += write_pictures(options.out, options.model, result.model, test)
        else:
            print("pictures are left out: matplotlib is not installed (extra 'plot')", file=sys.stderr)
    for file in files:
        print(f"wrote {file}")


def _report(results: list[Result]) -> str:
    names = list(results[0].figures)
    rows = [["seed", *names, "seconds"]]
    for result in results:
        rows.append(
            [str(result.seed), *(figure_text(name, result.figures[name]) for name in names), f"{result.seconds:.1f}"]
        )
    if len(results) > 1:
        means = [sum(result.figures[name] for result in results) / len(results) for name in names]
        total = sum(result.seconds for result in results)
        rows.append(["mean", *map(figure_text, names, means), f"{total / len(results):.1f}"])
    return table(rows)
