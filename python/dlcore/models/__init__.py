"""Models: one per file, all with fit, predict or transform, save and load, and a summary."""

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
from .cnn import CNN, LeNet5
from .dbn import DBN
from .dbn.bound import LikelihoodBound
from .least_squares import LeastSquaresResult, least_squares
from .least_squares_methods import RankWarning
from .lenet import LeNet5Original
from .linear import LinearRegression, LinearSVM, SoftmaxRegression
from .mlp import MLP
from .rbm import RBM
from .rbm.annealing import AISResult
from .rbm.mixing import effective_sample_size, r_hat
from .robustness import Robustness, mlp_of_size, robustness
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
    "LeNet5Original",
    "LeastSquaresResult",
    "LikelihoodBound",
    "LinearRegression",
    "LinearSVM",
    "Model",
    "RankWarning",
    "Robustness",
    "SoftmaxRegression",
    "SparseAutoencoder",
    "SparsityReport",
    "StackedAutoencoder",
    "Supervised",
    "effective_sample_size",
    "least_squares",
    "mlp_of_size",
    "r_hat",
    "robustness",
    "sparsity_report",
    "sparsity_table",
]
