"""The process around the arithmetic: modules and threads chosen from the environment, fork, memory, import."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dlcore
import dlcore.device
import numpy as np
import pytest
from dlcore import Generator, Tensor, nn, ops, optim, tensor, value_and_grad

LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


def python(code: str, **environment: str) -> str:
    """What a fresh interpreter prints, with nothing about dlcore in its environment but what is given."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("DLCORE_", "OMP_", "GOMP_"))}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(code)],
        env={**kept, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# --- threads ---


def test_threads_are_set_and_checked(device: Any) -> None:
    for n in (1, 2, 1024):
        dlcore.set_num_threads(n)
        assert dlcore.get_num_threads() == n
    for n in (0, -1, 1025):
        with pytest.raises(ValueError, match=f"^set_num_threads: n is {n}, expected 1 to 1024"):
            dlcore.set_num_threads(n)
    with pytest.raises(TypeError):
        dlcore.set_num_threads("2")  # type: ignore[arg-type]
    assert dlcore.get_num_threads() == 1024


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"DLCORE_NUM_THREADS": "3"}, 3),
        ({"OMP_NUM_THREADS": "2"}, 2),
        ({"OMP_NUM_THREADS": "4,2"}, 4),
        ({"DLCORE_NUM_THREADS": "3", "OMP_NUM_THREADS": "2"}, 3),
        ({"DLCORE_NUM_THREADS": "many", "OMP_NUM_THREADS": "2"}, 2),
    ],
)
def test_threads_from_the_environment(environment: dict[str, str], expected: int) -> None:
    assert python("import dlcore; print(dlcore.get_num_threads())", **environment) == str(expected)


@LINUX
@pytest.mark.parametrize("environment", [{}, {"DLCORE_NUM_THREADS": "0"}, {"DLCORE_NUM_THREADS": "-2"}])
def test_the_default_is_what_this_process_may_use(environment: dict[str, str]) -> None:
    found = int(python("import dlcore; print(dlcore.get_num_threads())", **environment))
    assert 1 <= found <= len(os.sched_getaffinity(0))
    pinned = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
    assert python(pinned + "import dlcore; print(dlcore.get_num_threads())", **environment) == "1"


def test_waiting_is_passive_unless_the_user_chose() -> None:
    code = "import os, dlcore; print(os.environ.get('OMP_WAIT_POLICY'))"
    assert python(code) == "None"
    assert python(code, OMP_WAIT_POLICY="active") == "active"


def test_many_threads_calling_at_once_get_the_bits_of_serial_calls(device: Any) -> None:
    device.set_num_threads(2)
    rng = np.random.default_rng(0)
    a, b = tensor(rng.standard_normal((150, 400)), "float32"), tensor(rng.standard_normal((400, 130)), "float32")
    x = tensor(rng.standard_normal(200_000), "float32")
    model = nn.Sequential(nn.Linear(400, 64, "tanh"), nn.Linear(64, 10)).build(0)
    step = value_and_grad(lambda x: ops.sum(ops.square(model(x))), model.parameters)
    calls: list[Callable[[], Tensor]] = [
        lambda: a @ b,
        lambda: ops.tanh(x),
        lambda: ops.sum(x * x),
        lambda: ops.softmax(a),
        lambda: ops.normal(Generator(5), (100_000,)),
        lambda: step(a)[1],
    ]
    expected = [call().numpy().tobytes() for call in calls]
    wrong: list[int] = []

    def work(first: int) -> None:
        for i in range(3 * len(calls)):
            which = (first + i) % len(calls)
            if calls[which]().numpy().tobytes() != expected[which]:
                wrong.append(which)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert wrong == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_computes_after_threads_were_used() -> None:
    code = """
        import os, threading, numpy as np, dlcore
        from dlcore import ops, tensor
        a = tensor(np.random.default_rng(0).standard_normal((300, 300)), "float32")
        expected = (a @ a).numpy().tobytes()            # two threads: the team exists now
        stop = threading.Event()
        def busy():
            while not stop.is_set():
                a @ a
        background = threading.Thread(target=busy)      # and is busy when the process forks
        background.start()
        for _ in range(5):
            child = os.fork()
            if child == 0:
                good = (a @ a).numpy().tobytes() == expected and ops.sum(ops.tanh(a)).item() == ops.sum(ops.tanh(a)).item()
                os._exit(0 if good else 1)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        stop.set()
        background.join()
        assert (a @ a).numpy().tobytes() == expected
        print("done")
    """
    assert python(code, DLCORE_NUM_THREADS="2") == "done"


# --- modules ---


def test_a_module_can_be_forced() -> None:
    code = "import dlcore.device as d; print(d.isa, d.cpu.__name__, d.describe()['isa'])"
    assert python(code, DLCORE_ISA="generic") == "generic dlcore._cpu_generic generic"
    assert python(code, DLCORE_ISA=" Generic ") == "generic dlcore._cpu_generic generic"
    assert python(code, DLCORE_ISA="") == python(code)


def test_a_module_that_is_unknown_or_cannot_run_is_refused() -> None:
    code = """
        try:
            import dlcore
        except ImportError as error:
            print(error)
    """
    expected = "DLCORE_ISA: 'sse9' is given, expected one of avx512, avx2, generic"
    assert python(code, DLCORE_ISA="sse9") == expected
    for isa, reason in dlcore.device.describe()["modules"].items():
        if isa in dlcore.device.CPU_ISAS and reason != "available":
            assert python(code, DLCORE_ISA=isa) == f"DLCORE_ISA: '{isa}' cannot be used: {reason}"


def test_the_choice_among_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    reasons = {"avx512": "this processor lacks the instructions", "avx2": "", "generic": ""}
    monkeypatch.delenv("DLCORE_ISA", raising=False)
    assert dlcore.device._choose(reasons) == "avx2"
    monkeypatch.setenv("DLCORE_ISA", "avx512")
    with pytest.raises(ImportError, match="^DLCORE_ISA: 'avx512' cannot be used: this processor lacks the instructions"):
        dlcore.device._choose(reasons)


def test_what_was_chosen_is_told() -> None:
    facts = dlcore.device.describe()
    assert facts["modules"][facts["isa"]] == "available"
    assert set(facts["modules"]) == {"avx512", "avx2", "generic", "amx", "cuda"}
    assert facts["threads"] == dlcore.get_num_threads()
    assert set(facts["memory"]) == {"in_use", "cached", "system_allocations"}


# --- memory ---


def training() -> tuple[nn.Module, optim.Optimizer, Callable[[], Any]]:
    model = nn.Sequential(nn.Linear(20, 16, "relu"), nn.Dropout(0.2), nn.Linear(16, 4)).build(0).train()
    optimizer = optim.Adam(model.parameters, 1e-3)
    rng = np.random.default_rng(0)
    x, y = tensor(rng.standard_normal((8, 20)), "float32"), tensor(rng.integers(0, 4, 8), "int32")
    step = value_and_grad(lambda: ops.mean(ops.softmax_cross_entropy(model(x), y)), model.parameters)

    def train() -> Any:
        loss, gradient = step()
        optimizer.step(gradient)
        return loss

    return model, optimizer, train


def convolutional() -> Callable[[], Any]:
    model = nn.Sequential(nn.Conv2d(1, 4, 3, activation="tanh"), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 3)).build(0)
    optimizer = optim.SGD(model.parameters, 0.1, momentum=0.9)
    x = tensor(np.random.default_rng(0).standard_normal((8, 1, 8, 8)), "float32")
    step = value_and_grad(lambda: ops.mean(ops.square(model(x))), model.parameters)
    return lambda: optimizer.step(step()[1])


@pytest.mark.parametrize("make", [lambda: training()[2], convolutional], ids=["perceptron", "convolutional"])
def test_a_steady_step_asks_nothing_of_the_system(make: Callable[[], Callable[[], Any]], device: Any) -> None:
    device.set_num_threads(2)
    train = make()
    for _ in range(3):
        train()
    before = dlcore.memory_stats()
    for _ in range(50):
        train()
    after = dlcore.memory_stats()
    assert after["system_allocations"] == before["system_allocations"]
    assert after["in_use"] == before["in_use"]


def test_cached_memory_is_given_back() -> None:
    x = ops.zeros((100_000,))
    used = dlcore.memory_stats()["in_use"]
    del x
    stats = dlcore.memory_stats()
    assert stats["in_use"] <= used - 400_000
    assert stats["cached"] >= 400_000
    dlcore.release_cached_memory()
    assert dlcore.memory_stats()["cached"] == 0


@pytest.mark.parametrize("on", [False, True], ids=["", "with allocation checks"])
def test_an_allocation_that_fails_changes_nothing(on: bool, device: Any) -> None:
    model, optimizer, train = training()
    train()
    generator = model[1].generator  # type: ignore[index]
    device.set_allocation_checks(on)
    try:
        for n in range(1000):
            theta, state, drawn = model.parameters.theta.numpy(), optimizer.state_dict(), generator.step
            in_use = dlcore.memory_stats()["in_use"]
            device.fail_allocation_after(n)
            try:
                train()
                break
            except MemoryError:
                pass  # the traceback, which holds the arrays of the failed step, ends here
            assert model.parameters.theta.numpy().tobytes() == theta.tobytes()
            assert optimizer.steps == state["steps"]
            for name, values in state["state"].items():
                assert optimizer.state[name].numpy().tobytes() == values.tobytes()
            assert dlcore.memory_stats()["in_use"] == in_use
            assert not dlcore.is_recording()
            generator.step = drawn  # the next attempt draws the same mask
        assert 10 < n < 999
    finally:
        device.fail_allocation_after(-1)
        device.set_allocation_checks(False)
    expected_model, _, expected = training()
    expected()
    expected()
    assert model.parameters.theta.numpy().tobytes() == expected_model.parameters.theta.numpy().tobytes()


def test_a_failed_draw_or_build_leaves_the_state(device: Any) -> None:
    generator = Generator(3)
    draws: list[Callable[[], Any]] = [
        lambda: ops.uniform(generator, (3,)),
        lambda: ops.normal(generator, (3,)),
        lambda: ops.permutation(generator, 3),
        lambda: ops.dropout(ops.ones((3,)), 0.5, generator),
        lambda: ops.bernoulli(generator, ops.full((3,), 0.5)),
    ]
    try:
        for draw in draws:
            step = generator.step
            for n in range(10):
                device.fail_allocation_after(n)
                try:
                    draw()
                except MemoryError:
                    assert generator.step == step
                else:
                    break
            assert n > 0
            assert generator.step == step + 1
        model = nn.Sequential(nn.Linear(3, 2), nn.Dropout(), nn.Linear(2, 2))
        for n in range(100):
            device.fail_allocation_after(n)
            try:
                model.build(5)
            except MemoryError:
                continue
            break
        assert n > 3
    finally:
        device.fail_allocation_after(-1)
    again = nn.Sequential(nn.Linear(3, 2), nn.Dropout(), nn.Linear(2, 2)).build(5)
    assert model.parameters.theta.numpy().tobytes() == again.parameters.theta.numpy().tobytes()


GROWTH = """
    import numpy as np, dlcore
    from dlcore import nn, ops, optim, tensor, value_and_grad

    def resident():
        return int(open("/proc/self/statm").read().split()[1]) * 4096

    model = nn.Sequential(nn.Linear(4, 3, "tanh"), nn.Linear(3, 2)).build(0)
    optimizer = optim.Adam(model.parameters, 1e-3)
    x, y = np.ones((2, 4), np.float32), tensor([0, 1], "int32")
    step = value_and_grad(lambda x: ops.sum(ops.softmax_cross_entropy(model(x), y)), model.parameters)

    def train(n):
        for _ in range(n):
            optimizer.step(step(x)[1])

    def fail(n):
        bad = [
            lambda: ops.matmul(ops.ones((2, 3)), ops.ones((2, 3))),
            lambda: tensor([1]) + np.ones(1),
            lambda: tensor("x"),
            lambda: step(np.ones((2, 5), np.float32)),
            lambda: dlcore.grad(lambda x: x)([1.0, 2.0]),
            lambda: ops.uniform(dlcore.Generator(0), (-1,)),
            lambda: model.build(dtype="int32"),
            lambda: tensor(np.ones(3))[7],
        ]
        failed = 0
        for i in range(n):
            try:
                bad[i % len(bad)]()
            except (ValueError, TypeError, IndexError):
                failed += 1
        assert failed == n
"""


@LINUX
@pytest.mark.parametrize(
    ("work", "warm", "n"),
    [
        ("train", 2000, 20_000),
        ("fail", 1000, 5_000),
        pytest.param("fail", 1000, 100_000, marks=pytest.mark.slow),
        pytest.param("train", 2000, 100_000, marks=pytest.mark.slow),
    ],
)
def test_memory_does_not_grow(work: str, warm: int, n: int) -> None:
    run = f"{work}({warm})\nbefore = resident()\n{work}({n})\nprint(resident() - before)"
    grown = int(python(textwrap.dedent(GROWTH) + run, DLCORE_NUM_THREADS="1"))
    assert grown < 4 * 2**20, f"{n} times {work}: {grown / 2**20:.1f} MiB more"


# --- import ---


def test_import_takes_little_time_beyond_numpy(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code = """
        import numpy, sys, time
        before = set(sys.modules)
        wall, cpu = time.perf_counter(), time.process_time()
        import dlcore
        print(time.process_time() - cpu, time.perf_counter() - wall)
        print(*sorted({name.split(".")[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names)))
    """
    # The first run compiles, as pip does at installation.
    bytecode = {"PYTHONPYCACHEPREFIX": str(tmp_path), "PYTHONDONTWRITEBYTECODE": ""}
    outputs = [python(code, **bytecode).split("\n") for _ in range(8)][1:]
    assert {tuple(lines[1:]) for lines in outputs} == {("dlcore",)}  # NumPy was there already
    cpu, wall = (statistics.median(float(lines[0].split()[i]) for lines in outputs) for i in (0, 1))
    with capsys.disabled():
        print(f"\nimport dlcore beyond NumPy: {1000 * cpu:.0f} ms of processor, {1000 * wall:.0f} ms by the clock")
    assert cpu < 0.15  # 50 ms are promised; the slack is for slow machines shared with others
