"""The state of one fit, as its callbacks and its checkpoints see it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..ops import Generator
from ..ops.creation import is_integer
from ..optim import Optimizer
from ..tensor import Tensor
from .history import History
from .snapshot import snapshot

if TYPE_CHECKING:
    from .callbacks import Callback


class Run:
    """One call of a model's ``fit``.

    Parameters
    ----------
    model : the model; it has ``parameters`` (a `dlcore.nn.Parameters`)
    epochs : int, how many to end with
    optimizer : the optimizer whose state a checkpoint keeps, if there is one
    generators : name -> generator, all those the fit draws from: a checkpoint keeps and restores them
    state : name -> tensor, what else the fit carries on (persistent chains): kept, and restored in place
    batches : int, batches in an epoch
    settings : what else must be the same where the fit is resumed, in types that JSON holds
    figures : the names that each epoch's record will have, where they are known before the first

    Attributes
    ----------
    epoch : int, epochs finished
    batch : int, batches finished in this epoch
    batch_loss : Tensor of one element, or a number: the newest batch's loss
    history : History
    traced : why the steps are not replayed (`dlcore.train.replay`); None where they are, or no step was made
    label : what the progress is called; the model's own label where it has one, else its class
    callbacks : the callbacks of this fit, in the order in which they are called
    stopped : the reason to end before `epochs`, or None
    restored : those of the callbacks whose state came from the checkpoint that the fit goes on from
    last : `snapshot` of the model after the last step, once no more follow: callbacks, if any, may change it at the end
    whole : what a checkpoint's file holds: `model`, or the larger model that it is a part of, on whose vector it learns
    kept : name -> array, what a checkpoint is to hold besides: of the other fits that a larger model consists of
    """

    def __init__(
        self,
        model: Any,
        epochs: int,
        optimizer: Optimizer | None = None,
        generators: dict[str, Generator] | None = None,
        state: dict[str, Tensor] | None = None,
        batches: int = 1,
        settings: Mapping[str, Any] | None = None,
        figures: Sequence[str] | None = None,
    ) -> None:
        if not is_integer(epochs) or epochs < 0:
            raise ValueError(f"fit: epochs is {epochs!r}, expected an integer >= 0")
        self.model = self.whole = model
        self.label = getattr(model, "label", type(model).__name__)
        self.epochs = int(epochs)
        self.optimizer = optimizer
        self.generators = dict(generators or {})
        self.state = dict(state or {})
        self.kept: dict[str, np.ndarray[Any, Any]] = {}
        self.batches = batches
        self.settings = dict(settings or {})
        self.figures = figures
        self.epoch = 0
        self.batch = 0
        self.batch_loss: Tensor | float = 0.0
        self.traced: str | None = None
        self.history = History()
        self.callbacks: list[Callback] = []
        self.stopped: str | None = None
        self.restored: list[Callback] = []
        self.last: Any = None

    def stop(self, reason: str) -> None:
        """End the fit after this epoch."""
        self.stopped = reason

    @property
    def is_last_epoch(self) -> bool:
        """Whether no epoch follows the one that has just been finished."""
        return self.epoch >= self.epochs or self.stopped is not None

    def is_changed_at_the_end(self) -> bool:
        """Whether the callbacks' ``on_train_end`` have made the model another than that after the last step."""
        return self.last is not None and self.last.numpy().tobytes() != snapshot(self.model).numpy().tobytes()
