"""Downloads without a network: pooch absent, imitated, and real against a server in this process."""

import hashlib
import http.server
import sys
import threading
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
from dlcore.data import download, load_mnist, write_idx
from dlcore.data.download import SOURCES, Source

FILES = [f"{part}-{kind}-ubyte.gz" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")]


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    monkeypatch.delenv("DLCORE_DATA", raising=False)


def imitate_pooch(monkeypatch, retrieve):
    calls = []

    def recorded(url, known_hash, *, fname, path):
        calls.append((url, known_hash, fname, path))
        return retrieve(url)

    monkeypatch.setitem(sys.modules, "pooch", SimpleNamespace(retrieve=recorded))
    return calls


def test_sources_are_complete():
    assert set(SOURCES) == {"mnist", "fashion-mnist", "kmnist"}
    for source in SOURCES.values():
        assert list(source.sha256) == FILES
        assert all(len(bytes.fromhex(digest)) == 32 for digest in source.sha256.values())
        assert all(mirror.endswith("/") for mirror in source.mirrors)
    assert len({digest for source in SOURCES.values() for digest in source.sha256.values()}) == 12


def test_pooch_absent(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(ImportError) as caught:
        download("mnist", tmp_path)
    assert str(caught.value) == "download: pooch is not installed; get it with: pip install 'pooch>=1.7'"
    assert list(tmp_path.iterdir()) == []


def test_unknown_name(tmp_path):
    with pytest.raises(ValueError, match="download: name is 'cifar', expected one of mnist, fashion-mnist, kmnist"):
        download("cifar", tmp_path)


def test_no_folder():
    with pytest.raises(ValueError, match="download: folder is not given and DLCORE_DATA is not set, expected one of"):
        download("mnist")


@pytest.mark.parametrize("by_environment", [False, True])
def test_every_file_is_asked_for_with_its_checksum(tmp_path, monkeypatch, by_environment):
    calls = imitate_pooch(monkeypatch, str)
    monkeypatch.setenv("DLCORE_DATA", str(tmp_path if by_environment else tmp_path / "other"))
    assert download("kmnist", None if by_environment else tmp_path) == tmp_path / "kmnist"
    source = SOURCES["kmnist"]
    assert calls == [
        (source.mirrors[0] + name, f"sha256:{source.sha256[name]}", name, tmp_path / "kmnist") for name in FILES
    ]
    assert (tmp_path / "kmnist").is_dir()


def test_next_mirror_is_tried(tmp_path, monkeypatch):
    def first_is_down(url):
        if url.startswith(SOURCES["mnist"].mirrors[0]):
            raise OSError("no route")

    calls = imitate_pooch(monkeypatch, first_is_down)
    download("mnist", tmp_path)
    assert len(calls) == 8


@pytest.mark.parametrize(("failure", "kind"), [(OSError("down"), ConnectionError), (ValueError("hash"), ValueError)])
def test_no_mirror_has_it(tmp_path, monkeypatch, failure, kind):
    def fail(url):
        raise failure

    imitate_pooch(monkeypatch, fail)
    with pytest.raises(kind) as caught:
        download("mnist", tmp_path)
    reasons = "; ".join(f"{mirror}: {failure}" for mirror in SOURCES["mnist"].mirrors)
    assert str(caught.value) == f"download: {FILES[0]} could not be had: {reasons}"


@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), PermissionError("read-only folder")])
def test_local_failures_are_not_blamed_on_mirrors(tmp_path, monkeypatch, failure):
    def fail(url):
        raise failure

    calls = imitate_pooch(monkeypatch, fail)
    with pytest.raises(OSError, match=str(failure.args[-1])) as caught:
        download("mnist", tmp_path)
    assert caught.value is failure
    assert len(calls) == 1


@pytest.fixture
def served(tmp_path, monkeypatch):
    """Serve a small set from this process in the place of MNIST's second mirror; the first one refuses."""
    folder = tmp_path / "served"
    folder.mkdir()
    for name in FILES:
        write_idx(folder / name, np.ones((3, 28, 28) if "images" in name else 3, np.uint8))

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        base = f"http://127.0.0.1:{server.server_port}/"
        sums = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in FILES}
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setitem(SOURCES, "mnist", Source((base + "none/", base), sums))
        yield folder
        server.shutdown()
        thread.join()


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_real_pooch(tmp_path, served):
    pytest.importorskip("pooch")
    target = download("mnist", tmp_path)
    assert sorted(path.name for path in target.iterdir()) == sorted(FILES)
    train, test = load_mnist(tmp_path)
    assert train.x.shape == test.x.shape == (3, 784)
    # What is there and sound is not fetched again.
    for name in FILES:
        (served / name).unlink()
    assert download("mnist", tmp_path) == target


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_real_pooch_refuses_another_checksum(tmp_path, served):
    pytest.importorskip("pooch")
    (served / FILES[2]).write_bytes(b"something else")
    with pytest.raises(ValueError, match=rf"download: {FILES[2]} could not be had: .*hash"):
        download("mnist", tmp_path)
    assert not (tmp_path / "mnist" / FILES[2]).exists()
    with pytest.raises(FileNotFoundError):
        load_mnist(tmp_path)
