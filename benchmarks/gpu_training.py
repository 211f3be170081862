"""Training on a GPU against PyTorch: epochs of an RBM, and steps of LeNet-5 and an MLP."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import networks
import numpy as np
from gpu_clock import Clock, Row

RATE = 0.05
# (visible, hidden, batch, batches of an epoch)
MACHINES = ((784, 500, 100, 100), (4096, 4096, 1024, 20))


def rbm_rows(clock: Clock, tiny: bool) -> Iterator[Row]:
    """An epoch of CD-1 with plain SGD."""
    from dlcore import tensor
    from dlcore.models import RBM

    rng = np.random.default_rng(0)
    for visible, hidden, batch, batches in ((12, 8, 4, 6),) if tiny else MACHINES:
        v = (rng.random((batch * batches, visible)) < 0.2).astype(np.float32)
        rbm = RBM(visible, hidden, seed=1).to(clock.device)
        data = tensor(v, device=clock.device)
        options: dict[str, Any] = {"optimizer": "sgd", "lr": RATE, "momentum": 0.0, "init_visible_bias": False}

        def fit(rbm: Any = rbm, data: Any = data, batch: int = batch, options: Any = options) -> None:
            rbm.fit(data, epochs=1, batch_size=batch, shuffle=False, progress=False, **options)

        calls: dict[str, Callable[[], Any]] = {"dlcore": fit}
        if clock.torch is not None:
            calls["PyTorch eager"] = torch_rbm(clock.torch, v, hidden, batch, "eager")
            calls["PyTorch CUDA graph"] = torch_rbm(clock.torch, v, hidden, batch, "graph")
            calls["PyTorch compiled"] = torch_rbm(clock.torch, v, hidden, batch, "compiled")
        yield Row(f"RBM {visible}-{hidden}, batch {batch}, CD-1 epoch of {batches} batches", calls, "ms")


def torch_rbm(torch: Any, v: Any, hidden: int, batch: int, form: str) -> Callable[[], Any]:
    """An epoch as a PyTorch user would write it: products with their biases, in-place updates, no host round trip."""
    torch.manual_seed(1)
    data = torch.from_numpy(v).cuda()
    weight = 0.01 * torch.randn(v.shape[1], hidden, device="cuda")
    b, c = torch.zeros(v.shape[1], device="cuda"), torch.zeros(hidden, device="cuda")

    def step(x: Any) -> Any:
        p = torch.sigmoid(torch.addmm(c, x, weight))
        h = torch.bernoulli(p)
        r = torch.bernoulli(torch.sigmoid(torch.addmm(b, h, weight.t())))
        q = torch.sigmoid(torch.addmm(c, r, weight))
        scale = RATE / batch
        weight.addmm_(x.t(), p, alpha=scale)
        weight.addmm_(r.t(), q, alpha=-scale)
        b.add_((x - r).sum(0), alpha=scale)
        c.add_((p - q).sum(0), alpha=scale)
        return ((x - r) ** 2).sum()

    batches = data.split(batch)
    if form != "graph":
        chosen = torch.compile(step, mode="reduce-overhead") if form == "compiled" else step

        def epoch() -> float:
            total = 0.0
            for x in batches:
                total = total + chosen(x).clone()
            return float(total)

        return epoch
    inputs, total = batches[0].clone(), torch.zeros((), device="cuda")
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            total += step(inputs)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        total += step(inputs)

    def replayed() -> float:
        total.zero_()
        for x in batches:
            inputs.copy_(x)
            graph.replay()
        return float(total)

    return replayed


def step_rows(clock: Clock, tiny: bool) -> Iterator[Row]:
    """A training step with Adam, of so many in a row: `fit`'s replayed steps, and PyTorch's eager and compiled ones."""
    rng = np.random.default_rng(0)
    batch, count = (4, 6) if tiny else (128, 200)
    lenet = [
        ("conv", 1, 6, 5, 2), ("pool",), ("conv", 6, 16, 5, 0), ("pool",), ("flatten",),
        ("dense", 400, 120, "relu"), ("dense", 120, 84, "relu"), ("dense", 84, 10, "identity"),
    ]  # fmt: skip
    mlp = [("dense", 784, 512, "relu"), ("dense", 512, 256, "relu"), ("dense", 256, 10, "identity")]
    if tiny:
        mlp, lenet = [("dense", 12, 8, "relu"), ("dense", 8, 10, "identity")], []
    for name, layers, shape in (("LeNet-5", lenet, (1, 28, 28)), ("MLP", mlp, (12,) if tiny else (784,))):
        if not layers:
            continue
        x, y = rng.random((batch, *shape)).astype(np.float32), rng.integers(0, 10, batch)
        task = networks.Task(layers, x, y)
        calls: dict[str, Callable[[], Any]] = {"dlcore fit": dlcore_fit(clock, task, count)}
        if clock.torch is not None:
            for form in ("eager", "compiled"):
                calls[f"PyTorch {form}"] = torch_steps(clock.torch, task, count, form)
        yield Row(f"{name}, batch {batch}, Adam step", calls, "us", per=count)


def dlcore_fit(clock: Clock, task: networks.Task, count: int) -> Callable[[], Any]:
    from dlcore import tensor

    model = networks.dlcore_model(task).to(clock.device)
    x = tensor(np.concatenate([task.x] * count), device=clock.device)
    y = tensor(np.concatenate([task.y] * count), "int32", device=clock.device)
    options = {"epochs": 1, "batch_size": task.batch, "optimizer": "adam", "lr": networks.RATE}
    return lambda: model.fit(x, y, **options, shuffle=False, progress=False)


def torch_steps(torch: Any, task: networks.Task, count: int, form: str) -> Callable[[], Any]:
    net = networks.torch_network(task, torch).cuda()
    compiled = form == "compiled"
    method = torch.optim.Adam(net.parameters(), lr=networks.RATE, fused=True, capturable=compiled)
    x, y = torch.from_numpy(task.x).cuda(), torch.from_numpy(task.y).long().cuda()
    cross_entropy = torch.nn.CrossEntropyLoss()
    data = [x.clone() for _ in range(8)]

    def forward(inputs: Any) -> Any:
        return cross_entropy(net(inputs), y)

    chosen = torch.compile(forward, mode="reduce-overhead") if compiled else forward

    def call() -> None:
        for i in range(count):
            method.zero_grad()
            chosen(data[i % 8]).backward()
            method.step()

    return call
