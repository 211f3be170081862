"""IDX files: the format byte by byte, every refusal, and files damaged in every place."""

import gzip
import os
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from dlcore.data import read_idx, write_idx

DTYPES = ["uint8", "int8", "int16", "int32", "float32", "float64"]
MIB = 1 << 20


def idx_bytes(code, sizes, content=b""):
    return struct.pack(f">{1 + len(sizes)}I", code << 8 | len(sizes), *sizes) + content


def put(folder, content, name="a.idx"):
    path = folder / name
    path.write_bytes(content)
    return path


def refusal(path, **kwargs):
    """Return the message of the ValueError, and check that it ends with the file's name."""
    with pytest.raises(ValueError) as caught:
        read_idx(path, **kwargs)
    message = str(caught.value)
    assert message.startswith("idx: ")
    assert message.endswith(f"({path})")
    return message.removeprefix("idx: ").removesuffix(f" ({path})")


@pytest.mark.parametrize("name", ["a.idx", "a.idx.gz"])
@pytest.mark.parametrize("shape", [(0,), (1,), (5,), (3, 0, 2), (2, 3), (2, 3, 4, 5)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_round_trip(tmp_path, dtype, shape, name):
    rng = np.random.default_rng(0)
    array = rng.integers(0, 256, (*shape, np.dtype(dtype).itemsize), dtype=np.uint8).view(dtype)[..., 0]
    write_idx(tmp_path / name, array)
    back = read_idx(str(tmp_path / name))
    assert back.dtype == np.dtype(dtype)
    assert back.dtype.isnative
    assert back.shape == shape
    assert back.tobytes() == array.tobytes()
    assert back.flags.c_contiguous
    assert back.flags.writeable
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(
    ("dtype", "code", "values", "content"),
    [
        ("uint8", 0x08, [0, 255], "00 ff"),
        ("int8", 0x09, [-1, 127], "ff 7f"),
        ("int16", 0x0B, [1, -2], "0001 fffe"),
        ("int32", 0x0C, [1, -2], "00000001 fffffffe"),
        ("float32", 0x0D, [1.0, -2.0], "3f800000 c0000000"),
        ("float64", 0x0E, [1.0, -2.0], "3ff0000000000000 c000000000000000"),
    ],
)
def test_bytes_of_every_type(tmp_path, dtype, code, values, content):
    expected = bytes([0, 0, code, 1, 0, 0, 0, 2]) + bytes.fromhex(content)
    write_idx(tmp_path / "a", np.array(values, dtype=dtype))
    assert (tmp_path / "a").read_bytes() == expected
    assert read_idx(tmp_path / "a").tolist() == values


def test_write_accepts_any_layout_and_byte_order(tmp_path):
    plain = np.arange(24, dtype=np.int32).reshape(4, 6)
    layouts = [plain.astype(">i4"), np.asfortranarray(plain), plain.repeat(2, 0)[::2], plain[::-1, ::-1][::-1, ::-1]]
    for array in layouts:
        write_idx(tmp_path / "a", array)
        assert np.array_equal(read_idx(tmp_path / "a"), plain)
    write_idx(tmp_path / "a", np.broadcast_to(np.float32(2), (3, 2)))
    assert read_idx(tmp_path / "a").tolist() == [[2, 2]] * 3


def test_compressed_files_are_reproducible_and_known_by_content(tmp_path):
    array = np.arange(100, dtype=np.uint8)
    write_idx(tmp_path / "a.gz", array)
    write_idx(tmp_path / "b.gz", array)
    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()
    (tmp_path / "a.gz").rename(tmp_path / "a.idx")
    assert np.array_equal(read_idx(tmp_path / "a.idx"), array)


def test_gzip_of_several_members_is_one_stream(tmp_path):
    content = idx_bytes(8, [6], b"abcdef")
    path = put(tmp_path, gzip.compress(content[:5]) + gzip.compress(content[5:10]) + gzip.compress(content[10:]))
    assert read_idx(path).tobytes() == b"abcdef"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "content is 0 bytes, expected at least a header of 4"),
        (b"\0\0\x08", "content is 3 bytes, expected at least a header of 4"),
        (b"\x12\x34\x08\x01", "magic number is 0x12340801, expected 0x0000TTDD with TT in 08 09 0b 0c 0d 0e"),
        (b"\0\0\x0a\x01", "magic number is 0x00000a01, expected 0x0000TTDD with TT in 08 09 0b 0c 0d 0e"),
        (b"\0\0\x08\0", "number of dimensions is 0, expected 1 to 32"),
        (b"\0\0\x08\x21", "number of dimensions is 33, expected 1 to 32"),
        (idx_bytes(8, [1, 2])[:-1], "header is 11 bytes, expected 12"),
        (idx_bytes(8, [5], b"abcd"), "file is 12 bytes, too few for the 13 that its header declares"),
        (idx_bytes(8, [3], b"abcd"), "content goes on after the 11 bytes that its header declares"),
        (
            idx_bytes(0x0E, [0, 2**32 - 1, 2**32 - 1]),
            f"sizes are (0, 4294967295, 4294967295) of 8 bytes, expected at most {2**63 - 1}",
        ),
    ],
)
def test_refusals(tmp_path, content, message):
    assert refusal(put(tmp_path, content)) == message


def test_refusals_inside_gzip(tmp_path):
    path = put(tmp_path, gzip.compress(idx_bytes(8, [5], b"abcd")))
    assert refusal(path) == "content is 12 bytes, expected 13"
    path = put(tmp_path, gzip.compress(idx_bytes(8, [3], b"abcd")))
    assert refusal(path) == "content goes on after the 11 bytes that its header declares"
    whole = gzip.compress(idx_bytes(8, [4], b"abcd"))
    path = put(tmp_path, whole[:-1])
    assert refusal(path) == f"gzip stream of {len(whole) - 1} bytes has no end, it is cut short"
    assert refusal(put(tmp_path, whole + b"more")).startswith("gzip stream is damaged: ")


def test_file_that_shrinks_while_it_is_read(tmp_path, monkeypatch):
    path = put(tmp_path, idx_bytes(8, [5], b"abcd"))
    longer = os.stat_result([*path.stat()[:6], 13, *path.stat()[7:]])
    monkeypatch.setattr(os, "fstat", lambda number: longer)
    assert refusal(path) == "content is 12 bytes, expected 13"


def test_expected_magic(tmp_path):
    path = put(tmp_path, idx_bytes(8, [1], b"a"))
    assert read_idx(path, magic=0x801).tolist() == [97]
    assert refusal(path, magic=0x803) == "magic number is 0x00000801, expected 0x00000803"


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_idx(tmp_path / "none")


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_every_value_of_every_header_byte(tmp_path, pack):
    content = idx_bytes(0x0B, [2, 3], bytes(range(12)))
    accepted = 0
    for place in range(12):
        for value in range(256):
            changed = bytearray(content)
            changed[place] = value
            path = put(tmp_path, pack(changed))
            if bytes(changed[:2]) == b"\x1f\x8b":
                continue
            try:
                array = read_idx(path)
            except ValueError as error:
                assert str(error).startswith("idx: ")
                continue
            accepted += 1
            n = changed[3]
            sizes = struct.unpack_from(f">{n}I", changed, 4)
            assert array.shape == sizes
            assert array.astype(array.dtype.newbyteorder(">")).tobytes() == bytes(changed[4 + 4 * n :])
    # The unchanged header once per byte, and nothing else of this length.
    assert accepted == 12


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_cut_anywhere(tmp_path, pack):
    content = pack(idx_bytes(8, [50], bytes(range(50))))
    for length in range(len(content)):
        refusal(put(tmp_path, content[:length]))


def test_damaged_gzip_never_gives_other_numbers(tmp_path):
    array = np.random.default_rng(0).integers(0, 4, 300, dtype=np.uint8)
    write_idx(tmp_path / "a.gz", array)
    whole = (tmp_path / "a.gz").read_bytes()
    harmless = 0
    for place in range(len(whole)):
        for bit in range(8):
            changed = bytearray(whole)
            changed[place] ^= 1 << bit
            path = put(tmp_path, changed)
            try:
                assert np.array_equal(read_idx(path), array)
                harmless += 1
            except ValueError as error:
                assert str(error).startswith("idx: ")
    # Time stamp, extra flags, operating system, and unused flags of the 10-byte gzip header.
    assert harmless <= 8 * 7


def peak_of_refusal(path):
    tracemalloc.start()
    try:
        message = refusal(path)
        return message, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_bomb_is_not_unpacked(tmp_path):
    path = put(tmp_path, gzip.compress(idx_bytes(8, [16]) + bytes(64 * MIB)))
    message, peak = peak_of_refusal(path)
    assert message == "content goes on after the 24 bytes that its header declares"
    assert peak < MIB


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize("sizes", [[2**32 - 1], [2**20, 2**12], [2**31, 2**31, 2], [2**32 - 1] * 32])
def test_huge_declarations_allocate_nothing(tmp_path, pack, sizes):
    message, peak = peak_of_refusal(put(tmp_path, pack(idx_bytes(8, sizes, b"abc"))))
    assert "declares" in message or message.startswith("sizes are")
    assert peak < MIB


@pytest.mark.parametrize("dtype", ["int64", "uint16", "bool", "float16", "complex64", "U1", "O"])
def test_write_refuses_other_types(tmp_path, dtype):
    with pytest.raises(TypeError) as caught:
        write_idx(tmp_path / "a", np.zeros(2, dtype=dtype))
    assert str(caught.value) == (
        f"idx: dtype is {np.dtype(dtype)}, expected one of uint8 int8 int16 int32 float32 float64 ({tmp_path / 'a'})"
    )


def test_write_refuses_what_the_header_cannot_say(tmp_path):
    path = tmp_path / "a"
    with pytest.raises(ValueError, match=r"idx: number of dimensions is 0, expected 1 to 32 \("):
        write_idx(path, np.uint8(1))
    with pytest.raises(ValueError, match=r"idx: sizes are \(4294967296,\), expected below 4294967296 \("):
        write_idx(path, np.broadcast_to(np.uint8(0), 2**32))
    assert not path.exists()


@pytest.mark.skipif(int(np.__version__.split(".")[0]) < 2, reason="NumPy 1 has at most 32 dimensions")
def test_write_refuses_33_dimensions(tmp_path):
    with pytest.raises(ValueError, match=r"idx: number of dimensions is 33, expected 1 to 32 \("):
        write_idx(tmp_path / "a", np.zeros((1,) * 33, np.uint8))


@pytest.mark.parametrize("name", ["a", "a.gz"])
def test_failed_write_leaves_the_old_file(tmp_path, monkeypatch, name):
    path = tmp_path / name
    write_idx(path, np.arange(3, dtype=np.uint8))

    def full_disk(number):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full_disk)
        with pytest.raises(OSError, match="No space left"):
            write_idx(path, np.arange(9, dtype=np.uint8))
    assert read_idx(path).tolist() == [0, 1, 2]
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


def test_write_into_missing_folder(tmp_path):
    with pytest.raises(FileNotFoundError):
        write_idx(tmp_path / "none" / "a", np.arange(3, dtype=np.uint8))


@pytest.mark.skipif(os.name != "posix", reason="POSIX permissions")
def test_written_file_has_the_usual_permissions(tmp_path):
    write_idx(tmp_path / "a", np.arange(3, dtype=np.uint8))
    usual = put(tmp_path, b"", "b")
    assert Path(tmp_path / "a").stat().st_mode == usual.stat().st_mode
