"""Models: one per file, all with fit, predict or transform, save and load, and a summary."""

from .annealing import AISResult
from .autoencoder import (
    Autoencoder,
    ContractiveAutoencoder,
    ConvolutionalAutoencoder,
    DenoisingAutoencoder,
    SparseAutoencoder,
    SparsityReport,
    StackedAutoencoder,
    sparsity_report,
    sparsity_table,
)
from .base import Model
from .bound import LikelihoodBound
from .cnn import CNN, LeNet5
from .dbn import DBN
from .least_squares import LeastSquaresResult, least_squares
from .least_squares_methods import RankWarning
from .linear import LinearRegression, LinearSVM, SoftmaxRegression
from .mixing import effective_sample_size, r_hat
from .mlp import MLP
from .rbm import RBM
from .supervised import Supervised

__all__ = [
    "CNN",
    "DBN",
    "MLP",
    "RBM",
    "AISResult",
    "Autoencoder",
    "ContractiveAutoencoder",
    "ConvolutionalAutoencoder",
    "DenoisingAutoencoder",
    "LeNet5",
    "LeastSquaresResult",
    "LikelihoodBound",
    "LinearRegression",
    "LinearSVM",
    "Model",
    "RankWarning",
    "SoftmaxRegression",
    "SparseAutoencoder",
    "SparsityReport",
    "StackedAutoencoder",
    "Supervised",
    "effective_sample_size",
    "least_squares",
    "r_hat",
    "sparsity_report",
    "sparsity_table",
]
