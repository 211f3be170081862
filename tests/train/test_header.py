"""Hostile headers: every length, offset, shape, name and number is checked before memory is taken."""

import json
import struct
import time

import pytest
from dlcore.train import header, load_file


def forge(content, data=b"", sign=True):
    """A file with this header (a dictionary, or its text) and data, with a right checksum."""
    if isinstance(content, dict):
        strings = content.setdefault("__metadata__", {})
        if isinstance(strings, dict):
            for key, value in (("format", "dlcore"), ("format_version", "1"), ("sha256", "0" * 64)):
                strings.setdefault(key, value)
        content = json.dumps(content, separators=(",", ":"))
    text = content.encode() if isinstance(content, str) else content
    prefix = struct.pack("<Q", len(text))
    if sign:
        digest = header.hashlib.sha256(prefix + text + data).hexdigest()
        text = text.replace(b"0" * 64, digest.encode(), 1)
    return prefix + text + data


def refuse(tmp_path, content, reason):
    path = tmp_path / "forged"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=reason) as caught:
        load_file(path)
    assert str(caught.value).startswith(f"load: {str(path)!r} is refused: ")
    return caught.value


def entry(dtype="F32", shape=(1,), offsets=(0, 4)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


def test_forge_makes_good_files(tmp_path):
    (tmp_path / "f").write_bytes(forge({"x": entry()}, b"\0\0\x80\x3f"))
    assert load_file(tmp_path / "f")[0]["x"].tolist() == [1.0]
    refuse(tmp_path, forge({"x": entry()}, b"\0\0\x80\x3f", sign=False), "checksum differs")


HOSTILE = {
    "not a dictionary": ({"x": 3}, b"", "'x' does not have just dtype"),
    "another field": ({"x": entry() | {"eval": "1"}}, b"1234", "'x' does not have just dtype"),
    "unknown dtype": ({"x": entry("BF16", (2,))}, b"1234", "dtype 'BF16', expected one of F64"),
    "object dtype": ({"x": entry("O")}, b"1234", "dtype 'O'"),
    "list as dtype": ({"x": entry(["F32"])}, b"1234", "dtype .*F32"),
    "negative size": ({"x": entry(shape=(-1,))}, b"1234", "expected at most 16 sizes"),
    "fractional size": ({"x": entry(shape=(1.0,))}, b"1234", "expected at most 16 sizes"),
    "boolean size": ({"x": entry(shape=(True,))}, b"1234", "expected at most 16 sizes"),
    "many dimensions": ({"x": entry(shape=(1,) * 17)}, b"1234", "expected at most 16 sizes"),
    "product overflow": ({"x": entry(shape=(2**62, 4))}, b"1234", "too large"),
    "product overflow to the right size": ({"x": entry(shape=(2**32, 2**32))}, b"", "too large"),
    "overflow hidden by a zero": ({"x": entry(shape=(0, 2**62, 2**62), offsets=(0, 0))}, b"", "too large"),
    "more than the file has": (
        {"x": entry(shape=(2**40,), offsets=(0, 2**42))},
        b"1234",
        "the tensors take 4398046511104",
    ),
    "shape and offsets differ": ({"x": entry(shape=(2,))}, b"1234", "has 4 bytes, expected 8"),
    "negative offset": ({"x": entry(offsets=(-4, 0))}, b"", "expected two positions"),
    "reversed offsets": ({"x": entry(offsets=(4, 0))}, b"1234", "has -4 bytes"),
    "three offsets": ({"x": entry(offsets=(0, 4, 4))}, b"1234", "expected two positions"),
    "overlap": ({"x": entry(), "y": entry()}, b"12345678", "'y' overlaps"),
    "partial overlap": (
        {"x": entry(shape=(2,), offsets=(0, 8)), "y": entry(offsets=(4, 8))},
        b"12345678",
        "'y' overlaps",
    ),
    "gap": ({"x": entry(), "y": entry(offsets=(8, 12))}, b"0" * 12, "'y' leaves a gap"),
    "gap at the start": ({"x": entry(offsets=(4, 8))}, b"0" * 8, "'x' leaves a gap"),
    "data left over": ({"x": entry()}, b"0" * 8, "the tensors take 4 bytes, the file has 8"),
    "metadata is a list": ({"__metadata__": []}, b"", "metadata is missing or not all text"),
    "metadata of numbers": ({"__metadata__": {"a": 1}}, b"", "metadata is missing or not all text"),
    "another format": ({"__metadata__": {"format": "pt"}}, b"", "the format is 'pt'"),
    "a later version": ({"__metadata__": {"format_version": "2"}}, b"", "version is '2', expected '1'"),
    "no checksum": ({"__metadata__": {"sha256": "0"}}, b"", "checksum is missing or malformed"),
    "capital checksum": ({"__metadata__": {"sha256": "A" * 64}}, b"", "checksum is missing or malformed"),
    "metadata not JSON": ({"__metadata__": {"config": "__import__('os')"}}, b"", "metadata 'config' is damaged"),
    "metadata nested": ({"__metadata__": {"config": "[" * 100_000}}, b"", "metadata 'config' is nested too deeply"),
    "metadata duplicate": ({"__metadata__": {"config": '{"a":1,"a":2}'}}, b"", "'a' appears twice"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_header(tmp_path, name):
    content, data, reason = HOSTILE[name]
    refuse(tmp_path, forge(json.loads(json.dumps(content)), data), reason)


META = '"__metadata__":{"format":"dlcore","format_version":"1","sha256":"' + "0" * 64 + '"}'
ONE = '{"dtype":"F32","shape":[1],"data_offsets":[0,4]}'
HOSTILE_TEXTS = {
    "duplicate tensor": ("{" + META + ',"x":' + ONE + ',"x":' + ONE + "}", b"1234", "'x' appears twice"),
    "duplicate field": (
        "{" + META + ',"x":' + ONE.replace("}", ',"dtype":"F32"}') + "}",
        b"1234",
        "'dtype' appears twice",
    ),
    "duplicate metadata": ("{" + META + "," + META + "}", b"", "'__metadata__' appears twice"),
    "no metadata": ('{"x":' + ONE + "}", b"1234", "metadata is missing"),
    "empty": ("", b"", "does not begin"),
    "a list": ("[]", b"", "does not begin"),
    "space first": (" {" + META + "}", b"", "does not begin"),
    "text after": ("{" + META + "}x", b"", "header is damaged"),
    "cut": ("{" + META, b"", "header is damaged"),
    "nan": ("{" + META + ',"x":NaN}', b"", "NaN is not JSON"),
    "long number": ("{" + META + ',"x":' + "9" * 100_000 + "}", b"", "a number of 100000 digits"),
    "nested": ('{"a":' + "[" * 200_000, b"", "nested too deeply"),
    "escaped checksum": ("{" + META.replace('"sha256"', '"sha\\u0032\\u0035\\u0036"') + "}", b"", "not in its place"),
    "not UTF-8": (b'{"\xff":1}', b"", "header is damaged"),
}


@pytest.mark.parametrize("name", HOSTILE_TEXTS)
def test_hostile_header_text(tmp_path, name):
    refuse(tmp_path, forge(*HOSTILE_TEXTS[name][:2]), HOSTILE_TEXTS[name][2])


@pytest.mark.parametrize("length", [2**22 + 1, 2**31, 2**63, 2**64 - 1])
def test_header_length_is_capped_before_memory_is_taken(tmp_path, length):
    started = time.process_time()
    refuse(tmp_path, struct.pack("<Q", length) + b"{}", f"the header's length is {length}, at most 4194304")
    assert time.process_time() - started < 1


def test_header_length_beyond_the_file(tmp_path):
    refuse(tmp_path, struct.pack("<Q", 3) + b"{}", "the header's length is 3, 2 bytes follow")


def test_largest_headers_are_refused_within_seconds(tmp_path):
    """4 MiB of many small things: duplicates found without comparing all pairs."""
    names = ",".join(f'"{i}":0' for i in range(250_000))
    text = "{" + META + "," + names + ',"249999":0}'
    assert len(text) < header.MAX_HEADER
    started = time.process_time()
    refuse(tmp_path, forge(text), "'249999' appears twice")
    assert time.process_time() - started < 3
