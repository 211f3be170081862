"""Train every kind of autoencoder on digits, compare what they promise in figures, and draw what they learned.

``python autoencoders.py`` takes the bundled 8×8 digits, and MNIST where ``DLCORE_DATA`` is a folder of its files; words
behind it choose parts: denoising sparse contractive convolutional stacked. Pictures go to the current folder.
"""

import os
import sys

import matplotlib.pyplot as plt
import numpy as np
from dlcore import plot
from dlcore.data import load_digits_split, load_mnist
from dlcore.models import (
    MLP,
    Autoencoder,
    ContractiveAutoencoder,
    ConvolutionalAutoencoder,
    DenoisingAutoencoder,
    SparseAutoencoder,
    StackedAutoencoder,
    sparsity_report,
    sparsity_table,
)

large = "DLCORE_DATA" in os.environ
train, test = load_mnist() if large else load_digits_split()
x = train.x[:10000]
pixels, shape = x.shape[1], train.image_shape
units = 500 if large else 128
FIT = {"epochs": 10 if large else 12, "batch_size": 100 if large else 32, "lr": 1e-3 if large else 3e-3}


def fitted(model, **changes):
    model.fit(x, schedule="cosine", **(FIT | changes))
    return model


def error(seen, model):
    """Mean squared error a case, of what is restored from `seen`."""
    return float(np.square(model.reconstruct(seen).reshape(test.x.shape) - test.x).sum(1).mean())


def denoising():
    """A plain and a denoising one see the same noisy digits."""
    noise = {"corruption": "salt-and-pepper", "level": 0.2}
    models = {
        "plain": fitted(Autoencoder([pixels, units])),
        "denoising": fitted(DenoisingAutoencoder([pixels, units], **noise)),
    }
    noisy = models["denoising"].corrupt(test.x)
    print(f"squared error a digit: noisy {np.square(noisy - test.x).sum(1).mean():.2f}")
    for name, model in models.items():
        print(f"{name:10} from clean {error(test.x, model):.2f}, from noisy {error(noisy, model):.2f}")
    rows = [
        test.x[:20],
        noisy[:20],
        models["plain"].reconstruct(noisy[:20]),
        models["denoising"].reconstruct(noisy[:20]),
    ]
    plot.samples(np.concatenate(rows), shape, columns=20, path="autoencoder-denoising.png")
    weights = [model.parameters["encoder.layers.0.weight"].numpy() for model in models.values()]
    both = [weight[:, np.argsort(-np.linalg.norm(weight, axis=0))[:10]] for weight in weights]
    plot.filters(np.concatenate(both, 1), shape, path="autoencoder-filters.png")


def sparse():
    """Plain ones are brought to the sparse one's error by fewer units, and by stopping early."""
    found = {}
    for name, options in {"L1": {"sparsity": 0.3}, "KL": {"sparsity": 0.05, "penalty": "kl", "rho": 0.05}}.items():
        model = fitted(SparseAutoencoder([pixels, units], loss="squared_error", **options))
        found[name] = model, sparsity_report(model, test.x)
    wanted = found["L1"][1].reconstruction_error
    tried = [(k, 0) for k in ((56, 64, 72) if large else (16, 18, 20))] + [(units, n) for n in (2, 3, 4)]
    candidates = []
    for k, epochs in tried:
        model = fitted(Autoencoder([pixels, k], loss="squared_error"), **({"epochs": epochs} if epochs else {}))
        candidates.append((f"{k} units" + f", {epochs} epochs" * bool(epochs), model, sparsity_report(model, test.x)))
    for group in (candidates[:-3], candidates[-3:]):
        name, model, report = min(group, key=lambda c: abs(c[2].reconstruction_error - wanted))
        found[name] = model, report
    print(sparsity_table({name: report for name, (_, report) in found.items()}))
    figure, axes = plt.subplots(figsize=(6, 3.2), layout="constrained")
    for name, (model, _) in found.items():
        code = np.abs(model.encode(test.x)).ravel()
        values = np.sort(code / np.sqrt(np.square(code).mean()))
        axes.plot(values, np.linspace(0, 1, values.size), label=name)
    axes.set(xlim=(-0.1, 4), xlabel="activation |h|, in units of its root mean square", ylabel="share at or below")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    figure.savefig("autoencoder-sparsity.png", dpi=80)
    model = found["L1"][0]
    most = np.argsort(-model.encode(test.x).mean(0))[:25]
    plot.filters(model.pixel_weights()[:, most], shape, path="autoencoder-sparse-filters.png")


def contractive():
    """Singular values of ∂h/∂x, which is diag(h (1 − h)) Wᵀ for a sigmoid layer, averaged over cases."""
    figure, axes = plt.subplots(figsize=(6, 3.2), layout="constrained")
    for contraction in (0.0, 0.1, 1.0):
        model = fitted(ContractiveAutoencoder([pixels, units], contraction=contraction), lr=5e-3)
        weight = model.parameters["encoder.layers.0.weight"].numpy()
        code = model.encode(test.x[:20])
        spectra = [np.linalg.svd((h * (1 - h))[:, None] * weight.T, compute_uv=False) for h in code]
        norm = model.jacobian_norm(test.x)
        print(f"contraction {contraction}: squared norm of the Jacobian {norm:.3f}, error {error(test.x, model):.2f}")
        axes.semilogy(np.mean(spectra, 0)[:100] + 1e-6, label=f"contraction {contraction}")
    axes.set(xlabel="direction", ylabel="singular value of the Jacobian")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig("autoencoder-contractive.png", dpi=80)


def convolutional():
    """Both decoders at the same size of code."""
    rows = [test.x[:20]]
    for decoder in ("transpose", "nearest"):
        model = fitted(ConvolutionalAutoencoder(shape, decoder=decoder), lr=3e-3)
        print(f"{decoder:10} {model.parameters.size} parameters, error {error(test.x, model):.2f}")
        rows.append(model.reconstruct(test.x[:20]).reshape(20, pixels))
    plot.samples(np.concatenate(rows), shape, columns=20, path="autoencoder-convolutional.png")


def stacked():
    """The same perceptron from random weights and from a stack that saw all digits, but few labels."""
    widths = [pixels, *(3 * [units])]
    stack = StackedAutoencoder(widths, level=(0.1, 0.2, 0.3), seed=1)
    stack.pretrain(x, epochs=8, batch_size=FIT["batch_size"], lr=FIT["lr"])
    print(f"{'labels':>8} {'random':>8} {'stacked':>8}  (share of errors on the test set)")
    for labels in (100, 1000):
        errors = []
        for model in (MLP([*widths, 10], "sigmoid", seed=1), stack.classifier(10)):
            model.fit(x[:labels], train.y[:labels], epochs=40, batch_size=20, lr=FIT["lr"])
            errors.append(1 - model.score(test.x, test.y))
        print(f"{labels:>8}" + "".join(f"{100 * e:>7.2f} %" for e in errors))


for part in sys.argv[1:] or ["denoising", "sparse", "contractive", "convolutional", "stacked"]:
    print(f"--- {part}")
    globals()[part]()
