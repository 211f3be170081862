"""From a fit's arguments to a run of the loop, for every model that learns by gradient steps on its network."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .. import ops, train
from ..autodiff import no_grad
from ..nn import BatchNorm1d, BatchNorm2d
from ..ops import Generator
from ..ops.creation import is_integer, is_number
from ..tensor import Tensor, tensor
from ..train import Callback, EarlyStopping, History, ReduceLROnPlateau, Run
from .base import Model

EarlyStoppingLike = EarlyStopping | int | None


@dataclass
class FitOptions:
    """The arguments that every ``fit`` has.

    One step is recorded and the others replay it natively, with the bits of steps made one by one. A fit whose steps
    cannot be replayed makes them one by one: with modules, objectives, optimizers or ``on_batch_end`` that are not
    dlcore's own, line searches, or fewer than four full batches in all. ``run.traced``, which callbacks see, says why;
    None where steps are replayed.

    Cases in a contiguous NumPy array of the model's dtype are read where they lie, without a copy: the array must stay
    as it is while the fit lasts.

    Parameters
    ----------
    epochs : int >= 0, passes over the data; a resumed fit counts those it had
    batch_size : int >= 1, cases to a step; at most the number of cases
    optimizer : one of `dlcore.train.OPTIMIZERS` ("adam", "sgd", …), or a function of the parameters returning an
        Optimizer; or "cg", "l-bfgs", … with `line_searches` on each batch, see `dlcore.optim.BatchMinimizer`
    lr : learning rate, or a function of the step (see `dlcore.optim.schedules`); the optimizer's own by default
    schedule : "constant", "linear" or "cosine": how lr falls over the fit
    validation_fraction : share in (0, 1) of the cases held out for validation, where no validation data are given
    early_stopping : an EarlyStopping, or its patience in epochs
    callbacks : see `dlcore.train.Callback`
    progress : None (a bar on a terminal), True (also a line per epoch elsewhere) or False
    shuffle : whether each epoch takes the cases in a new order
    resume : a Checkpoint's file to go on from, to the bits of an undisturbed fit with the same arguments and data
    options : the optimizer's other arguments (momentum, groups, max_grad_norm, …)
    """

    epochs: int = 10
    batch_size: int = 64
    optimizer: train.OptimizerLike = "adam"
    lr: train.LearningRate | None = None
    schedule: str = "constant"
    validation_fraction: float | None = None
    early_stopping: EarlyStoppingLike = None
    callbacks: Iterable[Callback] = ()
    progress: bool | None = None
    shuffle: bool = True
    resume: str | os.PathLike[str] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


def fit_network(
    model: Model,
    data: Sequence[Tensor],
    validation: Sequence[Tensor] | None,
    fit: FitOptions,
    objective: Callable[..., Tensor],
    figures: Callable[..., Mapping[str, float]],
    report: Callable[[Sequence[Tensor]], Mapping[str, float]] | None = None,
    weighted: bool = False,
) -> History:
    """Make the mean of an objective over the cases small.

    Parameters
    ----------
    data, validation : tensors with a row per case, checked
    objective : (*batch) -> Tensor, mean over the batch's cases
    figures : (*batch) -> means over the batch's cases, for the validation data; without penalties and noise
    report : (data) -> further figures of an epoch
    weighted : whether the last of the tensors holds weights of the cases
    """
    data, validation = apart(model, data), None if validation is None else apart(model, validation)
    data, validation = _held_out(model, data, validation, fit.validation_fraction, weighted)
    batch_size = train.check_batch_size(fit.batch_size, data[0].shape[0])
    check_last_batch(model, data[0], batch_size)
    steps_in_epoch = -(-data[0].shape[0] // batch_size)
    epochs = int(fit.epochs) if is_integer(fit.epochs) else 0  # Run says what is wrong with another
    optimizer = train.make_optimizer(
        fit.optimizer, model.trained_parameters, fit.lr, fit.options, fit.schedule, epochs * steps_in_epoch, True
    )
    if not isinstance(fit.callbacks, Iterable):
        raise TypeError(f"fit: callbacks is {fit.callbacks!r}, expected a list of Callback")
    callbacks = [*_early_stopping(fit.early_stopping), *fit.callbacks]
    for callback in callbacks:
        if not isinstance(callback, (EarlyStopping, ReduceLROnPlateau)):
            continue
        if callback.monitor.startswith("validation_") and validation is None:
            who = "early stopping" if isinstance(callback, EarlyStopping) else type(callback).__name__
            raise ValueError(f"fit: {who} on {callback.monitor!r} needs validation_data or validation_fraction")
    settings = train.fit_settings(
        data[0].shape[0], batch_size, fit.shuffle, fit.optimizer, fit.lr, fit.options, fit.schedule
    )
    names = ["loss", *(report(_first(data)) if report is not None else ())]
    if validation is not None:
        names += [f"validation_{name}" for name in figures(*_first(validation))]
    run = Run(model, fit.epochs, optimizer, model.generators, None, steps_in_epoch, settings, [*names, "seconds"])
    steps = train.gradient_epoch(objective, data, batch_size, model.fit_generator if fit.shuffle else None)

    def epoch(run: Run) -> dict[str, float]:
        model.online = None  # its optimizer knows nothing of these steps
        model.network.train()
        try:
            record = steps(run)
        finally:
            model.network.eval()
        if report is not None:
            record |= report(data)
        if validation is not None:
            found = train.average(figures, validation)
            record |= {f"validation_{name}": value for name, value in found.items()}
        return record

    return train.run_epochs(
        run, epoch, callbacks, fit.progress, fit.resume, lambda: model.before_fit(data, fit.progress)
    )


def apart(model: Model, data: Sequence[Tensor]) -> list[Tensor]:
    """The data, with copies of those that share memory with what the model's steps write to."""
    written = [_span(kept) for kept in (model.parameters.storage, *model.buffers.values())]

    def overlaps(x: Tensor) -> bool:
        begin, end = _span(x)
        return any(begin < last and first < end for first, last in written)

    return [Tensor(x.array.copy()) if overlaps(x) else x for x in data]


def _span(x: Tensor) -> tuple[int, int]:
    begin: int = x.array.address()
    return begin, begin + x.array.nbytes


def check_last_batch(model: Model, x: Tensor, batch_size: int) -> None:
    """Before anything changes: refuse a last batch of one case that batch normalization cannot learn from.

    Raises
    ------
    ValueError
    """
    norms = (BatchNorm1d, BatchNorm2d)
    alone = (x.shape[0] % batch_size or batch_size) == 1
    if not alone or not any(isinstance(module, norms) for _, module in model.network.modules()):
        return
    before = train.snapshot(model)
    steps = {name: generator.step for name, generator in model.generators.items()}
    try:
        with no_grad():
            model.network.train().forward(train.rows(x, 0, 1))
    except ValueError as error:
        raise ValueError(f"fit: the last batch of {x.shape[0]} cases has 1 of them: {error}") from None
    finally:
        model.network.eval()
        train.put_back(model, before)
        for name, generator in model.generators.items():
            generator.step = steps[name]


def _first(data: Sequence[Tensor]) -> list[Tensor]:
    """The first case, of which figures have names like those of all."""
    return [train.rows(x, 0, 1) for x in data]


def _early_stopping(given: EarlyStoppingLike) -> list[Callback]:
    if given is None or isinstance(given, EarlyStopping):
        return [given] if given is not None else []
    return [EarlyStopping(patience=given)]


def _held_out(
    model: Model, data: Sequence[Tensor], validation: Sequence[Tensor] | None, fraction: float | None, weighted: bool
) -> tuple[Sequence[Tensor], Sequence[Tensor] | None]:
    if fraction is None:
        return data, validation
    if validation is not None:
        raise ValueError("fit: validation_data and validation_fraction are both given, expected one of the two")
    if not is_number(fraction) or not 0 < fraction < 1:
        raise ValueError(f"fit: validation_fraction is {fraction!r}, expected a number in (0, 1)")
    cases = data[0].shape[0]
    held = max(round(cases * float(fraction)), 1)
    if held >= cases:
        raise ValueError(f"fit: validation_fraction {fraction} of {cases} cases leaves none to learn from")
    order = ops.permutation(Generator(model.split_key), cases).numpy()
    kept, out = np.sort(order[held:]), np.sort(order[:held])
    parts = [[ops.gather(x, index) for x in data] for index in (kept, out)]
    if weighted:
        for part, name in zip(parts, ("cases to learn from", "cases held out"), strict=True):
            part[-1] = _scaled(part[-1].numpy().astype(np.float64), name, model.dtype)
    return parts[0], parts[1]


def _scaled(weight: np.ndarray[Any, Any], name: str, dtype: str, who: str = "fit") -> Tensor:
    """Weights times what makes their mean 1."""
    total = weight.sum()
    if total == 0:
        raise ValueError(f"{who}: sample_weight is 0 for all {name}")
    return tensor(weight * (weight.size / total), dtype)


def require_finite(x: Tensor, who: str, name: str) -> None:
    """Raise a ValueError with the first row that has a NaN or an infinity."""
    if not ops.all_finite(x):
        bad = np.argwhere(~np.isfinite(x.numpy()))[0]
        raise ValueError(f"{who}: {name} is not finite at row {bad[0]}")


def check_weights(sample_weight: Any, model: Model, cases: int, who: str = "fit", scaled: bool = True) -> Tensor:
    """Sample weights as a tensor (n,), by default scaled to a mean of 1.

    Raises
    ------
    TypeError, ValueError
        Unless there is one for each case, all finite and >= 0, and, to be scaled, one is above 0.
    """
    weight = np.asarray(sample_weight)
    if weight.dtype.kind not in "fiub":
        raise TypeError(f"{who}: sample_weight has dtype {weight.dtype}, expected real numbers")
    if weight.shape != (cases,):
        raise ValueError(f"{who}: sample_weight has shape {weight.shape}, expected ({cases},)")
    weight = weight.astype(np.float64)
    good = np.isfinite(weight) & (weight >= 0)
    if not good.all():
        first = int(np.argmin(good))
        raise ValueError(f"{who}: sample_weight is {weight[first]} at index {first}, expected a finite number >= 0")
    return _scaled(weight, "cases", model.dtype, who) if scaled else tensor(weight, model.dtype)
