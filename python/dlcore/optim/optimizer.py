"""The base of first-order methods: each step is one native pass over θ and the method's state, in place.

An optimizer holds a model's parameters; ``step(g)`` takes a gradient with the layout of θ, from backpropagation
(`value_and_grad`) or contrastive divergence alike. Options that are numbers may be schedules instead, functions of the
number of steps made (`dlcore.optim.schedules`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from .. import ops
from ..nn import Parameters
from ..tape import state as _state
from ..tensor import Tensor, moved, tensor
from .groups import Group, Groups, check_count, check_saved_groups, make_groups
from .ranges import ABOVE_ZERO, AT_LEAST_ZERO, Range, require, require_flags

Value = float | Callable[[int], float]
LearningRate = Value
Pair = tuple[Value, Value]
Spec = Range | tuple[tuple[str, Range], tuple[str, Range]]


class Optimizer:
    """Base of the first-order methods: counts steps and owns the state, tensors of θ's layout by name.

    Every method takes these keywords beside its own options.

    Parameters
    ----------
    parameters : model.parameters
    lr : learning rate, a number >= 0 or a schedule
    maximize : whether to ascend: the gradient's sign is turned
    groups : list of dicts, each with ``params`` (a parameter's name, a prefix such as "layers.0", a pattern such as
        "*.bias", or a list of these), any of the method's numbers, and ``frozen``. Parameters that no group names have
        the optimizer's own options. Frozen ones are not touched, nor is their state.
    max_grad_norm : number > 0; where the norm of the gradient of all parameters that are not frozen is above it, the
        gradient is scaled to it, in the same pass as the step
    max_grad_value : number > 0; the gradient's elements are limited to ± this, before the norm is taken

    Attributes
    ----------
    steps : steps made
    groups : list of `Group`
    lr_factor : a factor on the learning rate of every group; `dlcore.train.ReduceLROnPlateau` lowers it
    """

    # The numbers a group may set, each also an attribute: name -> range, or the names and ranges of a pair.
    _options: ClassVar[Mapping[str, Spec]] = {"lr": AT_LEAST_ZERO}
    follows_lr: ClassVar[bool] = True  # whether steps depend on lr, so that schedules make sense

    def __init__(
        self,
        parameters: Parameters,
        lr: LearningRate,
        *,
        maximize: bool = False,
        groups: Groups | None = None,
        max_grad_norm: float | None = None,
        max_grad_value: float | None = None,
        **options: Any,
    ) -> None:
        owner = type(self).__name__
        if not isinstance(parameters, Parameters):
            raise TypeError(
                f"{owner}: parameters is a {type(parameters).__name__}, expected Parameters (model.parameters)"
            )
        unknown = [name for name in options if name not in self._options]
        if unknown:
            raise TypeError(f"{owner}: {unknown[0]!r} is not an option, which are {', '.join(self._options)}")
        require_flags(owner, maximize=maximize)
        for name, limit in (("max_grad_norm", max_grad_norm), ("max_grad_value", max_grad_value)):
            if limit is not None:
                require(owner, ABOVE_ZERO, **{name: limit})
        self.parameters = parameters
        self.lr = lr
        for name, value in options.items():
            setattr(self, name, value)
        self.maximize, self.max_grad_norm, self.max_grad_value = maximize, max_grad_norm, max_grad_value
        self.lr_factor = 1.0
        self.steps = 0
        self.state: dict[str, Tensor] = {}
        for name in self._options:
            self._check_option(name, getattr(self, name), name)
        self.groups = make_groups(owner, parameters, groups, tuple(self._options))
        for i, group in enumerate(self.groups):
            for name, value in group.options.items():
                self._check_option(name, value, f"groups[{i}].{name}")

    def _check_option(self, name: str, value: Any, shown: str) -> None:
        """Raise a ValueError for a number out of its range; a schedule's are checked as they come."""
        owner, spec = type(self).__name__, self._options[name]
        if isinstance(spec, Range):
            if not callable(value):
                require(owner, spec, **{shown: value})
            return
        if not isinstance(value, (tuple, list)) or len(value) != 2:
            raise ValueError(f"{owner}: {shown} are {value!r}, expected two numbers")
        prefix = shown[: -len(name)]
        for (part, range_), number in zip(spec, value, strict=True):
            if not callable(number):
                require(owner, range_, **{prefix + part: number})

    def _given(self, name: str) -> list[Any]:
        """An option of the optimizer and of all groups that set it."""
        return [getattr(self, name), *(group.options[name] for group in self.groups if name in group.options)]

    def _new_state(self, name: str, value: float = 0.0) -> None:
        theta = self.parameters.storage
        self.state[name] = ops.full(theta.shape, value, theta.dtype, theta.device)

    def _number(self, name: str, range_: Range, given: Any) -> float:
        value = given(self.steps) if callable(given) else given
        if not range_.holds(value):
            require(type(self).__name__, range_, **{name: value})
        return float(value)

    def values(self, group: Group) -> dict[str, float]:
        """The numbers of the next step of a group, schedules and `lr_factor` applied; pairs by their parts' names."""
        given = [group.options[name] if name in group.options else getattr(self, name) for name in self._options]
        if group.cache is None or group.cache[0] != given or group.cache[2] != self.lr_factor:
            found, varies = self._resolve(given)
            group.cache = None if varies else (given, found, self.lr_factor)
            return found
        return group.cache[1].copy()

    def _resolve(self, given: list[Any]) -> tuple[dict[str, float], bool]:
        """The numbers of the next step, checked, and whether schedules are among them."""
        found, varies = {}, False
        for (name, spec), value in zip(self._options.items(), given, strict=True):
            if isinstance(spec, Range):
                found[name] = self._number(name, spec, value)
                varies |= callable(value)
            else:
                for (part, range_), number in zip(spec, value, strict=True):
                    found[part] = self._number(part, range_, number)
                    varies |= callable(number)
        found["lr"] *= self.lr_factor
        return found, varies

    def current_lr(self) -> float:
        """The learning rate of the next step, of parameters whose group sets none."""
        return self._number("lr", AT_LEAST_ZERO, self.lr) * self.lr_factor

    def bind_epochs(self, steps_in_epoch: int) -> None:
        """Tell schedules that count epochs how many steps one has; a fit does so."""
        for name in self._options:
            for given in self._given(name):
                for value in given if isinstance(given, (tuple, list)) else (given,):
                    if hasattr(value, "bind_epochs"):
                        value.bind_epochs(steps_in_epoch)

    def step(self, gradient: Tensor) -> None:
        """Update θ in place from a gradient of its layout.

        Raises
        ------
        TypeError, ValueError
            If the gradient is no tensor of θ's shape and dtype, or a schedule gives a number out of its option's range.
        FloatingPointError
            If the gradient is to be clipped to a norm, and that is not finite. Nothing is changed in these cases.
        RuntimeError
            If the modules have been laid out in another vector since.
        """
        owner = type(self).__name__
        self.parameters.require_current(owner)
        theta = self.parameters.storage.array
        if not isinstance(gradient, Tensor):
            raise TypeError(f"{owner}: gradient is a {type(gradient).__name__}, expected a Tensor")
        g = gradient.array
        if g.shape != theta.shape:
            raise ValueError(f"{owner}: gradient is {g.shape}, expected {theta.shape}")
        if g.dtype != theta.dtype:
            raise TypeError(f"{owner}: gradient is {g.dtype}, expected {theta.dtype}")
        if g.device is not theta.device:
            raise ValueError(f"{owner}: gradient is on {g.device_name}, the parameters are on {theta.device_name}")
        for kept in self.state.values():
            if kept.array.device is not theta.device:  # the parameters moved
                kept.array = moved(kept.array, theta.device_name)
        active = [(group, self.values(group)) for group in self.groups if not group.frozen]
        if self.max_grad_value is not None:
            g = g.device.clamp(g, -self.max_grad_value, self.max_grad_value)
        scale = self._clipping(g, active) if self.max_grad_norm is not None else 1.0
        if self.maximize:
            scale = -scale
        state = {name: values.array for name, values in self.state.items()}
        for group, values in active:
            self._before(group, values)
            runs = None if group.is_whole else group.runs
            self._update(theta, g, state, group, values, scale, runs)
            for name in group.memory:
                group.memory[name] = values[name]
            group.steps += 1
        self.steps += 1
        if _state.stepped is not None:
            _state.stepped(self)

    def _clipping(self, g: Any, active: list[tuple[Group, dict[str, float]]]) -> float:
        """The factor that brings the norm of the parameters to be stepped down to `max_grad_norm`."""
        assert self.max_grad_norm is not None
        runs = sorted(run for group, _ in active for run in group.runs)
        return float(g.device.clip_factor(g, self.max_grad_norm, runs, type(self).__name__))

    def _before(self, group: Group, values: dict[str, float]) -> None:
        """Add what a method computes once for a group's step: its new `Group.memory` is found in the values by name."""

    def _update(
        self, theta: Any, g: Any, state: dict[str, Any], group: Group, values: dict[str, float], scale: float, runs: Any
    ) -> None:
        """One kernel call on θ, the gradient and the state, or on those stretches of them that `runs` lists."""
        raise TypeError(f"{type(self).__name__} defines no update")

    # --- saving ---

    def _schedules(self) -> dict[str, Any]:
        """Those schedules that have a state, by where they stand."""
        found = {}
        holders = [("", {name: getattr(self, name) for name in self._options})]
        holders += [(f"{i}.", group.options) for i, group in enumerate(self.groups)]
        for where, options in holders:
            for name, given in options.items():
                for i, value in enumerate(given if isinstance(given, (tuple, list)) else (given,)):
                    if hasattr(value, "state_dict") and value.state_dict():
                        found[f"{where}{name}.{i}"] = value
        return found

    def state_dict(self) -> dict[str, Any]:
        """Steps made, the state as NumPy copies, that of the groups and of schedules: enough to go on bit for bit.

        All but ``state`` are plain numbers, lists and dicts.
        """
        return {
            "steps": self.steps,
            "lr_factor": self.lr_factor,
            "groups": [{"steps": g.steps, "frozen": g.frozen, "memory": dict(g.memory)} for g in self.groups],
            "schedules": {name: schedule.state_dict() for name, schedule in self._schedules().items()},
            "state": {name: values.numpy() for name, values in self.state.items()},
        }

    def check_state_dict(self, saved: Mapping[str, Any]) -> dict[str, Tensor]:
        """The saved state as tensors, if it is one of an optimizer made as this one; changes nothing.

        Raises
        ------
        TypeError, ValueError
        """
        owner = type(self).__name__
        if not isinstance(saved, Mapping):
            raise ValueError(f"{owner}: the saved state is a {type(saved).__name__}, expected a dict")
        missing = {"steps", "lr_factor", "groups", "schedules", "state"} - set(saved)
        if missing:
            raise ValueError(f"{owner}: the saved state lacks {sorted(missing)}")
        check_count(owner, "steps", saved["steps"])
        require(owner, AT_LEAST_ZERO, lr_factor=saved["lr_factor"])
        check_saved_groups(owner, self.groups, saved["groups"])
        schedules = self._schedules()
        if not isinstance(saved["schedules"], Mapping) or set(saved["schedules"]) != set(schedules):
            raise ValueError(f"{owner}: the saved schedules are {saved['schedules']!r}, expected {sorted(schedules)}")
        for name, schedule in schedules.items():
            schedule.check_state_dict(saved["schedules"][name])
        state = saved["state"]
        if set(state) != set(self.state):
            raise ValueError(f"{owner}: state has {sorted(state)}, expected {sorted(self.state)}")
        new = {name: tensor(values, self.state[name].dtype, self.state[name].device) for name, values in state.items()}
        for name, values in new.items():
            if values.shape != self.state[name].shape:
                raise ValueError(f"{owner}: {name} is {values.shape}, expected {self.state[name].shape}")
        return new

    def load_state_dict(self, saved: Mapping[str, Any]) -> None:
        """Restore what `state_dict` gave.

        Raises
        ------
        TypeError, ValueError
            For one of an optimizer made otherwise; nothing is changed then.
        """
        for name, values in self.check_state_dict(saved).items():
            self.state[name].array.assign(values.array)
        for name, schedule in self._schedules().items():
            schedule.load_state_dict(saved["schedules"][name])
        for group, entry in zip(self.groups, saved["groups"], strict=True):
            group.steps, group.frozen, group.memory = int(entry["steps"]), entry["frozen"], dict(entry["memory"])
        self.steps, self.lr_factor = int(saved["steps"]), float(saved["lr_factor"])
