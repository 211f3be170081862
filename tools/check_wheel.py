"""Check what a wheel carries: ``python tools/check_wheel.py dist/*.whl``. Prints every check; fails if one fails."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import zipfile
from email.parser import HeaderParser
from pathlib import Path

LARGEST, LARGEST_WITH_CUDA = 3_500_000, 20_000_000  # bytes
LARGEST_INSTALLED = 7_500_000  # of what it unpacks to, but for _cuda
X86_MODULES = ("generic", "avx2", "avx512")
REQUIRED = ("dlcore/__init__.py", "dlcore/py.typed", "dlcore/data/digits.npz")
SETTINGS = Path(__file__).parents[1] / "python/dlcore/reproduce/settings"
LICENSES = ("LICENSE", "DIGITS_LICENSE.md")
FORBIDDEN = re.compile(r"(^|/)tests?/|/__pycache__/|\.(c|cc|cpp|cu|cuh|h|hpp|o|a|in|map|pyc)$")
# The C and C++ runtimes; a repair tool gives its copies a hash in the name.
SYSTEM = re.compile(r"^(lib(c|m|dl|rt|pthread|gcc_s|stdc\+\+)(-[0-9a-f]+)?\.so|ld-linux)")
# Instructions of the VEX and EVEX encodings, which a processor without AVX does not know: those that start with v, but
# for a few of virtual machines and segments, and BMI.
LEGACY_V = re.compile(
    r"^(verr|verw|vm(call|clear|func|launch|load|mcall|ptrld|ptrst|read|resume|run|save|write|xoff|xon))"
)
BMI = re.compile(r"^(andn|bextr|blsi|blsmsk|blsr|bzhi|mulx|pdep|pext|rorx|sarx|shlx|shrx)[lq]?$")


def output(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def exported(module: Path) -> list[str]:
    return [line.split()[-1] for line in output("nm", "-D", "--defined-only", str(module)).splitlines()]


def libraries(module: Path) -> list[str]:
    return re.findall(r"NEEDED\s+(\S+)", output("objdump", "-p", str(module)))


def instructions(module: Path) -> list[tuple[str, str]]:
    """(mnemonic, operands) of all code."""
    text = output("objdump", "-d", "--no-show-raw-insn", str(module))
    found = re.findall(r"^\s+[0-9a-f]+:\s+(\S+)[ \t]*(.*)$", text, re.MULTILINE)
    if len(found) < 1000:
        raise SystemExit(f"check_wheel: objdump shows only {len(found)} instructions of {module.name}")
    return found


def is_wide(mnemonic: str) -> bool:
    return bool((mnemonic.startswith("v") and not LEGACY_V.match(mnemonic)) or BMI.match(mnemonic))


class Checks:
    """Prints each check and remembers whether one failed."""

    def __init__(self) -> None:
        self.failed = False

    def __call__(self, what: str, faults: object = None) -> None:
        self.failed |= bool(faults)
        print(f"{'FAIL' if faults else 'ok  '}  {what}{f': {faults}' if faults else ''}")


def check_contents(check: Checks, wheel: Path, names: list[str], installed: int, isas: tuple[str, ...]) -> None:
    modules = {
        name.split("/")[1].split(".")[0] for name in names if name.endswith(".so") and name.startswith("dlcore/")
    }
    expected = {f"_cpu_{isa}" for isa in isas} | (modules & {"_cuda"})  # where the build found nvcc
    check(f"compiled modules {', '.join(sorted(expected))}", sorted(modules ^ expected))
    size, largest = wheel.stat().st_size, LARGEST_WITH_CUDA if "_cuda" in modules else LARGEST
    check(f"{size / 1e6:.2f} MB, less than {largest / 1e6:.0f}", [] if size < largest else size)
    check(f"{installed / 1e6:.2f} MB installed, less than {LARGEST_INSTALLED / 1e6}", installed // LARGEST_INSTALLED)
    required = [*REQUIRED, *(f"dlcore/reproduce/settings/{file.name}" for file in SETTINGS.glob("*.json"))]
    check("the package, its type marker and its data", [name for name in required if name not in names])
    stubs = [f"dlcore/_cpu_{isa}.pyi" for isa in X86_MODULES]
    check("stubs of the compiled modules", [name for name in stubs if name not in names])
    held = {name.rsplit("/", 1)[-1] for name in names if ".dist-info/" in name}
    check("licences", [name for name in LICENSES if name not in held])
    check("no tests, no native sources, no bytecode", [name for name in names if FORBIDDEN.search(name)])
    top = {name.split("/")[0] for name in names}
    allowed = re.compile(r"dlcore|dlcore_native-[^/]*\.dist-info|dlcore_native\.libs")
    check("nothing beside the package", [name for name in top if not allowed.fullmatch(name)])


def check_metadata(check: Checks, text: str) -> None:
    metadata = HeaderParser().parsestr(text)
    always = [r for r in metadata.get_all("Requires-Dist", []) if "extra ==" not in r]
    check("requires NumPy alone", [] if [re.split(r"[ <>=!~(]", r)[0] for r in always] == ["numpy"] else always)
    check("Requires-Python >=3.10", [] if metadata["Requires-Python"] == ">=3.10" else [metadata["Requires-Python"]])


def check_module(check: Checks, module: Path, is_x86: bool) -> None:
    name = module.name.split(".")[0]
    isa = name.removeprefix("_cpu_")
    check(f"{name} exports its entry point only", [s for s in exported(module) if s != f"PyInit_{name}"][:5])
    check(f"{name} needs system libraries only", [lib for lib in libraries(module) if not SYSTEM.match(lib)])
    if not is_x86 or name == "_cuda":
        return
    code = instructions(module)
    wide = sorted({mnemonic for mnemonic, _ in code if is_wide(mnemonic)})
    registers = {r for r in ("ymm", "zmm") if any(f"%{r}" in operands for _, operands in code)}
    if isa == "generic":
        check(f"{name}: no AVX or BMI in {len(code)} instructions", wide[:10] or sorted(registers))
    else:
        good = registers == {"ymm"} if isa == "avx2" else "zmm" in registers
        check(f"{name}: vectors of its width and none wider", [] if good else sorted(registers) or "none")


def main(path: str) -> int:
    wheel, check = Path(path), Checks()
    print(wheel.name)
    is_x86 = "x86_64" in wheel.name or "win_amd64" in wheel.name
    with zipfile.ZipFile(wheel) as archive, tempfile.TemporaryDirectory() as folder:
        names = archive.namelist()
        installed = sum(file.file_size for file in archive.infolist() if "/_cuda." not in file.filename)
        check_contents(check, wheel, names, installed, X86_MODULES if is_x86 else ("generic",))
        metadata = [name for name in names if name.endswith(".dist-info/METADATA")]
        check_metadata(check, archive.read(metadata[0]).decode())
        for name in names:
            if name.startswith("dlcore/") and name.endswith(".so"):
                check_module(check, Path(archive.extract(name, folder)), is_x86)
    return int(check.failed)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: check_wheel.py WHEEL")
    sys.exit(main(sys.argv[1]))
