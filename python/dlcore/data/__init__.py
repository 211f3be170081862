"""Labelled data for training: bundled digits, readers of the MNIST family's files and of NumPy's, downloads.

Everything here is NumPy and the standard library; nothing needs the compiled modules.
"""

from .arrays import load_array_file
from .dataset import Dataset
from .digits import load_digits, load_digits_split
from .download import download
from .idx import read_idx, write_idx
from .mnist import load_mnist

__all__ = [
    "Dataset",
    "download",
    "load_array_file",
    "load_digits",
    "load_digits_split",
    "load_mnist",
    "read_idx",
    "write_idx",
]
