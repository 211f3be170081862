"""Running a command in this process."""

from dlcore.cli import main

FAST = ["--epochs", "1", "--limit", "60", "--quiet"]


def run(capfd, *arguments):
    """Exit code, standard output and standard error of a command."""
    try:
        code = main([str(word) for word in arguments])
    except SystemExit as error:  # argparse's way
        code = error.code
    out, err = capfd.readouterr()
    return code, out, err
