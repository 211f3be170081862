"""The file format: round trips, the atomic save, and every damaged or hostile file refused."""

import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from dlcore.train import checkpoint, header, load_file, read_header, save_file

TENSORS = {
    "layers.0.weight": np.arange(6, dtype=np.float32).reshape(2, 3) / 7,
    "scalar": np.array(1.5),
    "empty": np.zeros((0, 4), np.float32),
    "counts": np.array([-1, 2**31 - 1], np.int32),
    "bytes": np.array([0, 255], np.uint8),
}
METADATA = {"model": "MLP", "config": {"sizes": [2, 3], "lr": 0.1, "none": None}, "history": []}


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "model.dlcore"
    save_file(path, TENSORS, METADATA)
    return path


def test_round_trip(saved):
    tensors, metadata = load_file(saved)
    assert metadata == METADATA
    assert set(tensors) == set(TENSORS)
    for name, value in TENSORS.items():
        assert tensors[name].dtype == value.dtype
        assert tensors[name].shape == value.shape
        assert np.array_equal(tensors[name], value)
        assert tensors[name].flags.writeable


@pytest.mark.parametrize("dtype", [str(d) for d in header.DTYPES.values()])
def test_every_dtype_and_byte_order(tmp_path, dtype):
    values = np.arange(5).astype(dtype)
    for given in (values, values.astype(values.dtype.newbyteorder(">"))):
        save_file(tmp_path / "f", {"x": given}, {})
        found = load_file(tmp_path / "f")[0]["x"]
        assert found.dtype == values.dtype.newbyteorder("=")
        assert found.dtype.isnative
        assert np.array_equal(found, values)


def test_memory_layouts_are_stored_as_numbers(tmp_path):
    base = np.arange(24.0).reshape(4, 6)
    views = {"t": base.T, "strided": base[::2, ::-3], "broadcast": np.broadcast_to(np.float32(3), (2, 5))}
    save_file(tmp_path / "f", views, {})
    for name, found in load_file(tmp_path / "f")[0].items():
        assert np.array_equal(found, views[name])


def test_the_file_is_safetensors(saved):
    """By the published layout: length, JSON, contiguous offsets, aligned wide elements."""
    content = saved.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    assert (8 + length) % 8 == 0
    found = json.loads(content[8 : 8 + length])
    assert all(isinstance(value, str) for value in found.pop("__metadata__").values())
    data = content[8 + length :]
    for name, value in TENSORS.items():
        begin, end = found[name]["data_offsets"]
        assert begin % value.dtype.itemsize == 0
        assert data[begin:end] == value.tobytes()
    assert max(fields["data_offsets"][1] for fields in found.values()) == len(data)


def test_a_tensor_may_be_named_like_the_checksum(tmp_path):
    name = '"sha256":"' + "0" * 64 + '"'
    save_file(tmp_path / "f", {name: np.ones(2)}, {"note": name})
    tensors, metadata = load_file(tmp_path / "f")
    assert list(tensors) == [name]
    assert metadata == {"note": name}


def test_read_header_looks_at_no_data(saved):
    found = read_header(saved)
    assert found.shapes == {name: value.shape for name, value in TENSORS.items()}
    assert found.metadata == METADATA


@pytest.mark.parametrize("bit", [0, 5, 7])  # another digit, another case, no ASCII
def test_every_flipped_bit_is_refused(saved, bit):
    content = saved.read_bytes()
    for position in range(len(content)):
        changed = bytearray(content)
        changed[position] ^= 1 << bit
        saved.write_bytes(changed)
        with pytest.raises(ValueError, match="is refused"):
            load_file(saved)


def test_every_truncation_is_refused(saved):
    content = saved.read_bytes()
    for length in range(len(content)):
        saved.write_bytes(content[:length])
        with pytest.raises(ValueError, match="is refused"):
            load_file(saved)
    saved.write_bytes(content + b"\0")
    with pytest.raises(ValueError, match="the tensors take"):
        load_file(saved)


def test_only_regular_files_are_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, Path(os.devnull)):
        with pytest.raises(ValueError, match="not a regular file"):
            load_file(path)
    with pytest.raises(FileNotFoundError):
        load_file(tmp_path / "none")


def test_check_refuses_before_data_is_read(saved, monkeypatch):
    monkeypatch.setattr(checkpoint, "_read_tensor", lambda *_: pytest.fail("the data was read"))

    def check(found):
        raise ValueError(f"no {sorted(found.shapes)[0]} here")

    with pytest.raises(ValueError, match="is refused: no bytes here"):
        load_file(saved, check)


@pytest.mark.parametrize(
    ("tensors", "metadata", "error", "message"),
    [
        ({"x": np.zeros(1, complex)}, {}, TypeError, "x has dtype complex128, expected one of"),
        ({"x": np.zeros(1, object)}, {}, TypeError, "x has dtype object"),
        ({"x": np.array(["a"])}, {}, TypeError, "x has dtype <U1"),
        ({"": np.zeros(1)}, {}, ValueError, "a tensor is named ''"),
        ({"__metadata__": np.zeros(1)}, {}, ValueError, "a tensor is named '__metadata__'"),
        ({}, {"sha256": "x"}, ValueError, "metadata 'sha256' is reserved"),
        ({}, {"x": object()}, TypeError, "not JSON serializable"),
        ({}, {"x": "a" * 2**22}, ValueError, "the header has .* bytes, at most 4194304"),
    ],
)
def test_what_the_format_cannot_hold_is_not_written(saved, tensors, metadata, error, message):
    before = saved.read_bytes()
    with pytest.raises(error, match=message):
        save_file(saved, tensors, metadata)
    assert saved.read_bytes() == before
    assert names(saved.parent) == [saved.name]


# --- the save replaces a file in one step ---


@pytest.mark.parametrize("step", ["write", "flush", "fsync", "replace"])
def test_a_full_disk_leaves_the_old_file(saved, monkeypatch, step):
    before = saved.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    if step in ("fsync", "replace"):
        monkeypatch.setattr(*((checkpoint.os, "fsync", full) if step == "fsync" else (Path, "replace", full)))
    else:
        real = os.fdopen

        class Full:
            def __init__(self, file):
                self.file = file

            def __enter__(self):
                return self

            def __exit__(self, *_):
                self.file.close()

            def __getattr__(self, name):
                return full if name == step else getattr(self.file, name)

        monkeypatch.setattr(checkpoint.os, "fdopen", lambda *arguments: Full(real(*arguments)))
    with pytest.raises(OSError, match="No space left"):
        save_file(saved, {"x": np.ones(3)}, {})
    assert saved.read_bytes() == before
    assert names(saved.parent) == [saved.name]


def test_a_really_full_disk(tmp_path):
    """A limit on the file's size makes the kernel fail the write as a full disk would."""
    path = tmp_path / "model"
    save_file(path, {"x": np.ones(3)}, {})
    before = path.read_bytes()
    code = f"""
import resource, signal, numpy as np
from dlcore.train import save_file
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    save_file({str(path)!r}, {{"x": np.ones(10**6)}}, {{}})
except OSError as error:
    print(error.errno)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "27"
    assert path.read_bytes() == before
    assert names(tmp_path) == ["model"]


KILLED = """
import os, pathlib, sys, numpy as np
from dlcore.train import checkpoint, save_file
if sys.argv[2] == "before":
    pathlib.Path.replace = lambda *_: os.kill(os.getpid(), 9)
else:
    checkpoint._sync_folder = lambda *_: os.kill(os.getpid(), 9)
save_file(sys.argv[1], {"x": np.full(5, 2.0)}, {})
"""


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_kill_leaves_the_old_file_or_the_new_one(tmp_path, when):
    path = tmp_path / "model"
    save_file(path, {"x": np.ones(5)}, {})
    run = subprocess.run([sys.executable, "-c", KILLED, str(path), when], check=False)
    assert run.returncode == -9
    assert load_file(path)[0]["x"][0] == (1.0 if when == "before" else 2.0)
    left = [name for name in names(tmp_path) if name.endswith(".tmp")]
    assert len(left) == (when == "before")
    save_file(path, {"x": np.full(5, 3.0)}, {})  # removes what the dead process left
    assert names(tmp_path) == ["model"]


def test_temporaries_of_living_writers_and_other_files_stay(saved):
    living = saved.with_name(f".{saved.name}.1-00000000.tmp")
    other = saved.with_name(".another.1-00000000.tmp")
    other.write_bytes(b"")
    for name in ("notes.tmp", "1-0000000g.tmp", "1-000000000.tmp", "x1-00000000.tmp"):  # a user's
        saved.with_name(f".{saved.name}.{name}").write_bytes(b"")
    with living.open("wb") as file:
        checkpoint.fcntl.flock(file.fileno(), checkpoint.fcntl.LOCK_EX)
        save_file(saved, {}, {})
        assert living.exists()
    save_file(saved, {}, {})
    assert not living.exists()
    assert other.exists() and len(names(saved.parent)) == 2 + 4


def test_an_interrupt_removes_the_temporary_file(saved, monkeypatch):
    before = saved.read_bytes()

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint.os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        save_file(saved, {}, {})
    assert saved.read_bytes() == before
    assert names(saved.parent) == [saved.name]


def test_a_temporary_file_taken_away_before_its_lock_is_made_again(tmp_path, monkeypatch):
    real, calls = checkpoint._lock, []

    def lock(descriptor):
        calls.append(descriptor)
        if len(calls) == 1:
            next(p for p in tmp_path.iterdir() if p.name.endswith(".tmp")).unlink()
        return real(descriptor)

    monkeypatch.setattr(checkpoint, "_lock", lock)
    save_file(tmp_path / "model", {"x": np.ones(2)}, {})
    assert len(calls) == 2
    assert load_file(tmp_path / "model")[0]["x"].tolist() == [1, 1]


def test_a_symbolic_link_is_followed(tmp_path):
    (tmp_path / "real").mkdir()
    save_file(tmp_path / "real" / "model", {}, {"n": 1})
    (tmp_path / "link").symlink_to(tmp_path / "real" / "model")
    save_file(tmp_path / "link", {}, {"n": 2})
    assert (tmp_path / "link").is_symlink()
    assert load_file(tmp_path / "real" / "model")[1] == {"n": 2}


def test_a_missing_folder(tmp_path):
    with pytest.raises(FileNotFoundError):
        save_file(tmp_path / "none" / "model", {}, {})
