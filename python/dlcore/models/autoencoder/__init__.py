"""Autoencoders: a code from which the input can be restored. One variant a file."""

from .coding import Coder, CodingModel
from .contractive import ContractiveAutoencoder
from .convolutional import ConvolutionalAutoencoder
from .denoising import DenoisingAutoencoder
from .dense import Autoencoder, Mirrored
from .sparse import SparseAutoencoder
from .sparsity import SparsityReport, sparsity_report, sparsity_table
from .stacked import StackedAutoencoder

__all__ = [
    "Autoencoder",
    "Coder",
    "CodingModel",
    "ContractiveAutoencoder",
    "ConvolutionalAutoencoder",
    "DenoisingAutoencoder",
    "Mirrored",
    "SparseAutoencoder",
    "SparsityReport",
    "StackedAutoencoder",
    "sparsity_report",
    "sparsity_table",
]
