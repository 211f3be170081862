"""Fit a line through data with outliers: the Gaussian likelihood follows them, correntropy with a shrinking σ does not.

With a folder as argument, a picture is drawn there.
"""

import sys
from pathlib import Path

import dlcore
import numpy as np
from dlcore import losses, nn, optim

rng = np.random.default_rng(7)
x = rng.uniform(-1, 1, (200, 1))
clean = 2 * x + 6
y = clean + 0.1 * rng.standard_normal(x.shape)
wrong = rng.permutation(200)[:60]  # 30 %, all on one side
y[wrong] = -2 + 0.5 * rng.standard_normal((60, 1))
data = dlcore.tensor(x), dlcore.tensor(y)


def fit(loss, steps=600, lr=0.05):
    """The line after full-batch Adam on loss(step), from y = w x with a random w."""
    net = nn.Linear(1, 1).build(seed=0, dtype="float64")
    optimizer = optim.Adam(net.parameters, lr=lr)
    for step in range(steps):
        objective = dlcore.value_and_grad(lambda a, b, step=step: loss(step)(net(a), b), net.parameters)
        optimizer.step(objective(*data)[1])
    weight, bias = (float(value.numpy().squeeze()) for value in net.parameters.values())
    return weight, bias


anneal = losses.SigmaAnnealing(8.0, 0.3, 400)
fits = {
    "Gaussian likelihood": fit(lambda step: losses.GaussianNLL(1.0)),
    "correntropy, σ = 0.3 from the start": fit(lambda step: losses.Correntropy(0.3)),
    "correntropy, σ from 8 to 0.3": fit(lambda step: losses.Correntropy(anneal(step))),
}
print("the line is y = 2 x + 6; 30 % of the targets are wrong")
for name, (weight, bias) in fits.items():
    print(f"{name}: y = {weight:.3f} x + {bias:.3f}, error {np.hypot(weight - 2, bias - 6):.3f}")


def draw(folder):
    """The data and the three lines."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.4), layout="constrained")
    axes = figure.add_subplot()
    good = np.setdiff1d(np.arange(200), wrong)
    axes.plot(x[good], y[good], ".", color="0.6", markersize=3)
    axes.plot(x[wrong], y[wrong], "x", color="0.3", markersize=4, label="outliers")
    ends = np.array([-1.0, 1.0])
    for name, (weight, bias) in fits.items():
        axes.plot(ends, weight * ends + bias, label=name, linewidth=1.3)
    axes.set(xlabel="x", ylabel="y")
    axes.legend(fontsize=7)
    FigureCanvasAgg(figure).print_figure(folder / "correntropy.png", dpi=80)


if len(sys.argv) > 1:
    draw(Path(sys.argv[1]))
