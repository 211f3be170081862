"""Stacked denoising autoencoders, fine-tuned as a classifier."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from ...models import MLP, DenoisingAutoencoder
from ..session import Session
from .classifier import fit_and_test, hold_out


def stacked_denoising(session: Session) -> dict[str, float]:
    """Denoising autoencoders by ``settings["pretrain"]``, each on the codes of the one below; then backpropagation."""
    settings = session.settings
    train, test = session.load_data()
    (x, _), _ = hold_out(train, settings["validation"])
    weights: dict[str, Any] = {}
    for i, (inputs, units) in enumerate(pairwise(settings["layers"])):
        given = dict(settings["pretrain"][i])
        model = DenoisingAutoencoder(
            [inputs, units], "sigmoid", level=given.pop("corruption"), tied=True, seed=session.seed + i
        )
        session.fit(f"autoencoder-{i + 1}", model.fit, x, **given)
        x = model.encode(x)
        layer = model.coder.encoder[0].parameters
        weights |= {f"layers.{i}.{name}": value.numpy() for name, value in layer.items()}
    mlp = MLP([*settings["layers"], 10], "sigmoid", seed=session.seed)
    mlp.parameters.assign({name: value.numpy() for name, value in mlp.parameters.items()} | weights)
    return fit_and_test(session, mlp, train, test)
