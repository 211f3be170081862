"""Steps of parts of θ."""

from __future__ import annotations

from typing import Any

import numpy as np
import rules
from case import Case

from .optimizer import ADADELTA, ADAGRAD, ADAM, ADAMW, LION, NADAM, RMSPROP, RPROP, RULES, SGD

PARTS = [(0, 1), (3, 40), (40, 41), (50, 50), (60, 100)]


def segment_case(function: str, states: str, options: dict[str, Any], extra: Any) -> Case:
    """Only the stretches in PARTS are stepped: elsewhere θ and the state stay, even where NaN stands."""
    _, step = RULES[function]

    def inputs(rng: np.random.Generator) -> list[Any]:
        return [rng.standard_normal(101), rng.standard_normal(101), *(0.5 + rng.random(101) for _ in states)]

    def call(device: Any, theta: Any, grad: Any, *state: Any) -> Any:
        names = ("theta", "grad", *STATE_NAMES[function][: len(state)])
        getattr(device, function)(**dict(zip(names, (theta, grad, *state), strict=True)), **extra, segments=PARTS)
        return (theta, *state)

    def reference(theta: np.ndarray, grad: np.ndarray, *state: np.ndarray) -> Any:
        stepped, mask = list(state), np.zeros(101, bool)
        for begin, end in PARTS:
            mask[begin:end] = True
        new = step(theta, grad, stepped, 1, options)
        return (np.where(mask, new, theta), *(np.where(mask, a, b) for a, b in zip(stepped, state, strict=True)))

    return Case(
        name=f"{function}: five stretches",
        functions=(function,),
        inputs=inputs,
        call=call,
        reference=reference,
        tolerance=16.0,
        scale=lambda theta, grad, *state: (np.abs(theta) + 2 + np.abs(grad), *(np.abs(s) + 1 + grad**2 for s in state)),
    )


STATE_NAMES: dict[str, tuple[str, ...]] = {
    "sgd": ("velocity",),
    "adagrad": ("sum_of_squares",),
    "rmsprop": ("square_average", "gradient_average"),
    "adadelta": ("square_average", "delta_average"),
    "adam": ("first_moment", "second_moment", "max_second_moment"),
    "adamw": ("first_moment", "second_moment"),
    "nadam": ("first_moment", "second_moment"),
    "rprop": ("previous_gradient", "step_sizes"),
    "lion": ("first_moment",),
}


def arguments(options: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The options that the kernel knows by these names."""
    unknown = ("first", "decoupled", "centered", "momentum_decay")
    return {name: value for name, value in options.items() if name not in unknown} | more


MU = [float(mu) for mu in rules.nadam_momenta(2, NADAM)]
FIRST_MOMENTA = {"mu": MU[0], "mu_next": MU[1], "mu_product": MU[0]}

CASES = [
    segment_case("sgd", "s", SGD | {"first": False}, arguments(SGD, first_step=False)),
    segment_case("adagrad", "s", ADAGRAD, arguments(ADAGRAD)),
    segment_case("rmsprop", "s", RMSPROP, arguments(RMSPROP)),
    segment_case("adadelta", "ss", ADADELTA, arguments(ADADELTA)),
    segment_case("adam", "sss", ADAM, arguments(ADAM, step=1)),
    segment_case("adamw", "ss", ADAMW, arguments(ADAMW, step=1)),
    segment_case("nadam", "ss", NADAM, arguments(NADAM, step=1, **FIRST_MOMENTA)),
    segment_case("rprop", "ss", RPROP, arguments(RPROP)),
    segment_case("lion", "s", LION, arguments(LION)),
]
