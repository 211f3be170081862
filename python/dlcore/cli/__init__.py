"""The command line, ``dlcore COMMAND`` or ``python -m dlcore.cli COMMAND``."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence

from .. import __version__
from . import demo, info, reproduce, robustness, sample, train

__all__ = ["main"]

USAGE, FAILURE, INTERRUPTED = 2, 1, 130  # exit codes; 130 is what a shell gives to a program ended by Ctrl-C

WRONG_PATH = (FileNotFoundError, FileExistsError, NotADirectoryError, IsADirectoryError, PermissionError)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="dlcore", description="Train classical deep models with native speed.")
    parser.add_argument("--version", action="version", version=f"dlcore {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in (train, demo, sample, reproduce, robustness, info):
        command.add_parser(commands)
    return parser


def _complain(command: str, error: BaseException) -> None:
    print(f"dlcore {command}: {error or type(error).__name__}", file=sys.stderr)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Parameters
    ----------
    arguments : the words after ``dlcore``; those of this process by default

    Returns
    -------
    int
        The exit code: 0; 2 where the command cannot be followed as it was given (an option, a file, a missing optional
        package), 1 where it failed on the way, 130 after Ctrl-C.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a table must not fail for an arrow that the terminal lacks
    options = _parser().parse_args(arguments)
    try:
        code: int = options.run(options)
        if sys.stdout is not None:  # None: a process whose standard output was closed
            sys.stdout.flush()
        return code
    except BrokenPipeError:  # the reader of our output has left, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILURE
    except KeyboardInterrupt:
        print(f"dlcore {options.command}: interrupted", file=sys.stderr)
        return INTERRUPTED
    except (ValueError, ImportError, *WRONG_PATH) as error:
        _complain(options.command, error)
        return USAGE
    except (OSError, MemoryError, FloatingPointError) as error:
        _complain(options.command, error)
        return FAILURE
