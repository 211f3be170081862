"""Draw the losses and their gradients: four pictures for docs/losses.md. With a folder as argument, there."""

import sys
from pathlib import Path

import numpy as np
from dlcore import losses
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path()
r = np.linspace(-4, 4, 801)
p = np.linspace(0.002, 0.998, 499)

RESIDUAL = {
    "½-squared": losses.HalfSquaredError("none"),
    "absolute": losses.AbsoluteError("none"),
    "Huber, delta 1": losses.Huber(1.0, "none"),
    "log-cosh": losses.LogCosh("none"),
    "epsilon-insensitive, 0.5": losses.EpsilonInsensitive(0.5, "none"),
}
GAUSSIAN = {
    "kernel k (maximise it)": losses.GaussianKernel(1.0, "none"),
    "correntropy 1 − k": losses.Correntropy(1.0, "none"),
    "likelihood, v = 1": losses.GaussianNLL(1.0, reduction="none"),
}
MARGIN = {
    "perceptron": losses.Perceptron(reduction="none"),
    "hinge": losses.Hinge(reduction="none"),
    "squared hinge": losses.SquaredHinge(reduction="none"),
    "log loss (from the score)": losses.BinaryCrossEntropy(reduction="none"),
    "focal, gamma 2": losses.BinaryFocal(2.0, reduction="none"),
}
CHANCE = {
    "log loss, y = 1": losses.LogLoss(reduction="none"),
    "squared": losses.SquaredError("none"),
    "Poisson, y = 1": losses.Poisson(log_input=False, reduction="none"),
}


def draw(name, rows, x, target, label, limits):
    """Values on the left, gradients on the right."""
    figure = Figure(figsize=(8, 3), layout="constrained")
    left, right = figure.subplots(1, 2)
    for title, loss in rows.items():
        y = np.full_like(x, target)
        left.plot(x, loss(x, y).numpy(), label=title, linewidth=1.3)
        right.plot(x, loss.gradient(x, y).numpy(), linewidth=1.3)
    if name == "margin":
        left.plot(x, losses.zero_one(np.sign(x), np.ones_like(x), "none").numpy(), "k:", label="zero-one", linewidth=1)
    for axes, title, (low, high) in ((left, "loss", limits[0]), (right, "gradient", limits[1])):
        axes.set(title=title, xlabel=label, ylim=(low, high))
        axes.grid(alpha=0.3)
    left.legend(fontsize=7)
    FigureCanvasAgg(figure).print_figure(folder / f"loss-{name}.png", dpi=80)
    print(f"loss-{name}.png")


draw("residual", RESIDUAL, r, 0.0, "residual f − y", ((-0.2, 5), (-3, 3)))
draw("gaussian", GAUSSIAN, r, 0.0, "residual f − y, in units of σ", ((-0.2, 3), (-2, 2)))
draw("margin", MARGIN, r, 1.0, "score f of the right class", ((-0.2, 5), (-4, 0.5)))
draw("probability", CHANCE, p, 1.0, "probability or rate f of what came", ((-0.2, 5), (-8, 0.5)))
