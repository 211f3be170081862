"""What a belief network is: a stack of machines with its network, its checks of arguments and its features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ... import ops
from ...nn import Module, Parameters
from ...ops import Generator
from ...tensor import Tensor
from ...train import History
from ..base import Array, flag, not_negative, sizes
from ..rbm import RBM
from ..rbm.units import is_plain, require_values, visible_segments
from ..supervised import Supervised
from .belief import Belief

_SAMPLE_STREAM = 2**33 + 2  # beyond the streams of Model


class Stack(Supervised):
    """The base of `dlcore.models.DBN`, whose methods stand by topic; its arguments are explained there."""

    def __init__(
        self,
        layer_sizes: Sequence[int],
        classes: int | None = None,
        output: str = "softmax",
        label_units: bool = False,
        visible: Any = "bernoulli",
        code: str = "bernoulli",
        weight_decay: float = 0.0,
        l1: float = 0.0,
        weight_std: float = 0.01,
        seed: int = 0,
        dtype: str = "float32",
    ) -> None:
        who = type(self).__name__
        widths = sizes(layer_sizes, who, "layer_sizes", 2)
        if classes is not None:
            (classes,) = sizes([classes], who, "classes", 1)
        if output not in ("softmax", "svm"):
            raise ValueError(f"{who}: output is {output!r}, expected 'softmax' or 'svm'")
        flag(who, label_units=label_units)
        if label_units and (classes is None or output != "softmax"):
            raise ValueError(f"{who}: label_units are softmax units, expected classes and output 'softmax'")
        self.units = visible_segments(visible, widths[0], who)
        if code not in ("bernoulli", "gaussian"):
            raise ValueError(f"{who}: code is {code!r}, expected 'bernoulli' or 'gaussian'")
        if label_units and (code != "bernoulli" or (len(widths) == 2 and not is_plain(self.units))):
            raise ValueError(f"{who}: label_units are for a top RBM of Bernoulli units, expected no others in it")
        not_negative(who, weight_std=weight_std)
        config = {
            "layer_sizes": widths,
            "classes": classes,
            "output": output,
            "label_units": label_units,
            "visible": visible if isinstance(visible, str) else [list(part) for part in visible],
            "code": code,
            "weight_decay": weight_decay,
            "l1": l1,
            "weight_std": weight_std,
            "seed": seed,
            "dtype": dtype,
        }
        belief = Belief(widths, classes or 0, weight_std, bool(label_units), visible, code)
        outputs = 2 if classes is None else classes  # of no network: Belief refuses to give scores
        super().__init__(config, belief, (widths[0],), outputs, output, weight_decay, l1)
        self.classes = classes
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
        belief = self.belief
        return list(belief.recognition.layers) or [*belief.inference, belief.machines[-1]]

    @property
    def is_pretrained(self) -> bool:
        """Whether the model has weights from `pretrain` or an earlier `fit`: its biases are all 0 before."""
        parameters = self.parameters if self.classes is None else self.trained_parameters
        return any(value.numpy().any() for name, value in parameters.items() if name.endswith("bias"))

    def _rbm(self, layer: int, **config: Any) -> RBM:
        seed = (self.config["seed"] + layer) % 2**64  # of its chains alone: it draws from this model's generator
        machine = self.belief.machines[layer]
        kinds = [(f"softmax:{s.group}" if s.kind == "softmax" else s.kind, s.end - s.begin) for s in machine.units]
        config |= {"seed": seed, "dtype": self.dtype, "visible": kinds, "hidden": machine.hidden}
        return RBM.of_machine(machine, self.fit_generator, self.sample_generator, **config)

    @property
    def rbms(self) -> list[RBM]:
        """The stack from the bottom up, as models on this one's parameters."""
        return [self._rbm(i) for i in range(len(self.belief.machines))]

    def _with_labels(self, x: Any, y: Any, who: str) -> tuple[Tensor, Tensor | None]:
        """Cases, checked, and one-hot labels where there are label units."""
        cases = self._check(x, who)
        if self.belief.label_units:
            if y is None:
                raise ValueError(f"{who}: y is None, expected labels for the label units")
            return cases, self._one_hot(y, cases.shape[0], who)
        if y is not None:
            raise ValueError(f"{who}: y is given, but the model has no label units: make it with label_units=True")
        return cases, None

    def _watched_pair(self, given: Any, who: str) -> tuple[Tensor, Tensor | None]:
        """`_with_labels` of validation data: cases, or a pair with labels where there are label units."""
        if not self.belief.label_units:
            return self._with_labels(given, None, who)
        if not isinstance(given, (tuple, list)) or len(given) != 2:
            raise ValueError(f"{who} is not a pair (x, y)")
        x, y = given
        return self._with_labels(x, y, who)

    def _require_plain(self, who: str) -> None:
        """Raise a ValueError unless all visible units are Bernoulli."""
        if not is_plain(self.units):
            raise ValueError(f"{who}: the visible units are {self.config['visible']!r}, expected 'bernoulli'")

    def _one_hot(self, y: Any, n: int, who: str) -> Tensor:
        labels = self.head.targets(y, self.outputs, self.parameters.storage, who)
        if labels.shape[0] != n:
            raise ValueError(f"{who}: x has {n} cases, y has {labels.shape[0]}")
        return ops.one_hot(labels, self.outputs, self.dtype)

    def _check(self, x: Any, who: str) -> Tensor:
        cases = self.as_cases(x, who)
        require_values(cases, self.units, who, "x")
        return cases

    # --- using ---

    def transform(self, x: Any, batch_size: int = 1024) -> Array:
        """The network's last hidden layer (n, top units); before `fit` that is the stack's features.

        With label units, which are unknown here, p(h = 1 | f) = Σ_y p(y | f) p(h = 1 | f, y).
        """
        cases = self.as_cases(x, "transform")
        return self.map_batches(self.belief.features, cases, batch_size)
