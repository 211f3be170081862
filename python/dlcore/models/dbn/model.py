"""Deep belief network."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ... import train
from ...tensor import Tensor
from ...train import Callback, History, register
from ..base import Array
from ..fitting import EarlyStoppingLike
from ..greedy import checkpoint_layer, learn_stack
from ..rbm.contrastive import Momentum
from ..rbm.machine import Machine
from .bound import Bounds
from .generation import Generation
from .unrolling import Unrolling
from .up_down_fit import UpDown

_OF_RBM = ("centered", "offset_rate", "sparsity_target", "sparsity_cost", "sparsity_decay")


@register
class DBN(UpDown, Generation, Bounds, Unrolling):
    """A stack of RBMs, each learned on the features of the one below; a classifier that starts at their weights.

    `pretrain` learns the RBMs, layer by layer, and `fit_up_down` goes on with all of them together as one generative
    model. Both give their weights to a sigmoid network, which `fit` trains by backpropagation on labels. The generative
    model stays as it is then: `sample`, `reconstruct` and `log_likelihood_bound` are its own, `transform` and `predict`
    the network's.

    Parameters
    ----------
    layer_sizes : at least 2 integers: visible units, hidden units of each layer
    classes : int >= 2; or None for a stack without labels, which has no network, `fit` and `predict`
    output : "softmax", or "svm": classes by margin, with the squared one-vs-rest hinge
    label_units : whether the top RBM learns features and labels together: one of `classes` softmax units stands beside
        its features. The network then ends in the exact p(y | features) of the top RBM by its free energies
    visible : kinds of the visible units, see `RBM`: "bernoulli" for values in [0, 1], "gaussian" for standardised ones
    code : kind of the top layer's units: "bernoulli", or "gaussian" for the linear code of an autoencoder
    weight_decay, l1 : λ >= 0 of the penalties ½ λ Σ W² and λ Σ |W| in `fit`
    weight_std : standard deviation >= 0 of the RBMs' initial weights
    seed : int in [0, 2⁶⁴): decides the initial weights, the order of the cases and all samples
    dtype : "float32" or "float64"

    Attributes
    ----------
    pretrain_history : list of the RBMs' histories, of the newest `pretrain`; not kept in files

    References
    ----------
    Hinton, Osindero, Teh (2006), A fast learning algorithm for deep belief nets; Bengio, Lamblin, Popovici, Larochelle
    (2007), Greedy layer-wise training of deep networks; Tang (2013), Deep learning using linear support vector
    machines.
    """

    # --- learning ---

    def pretrain(
        self,
        x: Any,
        y: Any = None,
        *,
        epochs: int | Sequence[int] = 30,
        batch_size: int = 20,
        lr: float | Sequence[float] | None = None,
        momentum: Momentum = None,
        weight_decay: float = 2e-4,
        k: int = 1,
        persistent: bool = False,
        n_chains: int = 100,
        validation_data: Any = None,
        progress: bool | None = None,
        **options: Any,
    ) -> list[History]:
        """Learn the RBMs from the bottom up, each on the features of the one below, then copy their weights.

        Parameters
        ----------
        x : (n, visible units), values in [0, 1] of Bernoulli units
        y : labels (n,) in [0, classes), for a model with label units; others take none
        epochs, lr : one for all layers, or one for each. The rate is 0.1 by default for "sgd", and what `RBM.fit` takes
            for another optimizer and for layers with Gaussian units
        k, persistent, n_chains : see `RBM`
        validation_data : (m, visible units), cases held out; each RBM's history compares their features. For a model
            with label units a pair (x, y)
        batch_size, momentum, weight_decay, progress, options : see `RBM.fit`; among the options may be `RBM`'s own
            ``centered``, ``offset_rate``, ``sparsity_target``, ``sparsity_cost`` and ``sparsity_decay``. A Checkpoint
            among the callbacks writes files of the whole model, of which ``resume=`` goes on in any layer, to the bits
            of an undisturbed call with the same arguments and data

        Returns
        -------
        The history of each RBM.

        Raises
        ------
        TypeError, ValueError
            For arguments that do not fit any of the layers; the model is unchanged then.
        KeyboardInterrupt and whatever else ends it early
            The model is again as it was, so that the next call has the bits of an undisturbed one; checkpoints stay.
        """
        data = self._with_labels(x, y, "pretrain")
        held = None
        if validation_data is not None:
            held = self._watched_pair(validation_data, "pretrain: validation_data")
        own = {name: options.pop(name) for name in _OF_RBM if name in options}
        own |= {"k": k, "persistent": persistent, "n_chains": n_chains}
        rbms = [self._rbm(i, **own) for i in range(len(self.belief.machines))]
        for i, rbm in enumerate(rbms):
            rbm.label = f"{type(self).__name__} layer {i + 1} ({rbm.n_visible} ↔ {rbm.n_hidden})"
        given = {"batch_size": batch_size, "momentum": momentum, "weight_decay": weight_decay, "progress": progress}
        rates: float | Sequence[float | None]
        if lr is not None:
            rates = lr
        else:
            by_sgd = options.get("optimizer", "sgd") == "sgd"
            rates = [0.1 if by_sgd and _is_binary(rbm.machine) else None for rbm in rbms]
        histories = learn_stack(self, rbms, data, held, epochs, rates, given | options)
        self.belief.tie()
        self.belief.teach()
        self.online = None  # its optimizer knows nothing of these steps
        self.pretrain_history = histories
        return histories

    def fit(
        self,
        x: Any,
        y: Any,
        *,
        pretrain: bool | Mapping[str, Any] = True,
        epochs: int = 40,
        batch_size: int = 64,
        optimizer: train.OptimizerLike = "adam",
        lr: train.LearningRate | None = None,
        schedule: str | None = None,
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
        """Train the whole network on labelled cases, pre-training on x first where that has not been done.

        Parameters
        ----------
        x : (n, visible units), values in [0, 1] of Bernoulli units
        y : labels (n,) in [0, classes)
        pretrain : False for none; or arguments of `pretrain` by name
        callbacks, resume : a Checkpoint also serves the pre-training, and a fit goes on in what the file is of
        lr : by default 0.002 for "adam" and another optimizer's own
        schedule : by default "cosine", or "constant" where lr or the optimizer is a function
        others : see `Supervised.fit`

        Returns
        -------
        History of the supervised part; that of the RBMs is `pretrain_history`.
        """
        if self.classes is None:
            raise ValueError("fit: this DBN has no classes; pretrain and fit_up_down learn without labels")
        if not isinstance(pretrain, (bool, Mapping)):
            raise ValueError(f"fit: pretrain is {pretrain!r}, expected True, False or arguments of pretrain by name")
        callbacks = list(callbacks) if isinstance(callbacks, Iterable) else callbacks
        self._pretrain_options = self._options_of_pretrain(pretrain, callbacks, resume)
        if self._pretrain_options is not None and self._pretrain_options.get("resume") is not None:
            resume = None  # the file is of the pre-training, after which this fit begins
        if schedule is None:
            schedule = "cosine" if isinstance(optimizer, str) and not callable(lr) else "constant"
        if lr is None and optimizer == "adam":
            lr = 2e-3
        return super().fit(
            x, y, epochs=epochs, batch_size=batch_size, optimizer=optimizer, lr=lr, schedule=schedule,
            validation_data=validation_data, validation_fraction=validation_fraction, early_stopping=early_stopping,
            callbacks=callbacks, progress=progress, shuffle=shuffle, sample_weight=sample_weight, resume=resume,
            **options,
        )  # fmt: skip

    @staticmethod
    def _options_of_pretrain(
        pretrain: bool | Mapping[str, Any], callbacks: Any, resume: Any
    ) -> Mapping[str, Any] | None:
        """The arguments of the pre-training in a fit; None for none."""
        in_pretraining = resume is not None and checkpoint_layer(train.read_header(resume).metadata) is not None
        if pretrain is False:
            if in_pretraining:
                raise ValueError("fit: resume is a checkpoint of the pre-training, but pretrain is False")
            return None
        options = {} if pretrain is True else dict(pretrain)
        if isinstance(callbacks, list) and "callbacks" not in options:
            options["callbacks"] = [callback for callback in callbacks if isinstance(callback, train.Checkpoint)]
        return options | ({"resume": resume} if in_pretraining else {})

    def fit_transform(self, x: Any, y: Any, **arguments: Any) -> Array:
        """The features of `transform` of the cases that `fit` has learned from, with the arguments of `fit`."""
        self.fit(x, y, **arguments)
        return self.transform(x)

    def before_fit(self, data: Sequence[Tensor], progress: bool | None) -> None:
        options = self._pretrain_options
        if options is not None and (options.get("resume") is not None or not self.is_pretrained):
            labels = data[1] if self.belief.label_units else None
            self.pretrain(data[0], labels, **({"progress": progress} | dict(options)))

    def score(self, x: Any, y: Any, batch_size: int = 1024) -> float:
        """Share of right predictions."""
        if self.classes is None:
            raise ValueError("score: this DBN has no classes")
        return super().score(x, y, batch_size)

    def _pair(self, x: Any, y: Any, who: str) -> list[Tensor]:
        if self.classes is None:
            raise ValueError(f"{who}: this DBN has no classes")
        return super()._pair(self._check(x, who), y, who)


def _is_binary(machine: Machine) -> bool:
    """Whether no units are Gaussian, which need smaller steps."""
    return machine.hidden == "bernoulli" and not machine.n_gaussian
