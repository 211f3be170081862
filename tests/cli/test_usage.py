"""What the commands have in common: ``info``, exit codes, messages instead of tracebacks."""

import argparse
import os
import subprocess
import sys

import dlcore
import numpy as np
import pytest
from command import FAST, run
from dlcore.cli import options


def test_info_says_what_show_config_says(capfd):
    dlcore.show_config()
    expected = capfd.readouterr().out
    assert run(capfd, "info") == (0, expected, "")
    chosen = dlcore.device.describe()["isa"]
    assert f"dlcore {dlcore.__version__}, Python" in expected and f"NumPy {np.__version__}" in expected
    assert f"module    {chosen}" in expected and f"  {chosen:<8}in use" in expected
    state = dlcore.devices()["cuda"]
    assert f"  cuda    {'available by to' if state == 'available' else state}" in expected
    assert f"threads   {dlcore.get_num_threads()}" in expected


def test_info_as_a_program_says_why_a_module_was_chosen():
    environment = os.environ | {"DLCORE_ISA": "generic", "DLCORE_NUM_THREADS": "3"}
    done = subprocess.run(
        [sys.executable, "-m", "dlcore.cli", "info"], env=environment, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "module    generic (forced by DLCORE_ISA)" in done.stdout and "threads   3" in done.stdout


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([], "the following arguments are required: COMMAND"),
        (["fly"], "invalid choice: 'fly'"),
        (["train"], "the following arguments are required: MODEL"),
        (["train", "transformer"], "invalid choice: 'transformer'"),
        (["train", "mlp", "--epochs", "0"], "argument --epochs: '0' is not a positive integer"),
        (["train", "mlp", "--epochs", "two"], "argument --epochs: 'two' is not a positive integer"),
        (["train", "mlp", "--lr", "-1"], "argument --lr: '-1' is not a positive number"),
        (["train", "mlp", "--lr", "nan"], "argument --lr: 'nan' is not a positive number"),
        (["train", "mlp", "--seed", "-3"], "argument --seed: '-3' is not an integer from 0 to 2**64 - 1"),
        (["train", "mlp", "--layers", "5,x"], "argument --layers: 'x' is not a positive integer"),
        (["train", "mlp", "--k", "2"], "unrecognized arguments: --k 2"),
        (["train", "mlp", "--data", "nowhere"], "dlcore train: data 'nowhere': no such file or folder, expected"),
        (["train", "rbm", "--layers", "5,4"], "dlcore train: --layers has 2 sizes, expected one"),
        (["train", "mlp", "--pictures"], "dlcore train: --pictures needs a folder to write them to, --out"),
        (["train", "mlp", "--save", "no/such/folder/m"], "dlcore train: --save: there is no folder 'no/such/folder'"),
        (["train", "mlp", "--threads", "5000"], "dlcore train: set_num_threads: n is 5000, expected 1 to 1024"),
        (["train", "mlp", "--save", ""], "argument --save: '' is not a path"),
        (["train", "mlp", "--save", "."], "dlcore train: --save: '.' is a folder"),
        (["train", "mlp", "--out", ""], "argument --out: '' is not a path"),
        (["sample", "m", "--out", "."], "dlcore sample: --out: '.' is a folder"),
        (["demo", "--out", ""], "argument --out: '' is not a path"),
        (["sample", "m"], "the following arguments are required: --out"),
    ],
)
def test_usage_errors(capfd, arguments, message):
    code, out, err = run(capfd, *arguments)
    assert (code, out) == (2, "")
    assert message in err and "Traceback" not in err


@pytest.mark.parametrize(
    "content, message",
    [
        ({"x": np.zeros((10, 4)), "y": np.zeros(9)}, "y is (9,), expected (10,)"),
        ({"x": np.zeros((10, 4), complex), "y": np.zeros(10)}, "x has dtype complex128, expected real numbers"),
        ({"x": np.zeros((10, 4))}, "key is 'y', expected one of x"),
        ({"x": np.full((10, 4), 7.0), "y": np.arange(10) % 2}, "x has 7.0 in row 0, expected values in [0, 1]"),
        ({"x": np.full((10, 4), 0.5), "y": np.zeros(10)}, "does not say how wide its images are"),
        (
            {"x": np.full((10, 4), 0.5), "y": np.arange(10) // 9 * 2_000_000_000},
            "the largest label is 2000000000 with 10 cases in all; labels count from 0",
        ),
    ],
)
def test_bad_data_files(capfd, tmp_path, content, message):
    np.savez(tmp_path / "bad.npz", **content)
    model = "cnn" if "wide" in message else "dbn"
    code, _, err = run(capfd, "train", model, "--data", tmp_path / "bad.npz", "--quiet")
    assert code == 2 and message in err and err.startswith("dlcore train: ")


def test_an_empty_folder_says_what_is_missing(capfd, tmp_path):
    code, _, err = run(capfd, "train", "cnn", "--data", tmp_path)
    assert code == 2 and "files of mnist are missing" in err


def test_failures_on_the_way_exit_with_1(capfd, monkeypatch, tmp_path):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("dlcore.train.store.save_file", full)
    code, _, err = run(capfd, "train", "mlp", *FAST, "--save", tmp_path / "m")
    assert (code, err) == (1, "dlcore train: [Errno 28] No space left on device\n")
    code, _, err = run(capfd, "train", "rbm", *FAST, "--lr", "3e38")
    assert code == 1 and err.startswith("dlcore train: fit: ")


def test_interrupts_exit_with_130(capfd, monkeypatch):
    def interrupted(name):
        raise KeyboardInterrupt

    monkeypatch.setattr("dlcore.cli.train.load_data", interrupted)
    assert run(capfd, "train", "mlp") == (130, "", "dlcore train: interrupted\n")


def test_a_reader_that_leaves_is_no_error():
    """The reader leaves first: `info` waits for it, and then finds nobody to write to."""
    command = f"(sleep 1; {sys.executable} -m dlcore.cli info) | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (1, "")


def test_a_terminal_without_the_signs_gets_question_marks():
    environment = os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    command = [sys.executable, "-m", "dlcore.cli", "train", "rbm", *FAST]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "RBM(64 ? 128)" in done.stdout


def test_a_file_where_a_folder_should_be(capfd, tmp_path):
    (tmp_path / "file").touch()
    code, _, err = run(capfd, "train", "rbm", *FAST, "--out", tmp_path / "file")
    assert code == 2 and err.startswith("dlcore train: ") and "File exists" in err


def test_folders_that_cannot_be_written_are_refused_before_the_training(capfd, tmp_path, monkeypatch):
    def refuse(dir):
        raise OSError(30, "Read-only file system")

    (tmp_path / "rbm.dlcore").mkdir()
    code, _, err = run(capfd, "train", "rbm", "--out", tmp_path)
    assert code == 2 and err == f"dlcore train: --out: {str(tmp_path / 'rbm.dlcore')!r} is a folder\n"
    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    for words in (["train", "rbm", "--save", tmp_path / "m"], ["train", "mlp", "--out", tmp_path],
                  ["demo", "--out", tmp_path], ["sample", "m", "--out", tmp_path / "x.png"]):  # fmt: skip
        code, out, err = run(capfd, *words)
        assert (code, out) == (2, "")
        assert err.endswith(f"cannot write to the folder {str(tmp_path)!r}: Read-only file system\n")


def test_a_closed_standard_output_is_no_error():
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m dlcore.cli info >&-"], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_version(capfd):
    assert run(capfd, "--version") == (0, f"dlcore {dlcore.__version__}\n", "")


def test_table_aligns_columns():
    assert options.table([["name", "n"], ["a", "10"], ["long", "2"]]) == "name   n\n--------\na     10\nlong   2"


def test_option_types():
    assert (
        options.sizes("5,40") == (5, 40) and options.rate("1e-3") == 1e-3 and options.seed(str(2**64 - 1)) == 2**64 - 1
    )
    for function, text in ((options.positive, "1.5"), (options.rate, "inf"), (options.seed, str(2**64))):
        with pytest.raises(argparse.ArgumentTypeError):
            function(text)
