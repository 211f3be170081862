"""One network for each peer: from one description, the same initial parameters and the same Adam.

A maker returns (call, parameters): `call(steps)` does so many training steps on the same batch and `parameters()` is
what they made of them, one vector in the order and layout of dlcore's θ.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

RATE = 1e-3
Layer = tuple[Any, ...]  # ("dense", inputs, outputs, activation), ("conv", channels, filters, size, padding), ...
Maker = tuple[Callable[[int], Any], Callable[[], Any]]


@dataclass
class Task:
    """A network, its initial parameters, and the batch that every step learns.

    Parameters
    ----------
    layers : ("dense", inputs, outputs, activation), ("conv", channels, filters, size, padding) with relu, ("pool",) of
        2×2, ("flatten",)
    loss : "cross_entropy" of labels y, or "reconstruction": binary cross-entropy of x itself, summed over the features
    """

    layers: list[Layer]
    x: Any
    y: Any
    loss: str = "cross_entropy"
    initial: list[tuple[Any, Any]] = field(default_factory=list)  # (weight, bias) of each layer that has some

    def __post_init__(self) -> None:
        import numpy as np

        rng = np.random.default_rng(1)
        for kind, *sizes in self.layers:
            if kind not in ("dense", "conv"):
                continue
            shape = sizes[:2] if kind == "dense" else (sizes[1], sizes[0], sizes[2], sizes[2])
            inputs = sizes[0] if kind == "dense" else sizes[0] * sizes[2] ** 2
            weight = rng.standard_normal(shape) * (2.0 / inputs) ** 0.5
            bias = rng.standard_normal(sizes[1]) * 0.1
            self.initial.append((weight.astype(np.float32), bias.astype(np.float32)))

    @property
    def batch(self) -> int:
        return int(self.x.shape[0])


def flat(parameters: Any) -> Any:
    """(weight, bias) of each layer as one vector."""
    import numpy as np

    return np.concatenate([np.asarray(p).ravel() for pair in parameters for p in pair])


# --- dlcore ---


def dlcore_model(task: Task) -> Any:
    """The model whose `fit` a user would call."""
    from dlcore import tensor
    from dlcore.models import CNN, MLP, Autoencoder

    kinds = [layer[0] for layer in task.layers]
    if task.loss == "reconstruction":
        half = len(kinds) // 2
        sizes = [task.layers[0][1], *(layer[2] for layer in task.layers[:half])]
        model: Any = Autoencoder(sizes, task.layers[0][3], task.layers[half - 1][3])
    elif "conv" in kinds:
        made = {
            "conv": lambda _, filters, size, padding: CNN.conv(filters, size, padding=padding),
            "pool": lambda: CNN.pool(2),
            "dense": lambda _, outputs, activation: CNN.dense(outputs, activation=activation),
        }
        parts = [made[kind](*sizes) for kind, *sizes in task.layers[:-1] if kind != "flatten"]
        model = CNN(task.x.shape[1:], task.layers[-1][2], parts)
    else:
        model = MLP([task.layers[0][1], *(layer[2] for layer in task.layers)])
    model.parameters.storage.array.assign(tensor(flat(task.initial)).array)
    return model


def dlcore_steps(task: Task, replayed: bool = False) -> Maker:
    """The loop that a user writes: value_and_grad and an optimizer; its step as it is, or with `traced`."""
    from dlcore import losses, optim, tensor, traced, value_and_grad

    model = dlcore_model(task)
    optimizer = optim.Adam(model.parameters, lr=RATE)
    inputs = tensor(task.x)
    if task.loss == "reconstruction":
        network, share = model.network, 1.0 / task.batch

        def reconstruction(x: Any, _: Any) -> Any:
            return share * losses.binary_cross_entropy(network(x), x, reduction="sum")

        gradient, targets = value_and_grad(reconstruction, model.parameters), inputs
    else:
        gradient = value_and_grad(lambda x, y: losses.cross_entropy(model.network(x), y), model.parameters)
        targets = tensor(task.y, "int32")

    def step(x: Any, y: Any) -> Any:
        loss, direction = gradient(x, y)
        optimizer.step(direction)
        return loss

    made = traced(step) if replayed else step

    def call(steps: int = 1) -> None:
        for _ in range(steps):
            made(inputs, targets)

    return call, model.parameters.storage.numpy


def dlcore_fit(task: Task, steps: int) -> Maker:
    """`fit` on as many copies of the batch as there are steps; a call of any other number makes its own data."""
    import numpy as np

    model = dlcore_model(task)
    data: dict[int, tuple[Any, Any]] = {}

    def call(count: int = steps) -> None:
        if count not in data:
            data[count] = np.concatenate([task.x] * count), np.concatenate([task.y] * count)
        x, y = data[count]
        given = (x,) if task.loss == "reconstruction" else (x, y)
        options = {"epochs": 1, "batch_size": task.batch, "optimizer": "adam", "lr": RATE}
        model.fit(*given, **options, shuffle=False, progress=False)

    return call, model.parameters.storage.numpy


# --- PyTorch ---


def torch_network(task: Task, torch: Any) -> Any:
    nn, layers = torch.nn, []
    made = {"relu": nn.ReLU, "sigmoid": nn.Sigmoid}
    initial = iter(task.initial)
    for kind, *sizes in task.layers:
        if kind == "flatten":
            layers.append(nn.Flatten())
        elif kind == "pool":
            layers.append(nn.MaxPool2d(2))
        else:
            weight, bias = next(initial)
            if kind == "dense":
                layers.append(nn.Linear(sizes[0], sizes[1]))
                activation = sizes[2]
            else:
                layers.append(nn.Conv2d(sizes[0], sizes[1], sizes[2], padding=sizes[3]))
                activation = "relu"
            with torch.no_grad():
                layers[-1].weight.copy_(torch.from_numpy(weight.T if kind == "dense" else weight))
                layers[-1].bias.copy_(torch.from_numpy(bias))
            if activation in made:
                layers.append(made[activation]())
    return nn.Sequential(*layers)


def torch_steps(task: Task, torch: Any, fused: bool, compiled: bool = False) -> Maker:
    net = torch_network(task, torch)
    optimizer = torch.optim.Adam(net.parameters(), lr=RATE, fused=fused)
    inputs = torch.from_numpy(task.x)
    cross_entropy = torch.nn.CrossEntropyLoss()
    if task.loss == "reconstruction":
        targets, total = inputs, torch.nn.BCEWithLogitsLoss(reduction="sum")

        def loss(outputs: Any, y: Any) -> Any:
            return total(outputs, y) / task.batch
    else:
        targets, loss = torch.from_numpy(task.y).long(), cross_entropy
    forward = torch.compile(lambda x, y: loss(net(x), y)) if compiled else lambda x, y: loss(net(x), y)

    def call(steps: int = 1) -> None:
        for _ in range(steps):
            optimizer.zero_grad()
            forward(inputs, targets).backward()
            optimizer.step()

    def parameters() -> Any:
        pairs = [m for m in net if hasattr(m, "weight")]
        arrays = [(m.weight.detach(), m.bias.detach()) for m in pairs]
        return flat((w.T.numpy() if w.ndim == 2 else w.numpy(), b.numpy()) for w, b in arrays)

    return call, parameters


# --- JAX ---


def jax_steps(task: Task, jax: Any) -> Maker:
    """One jitted function a step, its state donated."""
    from jax import lax, nn
    from jax import numpy as jnp

    functions = {"relu": nn.relu, "sigmoid": nn.sigmoid, "identity": lambda z: z}

    def forward(parameters: Any, x: Any) -> Any:
        given = iter(parameters)
        for kind, *sizes in task.layers:
            if kind == "flatten":
                x = x.reshape(x.shape[0], -1)
            elif kind == "pool":
                x = lax.reduce_window(x, -jnp.inf, lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")
            elif kind == "dense":
                weight, bias = next(given)
                x = functions[sizes[2]](x @ weight + bias)
            else:
                weight, bias = next(given)
                pad = [(sizes[3], sizes[3])] * 2
                x = nn.relu(lax.conv_general_dilated(x, weight, (1, 1), pad) + bias[:, None, None])
        return x

    def loss(parameters: Any, x: Any, y: Any) -> Any:
        z = forward(parameters, x)
        if task.loss == "reconstruction":
            return (nn.softplus(z) - y * z).sum() / x.shape[0]
        return -jnp.take_along_axis(nn.log_softmax(z), y[:, None], 1).mean()

    def step(state: Any, x: Any, y: Any) -> Any:
        t, parameters, m, v = state
        g = jax.grad(loss)(parameters, x, y)
        t = t + 1
        tree = jax.tree_util.tree_map
        m = tree(lambda a, b: 0.9 * a + 0.1 * b, m, g)
        v = tree(lambda a, b: 0.999 * a + 0.001 * b * b, v, g)
        rate, scale = RATE / (1 - 0.9**t), 1 / (1 - 0.999**t)
        parameters = tree(lambda p, a, b: p - rate * a / (jnp.sqrt(scale * b) + 1e-8), parameters, m, v)
        return t, parameters, m, v

    jitted = jax.jit(step, donate_argnums=0)
    start = [(jnp.array(w), jnp.array(b)) for w, b in task.initial]
    zeros = [[(jnp.zeros(w.shape), jnp.zeros(b.shape)) for w, b in task.initial] for _ in range(2)]
    state = [(jnp.float32(0), start, *zeros)]
    x = jnp.array(task.x)
    y = x if task.loss == "reconstruction" else jnp.array(task.y)

    def call(steps: int = 1) -> None:
        for _ in range(steps):
            state[0] = jitted(state[0], x, y)
            jax.block_until_ready(state[0])

    return call, lambda: flat(state[0][1])


# --- scikit-learn ---


def sklearn_fit(task: Task, steps: int, sklearn: Any) -> Maker:
    """`MLPClassifier`, without its penalty: a call does an epoch of as many batches as there are steps.

    Its Adam adds ε before the bias correction. Only the first step begins anew; then the optimizer goes on.
    """
    import numpy as np

    sizes = [layer[2] for layer in task.layers]
    model = sklearn.MLPClassifier(
        sizes[:-1], alpha=0.0, batch_size=task.batch, learning_rate_init=RATE, max_iter=1, shuffle=False
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.partial_fit(task.x, task.y, classes=np.arange(sizes[-1]))
    for i, (weight, bias) in enumerate(task.initial):
        model.coefs_[i][:], model.intercepts_[i][:] = weight, bias
    del model._optimizer
    data: dict[int, tuple[Any, Any]] = {}

    def call(count: int = steps) -> None:
        if count not in data:
            data[count] = np.concatenate([task.x] * count), np.concatenate([task.y] * count)
        model.partial_fit(*data[count])

    return call, lambda: flat(zip(model.coefs_, model.intercepts_, strict=True))
