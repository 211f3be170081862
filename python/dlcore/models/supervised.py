"""Supervised: what the models that learn y from x have in common."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from .. import ops, penalties, train
from ..nn import BatchNorm1d, BatchNorm2d, Module
from ..optim import Optimizer
from ..tensor import Tensor
from ..train import Callback, History
from .base import Array, Model, not_negative
from .fitting import EarlyStoppingLike, FitOptions, check_weights, fit_network, require_finite
from .heads import Head, head
from .online import partial_fit_network

Self = TypeVar("Self", bound="Supervised")


class Supervised(Model):
    """A network whose scores (n, outputs) a head turns into predictions.

    Parameters
    ----------
    config, network, input_shape : see `Model`
    outputs : int, scores of a case
    output : name of the head, see `dlcore.models.heads.HEADS`
    weight_decay, l1 : the objective is the mean loss plus ½ weight_decay Σ W² + l1 Σ |W|; biases and the gains of
        batch normalization are left out
    own_head : the head of a model that has one of its own
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        network: Module,
        input_shape: tuple[int, ...],
        outputs: int,
        output: str,
        weight_decay: float = 0.0,
        l1: float = 0.0,
        own_head: Head | None = None,
    ) -> None:
        who = type(self).__name__
        super().__init__(config, network, input_shape)
        self.head = head(output, who) if own_head is None else own_head
        not_negative(who, weight_decay=weight_decay, l1=l1)
        if output in ("softmax", "svm") and outputs < 2:
            raise ValueError(f"{who}: output {output!r} has {outputs} class, expected at least 2")
        self.outputs, self.output = outputs, output
        self.weight_decay, self.l1 = float(weight_decay), float(l1)
        norms = (BatchNorm1d, BatchNorm2d)
        self._gains = {f"{path}.weight" for path, module in network.modules() if isinstance(module, norms)}

    def objective(self, x: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """Mean loss of a batch plus the penalties: what `fit` makes small.

        Parameters
        ----------
        x : (n, *input_shape), of the model's dtype
        target : as the head takes it: int32 labels (n,), or values (n, outputs)
        weight : (n,), optional
        """
        loss = self.head.loss(self.network.forward(x), target, weight)
        if self.weight_decay or self.l1:
            named = self.trained_parameters.items()
            weights = [value for name, value in named if name.endswith("weight") and name not in self._gains]
            if self.weight_decay:
                loss = loss + self.weight_decay * penalties.l2(*weights)
            if self.l1:
                loss = loss + self.l1 * penalties.l1(*weights)
        return loss

    def fit(
        self,
        x: Any,
        y: Any,
        *,
        epochs: int = 10,
        batch_size: int = 64,
        optimizer: train.OptimizerLike = "adam",
        lr: train.LearningRate | None = None,
        schedule: str = "constant",
        validation_data: tuple[Any, Any] | None = None,
        validation_fraction: float | None = None,
        early_stopping: EarlyStoppingLike = None,
        callbacks: Iterable[Callback] = (),
        progress: bool | None = None,
        shuffle: bool = True,
        sample_weight: Any = None,
        resume: str | os.PathLike[str] | None = None,
        **options: Any,
    ) -> History:
        """Learn from cases; a second fit goes on from the parameters there are, with a fresh optimizer.

        Parameters
        ----------
        x : (n, *input_shape), finite real numbers; rows of ∏ input_shape numbers are accepted too
        y : labels (n,) in [0, outputs) for "softmax" and "svm"; values (n, outputs), or (n,) for one output, in [0, 1]
            for "sigmoid" and real for "identity"
        validation_data : (x, y) whose loss, and accuracy for classifiers, is reported after each epoch
        sample_weight : (n,) numbers >= 0; scaled to a mean of 1. With validation_fraction each of the two parts is
            scaled by itself, and the held-out one's figures are weighted means
        epochs, batch_size, optimizer, lr, schedule, validation_fraction, early_stopping, callbacks, progress, \
shuffle, resume, options : see `dlcore.models.fitting.FitOptions`

        Returns
        -------
        History with ``loss`` (the objective's mean over the epoch's cases), ``seconds``, and with validation data
        ``validation_loss`` (without penalties and dropout) and, for classifiers, ``validation_accuracy``

        Raises
        ------
        TypeError, ValueError
            For arguments that do not fit; the model is unchanged then.
        FloatingPointError
            When the loss or a parameter is no longer finite; the parameters are those after the last finite epoch.
        """
        data = self._pair(x, y, "fit")
        if sample_weight is not None:
            data.append(check_weights(sample_weight, self, data[0].shape[0]))
        validation = None
        if validation_data is not None:
            if not isinstance(validation_data, (tuple, list)) or len(validation_data) != 2:
                raise ValueError("fit: validation_data is not a pair (x, y)")
            validation = self._pair(*validation_data, "fit: validation_data")
            if validation[0].shape[0] == 0:
                raise ValueError("fit: validation_data has no cases")
        fit = FitOptions(
            epochs, batch_size, optimizer, lr, schedule, validation_fraction, early_stopping, callbacks, progress,
            shuffle, resume, options,
        )  # fmt: skip
        weighted = sample_weight is not None
        return fit_network(self, data, validation, fit, self.objective, self._figures, weighted=weighted)

    def partial_fit(
        self: Self,
        x: Any,
        y: Any,
        *,
        batch_size: int = 64,
        optimizer: str | Optimizer | None = None,
        lr: train.LearningRate | None = None,
        sample_weight: Any = None,
        **options: Any,
    ) -> Self:
        """Learn from some cases of a stream: one pass over them in the order given; returns the model.

        The optimizer and its state are kept from call to call, see `dlcore.models.online.partial_fit_network`; the
        classes are those the model was made for, whether these cases show them all or not. `history` is not touched,
        ``model.online.loss`` is the mean loss of the newest call. A copy or a file keeps no optimizer.

        Parameters
        ----------
        x, y : as for `fit`
        batch_size : int >= 1, cases to a step
        optimizer : a name as for `fit`, or an Optimizer of ``model.trained_parameters``; None goes on with the one
            there is, "adam" at first
        lr : learning rate, or a function of the step; None leaves it as it is
        sample_weight : (n,) numbers >= 0, taken as they are: what a weight means is the same in every call
        options : the optimizer's other arguments; others than before begin with a fresh optimizer

        Raises
        ------
        TypeError, ValueError
            For arguments that do not fit; the model is unchanged then.
        FloatingPointError
            When the loss or a parameter is no longer finite; the parameters are those before the call.
        """
        data = self._pair(x, y, "partial_fit")
        if sample_weight is not None:
            data.append(check_weights(sample_weight, self, data[0].shape[0], "partial_fit", scaled=False))
        partial_fit_network(self, data, self.objective, optimizer, lr, batch_size, options)
        return self

    def _pair(self, x: Any, y: Any, who: str) -> list[Tensor]:
        cases = self.as_cases(x, who, to_read=True)
        target = self.head.targets(y, self.outputs, self.parameters.storage, who)
        if target.shape[0] != cases.shape[0]:
            raise ValueError(f"{who}: x has {cases.shape[0]} cases, y has {target.shape[0]}")
        require_finite(cases, who, "x")
        return [cases, target]

    def _figures(self, x: Tensor, target: Tensor, weight: Tensor | None = None) -> dict[str, float]:
        scores = self.network.forward(x)
        found = {"loss": self.head.loss(scores, target, weight).item()}
        if self.head.classifies:
            found["accuracy"] = self.head.accuracy(
                scores.numpy(), target.numpy(), None if weight is None else weight.numpy()
            )
        return found

    def decision_function(self, x: Any, batch_size: int = 1024) -> Array:
        """The scores (n, outputs), before the softmax or sigmoid; computed `batch_size` cases at a time."""
        return self.map_batches(self.network, self.as_cases(x, "predict"), batch_size)

    def predict(self, x: Any, batch_size: int = 1024) -> Array:
        """Labels (n,) int32 for "softmax" and "svm"; 0 or 1 for each output for "sigmoid"; the values for "identity".

        A single output of "sigmoid" or "identity" gives (n,).
        """
        return self.head.predict(self.decision_function(x, batch_size))

    def predict_proba(self, x: Any, batch_size: int = 1024) -> Array:
        """Probabilities (n, outputs): of the classes for "softmax", of each output being 1 for "sigmoid".

        Raises
        ------
        ValueError
            For "identity" and "svm", whose scores are not probabilities.
        """
        link = {"softmax": ops.softmax, "sigmoid": ops.sigmoid}.get(self.output)
        if link is None:
            raise ValueError(f"predict_proba: the output is {self.config['output']!r}, which gives no probabilities")
        return self.map_batches(lambda cases: link(self.network(cases)), self.as_cases(x, "predict_proba"), batch_size)

    def score(self, x: Any, y: Any, batch_size: int = 1024) -> float:
        """Share of right predictions; R² (mean over the outputs) for "identity"."""
        cases = self.as_cases(x, "score")
        target = self.head.targets(y, self.outputs, self.parameters.storage, "score")
        if target.shape[0] != cases.shape[0]:
            raise ValueError(f"score: x has {cases.shape[0]} cases, y has {target.shape[0]}")
        if cases.shape[0] == 0:
            raise ValueError("score: there are no cases")
        require_finite(cases, "score", "x")
        return self.head.score(self.map_batches(self.network, cases, batch_size), target.numpy())
