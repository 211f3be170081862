"""The published update rules of first-order methods in NumPy, one step each: the reference of kernels and optimizers.

A rule takes θ, the gradient, the state (a list of arrays, changed in place), the step counted from 1 and the options,
and returns the new θ.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Options = dict[str, Any]


def seen(x: Any, g: Any, o: Options) -> Any:
    """The gradient a rule works with: scaled (ascent, clipping), plus the decay where it is not decoupled."""
    g = o.get("grad_scale", 1.0) * g
    return g + o["weight_decay"] * x if o.get("weight_decay") and not o.get("decoupled") else g


def shrunk(x: Any, o: Options) -> Any:
    """θ after decoupled decay: Loshchilov and Hutter 2019, algorithm 2, line 12."""
    return x - o["lr"] * o["weight_decay"] * x if o.get("decoupled") else x


def sgd(x: Any, g: Any, state: list[Any], t: int, o: Options) -> Any:
    """Sutskever et al. 2013; PyTorch's convention for dampening and the first step. State: velocity, if any."""
    g = seen(x, g, o)
    if state:
        state[0] = g if o["first"] and t == 1 else o["momentum"] * state[0] + (1 - o["dampening"]) * g
        g = g + o["momentum"] * state[0] if o["nesterov"] else state[0]
    return x - o["lr"] * g


def adagrad(x: Any, g: Any, state: list[Any], t: int, o: Options) -> Any:
    """Duchi, Hazan, Singer 2011, figure 1, diagonal."""
    g = seen(x, g, o)
    state[0] = state[0] + g**2
    return x - o["lr"] / (1 + (t - 1) * o.get("lr_decay", 0.0)) * g / (np.sqrt(state[0]) + o["eps"])


def rmsprop(x: Any, g: Any, state: list[Any], t: int, o: Options) -> Any:
    """Tieleman and Hinton 2012; centred and with momentum as in Graves 2013. State: squares[, momentum][, mean]."""
    g = seen(x, g, o)
    state[0] = o["alpha"] * state[0] + (1 - o["alpha"]) * g**2
    variance = state[0]
    if o["centered"]:
        state[-1] = o["alpha"] * state[-1] + (1 - o["alpha"]) * g
        variance = variance - state[-1] ** 2
    d = g / (np.sqrt(np.where(variance < 0, 0, variance)) + o["eps"])
    if o["momentum"]:
        state[1] = d = o["momentum"] * state[1] + d
    return x - o["lr"] * d


def adadelta(x: Any, g: Any, state: list[Any], t: int, o: Options) -> Any:
    """Zeiler 2012, algorithm 1. State: E[g²], E[Δx²]."""
    g = seen(x, g, o)
    state[0] = o["rho"] * state[0] + (1 - o["rho"]) * g**2
    d = np.sqrt(state[1] + o["eps"]) / np.sqrt(state[0] + o["eps"]) * g
    state[1] = o["rho"] * state[1] + (1 - o["rho"]) * d**2
    return x - o["lr"] * d


def adam(x: Any, g: Any, state: list[Any], t: int, o: Options) -> Any:
    """Kingma and Ba 2015, algorithm 1; AMSGrad (Reddi et al. 2018) where the state has a third array."""
    g, x = seen(x, g, o), shrunk(x, o)
    state[0] = o["beta1"] * state[0] + (1 - o["beta1"]) * g
    state[1] = o["beta2"] * state[1] + (1 - o["beta2"]) * g**2
    v = state[1]
    if len(state) > 2:
        state[2] = v = np.where(state[2] > v, state[2], v)
    step = o.get("first", 0) + t
    return x - o["lr"] * state[0] / (1 - o["beta1"] ** step) / (np.sqrt(v / (1 - o["beta2"] ** step)) + o["eps"])


def nadam(x: Any, g: Any, state: list[Any], t: int, o: Options) -> Any:
    """Dozat 2016, algorithm 2 with the momentum schedule of section 2.2."""
    g, x = seen(x, g, o), shrunk(x, o)
    state[0] = o["beta1"] * state[0] + (1 - o["beta1"]) * g
    state[1] = o["beta2"] * state[1] + (1 - o["beta2"]) * g**2
    step = o.get("first", 0) + t
    mu = nadam_momenta(step + 1, o)
    through = np.prod(mu[:-1])
    m = mu[-1] * state[0] / (1 - through * mu[-1]) + (1 - mu[-2]) * g / (1 - through)
    return x - o["lr"] * m / (np.sqrt(state[1] / (1 - o["beta2"] ** step)) + o["eps"])


def nadam_momenta(steps: int, o: Options) -> np.ndarray:
    """μ_1 … μ_steps."""
    return o["beta1"] * (1 - 0.5 * 0.96 ** (np.arange(1, steps + 1) * o["momentum_decay"]))


def rprop(x: Any, g: Any, state: list[Any], t: int, o: Options) -> Any:
    """Igel and Hüsken 2000, iRprop−. State: the gradient before, step sizes."""
    g = seen(x, g, o)
    agreement = np.sign(g) * np.sign(state[0])
    factor = np.where(agreement > 0, o["eta_plus"], np.where(agreement < 0, o["eta_minus"], 1.0))
    state[1] = np.clip(state[1] * factor, o["step_min"], o["step_max"])
    state[0] = np.where(agreement < 0, 0.0, g)
    return x - np.sign(state[0]) * state[1]


def lion(x: Any, g: Any, state: list[Any], t: int, o: Options) -> Any:
    """Chen et al. 2023, algorithm 2."""
    g = o.get("grad_scale", 1.0) * g
    update = np.sign(o["beta1"] * state[0] + (1 - o["beta1"]) * g)
    state[0] = o["beta2"] * state[0] + (1 - o["beta2"]) * g
    return x - o["lr"] * (update + (o["weight_decay"] * x if o["weight_decay"] else 0.0))
