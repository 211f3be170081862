"""Named tensors and metadata in one file: replaced in one step when saved, checked in every byte when loaded.

The format is safetensors with a checksum; see `dlcore.train.header`. Loading allocates no more than the file is long
and never runs code.
"""

from __future__ import annotations

import os
import re
import secrets
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from .header import PREFIX, Array, Header, as_bytes, decode, encode, header_length

try:
    import fcntl
except ImportError:  # Windows: a file that is open there cannot be removed, which serves as the lock
    fcntl = None  # type: ignore[assignment]

_CHUNK = 2**24  # bytes written or read at a time, so that Ctrl-C is answered soon


def save_file(path: str | os.PathLike[str], tensors: Mapping[str, Any], metadata: Mapping[str, Any]) -> None:
    """Write tensors and metadata; `path` holds either what it held before or all of the new content, at every moment.

    The content goes to a temporary file in the same folder, is forced to the disk, and then takes the name `path`.
    Temporary files left by processes that were killed are removed.

    Parameters
    ----------
    path : file; its folder must exist. A symbolic link is followed.
    tensors : name -> array of floats or integers of at most 64 bits
    metadata : text -> anything that JSON holds; "format", "format_version" and "sha256" are reserved

    Raises
    ------
    TypeError, ValueError
        For what the format cannot hold; nothing is written then.
    OSError
        When the folder cannot be written or the disk is full; `path` is as it was.
    """
    header, arrays = encode({name: np.asarray(value) for name, value in tensors.items()}, metadata)
    target = Path(os.path.realpath(path))
    _remove_stale(target)
    with _temporary(target) as (file, temporary):
        file.write(header)
        for array in arrays:
            content = as_bytes(array)
            for start in range(0, len(content), _CHUNK):
                file.write(content[start : start + _CHUNK])
        file.flush()
        os.fsync(file.fileno())
        if fcntl is None:
            file.close()  # Windows does not rename open files
        temporary.replace(target)
    _sync_folder(target.parent)


def load_file(
    path: str | os.PathLike[str], check: Callable[[Header], None] | None = None
) -> tuple[dict[str, Array], dict[str, Any]]:
    """The tensors and the metadata that `save_file` wrote.

    Parameters
    ----------
    path : file
    check : called with the checked header before memory for the data is taken; raises ValueError to refuse

    Raises
    ------
    ValueError
        If anything in the file is damaged, with the reason.
    OSError
        If there is no such file, or it cannot be read.
    """
    with _refusals(path), _regular(path).open("rb") as file:
        header = _read_header(file)
        if check is not None:
            check(header)
        tensors = {entry.name: _read_tensor(file, entry.shape, entry.dtype, header) for entry in header.entries}
        if header.hasher.hexdigest() != header.digest:
            raise ValueError("the checksum differs")
    return tensors, header.metadata


def read_header(path: str | os.PathLike[str]) -> Header:
    """The checked header alone: names, dtypes, shapes, metadata. The data, and so the checksum, is not looked at."""
    with _refusals(path), _regular(path).open("rb") as file:
        return _read_header(file)


@contextmanager
def _refusals(path: str | os.PathLike[str]) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise ValueError(f"load: {os.fspath(path)!r} is refused: {error}") from None


def _regular(path: str | os.PathLike[str]) -> Path:
    file = Path(path)
    if not stat.S_ISREG(file.stat().st_mode):  # a pipe would block the open, a device never end
        raise ValueError("it is not a regular file")
    return file


def _read_header(file: BinaryIO) -> Header:
    size = os.fstat(file.fileno()).st_size
    prefix = file.read(PREFIX.size)
    length = header_length(prefix, size)
    text = file.read(length)
    if len(text) != length:
        raise ValueError("the file was cut while it was read")
    return decode(prefix, text, size - PREFIX.size - length)


def _read_tensor(file: BinaryIO, shape: tuple[int, ...], dtype: np.dtype[Any], header: Header) -> Array:
    array = np.empty(shape, dtype)
    content = as_bytes(array)
    for start in range(0, len(content), _CHUNK):
        part = content[start : start + _CHUNK]
        if file.readinto(part) != len(part):  # type: ignore[attr-defined] # a BufferedReader has it
            raise ValueError("the file was cut while it was read")
        header.hasher.update(part)
    return array.astype(dtype.newbyteorder("="), copy=False)


@contextmanager
def _temporary(target: Path) -> Iterator[tuple[BinaryIO, Path]]:
    """A new file beside `target`, locked while it is written; removed unless it was renamed."""
    while True:
        temporary = target.with_name(f".{target.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
        descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
        with os.fdopen(descriptor, "wb") as file:
            _lock(file.fileno())
            if not _is_same(file.fileno(), temporary):
                continue  # another process took it for a stale one before the lock was ours
            try:
                yield file, temporary
            except BaseException:
                with suppress(OSError):
                    temporary.unlink()
                raise
            return


def _lock(descriptor: int) -> bool:
    """Whether the file is now locked by this process; a dead process holds no locks."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # held by its writer, or a file system without locks
        return False
    return True


def _is_same(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _remove_stale(target: Path) -> None:
    """Remove the temporary files for `target` whose writers are dead."""
    ours = re.compile(rf"\.{re.escape(target.name)}\.[0-9]+-[0-9a-f]{{8}}\.tmp")
    with os.scandir(target.parent) as found:
        names = [entry.name for entry in found if ours.fullmatch(entry.name)]
    for name in names:
        with suppress(OSError):
            descriptor = os.open(target.with_name(name), os.O_RDWR)
            try:
                if _lock(descriptor):
                    target.with_name(name).unlink()
            finally:
                os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    """Force the folder's entry to the disk, where the system has a way to."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
