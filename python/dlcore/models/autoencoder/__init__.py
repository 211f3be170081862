"""Autoencoders: a code from which the input can be restored. One variant a file."""

from .coding import Coder, CodingModel
from .dense import Autoencoder, Mirrored
from .sparse import SparseAutoencoder

__all__ = ["Autoencoder", "Coder", "CodingModel", "Mirrored", "SparseAutoencoder"]
