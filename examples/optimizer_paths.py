"""Draw the paths of the first-order optimizers on two surfaces, and the learning-rate schedules against steps.

Pictures go to the current folder. The surfaces are Rosenbrock's valley (1 − x)² + 100 (y − x²)², whose least value lies
at (1, 1), and the saddle x² − y² + y⁴/4 with its least values −1 at (0, ±√2), which all runs approach along the ridge.
"""

import matplotlib.pyplot as plt
import numpy as np
from dlcore import optim, value_and_grad
from dlcore.nn import Parameters
from dlcore.optim import schedules
from PIL import Image  # matplotlib brings it

METHODS = {
    "SGD": lambda p, lr: optim.SGD(p, lr),
    "momentum": lambda p, lr: optim.SGD(p, lr, momentum=0.9),
    "Nesterov": lambda p, lr: optim.SGD(p, lr, momentum=0.9, nesterov=True),
    "AdaGrad": lambda p, lr: optim.AdaGrad(p, lr),
    "RMSProp": lambda p, lr: optim.RMSProp(p, lr, alpha=0.9),
    "AdaDelta": lambda p, lr: optim.AdaDelta(p, lr, eps=1e-4),
    "Adam": lambda p, lr: optim.Adam(p, lr),
    "NAdam": lambda p, lr: optim.NAdam(p, lr),
    "Rprop": lambda p, lr: optim.Rprop(p, lr),
    "Lion": lambda p, lr: optim.Lion(p, lr),
}


def rosenbrock(x, y):
    return (1 - x) * (1 - x) + 100 * (y - x * x) * (y - x * x)


def saddle(x, y):
    return x * x - y * y + 0.25 * y * y * y * y


# name -> function, start, steps, window, levels, minima, learning rates
SURFACES = {
    "Rosenbrock": (
        rosenbrock, (-1.2, 1.0), 2000, (-1.7, 1.7, -0.7, 1.9), np.geomspace(0.1, 1000, 15), [(1, 1)],
        {"SGD": 1e-3, "momentum": 2e-4, "Nesterov": 2e-4, "AdaGrad": 0.5, "RMSProp": 3e-3, "AdaDelta": 1.0,
         "Adam": 0.03, "NAdam": 0.03, "Rprop": 0.02, "Lion": 3e-3},
    ),
    "saddle": (
        saddle, (-1.2, 1e-3), 200, (-1.5, 1.5, -0.6, 1.8), np.linspace(-0.95, 3, 17), [(0, np.sqrt(2))],
        {"SGD": 0.05, "momentum": 0.02, "Nesterov": 0.02, "AdaGrad": 0.3, "RMSProp": 0.02, "AdaDelta": 1.0,
         "Adam": 0.05, "NAdam": 0.05, "Rprop": 0.02, "Lion": 0.02},
    ),
}  # fmt: skip


def walk(make, surface, start, lr, steps):
    """θ = (x, y) before each step and after the last."""
    parameters = Parameters({"x": (), "y": ()}, "float64")
    parameters.assign({"x": start[0], "y": start[1]})
    step = value_and_grad(lambda: surface(parameters["x"], parameters["y"]), parameters)
    optimizer = make(parameters, lr)
    points = [parameters.storage.numpy()]
    for _ in range(steps):
        optimizer.step(step()[1])
        points.append(parameters.storage.numpy())
    return np.stack(points)


def save(figure, path):
    """As a PNG of 32 colours, a third of the bytes."""
    figure.savefig(path, dpi=80)
    plt.close(figure)
    Image.open(path).convert("RGB").quantize(32).save(path, optimize=True)


def draw_surface(name):
    surface, start, steps, window, levels, minima, rates = SURFACES[name]
    x, y = np.meshgrid(np.linspace(*window[:2], 200), np.linspace(*window[2:], 200))
    figure, axes = plt.subplots(2, 5, figsize=(11, 4.6), sharex=True, sharey=True, layout="constrained")
    for (method, make), ax in zip(METHODS.items(), axes.flat, strict=True):
        path = walk(make, surface, start, rates[method], steps)
        ax.contour(x, y, surface(x, y), levels=levels, colors="0.75", linewidths=0.5)
        ax.plot(*path.T, color="C0", linewidth=1)
        ax.plot(*start, "o", color="C0", markersize=3)
        ax.plot(*np.transpose(minima), "*", color="C3", markersize=7)
        ax.set(xlim=window[:2], ylim=window[2:], xticks=[], yticks=[])
        end = surface(*path[-1])
        ax.set_title(f"{method}, lr {rates[method]:g}\nf = {end:.1e} after {steps}", fontsize=8)
        print(f"{name:10}  {method:8}  f = {end:9.2e} after {steps} steps")
    save(figure, f"optimizers-{name.lower()}.png")


def draw_schedules():
    n = 100
    rows = {
        "decays": {
            "Step(1, 25, 0.5)": schedules.Step(1.0, 25, 0.5),
            "Exponential(1, 0.96)": schedules.Exponential(1.0, 0.96),
            "InverseTime(1, 0.1)": schedules.InverseTime(1.0, 0.1),
            "Polynomial(1, 100, 2)": schedules.Polynomial(1.0, n, 2.0),
            "Cosine(1, 100)": schedules.Cosine(1.0, n),
        },
        "cycles": {
            "CosineRestarts(1, 15, 2)": schedules.CosineRestarts(1.0, 15, 2),
            "OneCycle(1, 100)": schedules.OneCycle(1.0, n),
            "OneCycleMomentum(100)": schedules.OneCycleMomentum(n),
        },
        "put together": {
            "Warmup(Cosine(1, 80), 20)": schedules.Warmup(schedules.Cosine(1.0, 80), 20),
            "Sequence([0.5, Linear(1, 0, 60)], [40])": schedules.Sequence([0.5, schedules.Linear(1.0, 0.0, 60)], [40]),
            "Linear(1, 0, 100) * CosineRestarts(1, 20)": schedules.Linear(1.0, 0.0, n)
            * schedules.CosineRestarts(1.0, 20),
        },
    }
    figure, axes = plt.subplots(1, 3, figsize=(11, 3.2), sharey=True, layout="constrained")
    for (title, row), ax in zip(rows.items(), axes, strict=True):
        for label, schedule in row.items():
            ax.plot([schedule(t) for t in range(n)], label=label, linewidth=1.2)
        ax.set(title=title, xlabel="step", ylim=(0, 1.45))
        ax.legend(fontsize=7, loc="upper right", framealpha=0.9)
    axes[0].set_ylabel("lr")
    save(figure, "schedules.png")


plt.switch_backend("agg")
for name in SURFACES:
    draw_surface(name)
draw_schedules()
print("wrote optimizers-rosenbrock.png, optimizers-saddle.png and schedules.png")
