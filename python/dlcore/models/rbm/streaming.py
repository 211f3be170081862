"""Learning from a stream: one pass over each batch given, the optimizer carried on between the calls."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeVar

from ... import ops, train
from ...optim import Optimizer
from ..online import named
from .contrastive import Momentum, default_rate, prepare

_OF_ONE_CALL = ("cases", "batch_size", "shuffle", "lr")  # settings that may change from call to call
Self = TypeVar("Self", bound="Streaming")
MOMENTUM = 0.5  # of "sgd": there are no epochs to raise it after


@dataclass
class Stream:
    """What `Streaming.partial_fit` carries on: the optimizer, what it was made with, the calls so far, and the newest
    call's figures, which are those of `RBM.fit`."""

    optimizer: Optimizer
    settings: dict[str, Any]
    arguments: dict[str, Any]
    calls: int = 0
    figures: dict[str, float] = field(default_factory=dict)


class Streaming:
    """The method of an RBM that learns from a stream; a part of `dlcore.models.RBM`."""

    stream: Stream | None

    def partial_fit(
        self: Self,
        x: Any,
        y: Any = None,
        *,
        batch_size: int = 100,
        optimizer: str = "sgd",
        lr: train.LearningRate | None = None,
        momentum: Momentum = None,
        weight_decay: float = 2e-4,
        init_visible_bias: bool = True,
        sample_weight: Any = None,
        missing: str = "error",
        shuffle: bool = False,
        **options: Any,
    ) -> Self:
        """One pass over the cases given, which returns the model; the optimizer, chains and generators go on from call
        to call.

        The first call makes the optimizer, and later ones must name the same; they may give another `lr`, by default
        the last one stays. A copy and a pickle of the model carry it on; the model's file does not, and `fit` begins
        another. Memory does not grow with the calls. ``rbm.stream.figures`` holds the newest call's figures by name.

        Parameters
        ----------
        x : (n >= 1, n_visible), dense or a SciPy sparse matrix
        y : ignored
        batch_size, lr, weight_decay, init_visible_bias, sample_weight, missing, shuffle, options : see `RBM.fit`; the
            visible biases begin at the first call's data, and missing values are sampled afresh in each call
        optimizer : one of `dlcore.train.OPTIMIZERS`
        momentum : of "sgd": a number in [0, 1); 0.5 by default

        Raises
        ------
        TypeError, ValueError
            For arguments that do not fit, or an optimizer other than the first call's; the model is unchanged then.
        FloatingPointError
            When a parameter is no longer finite; the parameters, chains, offsets and generators are those before the
            call, and the optimizer is given up, so that the next call may name another lr.
        """
        if momentum is None and optimizer == "sgd":
            momentum = MOMENTUM
        model: Any = self
        arguments: dict[str, Any] = {
            "optimizer": optimizer, "lr": lr, "momentum": momentum, "weight_decay": weight_decay, "options": options,
            "default_lr": default_rate(model.machine, model.persistent),
        }  # fmt: skip
        if not isinstance(optimizer, str):
            raise ValueError("partial_fit: optimizer is no name; what goes on between calls is saved with the model")
        if callable(lr):
            raise ValueError("partial_fit: lr is a function, expected a number, which is saved with the model")
        cases = model.fit_cases(x, "partial_fit", sample_weight, missing)
        with named("partial_fit"):
            run, batch_size, _ = prepare(model, cases.count, 1, batch_size, shuffle=shuffle, **arguments)
        settings = {name: value for name, value in run.settings.items() if name not in _OF_ONE_CALL}
        stream = self.stream
        if stream is None:
            assert run.optimizer is not None
            stream = Stream(run.optimizer, settings, arguments)
        elif settings != stream.settings:
            other = next(n for n in sorted(settings, key="options".__eq__) if settings[n] != stream.settings.get(n))
            raise ValueError(
                f"partial_fit: {other} is {settings[other]!r}, the first call's was {stream.settings.get(other)!r}"
            )
        elif lr is not None:
            stream.optimizer.lr = lr
            stream.arguments = stream.arguments | {"lr": lr}
        run.optimizer, run.epoch, run.label = stream.optimizer, stream.calls, "RBM"
        steps = model.steps_of(run, cases, batch_size, None, weight_decay, shuffle, init_visible_bias)
        if stream.calls and steps.completions is not None:  # an earlier call's are of other cases
            steps.completions.begin(model.machine)
        theta = model.parameters.storage
        before = theta.array.copy()
        generators = {name: (g.key, g.step) for name, g in model.generators.items()}
        try:
            stream.figures = steps(run)
        except BaseException as error:
            if not ops.all_finite(theta):
                theta.array.assign(before)
            if isinstance(error, FloatingPointError):
                theta.array.assign(before)
                train.restore_generators(generators, model.generators)
                self.stream = None
                raise FloatingPointError(
                    f"partial_fit: {error}; the parameters are again those before the call. A smaller lr may help."
                ) from None
            raise
        stream.calls += 1
        self.stream = stream
        return self

    def stream_state(self) -> dict[str, Any] | None:
        """What a pickle keeps of the stream."""
        s = self.stream
        if s is None:
            return None
        return {
            "arguments": s.arguments,
            "settings": s.settings,
            "calls": s.calls,
            "figures": s.figures,
            "optimizer": s.optimizer.state_dict(),
        }

    def restore_stream(self, saved: dict[str, Any] | None) -> None:
        """The inverse of `stream_state`."""
        self.stream = None
        if saved is None:
            return
        model: Any = self
        run, _, _ = prepare(model, 1, 1, 1, **saved["arguments"])
        optimizer = run.optimizer
        assert optimizer is not None
        optimizer.check_state_dict(saved["optimizer"])
        optimizer.load_state_dict(saved["optimizer"])
        self.stream = Stream(optimizer, **{name: saved[name] for name in ("settings", "arguments", "calls", "figures")})
