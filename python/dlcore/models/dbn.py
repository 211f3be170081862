"""Deep belief network."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .. import ops, train
from ..nn import Linear, Module, Parameters
from ..ops import Generator
from ..tensor import Tensor
from ..train import Callback, History, register
from .base import Array, not_negative, sizes
from .belief import Belief
from .contrastive import Momentum, check_steps, require_probabilities
from .fitting import EarlyStoppingLike
from .greedy import checkpoint_layer, learn_stack
from .rbm import RBM
from .supervised import Supervised

_SAMPLE_STREAM = 2**33 + 2  # beyond the streams of Model


@register
class DBN(Supervised):
    """A stack of RBMs, each learned on the features of the one below, then a classifier that starts at their weights.

    `pretrain` learns the RBMs, layer by layer, without labels, and gives their weights to a sigmoid network with linear
    scores on top, all of which `fit` trains by backpropagation. The RBMs stay as they are: `sample` and `reconstruct`
    are theirs, `transform` and `predict` the network's.

    Parameters
    ----------
    layer_sizes : at least 2 integers: visible units, hidden units of each layer
    classes : int >= 2
    output : "softmax", or "svm": classes by margin, with the squared one-vs-rest hinge
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

    def __init__(
        self,
        layer_sizes: Sequence[int],
        classes: int,
        output: str = "softmax",
        weight_decay: float = 0.0,
        l1: float = 0.0,
        weight_std: float = 0.01,
        seed: int = 0,
        dtype: str = "float32",
    ) -> None:
        who = type(self).__name__
        widths = sizes(layer_sizes, who, "layer_sizes", 2)
        (classes,) = sizes([classes], who, "classes", 1)
        if output not in ("softmax", "svm"):
            raise ValueError(f"{who}: output is {output!r}, expected 'softmax' or 'svm'")
        not_negative(who, weight_std=weight_std)
        config = {
            "layer_sizes": widths,
            "classes": classes,
            "output": output,
            "weight_decay": weight_decay,
            "l1": l1,
            "weight_std": weight_std,
            "seed": seed,
            "dtype": dtype,
        }
        super().__init__(config, Belief(widths, classes, weight_std), (widths[0],), classes, output, weight_decay, l1)
        self.pretrain_history: list[History] = []
        self.sample_generator = Generator(seed).split(_SAMPLE_STREAM)
        self._pretrain_options: Mapping[str, Any] | None = None

    @property
    def belief(self) -> Belief:
        """The network."""
        network = self.network
        assert isinstance(network, Belief)
        return network

    @property
    def trained_parameters(self) -> Parameters:
        return self.belief.recognition.parameters

    @property
    def generators(self) -> dict[str, Generator]:
        return super().generators | {"sample": self.sample_generator}

    def stages(self) -> list[Module]:
        return list(self.belief.recognition.layers)

    # --- learning ---

    @property
    def is_pretrained(self) -> bool:
        """Whether the network has weights from `pretrain` or an earlier `fit`: its biases are all 0 before."""
        return any(value.numpy().any() for name, value in self.trained_parameters.items() if name.endswith("bias"))

    def pretrain(
        self,
        x: Any,
        *,
        epochs: int | Sequence[int] = 30,
        batch_size: int = 20,
        lr: float | Sequence[float] = 0.1,
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
        x : (n, visible units), values in [0, 1]
        epochs, lr : one for all layers, or one for each
        k, persistent, n_chains : see `RBM`
        validation_data : (m, visible units), cases held out; each RBM's history compares their features
        batch_size, momentum, weight_decay, progress, options : see `RBM.fit`. A Checkpoint among the callbacks writes
            files of the whole model, of which ``resume=`` goes on in any layer, to the bits of an undisturbed call with
            the same arguments and data

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
        features = self._check(x, "pretrain")
        held = None
        if validation_data is not None:
            held = self._check(validation_data, "pretrain: validation_data"), None
        rbms = [self._rbm(i, k=k, persistent=persistent, n_chains=n_chains) for i in range(len(self.belief.machines))]
        for i, rbm in enumerate(rbms):
            rbm.label = f"{type(self).__name__} layer {i + 1} ({rbm.n_visible} ↔ {rbm.n_hidden})"
        given = {"batch_size": batch_size, "momentum": momentum, "weight_decay": weight_decay, "progress": progress}
        histories = learn_stack(self, rbms, (features, None), held, epochs, lr, given | options)
        for layer, machine in zip(self.belief.recognition.layers[:-1], self.belief.machines, strict=True):
            assert isinstance(layer, Linear)
            layer.weight.array.assign(machine.weight.array)
            layer.bias.array.assign(machine.hidden_bias.array)
        self.pretrain_history = histories
        return histories

    def _rbm(self, layer: int, **config: Any) -> RBM:
        seed = (self.config["seed"] + layer) % 2**64  # of its chains alone: it draws from this model's generator
        machine = self.belief.machines[layer]
        return RBM.of_machine(machine, self.fit_generator, self.sample_generator, seed=seed, dtype=self.dtype, **config)

    @property
    def rbms(self) -> list[RBM]:
        """The stack from the bottom up, as models on this one's parameters."""
        return [self._rbm(i) for i in range(len(self.belief.machines))]

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
        x : (n, visible units), values in [0, 1]
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
            self.pretrain(data[0], **({"progress": progress} | dict(options)))

    def _pair(self, x: Any, y: Any, who: str) -> list[Tensor]:
        return super()._pair(self._check(x, who), y, who)

    def _check(self, x: Any, who: str) -> Tensor:
        cases = self.as_cases(x, who)
        require_probabilities(cases, who, "x")
        return cases

    # --- using ---

    def transform(self, x: Any, batch_size: int = 1024) -> Array:
        """The network's last hidden layer (n, top units); before `fit` that is the stack's features."""
        cases = self.as_cases(x, "transform")
        return self.map_batches(self.belief.features, cases, batch_size)

    def reconstruct(self, x: Any, batch_size: int = 1024) -> Array:
        """Cases (n, visible units) brought up through all RBMs and down again, without sampling."""
        cases = self._check(x, "reconstruct")
        belief = self.belief
        return self.map_batches(lambda v: belief.down(belief.up(v)), cases, batch_size)

    def sample(self, n: int, steps: int = 1000, start: Any = None) -> Array:
        """n fantasies (n, visible units): probabilities, from Gibbs sampling in the top RBM and one pass down.

        Parameters
        ----------
        steps : int >= 1, of Gibbs sampling
        start : (n, visible units), cases whose features the chains begin with; by default they begin with features
            drawn from the top RBM's visible biases
        """
        steps = check_steps(steps, "sample: steps")
        *below, top = self.belief.machines
        generator = self.sample_generator
        if start is None:
            (n,) = sizes([n], "sample", "n", 1)
            v = top.sample_visible(ops.zeros((n, top.n_hidden), self.dtype), generator)
        else:
            cases = self._check(start, "sample: start")
            if cases.shape[0] != n:
                raise ValueError(f"sample: start has {cases.shape[0]} cases, expected {n}")
            v = self.belief.up(cases, len(below))
        samples, probabilities = top.gibbs(v, steps, generator)
        if not below:
            return probabilities.numpy()
        for machine in reversed(below[1:]):
            samples = machine.sample_visible(samples, generator)
        return below[0].visible(samples).numpy()
