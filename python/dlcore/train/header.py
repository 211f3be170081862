"""The header of a safetensors file: written with a checksum, and believed in nothing when read.

A file is 8 bytes with the header's length (little-endian), the header (JSON, padded with spaces), and the tensors' raw
little-endian data without gaps. The header maps each tensor's name to its dtype, shape and place in the data, and
``__metadata__`` to strings. Ours hold JSON texts, and under "sha256" the SHA-256 of the whole file as it is with zeros
in the digest's own place: no byte of a file can change unnoticed.
"""

from __future__ import annotations

import hashlib
import json
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

FORMAT = "dlcore"
FORMAT_VERSION = 1
MAX_HEADER = 4 * 2**20  # bytes; a thousand tensors need a fiftieth
MAX_DIMENSIONS = 16
RESERVED = ("format", "format_version", "sha256")
PREFIX = struct.Struct("<Q")
_BLANK = "0" * 64
_DIGEST = re.compile(r"[0-9a-f]{64}\Z")

DTYPES = {
    name: np.dtype(kind).newbyteorder("<")
    for name, kind in (
        ("F64", "f8"), ("F32", "f4"), ("F16", "f2"),
        ("I64", "i8"), ("I32", "i4"), ("I16", "i2"), ("I8", "i1"),
        ("U64", "u8"), ("U32", "u4"), ("U16", "u2"), ("U8", "u1"),
    )
}  # fmt: skip
_NAMES = {dtype: name for name, dtype in DTYPES.items()}


@dataclass(frozen=True)
class Entry:
    """A tensor's place: bytes [begin, end) of the data."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    begin: int
    end: int


@dataclass(frozen=True)
class Header:
    """A checked header: its entries in the order of the data, and the metadata's values."""

    entries: list[Entry]
    metadata: dict[str, Any]
    digest: str
    hasher: Any  # a SHA-256 that has seen the header; the data goes in next
    size: int  # bytes before the data

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of each tensor by name."""
        return {entry.name: entry.shape for entry in self.entries}


def encode(tensors: Mapping[str, Array], metadata: Mapping[str, Any]) -> tuple[bytes, list[Array]]:
    """Everything before the data, and the arrays in the order and byte order of the data.

    Raises
    ------
    TypeError, ValueError
        For a dtype that the format lacks, a name or metadata that it cannot hold, or a header beyond 4 MiB.
    """
    arrays: dict[str, Array] = {}
    for name, value in tensors.items():
        if not isinstance(name, str) or not name or name == "__metadata__":
            raise ValueError(f"save: a tensor is named {name!r}, expected other text")
        array = np.asarray(value)
        kind = array.dtype.newbyteorder("<")
        if kind not in _NAMES:
            raise TypeError(f"save: {name} has dtype {array.dtype}, expected one of {', '.join(map(str, _NAMES))}")
        arrays[name] = np.ascontiguousarray(array, kind).reshape(array.shape)
    # Wide elements first: then every tensor is aligned for a reader that maps the file.
    ordered = sorted(arrays, key=lambda name: -arrays[name].dtype.itemsize)
    strings = {"format": FORMAT, "format_version": str(FORMAT_VERSION), "sha256": _BLANK}
    for key, value in metadata.items():
        if key in RESERVED:
            raise ValueError(f"save: metadata {key!r} is reserved")
        strings[key] = json.dumps(value, ensure_ascii=True)
    content: dict[str, Any] = {"__metadata__": strings}
    begin = 0
    for name in ordered:
        end = begin + arrays[name].nbytes
        shape = list(arrays[name].shape)
        content[name] = {"dtype": _NAMES[arrays[name].dtype], "shape": shape, "data_offsets": [begin, end]}
        begin = end
    text = json.dumps(content, ensure_ascii=True, separators=(",", ":")).encode("ascii")
    text += b" " * (-len(text) % 8)
    if len(text) > MAX_HEADER:
        raise ValueError(f"save: the header has {len(text)} bytes, at most {MAX_HEADER}")
    data = [arrays[name] for name in ordered]
    hasher = hashlib.sha256(PREFIX.pack(len(text)) + text)
    for array in data:
        hasher.update(as_bytes(array))
    field = b'"sha256":"%s"'
    signed = text.replace(field % _BLANK.encode(), field % hasher.hexdigest().encode(), 1)
    return PREFIX.pack(len(text)) + signed, data


def as_bytes(array: Array) -> memoryview:
    """The memory of a contiguous array."""
    return array.reshape(-1).view(np.uint8).data


def header_length(prefix: bytes, file_size: int) -> int:
    """The header's length from the first 8 bytes of a file, checked against the file's size."""
    if len(prefix) < PREFIX.size:
        raise ValueError(f"the file has {len(prefix)} bytes, expected at least {PREFIX.size}")
    (length,) = PREFIX.unpack(prefix)
    if length > MAX_HEADER:
        raise ValueError(f"the header's length is {length}, at most {MAX_HEADER}")
    if length > file_size - PREFIX.size:
        raise ValueError(f"the header's length is {length}, {file_size - PREFIX.size} bytes follow")
    return int(length)


def decode(prefix: bytes, text: bytes, data_size: int) -> Header:
    """Check a header against everything that is known: the grammar, the format, and the number of data bytes behind it.

    Raises
    ------
    ValueError
        With the reason.
    """
    content = _parse(text)
    strings = content.pop("__metadata__", None)
    if not isinstance(strings, dict) or not all(isinstance(value, str) for value in strings.values()):
        raise ValueError("the metadata is missing or not all text")
    if strings.get("format") != FORMAT:
        raise ValueError(f"the format is {_short(strings.get('format'))}, expected {FORMAT!r}")
    if strings.get("format_version") != str(FORMAT_VERSION):
        raise ValueError(
            f"the format's version is {_short(strings.get('format_version'))}, expected '{FORMAT_VERSION}'"
        )
    digest = strings.get("sha256", "")
    if not _DIGEST.match(digest):
        raise ValueError("the checksum is missing or malformed")
    signed = b'"sha256":"%s"' % digest.encode("ascii")
    if text.count(signed) != 1:
        raise ValueError("the checksum is not in its place")
    hasher = hashlib.sha256(prefix + text.replace(signed, b'"sha256":"%s"' % _BLANK.encode("ascii")))
    entries = sorted((_entry(name, value) for name, value in content.items()), key=lambda e: (e.begin, e.end))
    position = 0
    for entry in entries:
        if entry.begin != position:
            kind = "overlaps the tensor before it" if entry.begin < position else "leaves a gap before it"
            raise ValueError(f"{_short(entry.name)} {kind}: it begins at {entry.begin}, expected {position}")
        position = entry.end
    if position != data_size:
        raise ValueError(f"the tensors take {position} bytes, the file has {data_size} for them")
    metadata = {key: _value(key, value) for key, value in strings.items() if key not in RESERVED}
    return Header(entries, metadata, digest, hasher, len(prefix) + len(text))


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise ValueError(f"{_short(name)} appears twice")
            seen.add(name)
    return result


def _integer(text: str) -> int:
    if len(text) > 20:  # an offset has at most 19 digits; Python's own conversion is quadratic
        raise ValueError(f"a number of {len(text)} digits")
    return int(text)


def _not_json(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _parse(text: bytes) -> dict[str, Any]:
    if not text.startswith(b"{"):
        raise ValueError("the header does not begin with '{'")
    try:
        content = json.loads(
            text.decode("utf-8"), object_pairs_hook=_no_duplicates, parse_int=_integer, parse_constant=_not_json
        )
    except RecursionError:
        raise ValueError("the header is nested too deeply") from None
    except ValueError as error:  # bad UTF-8 and bad JSON are ValueErrors as well
        raise ValueError(f"the header is damaged: {error}") from None
    return content  # type: ignore[no-any-return] # it begins with '{'


def _value(key: str, text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_no_duplicates, parse_int=_integer)
    except RecursionError:
        raise ValueError(f"metadata {_short(key)} is nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"metadata {_short(key)} is damaged: {error}") from None


def _is_size(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def _entry(name: str, fields: Any) -> Entry:
    who = _short(name)
    if not isinstance(fields, dict) or set(fields) != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"{who} does not have just dtype, shape and data_offsets")
    kind, shape, offsets = fields["dtype"], fields["shape"], fields["data_offsets"]
    if not isinstance(kind, str) or kind not in DTYPES:
        raise ValueError(f"{who} has dtype {_short(kind)}, expected one of {', '.join(DTYPES)}")
    if not isinstance(shape, list) or len(shape) > MAX_DIMENSIONS or not all(map(_is_size, shape)):
        raise ValueError(f"{who} has shape {_short(shape)}, expected at most {MAX_DIMENSIONS} sizes")
    if not isinstance(offsets, list) or len(offsets) != 2 or not all(map(_is_size, offsets)):
        raise ValueError(f"{who} has data_offsets {_short(offsets)}, expected two positions")
    begin, end = offsets
    dtype = DTYPES[kind]
    size = dtype.itemsize
    for length in shape:
        size *= max(length, 1)  # bounds what an array library multiplies, even where a 0 makes the whole empty
    if size >= 2**63:
        raise ValueError(f"{who} has shape {_short(shape)}, which is too large")
    if 0 in shape:
        size = 0
    if end - begin != size:
        raise ValueError(f"{who} has {end - begin} bytes, expected {size} for {kind} {_short(shape)}")
    return Entry(name, dtype, tuple(shape), begin, end)
