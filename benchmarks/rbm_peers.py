"""Contrastive learning by each peer: the same batches, rate and initial parameters, so many batches a call.

A maker returns (call, parameters): `call(batches)` learns the next ones, `parameters()` is (W, visible, hidden biases).
"""

from __future__ import annotations

import itertools
import logging
import math
import warnings
from collections.abc import Callable
from typing import Any

BATCH, VISIBLE, HIDDEN = 100, 784, 500
BATCHES_MADE = 60  # different ones; enough not to stay in a cache
RATE = 0.05
Maker = tuple[Callable[[int], Any], Callable[[], Any]]


def data(dtype: str) -> Any:
    """Grey pixels, most of them 0, like those of handwritten digits."""
    import numpy as np

    rng = np.random.default_rng(0)
    pixels = rng.random((BATCHES_MADE * BATCH, VISIBLE)) * (rng.random((BATCHES_MADE * BATCH, VISIBLE)) < 0.2)
    return pixels.astype(dtype)


def initial(dtype: str, scale: float = 0.01) -> Any:
    """W (visible, hidden); the biases begin at 0."""
    import numpy as np

    return np.random.default_rng(1).normal(0, scale, (VISIBLE, HIDDEN)).astype(dtype)


def dlcore_rbm(dtype: str, weight: Any, **options: Any) -> Any:
    import numpy as np
    from dlcore import tensor
    from dlcore.models import RBM

    rbm = RBM(VISIBLE, HIDDEN, dtype=dtype, **options)
    theta = np.concatenate([weight.ravel(), np.zeros(VISIBLE + HIDDEN)])
    rbm.parameters.storage.array.assign(tensor(theta, dtype).array)
    return rbm


def dlcore_fit(dtype: str, k: int, persistent: bool) -> Maker:
    rbm = dlcore_rbm(dtype, initial(dtype), k=k, persistent=persistent, n_chains=BATCH)
    v = data(dtype)

    def call(batches: int) -> None:
        options: dict[str, Any] = {"optimizer": "sgd", "lr": RATE, "momentum": 0.0, "init_visible_bias": False}
        rbm.fit(v[: batches * BATCH], epochs=1, batch_size=BATCH, **options, shuffle=False, progress=False)

    machine = rbm.machine
    return call, lambda: [p.numpy() for p in (machine.weight, machine.visible_bias, machine.hidden_bias)]


def torch_loop(torch: Any, dtype: str, k: int, persistent: bool) -> Maker:
    """What one would write by hand, in place wherever it can be."""
    v = torch.from_numpy(data(dtype)).split(BATCH)
    weight = torch.from_numpy(initial(dtype))
    visible_bias, hidden_bias = torch.zeros(VISIBLE, dtype=v[0].dtype), torch.zeros(HIDDEN, dtype=v[0].dtype)
    following = itertools.cycle(v)
    chains = torch.zeros(BATCH, HIDDEN, dtype=v[0].dtype)

    @torch.no_grad()
    def call(batches: int) -> None:
        for v0 in itertools.islice(following, batches):
            p0 = torch.addmm(hidden_bias, v0, weight).sigmoid_()
            h = chains if persistent else torch.bernoulli(p0)
            for step in range(k):
                v1 = torch.bernoulli(torch.addmm(visible_bias, h, weight.T).sigmoid_())
                p1 = torch.addmm(hidden_bias, v1, weight).sigmoid_()
                if persistent or step + 1 < k:
                    h = torch.bernoulli(p1, out=chains)
            weight.addmm_(v0.T, p0, alpha=RATE / BATCH).addmm_(v1.T, p1, alpha=-RATE / BATCH)
            visible_bias.add_((v0 - v1).mean(0), alpha=RATE)
            hidden_bias.add_((p0 - p1).mean(0), alpha=RATE)

    return call, lambda: [weight.numpy(), visible_bias.numpy(), hidden_bias.numpy()]


def sklearn_loop(sklearn: Any, dtype: str) -> Maker:
    """What each batch of BernoulliRBM.fit does (PCD-1), without the checks of a call to partial_fit."""
    import numpy as np

    v = data(dtype)
    model = sklearn.BernoulliRBM(HIDDEN, learning_rate=RATE, batch_size=BATCH, n_iter=1, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(v[: 2 * BATCH])
    model.components_ = np.asfortranarray(initial(dtype).T)
    for array in (model.intercept_visible_, model.intercept_hidden_, model.h_samples_):
        array[:] = 0
    following, random = itertools.cycle(np.split(v, BATCHES_MADE)), np.random.RandomState(0)

    def call(batches: int) -> None:
        for batch in itertools.islice(following, batches):
            model._fit(batch, random)

    return call, lambda: [model.components_.T, model.intercept_visible_, model.intercept_hidden_]


def rbms_loop(torch: Any, machines: Any) -> Maker:
    """rbms's own sampling and gradient (PCD-1, not centred) and PyTorch's SGD, as its training does."""
    v = torch.from_numpy(data("float32")).split(BATCH)
    rbm = machines.BBRBM(torch.from_numpy(initial("float32")), torch.zeros(VISIBLE), torch.zeros(HIDDEN))
    for parameter in rbm.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer = torch.optim.SGD(rbm.parameters(), lr=RATE, maximize=True)
    chains = rbm.init_chains(BATCH)
    following, ones = itertools.cycle(v), torch.ones(BATCH)

    def call(batches: int) -> None:
        nonlocal chains
        for batch in itertools.islice(following, batches):
            cases = rbm.init_chains(BATCH, weights=ones, start_v=batch)
            chains = rbm.sample_state(chains=chains, n_steps=1)
            rbm.compute_gradient(cases, chains, centered=False)
            optimizer.step()

    return call, lambda: [p.numpy() for p in (rbm.weight_matrix, rbm.vbias, rbm.hbias)]


def learnergy_fit(torch: Any, models: Any, k: int) -> Maker:
    """learnergy's `fit`, which also computes an error and a pseudo-likelihood of each batch."""
    logging.disable(logging.INFO)
    rbm = models.RBM(VISIBLE, HIDDEN, steps=k, learning_rate=RATE)
    with torch.no_grad():
        rbm.W.copy_(torch.from_numpy(initial("float32")))
    v = torch.from_numpy(data("float32"))

    def call(batches: int) -> None:
        cases = v[: batches * BATCH]
        rbm.fit(torch.utils.data.TensorDataset(cases, torch.zeros(len(cases))), batch_size=BATCH, epochs=1)

    return call, lambda: [p.detach().numpy() for p in (rbm.W, rbm.a, rbm.b)]


def mean_field_error(parameters: Any) -> float:
    """‖v − p(v | p(h | v))‖² a case, of the first cases, in float64."""
    import numpy as np

    def sigmoid(z: Any) -> Any:
        return 0.5 + 0.5 * np.tanh(0.5 * z)

    weight, visible, hidden = (np.asarray(p, np.float64) for p in parameters)
    v = data("float64")[: 10 * BATCH]
    back = sigmoid(sigmoid(v @ weight + hidden) @ weight.T + visible)
    return float(((v - back) ** 2).sum(1).mean())


# --- annealed importance sampling ---


def torch_ais(torch: Any, weight: Any, chains: int, steps: int) -> float:
    """log Z from independent units to the machine, biases 0; the same sums as dlcore's and rbms's."""
    w, betas = torch.from_numpy(weight), torch.linspace(0, 1, steps + 1).tolist()
    v = torch.full((chains, VISIBLE), 0.5).bernoulli_()
    log_w = torch.zeros(chains, dtype=torch.float64)
    softplus = torch.nn.functional.softplus
    with torch.no_grad():
        for low, high in itertools.pairwise(betas):
            z = v @ w
            log_w += (softplus(high * z) - softplus(low * z)).sum(1)
            h = torch.bernoulli(torch.sigmoid(high * z))
            v = torch.bernoulli((h @ w.T).mul_(high).sigmoid_())
    return float(torch.logsumexp(log_w, 0)) - math.log(chains) + (VISIBLE + HIDDEN) * math.log(2)


def rbms_ais(torch: Any, machines: Any, weight: Any, chains: int, steps: int) -> float:
    from rbms.partition_function.ais import compute_partition_function_ais

    rbm = machines.BBRBM(torch.from_numpy(weight), torch.zeros(VISIBLE), torch.zeros(HIDDEN))
    return float(compute_partition_function_ais(chains, steps + 1, rbm))
