"""Training: the fit loop, callbacks, progress, histories, checkpoints."""

from .adaptation import AverageWeights, ReduceLROnPlateau
from .batches import batches, rows
from .callbacks import Callback, Checkpoint, EarlyStopping, batch_hooks
from .checkpoint import load_file, read_header, save_file
from .gradient import Steps, gradient_epoch
from .history import History, format_record
from .loop import average, map_batches, run_epochs
from .progress import progress_callback
from .run import Run
from .setup import OPTIMIZERS, LearningRate, OptimizerLike, check_batch_size, fit_settings, make_optimizer
from .snapshot import put_back, snapshot
from .store import assign_buffers, register, restore_generators, save

__all__ = [
    "OPTIMIZERS",
    "AverageWeights",
    "Callback",
    "Checkpoint",
    "EarlyStopping",
    "History",
    "LearningRate",
    "OptimizerLike",
    "ReduceLROnPlateau",
    "Run",
    "Steps",
    "assign_buffers",
    "average",
    "batch_hooks",
    "batches",
    "check_batch_size",
    "fit_settings",
    "format_record",
    "gradient_epoch",
    "load_file",
    "make_optimizer",
    "map_batches",
    "progress_callback",
    "put_back",
    "read_header",
    "register",
    "restore_generators",
    "rows",
    "run_epochs",
    "save",
    "save_file",
    "snapshot",
]
