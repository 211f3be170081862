"""The .npy and .npz reader: what NumPy writes comes back, and damaged or hostile files are refused cheaply."""

import io
import os
import pickle
import tracemalloc
import zipfile

import numpy as np
import pytest
from dlcore.data import load_array_file


def npy(array, **kwargs):
    buffer = io.BytesIO()
    np.save(buffer, array, **kwargs)
    return buffer.getvalue()


def npy_header(text, version=(1, 0)):
    width = 2 if version == (1, 0) else 4
    return b"\x93NUMPY" + bytes(version) + len(text).to_bytes(width, "little") + text.encode("latin1")


def put(folder, content, name="a.npy"):
    path = folder / name
    path.write_bytes(content)
    return path


def refusal(path, key=None):
    with pytest.raises(ValueError) as caught:
        load_array_file(path, key)
    assert str(caught.value).startswith("load_array_file: ")
    return str(caught.value).removeprefix("load_array_file: ")


@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0), (2, 3)])
@pytest.mark.parametrize("dtype", ["bool", "u1", "<i8", ">i4", "f2", "<f4", ">f8", "c16"])
def test_round_trip(tmp_path, dtype, shape):
    array = np.ones(shape, dtype=dtype)
    for layout in (array, np.array(array, order="F")):
        back = load_array_file(put(tmp_path, npy(layout)))
        assert back.dtype == np.dtype(dtype).newbyteorder("=")
        assert back.shape == shape
        assert np.array_equal(back, array)
        assert back.flags.c_contiguous
        assert back.flags.writeable


def test_fortran_order(tmp_path):
    array = np.arange(6.0).reshape(2, 3)
    assert np.array_equal(load_array_file(put(tmp_path, npy(np.asfortranarray(array)))), array)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_archive(tmp_path, save):
    path = tmp_path / "a.npz"
    save(path, x=np.arange(6.0).reshape(2, 3), y=np.arange(2))
    assert load_array_file(path, "x").tolist() == [[0, 1, 2], [3, 4, 5]]
    assert load_array_file(str(path), "y").tolist() == [0, 1]
    assert refusal(path) == f"key is None, expected one of x, y ({path})"
    assert refusal(path, "z") == f"key is 'z', expected one of x, y ({path})"
    save(path, np.arange(4))
    assert load_array_file(path).tolist() == [0, 1, 2, 3]


def test_refusals(tmp_path):
    path = put(tmp_path, b"GARBAGE")
    assert refusal(path) == rf"file starts with b'GARBAG', expected b'\x93NUMPY' or b'PK' ({path})"
    put(tmp_path, npy(np.arange(3.0))[:-1])
    assert refusal(path) == f"file is 151 bytes, expected 152 ({path})"
    put(tmp_path, npy(np.arange(3.0)) + b"x")
    assert refusal(path) == f"file is 153 bytes, expected 152 ({path})"
    put(tmp_path, npy(np.array(["a", "b"])))
    assert refusal(path) == f"dtype is <U1, expected booleans or numbers ({path})"
    put(tmp_path, npy(np.zeros(2, [("a", "f4")])))
    assert refusal(path).startswith("dtype is [('a', '<f4')], expected booleans or numbers")
    put(tmp_path, npy_header("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }"))
    assert refusal(path) == f"shape is (-1,), expected sizes from 0 to {2**63 - 1} bytes ({path})"
    put(tmp_path, npy_header(f"{{'descr': '<f4', 'fortran_order': False, 'shape': (0, {2**62}, 2)}}"))
    assert refusal(path).startswith("shape is (0, ")
    put(tmp_path, npy_header(f"{{'descr': '|u1', 'fortran_order': False, 'shape': {(1,) * 33}}}") + b"x")
    assert refusal(path) == f"number of dimensions is 33, expected 0 to 32 ({path})"
    for version in [(1, 0), (2, 0), (9, 0)]:
        put(tmp_path, npy_header("{'descr'", version))
        assert refusal(path).startswith("header is damaged: ")


class Harmful:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was run",))


def test_pickles_are_never_run(tmp_path):
    path = put(
        tmp_path, npy_header("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }") + pickle.dumps(Harmful())
    )
    assert refusal(path) == f"dtype is object, expected booleans or numbers ({path})"
    path = put(tmp_path, pickle.dumps(Harmful()))
    assert refusal(path).startswith("file starts with ")


def test_archive_refusals(tmp_path):
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w"):
        pass
    assert refusal(path) == f"key is None, expected one of none, it is empty ({path})"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("x.npy", npy(np.arange(3)))
    assert refusal(path) == f"x has compression 14, expected 0 or 8 ({path})"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", npy(np.arange(3.0)) + b"more")
    assert refusal(path) == f"file is 156 bytes, expected 152 ({path}: x)"
    put(tmp_path, b"PK\3\4 and no more", "a.npz")
    assert refusal(path).startswith("archive is damaged: ")


def test_huge_declaration_allocates_nothing(tmp_path):
    path = put(tmp_path, npy_header(f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({2**40},)}}"))
    tracemalloc.start()
    try:
        assert refusal(path).endswith(f"expected {path.stat().st_size + 2**43} ({path})")
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_file_that_shrinks_while_it_is_read(tmp_path, monkeypatch):
    path = put(tmp_path, npy(np.arange(3.0))[:-1])
    longer = os.stat_result([*path.stat()[:6], 152, *path.stat()[7:]])
    monkeypatch.setattr(os, "fstat", lambda number: longer)
    assert refusal(path) == f"data is 23 bytes, expected 24 ({path})"


def test_member_outside_the_archive(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, x=np.arange(3.0))
    content = path.read_bytes()
    entry = content.rindex(b"PK\1\2")
    path.write_bytes(content[: entry + 42] + (10**6).to_bytes(4, "little") + content[entry + 46 :])
    assert refusal(path).startswith(("x is at byte 1000000, expected 0 to ", "archive is damaged: "))


def test_size_lied_about_in_an_archive(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, x=np.arange(3.0))
    content = path.read_bytes()
    entry = content.rindex(b"PK\1\2")
    path.write_bytes(content[: entry + 24] + (2**31).to_bytes(4, "little") + content[entry + 28 :])
    assert refusal(path) == f"x is 152 bytes in the archive, too few for the {2**31} that it declares ({path})"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_damaged_anywhere(tmp_path, suffix):
    array = np.arange(4, dtype=np.uint8)
    path = tmp_path / f"a{suffix}"
    if suffix == ".npy":
        np.save(path, array)
    else:
        np.savez_compressed(path, x=array)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        refusal(path, "x")
    for place in range(len(whole)):
        for bit in range(8):
            changed = bytearray(whole)
            changed[place] ^= 1 << bit
            path.write_bytes(changed)
            try:
                back = load_array_file(path, "x")
            except ValueError as error:
                assert str(error).startswith("load_array_file: ")
            else:
                # Without a checksum (.npy) the numbers, their type and their order may be others; never their count.
                assert suffix == ".npy" or np.array_equal(back, array)
                assert back.nbytes == 4
