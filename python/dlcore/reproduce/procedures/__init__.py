"""What the settings do: a procedure takes a `Session` and returns figures by name."""

from __future__ import annotations

from collections.abc import Callable

from ..session import Session
from .classifier import classify
from .coding import deep_autoencoder
from .denoising import stacked_denoising
from .digits import digits_features
from .few_labels import few_labels
from .likelihood import rbm_likelihood
from .stacked import pretrained_classifier, up_down

PROCEDURES: dict[str, Callable[[Session], dict[str, float]]] = {
    "classifier": classify,
    "deep-autoencoder": deep_autoencoder,
    "digits-features": digits_features,
    "few-labels": few_labels,
    "pretrained-classifier": pretrained_classifier,
    "rbm-likelihood": rbm_likelihood,
    "stacked-denoising": stacked_denoising,
    "up-down": up_down,
}
