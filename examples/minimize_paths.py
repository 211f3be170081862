"""Paths of the numerical optimizers on Rosenbrock's valley and past a saddle, and how fast each ends.

Pictures go to the current folder, or to the one named on the command line.
"""

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from dlcore.optim import minimize

folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".")


def rosenbrock(x):
    """A curved valley with its minimum at (1, 1)."""
    return 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2


def saddle(x):
    """Minima at (±1, 0), a saddle at the origin between them."""
    return 0.25 * x[0] ** 4 - 0.5 * x[0] ** 2 + 0.5 * x[1] ** 2


def descend(f, start, method):
    """The result and all points on the way."""
    points = [np.array(start)]
    result = minimize(f, start, method=method, callback=points.append, options={"maxiter": 500})
    return result, np.array(points)


methods = ["gradient-descent", "cg", "l-bfgs", "newton", "newton-cg", "trust-exact"]
figure, axes = plt.subplots(1, 2, figsize=(9.5, 4), dpi=64)
decrease, curves = plt.subplots(figsize=(6, 3.6), dpi=72)
scenes = [(rosenbrock, [-1.2, 1.0], (-1.6, 1.5), (-0.6, 1.6)), (saddle, [0.02, 1.4], (-1.6, 1.6), (-0.8, 1.6))]
for ax, (f, start, across, along) in zip(axes, scenes, strict=True):
    x, y = np.meshgrid(np.linspace(*across, 200), np.linspace(*along, 200))
    values = f([x, y])
    ax.contour(x, y, np.log10(values - values.min() + 1e-2), 8, colors="0.8", linewidths=0.7, linestyles="solid")
    for method in methods:
        result, points = descend(f, start, method)
        ax.plot(*points.T, ".-", linewidth=1, markersize=4, label=method)
        print(
            f"{f.__name__:10} {method:16} {result.nit:4} iterations {result.nfev:4} evaluations, f = {result.fun:.1e}"
        )
        if f is rosenbrock:
            curves.semilogy(result.trace["nfev"], np.maximum(result.trace["fun"], 1e-20), label=method)
    ax.set(title=f.__name__.capitalize(), xlabel="$x_1$", ylabel="$x_2$", xlim=across, ylim=along)
axes[0].legend(fontsize=8)
curves.set(xlabel="evaluations of f and its gradient", ylabel="f", xlim=(0, 150), ylim=(1e-18, 1e2))
curves.set_title("Rosenbrock's function from (-1.2, 1)")
curves.legend(fontsize=8)
for name, picture in (("minimize-paths.png", figure), ("minimize-convergence.png", decrease)):
    picture.tight_layout()
    picture.savefig(folder / name)
print("wrote minimize-paths.png and minimize-convergence.png")
