"""IDX files, the format of the MNIST family, plain or gzip-compressed.

An IDX file is two zero bytes, one byte for the element type, one for the number of dimensions, the sizes as
big-endian 32-bit unsigned integers, and then the elements, big-endian, the last index running fastest [1]_.

.. [1] Y. LeCun, C. Cortes, C. J. C. Burges, "The MNIST database of handwritten digits", section "File formats".
"""

from __future__ import annotations

import contextlib
import gzip
import io
import math
import os
import secrets
import struct
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

ELEMENT_TYPES: dict[int, np.dtype[Any]] = {
    0x08: np.dtype(">u1"),
    0x09: np.dtype(">i1"),
    0x0B: np.dtype(">i2"),
    0x0C: np.dtype(">i4"),
    0x0D: np.dtype(">f4"),
    0x0E: np.dtype(">f8"),
}
GZIP_MAGIC = b"\x1f\x8b"

# Deflate spends at least two bits on a match of at most 258 bytes (RFC 1951, 3.2.5).
MAX_GZIP_RATIO = 4 * 258

# The most that every supported NumPy can index (NPY_MAXDIMS before NumPy 2).
MAX_DIMENSIONS = 32

# Bounds how long a read goes without an answer to Ctrl-C.
CHUNK_BYTES = 1 << 22


def read_idx(path: str | os.PathLike[str], *, magic: int | None = None) -> npt.NDArray[Any]:
    """Read an IDX file, plain or gzip-compressed, whatever its name.

    No more is allocated than the header declares, nothing if a file of this length cannot hold that, and no more is
    decompressed than that and one read buffer, so a small hostile file stays cheap.

    Parameters
    ----------
    path : str or path
        The file.
    magic : int, optional
        The magic number that the header must have, such as 0x803 for bytes in three dimensions.

    Returns
    -------
    ndarray
        In native byte order; uint8, int8, int16, int32, float32 or float64, as the file says.

    Raises
    ------
    OSError
        The file cannot be opened or read.
    ValueError
        The file is not IDX, has another ``magic``, is shorter or longer than its header says, or its gzip
        stream is damaged.
    MemoryError
        The file is sound, and larger than memory.
    """
    with Path(path).open("rb") as file:
        length = os.fstat(file.fileno()).st_size
        compressed = file.read(2) == GZIP_MAGIC
        file.seek(0)
        if not compressed:
            return _read_stream(file, length, length, path, magic)
        with gzip.GzipFile(fileobj=file, mode="rb") as stream:
            try:
                return _read_stream(stream, length, MAX_GZIP_RATIO * length, path, magic)
            except EOFError as error:
                raise ValueError(f"idx: gzip stream of {length} bytes has no end, it is cut short ({path})") from error
            except (gzip.BadGzipFile, zlib.error) as error:
                raise ValueError(f"idx: gzip stream is damaged: {error} ({path})") from error


def _read_stream(
    stream: io.BufferedIOBase, length: int, capacity: int, path: str | os.PathLike[str], magic: int | None
) -> npt.NDArray[Any]:
    """Read header and elements from a file of ``length`` bytes that can hold ``capacity`` bytes of content."""
    dtype, shape = _read_header(stream, path, magic)
    # NumPy multiplies the sizes that are not zero even where the array is empty.
    if math.prod(size for size in shape if size) * dtype.itemsize > sys.maxsize:
        raise ValueError(f"idx: sizes are {shape} of {dtype.itemsize} bytes, expected at most {sys.maxsize} ({path})")
    n_bytes = math.prod(shape) * dtype.itemsize
    declared = 4 + 4 * len(shape) + n_bytes
    if declared > capacity:
        raise ValueError(f"idx: file is {length} bytes, too few for the {declared} that its header declares ({path})")
    content = np.empty(n_bytes, dtype=np.uint8)
    n_read = 0
    while n_read < n_bytes:
        step = stream.readinto(content[n_read : n_read + CHUNK_BYTES].data)
        if not step:
            raise ValueError(f"idx: content is {declared - n_bytes + n_read} bytes, expected {declared} ({path})")
        n_read += step
    # In a gzip stream this read also checks the length and the CRC-32 at its end.
    if stream.read(1):
        raise ValueError(f"idx: content goes on after the {declared} bytes that its header declares ({path})")
    array = content.view(dtype).reshape(shape)
    if sys.byteorder == "little":
        array = array.byteswap(inplace=True)
    return array.view(dtype.newbyteorder("="))


def _read_header(
    stream: io.BufferedIOBase, path: str | os.PathLike[str], magic: int | None
) -> tuple[np.dtype[Any], tuple[int, ...]]:
    head = stream.read(4)
    if len(head) < 4:
        raise ValueError(f"idx: content is {len(head)} bytes, expected at least a header of 4 ({path})")
    (found,) = struct.unpack(">I", head)
    if magic is not None and found != magic:
        raise ValueError(f"idx: magic number is 0x{found:08x}, expected 0x{magic:08x} ({path})")
    dtype = ELEMENT_TYPES.get(found >> 8)
    if dtype is None:
        types = " ".join(f"{code:02x}" for code in ELEMENT_TYPES)
        raise ValueError(f"idx: magic number is 0x{found:08x}, expected 0x0000TTDD with TT in {types} ({path})")
    n_dimensions = found & 0xFF
    if not 1 <= n_dimensions <= MAX_DIMENSIONS:
        raise ValueError(f"idx: number of dimensions is {n_dimensions}, expected 1 to {MAX_DIMENSIONS} ({path})")
    sizes = stream.read(4 * n_dimensions)
    if len(sizes) < 4 * n_dimensions:
        raise ValueError(f"idx: header is {4 + len(sizes)} bytes, expected {4 + 4 * n_dimensions} ({path})")
    return dtype, struct.unpack(f">{n_dimensions}I", sizes)


def write_idx(path: str | os.PathLike[str], array: npt.ArrayLike) -> None:
    """Write an array as an IDX file, gzip-compressed where the name ends in ``.gz``.

    The file appears whole or not at all: a temporary file in the same folder is written, synchronized, and moved
    over ``path``. Equal arrays give equal bytes (no time stamp), for one version of zlib.

    Parameters
    ----------
    path : str or path
        The file to write or replace.
    array : array_like, shape (n, ...)
        1 to 32 dimensions, each below 2³²; uint8, int8, int16, int32, float32 or float64 in any byte order and
        memory layout.

    Raises
    ------
    TypeError
        IDX has no such element type.
    ValueError
        Too few or too many dimensions, or one too large.
    OSError
        The file cannot be written; what stood at ``path`` is then still there.
    """
    given = np.asarray(array)
    big_endian = given.dtype.newbyteorder(">")
    code = next((code for code, dtype in ELEMENT_TYPES.items() if dtype == big_endian), None)
    if code is None:
        names = " ".join(dtype.newbyteorder("=").name for dtype in ELEMENT_TYPES.values())
        raise TypeError(f"idx: dtype is {given.dtype}, expected one of {names} ({path})")
    if not 1 <= given.ndim <= MAX_DIMENSIONS:
        raise ValueError(f"idx: number of dimensions is {given.ndim}, expected 1 to {MAX_DIMENSIONS} ({path})")
    if max(given.shape) >= 2**32:
        raise ValueError(f"idx: sizes are {given.shape}, expected below 4294967296 ({path})")
    header = struct.pack(f">{1 + given.ndim}I", code << 8 | given.ndim, *given.shape)
    content = np.ascontiguousarray(given, dtype=big_endian).reshape(-1).view(np.uint8)
    _write_atomically(Path(path), header, content)


def _write_atomically(path: Path, header: bytes, content: npt.NDArray[np.uint8]) -> None:
    # Not `tempfile`: its files are readable by their owner alone, and would stay so under the final name.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        with temporary.open("xb") as file:
            with contextlib.ExitStack() as stack:
                stream: io.BufferedIOBase = file
                if path.name.endswith(".gz"):
                    stream = stack.enter_context(gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0))
                stream.write(header)
                stream.write(content.data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    # Makes the rename itself durable; folders cannot be opened so on Windows.
    if os.name == "posix":
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
