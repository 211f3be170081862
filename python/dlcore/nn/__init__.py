"""Modules, layers, initializers, and the flat parameter vector."""

from . import initializers
from .convolution import AvgPool1d, AvgPool2d, Conv1d, Conv2d, ConvTranspose2d, MaxPool1d, MaxPool2d, Upsample2d
from .corruption import Corruption, corrupt
from .images import PixelFrame
from .layers import Activation, Dropout, Flatten, Linear, Reshape, Sequential, Softmax
from .module import Module
from .normalization import BatchNorm1d, BatchNorm2d
from .parameters import Parameters
from .partial_convolution import LENET5_TABLE, PartialConv2d
from .rbf import RBF, digit_bitmaps
from .subsampling import SubSample1d, SubSample2d

__all__ = [
    "LENET5_TABLE",
    "RBF",
    "Activation",
    "AvgPool1d",
    "AvgPool2d",
    "BatchNorm1d",
    "BatchNorm2d",
    "Conv1d",
    "Conv2d",
    "ConvTranspose2d",
    "Corruption",
    "Dropout",
    "Flatten",
    "Linear",
    "MaxPool1d",
    "MaxPool2d",
    "Module",
    "Parameters",
    "PartialConv2d",
    "PixelFrame",
    "Reshape",
    "Sequential",
    "Softmax",
    "SubSample1d",
    "SubSample2d",
    "Upsample2d",
    "corrupt",
    "digit_bitmaps",
    "initializers",
]
