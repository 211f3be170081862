"""NumPy's own files, .npy and .npz, read without pickle and checked before anything is allocated."""

from __future__ import annotations

import math
import os
import struct
import sys
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from .idx import MAX_DIMENSIONS, MAX_GZIP_RATIO

NPY_MAGIC = b"\x93NUMPY"
ZIP_MAGIC = b"PK"

# What the parsers of `zipfile` and of `numpy.lib.format` raise at damaged bytes.
ZIP_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    OverflowError,
    RuntimeError,
    UnicodeDecodeError,
)
HEADER_ERRORS = (
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    SyntaxError,
    tokenize.TokenError,
    OverflowError,
    RecursionError,
    MemoryError,
)


def load_array_file(path: str | os.PathLike[str], key: str | None = None) -> npt.NDArray[Any]:
    """Read the array of a .npy file, or one array of an .npz archive, whatever the file's name.

    Parameters
    ----------
    path : str or path
        The file.
    key : str, optional
        Which array of an archive; may be left out where there is but one.

    Returns
    -------
    ndarray
        Boolean, integer, real or complex; in native byte order and row-major.

    Raises
    ------
    OSError
        The file cannot be opened or read.
    ValueError
        Neither .npy nor .npz, damaged, shorter or longer than it says, of objects (pickle), strings or records, or
        ``key`` names no array.
    MemoryError
        The file is sound, and larger than memory.
    """
    with Path(path).open("rb") as file:
        head = file.read(len(NPY_MAGIC))
        file.seek(0)
        length = os.fstat(file.fileno()).st_size
        if head == NPY_MAGIC:
            return _read_npy(file, length, str(path))
        if not head.startswith(ZIP_MAGIC):
            raise ValueError(
                f"load_array_file: file starts with {head!r}, expected {NPY_MAGIC!r} or {ZIP_MAGIC!r} ({path})"
            )
        try:
            with zipfile.ZipFile(file) as archive:
                return _read_member(archive, length, key, path)
        except ZIP_ERRORS as error:
            raise ValueError(f"load_array_file: archive is damaged: {error} ({path})") from error


def _read_member(
    archive: zipfile.ZipFile, length: int, key: str | None, path: str | os.PathLike[str]
) -> npt.NDArray[Any]:
    """Read one array of an archive of ``length`` bytes."""
    members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
    if key is None and len(members) == 1:
        (key,) = members
    if key not in members:
        raise ValueError(
            f"load_array_file: key is {key!r}, expected one of {', '.join(members) or 'none, it is empty'} ({path})"
        )
    info = members[key]
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"load_array_file: {key} has compression {info.compress_type}, expected 0 or 8 ({path})")
    # Before Python 3.12 `zipfile` seeks to an offset outside the file without a check.
    if not 0 <= info.header_offset < length:
        raise ValueError(f"load_array_file: {key} is at byte {info.header_offset}, expected 0 to {length - 1} ({path})")
    if info.file_size > MAX_GZIP_RATIO * info.compress_size:
        raise ValueError(
            f"load_array_file: {key} is {info.compress_size} bytes in the archive, too few for the {info.file_size} "
            f"that it declares ({path})"
        )
    with archive.open(info) as stream:
        return _read_npy(stream, info.file_size, f"{path}: {key}")


def _read_npy(stream: IO[bytes], length: int, origin: str) -> npt.NDArray[Any]:
    """Read a .npy stream of ``length`` bytes."""
    try:
        version = np.lib.format.read_magic(stream)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran_order, dtype = read_header(stream)
    except HEADER_ERRORS as error:
        raise ValueError(f"load_array_file: header is damaged: {error} ({origin})") from error
    if dtype.kind not in "biufc":
        raise ValueError(f"load_array_file: dtype is {dtype}, expected booleans or numbers ({origin})")
    if len(shape) > MAX_DIMENSIONS:
        raise ValueError(
            f"load_array_file: number of dimensions is {len(shape)}, expected 0 to {MAX_DIMENSIONS} ({origin})"
        )
    n_bytes = math.prod(shape) * dtype.itemsize
    if min(shape, default=0) < 0 or math.prod(size for size in shape if size) * dtype.itemsize > sys.maxsize:
        raise ValueError(f"load_array_file: shape is {shape}, expected sizes from 0 to {sys.maxsize} bytes ({origin})")
    if stream.tell() + n_bytes != length:
        raise ValueError(f"load_array_file: file is {length} bytes, expected {stream.tell() + n_bytes} ({origin})")
    content = stream.read()
    if len(content) != n_bytes:
        raise ValueError(f"load_array_file: data is {len(content)} bytes, expected {n_bytes} ({origin})")
    array = np.frombuffer(content, dtype=dtype).reshape(shape, order="F" if fortran_order else "C")
    return np.array(array, dtype=dtype.newbyteorder("="), order="C")
