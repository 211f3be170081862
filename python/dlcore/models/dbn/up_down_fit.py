"""Training a belief network as one generative model."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any

from ... import ops, train
from ...ops import Generator
from ...ops.creation import is_integer
from ...tensor import Tensor
from ...train import Callback, EarlyStopping, History, Run
from ..base import flag, not_negative
from ..fitting import EarlyStoppingLike
from ..rbm.contrastive import check_steps
from .stack import Stack
from .up_down import UpDownEpoch

_CHAIN_STREAM = 2**33 + 3  # beyond the streams of Model


class UpDown(Stack):
    """The method of a DBN that trains it as one generative model; a part of `dlcore.models.DBN`."""

    def fit_up_down(
        self,
        x: Any,
        y: Any = None,
        *,
        epochs: int = 10,
        batch_size: int = 100,
        optimizer: train.OptimizerLike = "sgd",
        lr: train.LearningRate | None = None,
        schedule: str = "constant",
        weight_decay: float = 0.0,
        k: int | Sequence[int] = 1,
        persistent: bool = False,
        n_chains: int = 100,
        validation_data: Any = None,
        early_stopping: EarlyStoppingLike = None,
        callbacks: Iterable[Callback] = (),
        progress: bool | None = None,
        shuffle: bool = True,
        resume: str | os.PathLike[str] | None = None,
        **options: Any,
    ) -> History:
        """Train the whole stack as one generative model by contrastive wake-sleep; call `pretrain` first.

        The lower layers' recognition weights part from their generative weights; both are kept, in files too. The
        network of `predict` and `transform` gets the recognition weights and the top RBM's; a linear layer of scores on
        top stays as it is.

        Parameters
        ----------
        x : (n, visible units), values in [0, 1]
        y : labels (n,) in [0, classes), for a model with label units; others take none
        lr : by default 0.01 for "sgd" and another optimizer's own
        weight_decay : λ >= 0; the gradient of ½ λ Σ W² is added, biases are left alone
        k : Gibbs steps in the top RBM between wake and sleep; several for equal parts of the epochs, as (3, 6, 10) in
            the paper
        persistent, n_chains : whether the top RBM's chains go on from batch to batch, and how many there are then;
            by default they begin at the data
        validation_data : (m, visible units) held out, or a pair (x, y) with label units
        early_stopping : an EarlyStopping, or the patience in epochs of one on ``validation_loss``, without label units
            on ``validation_reconstruction_error``
        epochs, batch_size, optimizer, schedule, callbacks, progress, shuffle, resume, options : see \
`dlcore.models.fitting.FitOptions`; "sgd" has ``momentum``

        Returns
        -------
        History with ``reconstruction_error`` (mean over the cases of Σ (v − p(v | h))² with h inferred by sampling),
        ``seconds``, and with validation data ``validation_reconstruction_error`` (up to the top and down again without
        sampling), with label units also ``validation_loss`` (−log p(y | features)) and ``validation_accuracy``

        Raises
        ------
        TypeError, ValueError
            For arguments that do not fit; the model is unchanged then.
        FloatingPointError
            When a parameter is no longer finite; the parameters are those after the last finite epoch.

        References
        ----------
        Hinton, Osindero, Teh (2006), section 5 and appendix B.
        """
        self._require_plain("fit_up_down")
        belief = self.belief
        cases, labels = self._with_labels(x, y, "fit_up_down")
        data = [cases] if labels is None else [cases, labels]
        held: tuple[Tensor, Tensor | None] | None = None
        if validation_data is not None:
            held = self._watched_pair(validation_data, "fit_up_down: validation_data")
            if held[0].shape[0] == 0:
                raise ValueError("fit_up_down: validation_data has no cases")
        if early_stopping is not None and not isinstance(early_stopping, EarlyStopping):
            watched = "validation_reconstruction_error" if labels is None else "validation_loss"
            early_stopping = EarlyStopping(watched, early_stopping)
        if early_stopping is not None and early_stopping.monitor.startswith("validation_") and held is None:
            raise ValueError(f"fit_up_down: early stopping on {early_stopping.monitor!r} needs validation_data")
        if not isinstance(callbacks, Iterable):
            raise TypeError(f"fit: callbacks is {callbacks!r}, expected a list of Callback")
        callbacks = [*([] if early_stopping is None else [early_stopping]), *callbacks]
        not_negative("fit_up_down", weight_decay=weight_decay)
        flag("fit_up_down", persistent=persistent)
        several = isinstance(k, (list, tuple)) and len(k) > 0
        steps = [check_steps(value, "fit_up_down: k") for value in (k if several else [k])]  # type: ignore[union-attr]
        batch_size = train.check_batch_size(batch_size, cases.shape[0])
        batches = -(-cases.shape[0] // batch_size)
        if "groups" in options:
            raise ValueError("fit_up_down: groups are the method's own")
        given = dict(options)
        if self.classes and not callable(optimizer):
            given["groups"] = [{"params": "recognition.*", "frozen": True}]
        rate = 0.01 if lr is None and optimizer == "sgd" else lr
        made = train.make_optimizer(
            optimizer, self.parameters, rate, given, schedule, int(epochs) * batches if is_integer(epochs) else 0
        )
        settings = train.fit_settings(cases.shape[0], batch_size, shuffle, optimizer, rate, options, schedule)
        settings |= {
            "method": "up-down",
            "weight_decay": float(weight_decay),
            "k": steps,
            "persistent": bool(persistent),
        }
        figures = ["reconstruction_error", *_watch(self, None if held is None else _first(held)), "seconds"]
        chains = self._top_chains(check_steps(n_chains, "fit_up_down: n_chains")) if persistent else None
        state = {} if chains is None else {"chains": chains}
        run = Run(self, epochs, made, self.generators, state, batches, settings, figures)
        epoch = UpDownEpoch(
            belief, data, batch_size, steps, chains, float(weight_decay), self.fit_generator, bool(shuffle),
            lambda: _watch(self, held),
        )  # fmt: skip
        history = train.run_epochs(run, epoch, callbacks, progress, resume)
        self.online = None  # its optimizer knows nothing of these steps
        return history

    def _top_chains(self, n: int) -> Tensor:
        """Where persistent chains of the top machine begin: its hidden units at random."""
        half = ops.full((n, self.belief.machines[-1].n_hidden), 0.5, self.config["dtype"])
        return ops.bernoulli(Generator(self.config["seed"]).split(_CHAIN_STREAM), half)


def _first(held: tuple[Tensor, Tensor | None]) -> tuple[Tensor, Tensor | None]:
    """The first case, of which figures have names like those of all."""
    x, labels = held
    return train.rows(x, 0, 1), None if labels is None else train.rows(labels, 0, 1)


def _watch(model: Any, held: tuple[Tensor, Tensor | None] | None) -> dict[str, float]:
    """The figures of held-out cases."""
    if held is None:
        return {}
    belief = model.belief

    def figures(v: Tensor, labels: Tensor | None = None) -> dict[str, float]:
        restored = belief.down(belief.up(v))
        found = {"reconstruction_error": ops.sum(ops.squared_error(v, restored)).item() / v.shape[0]}
        if labels is not None:
            scores = belief.forward(v)
            found["loss"] = ops.mean(ops.softmax_cross_entropy(scores, labels)).item()
            found["accuracy"] = float((scores.numpy().argmax(1) == labels.numpy().argmax(1)).mean())
        return found

    x, labels = held
    found = train.average(figures, [x] if labels is None else [x, labels])
    return {f"validation_{name}": value for name, value in found.items()}
