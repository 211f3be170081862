"""Modules, layers, initializers, and the flat parameter vector."""

from . import initializers
from .convolution import AvgPool1d, AvgPool2d, Conv1d, Conv2d, ConvTranspose2d, MaxPool1d, MaxPool2d, Upsample2d
from .corruption import Corruption, corrupt
from .layers import Activation, Dropout, Flatten, Linear, Reshape, Sequential, Softmax
from .module import Module
from .parameters import Parameters

__all__ = [
    "Activation",
    "AvgPool1d",
    "AvgPool2d",
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
    "Reshape",
    "Sequential",
    "Softmax",
    "Upsample2d",
    "corrupt",
    "initializers",
]
