"""Checksummed download of the MNIST family, with the library pooch (the ``download`` extra)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

FOLDER_VARIABLE = "DLCORE_DATA"


@dataclass(frozen=True)
class Source:
    """Where a set is published: mirrors, the preferred first, and the SHA-256 of each file."""

    mirrors: tuple[str, ...]
    sha256: dict[str, str]


# MNIST's were computed from the files; the others' are those that torchvision's dataset prototypes publish.
SOURCES = {
    "mnist": Source(
        ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/"),
        {
            "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        },
    ),
    "fashion-mnist": Source(
        (
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        ),
        {
            "train-images-idx3-ubyte.gz": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            "train-labels-idx1-ubyte.gz": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            "t10k-images-idx3-ubyte.gz": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            "t10k-labels-idx1-ubyte.gz": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        },
    ),
    "kmnist": Source(
        ("https://codh.rois.ac.jp/kmnist/dataset/kmnist/", "http://codh.rois.ac.jp/kmnist/dataset/kmnist/"),
        {
            "train-images-idx3-ubyte.gz": "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
            "train-labels-idx1-ubyte.gz": "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
            "t10k-images-idx3-ubyte.gz": "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
            "t10k-labels-idx1-ubyte.gz": "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
        },
    ),
}


def download(name: str, folder: str | os.PathLike[str] | None = None) -> Path:
    """Fetch the four files of a set into ``folder/name``, where `load_mnist` finds them.

    Every file is checked against a SHA-256 known beforehand, before it gets its name; a file that is already there
    and sound is not fetched again. The mirrors are tried in turn.

    Parameters
    ----------
    name : str
        ``mnist``, ``fashion-mnist`` (MIT licence) or ``kmnist`` (CC BY-SA 4.0, ROIS-DS CODH).
    folder : str or path, optional
        Made if need be; by default the environment variable ``DLCORE_DATA``.

    Returns
    -------
    Path
        ``folder/name``.

    Raises
    ------
    ImportError
        pooch, which the ``download`` extra brings, is not installed.
    ValueError
        An unknown name, no folder, or no mirror has a file with the known checksum.
    ConnectionError
        No mirror could be reached.
    OSError
        The folder cannot be made or written.
    """
    if name not in SOURCES:
        raise ValueError(f"download: name is {name!r}, expected one of {', '.join(SOURCES)}")
    root = folder if folder is not None else os.environ.get(FOLDER_VARIABLE)
    if not root:
        raise ValueError(f"download: folder is not given and {FOLDER_VARIABLE} is not set, expected one of them")
    try:
        import pooch  # type: ignore[import-not-found,import-untyped,unused-ignore]
    except ImportError as error:
        raise ImportError("download: pooch is not installed; get it with: pip install 'pooch>=1.7'") from error

    source = SOURCES[name]
    target = Path(root) / name
    target.mkdir(parents=True, exist_ok=True)
    for file_name, sha256 in source.sha256.items():
        reasons: list[str] = []
        kind: type[Exception] = ConnectionError
        for mirror in source.mirrors:
            try:
                pooch.retrieve(mirror + file_name, f"sha256:{sha256}", fname=file_name, path=target)
                break
            except (OSError, ValueError) as error:
                # A full disk or a refused write is not the mirror's doing; requests' own errors carry no errno.
                if isinstance(error, PermissionError) or getattr(error, "errno", None) is not None:
                    raise
                # requests' errors are OSErrors; a plain ValueError is pooch's at another checksum.
                if not isinstance(error, OSError):
                    kind = ValueError
                reasons.append(f"{mirror}: {error}")
        else:
            raise kind(f"download: {file_name} could not be had: {'; '.join(reasons)}")
    return target
