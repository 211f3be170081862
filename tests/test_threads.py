"""Threads: their number, calls from several at once, changes during a call, fork, interrupts."""

from __future__ import annotations

import os
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dlcore
import dlcore.device
import numpy as np
import pytest
from dlcore import Generator, Tensor, nn, ops, tensor, value_and_grad
from processes import LINUX, python


def living_threads() -> int:
    """Threads of this process, those of the kernels among them."""
    return len(list(Path("/proc/self/task").iterdir()))


def test_threads_are_set_and_checked(device: Any) -> None:
    for n in (1, 2, 1024):
        dlcore.set_num_threads(n)
        assert dlcore.get_num_threads() == n
    for n in (0, -1, 1025):
        with pytest.raises(ValueError, match=f"^set_num_threads: n is {n}, expected 1 to 1024"):
            dlcore.set_num_threads(n)
    for n in (2**40, -(2**70)):
        with pytest.raises(ValueError, match=f"^set_num_threads: n is {n}, expected 1 to 1024$"):
            dlcore.set_num_threads(n)
    with pytest.raises(TypeError, match=r"^set_num_threads: n is a str, expected an integer$"):
        dlcore.set_num_threads("2")  # type: ignore[arg-type]
    assert dlcore.get_num_threads() == 1024
    dlcore.set_num_threads(np.int64(3))  # type: ignore[arg-type]
    assert dlcore.get_num_threads() == 3


@pytest.mark.parametrize(
    "kernel", ["a_resident", "b_resident", "sliced", "pool", "pool_grad", "conv", "batch", "weight"]
)
def test_the_number_of_threads_may_change_during_a_call(kernel: str) -> None:
    code = """
        import sys, threading, time, numpy as np, dlcore.device
        device = dlcore.device.cpu
        rng, one, none = np.random.default_rng(0), (1, 1), (0, 0)
        def array(*shape):
            return device.from_numpy(rng.standard_normal(shape).astype(np.float32))
        images, weight = array(64, 8, 16, 16), array(16, 8, 3, 3)
        tall, narrow = array(200, 2000), array(200, 40)
        def product(m, k, n):
            a, b = array(m, k), array(k, n)
            return lambda: device.matmul(a, b)
        dy, small, planes = array(64, 16, 16, 16), array(200, 8, 6, 6), array(600, 4, 16, 16)
        call = {
            "a_resident": product(200, 300, 900),
            "b_resident": lambda: device.matmul(tall, narrow, transpose_a=True),
            "sliced": product(20, 4000, 30),
            "pool": lambda: device.avg_pool2d(planes, (3, 3), one, one),
            "pool_grad": lambda: device.avg_pool2d_grad(planes, (3, 3), one, one, (16, 16)),
            "conv": lambda: device.conv2d(images, weight, None, one, one, one, 1),
            "batch": lambda: device.conv2d(small, weight, None, one, one, one, 1),
            "weight": lambda: device.conv2d_weight_grad(images, dy, (3, 3), one, one, one, 1),
        }[sys.argv[1]]
        device.set_num_threads(1)
        expected, stop = call().numpy().tobytes(), threading.Event()
        device.set_allocation_checks(True)
        def change():
            while not stop.is_set():
                device.set_num_threads(1)
                device.set_num_threads(16)
        thread = threading.Thread(target=change)
        sys.setswitchinterval(1e-5)
        thread.start()
        end, wrong = time.monotonic() + 1, 0
        while time.monotonic() < end:
            wrong += call().numpy().tobytes() != expected
        stop.set()
        thread.join()
        print(wrong, device.guard_violations())
    """
    assert python(f"import sys; sys.argv = ['', {kernel!r}]\n" + textwrap.dedent(code)) == "0 0"


@LINUX
def test_few_threads_a_processor_are_started(device: Any) -> None:
    before = living_threads()
    device.set_num_threads(1024)
    x = tensor(np.ones((3000, 3000)), "float32")
    ops.tanh(x)
    assert living_threads() - before <= 4 * len(os.sched_getaffinity(0))


@LINUX
def test_threads_start_with_the_first_long_loop_and_take_no_signals() -> None:
    code = """
        from pathlib import Path
        import numpy as np
        from dlcore import ops, tensor
        def ours():
            status = {int(task.name): (task / "status").read_text() for task in Path("/proc/self/task").iterdir()}
            return [int(text.split("SigBlk:")[1].split()[0], 16) for n, text in status.items() if n not in before]
        before = {int(task.name) for task in Path("/proc/self/task").iterdir()}
        ops.tanh(tensor(np.ones(1000), "float32"))
        few = ours()
        ops.tanh(tensor(np.ones(3_000_000), "float32"))
        print(few, [bool(mask >> signal - 1 & 1) for mask in ours() for signal in (2, 15, 17)])
    """
    assert python(code, DLCORE_NUM_THREADS="2") == "[] [True, True, True]"


@LINUX
def test_a_system_that_refuses_threads_gets_the_same_bits() -> None:
    code = """
        import resource, threading
        from pathlib import Path
        import numpy as np, dlcore
        from dlcore import ops, tensor
        device, x = dlcore.device.cpu, tensor(np.arange(300_000) / 1e5, "float32")
        dlcore.set_num_threads(1)
        expected = ops.tanh(x).numpy().tobytes()
        size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (size + 2**22, resource.RLIM_INFINITY))
        dlcore.set_num_threads(4)
        device.set_full_teams(True)
        same = ops.tanh(x).numpy().tobytes() == expected
        print(same, len(list(Path("/proc/self/task").iterdir())) == threading.active_count())
    """
    assert python(code, OPENBLAS_NUM_THREADS="1") == "True True"


@LINUX
def test_full_teams_use_every_worker() -> None:
    """What the cases compare between numbers of threads is computed by so many."""
    code = """
        import numpy as np, dlcore
        from pathlib import Path
        from dlcore import ops, tensor
        tasks = lambda: {task.name: int((task / "schedstat").read_text().split()[2])  # turns on a processor
                         for task in Path("/proc/self/task").iterdir()}
        device, x = dlcore.device.cpu, tensor(np.ones(400_000), "float32")
        dlcore.set_num_threads(4)
        device.set_full_teams(True)
        ops.tanh(x)
        first = tasks()
        ops.tanh(x)
        print(sum(turns > first[name] for name, turns in tasks().items()))
    """
    assert int(python(code, OPENBLAS_NUM_THREADS="1")) >= 3


def test_loops_of_every_size_on_any_number_of_threads_under_stress() -> None:
    """Loops that end while workers wake up, from several threads at once, forks among them."""
    code = """
        import os, random, sys, threading, time, numpy as np, dlcore
        from dlcore import from_dlpack, ops, tensor
        device, full = dlcore.device.cpu, sys.argv[1] == "full"
        sizes = (33_000, 70_000, 150_000, 500_000)
        xs = [tensor(np.random.default_rng(n).standard_normal(n), "float32") for n in sizes]
        dlcore.set_num_threads(1)
        expected = [(x * x).numpy().tobytes() for x in xs]
        device.set_full_teams(full)
        dlcore.set_num_threads(4)
        end, wrong = time.monotonic() + 0.4, []
        def work(seed, forks):
            rng = random.Random(seed)
            while time.monotonic() < end:
                for _ in range(rng.randrange(20)):
                    i = rng.randrange(len(xs))
                    if (xs[i] * xs[i]).numpy().tobytes() != expected[i]:
                        wrong.append(i)
                time.sleep(rng.choice((0, 1e-4, 2e-3)))
                dlcore.set_num_threads(rng.randrange(1, 5))
                if forks and rng.random() < 0.1:
                    child = os.fork()
                    if child == 0:
                        os._exit(any((x * x).numpy().tobytes() != e for x, e in zip(xs, expected)))
                    if os.waitpid(child, 0)[1]:
                        wrong.append("child")
        threads = [threading.Thread(target=work, args=(i, i == 0)) for i in range(3)]
        [t.start() for t in threads]
        [t.join() for t in threads]
        print(wrong)
    """
    for mode in ("full", "free"):
        assert python(f"import sys; sys.argv = ['', {mode!r}]\n" + textwrap.dedent(code)) == "[]"


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


def test_numbers_that_change_meanwhile_are_no_crash() -> None:
    code = """
        import threading, numpy as np
        from dlcore import from_dlpack, ops
        shared = np.ones((300, 300), np.float32)
        x, stop = from_dlpack(shared), threading.Event()
        def change():
            rng = np.random.default_rng(0)
            while not stop.is_set():
                shared[...] = rng.choice(np.array([0, 1e30, np.nan, -np.inf], np.float32), shared.shape)
        thread = threading.Thread(target=change)
        thread.start()
        for _ in range(30):
            for f in (lambda x: x @ x, ops.sum, ops.softmax, ops.logsumexp, ops.exp, lambda x: ops.max(x, 0)):
                f(x)
        stop.set()
        thread.join()
        print("done")
    """
    assert python(code, DLCORE_NUM_THREADS="2") == "done"


@LINUX
@pytest.mark.parametrize("kernel", ["max", "bernoulli"])
def test_a_search_in_numbers_that_change_meanwhile_ends_with_the_array(kernel: str) -> None:
    code = """
        import ctypes, sys, threading, time, numpy as np
        from dlcore import from_dlpack
        n, libc = 4096, ctypes.CDLL(None)
        start, size, number = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
        libc.mmap.restype, libc.mmap.argtypes = start, [start, size, number, number, number, ctypes.c_long]
        libc.mprotect.argtypes = [start, size, number]
        place = libc.mmap(None, 4 * n + 4096, 3, 0x22, -1, 0)
        assert libc.mprotect(place + 4 * n, 4096, 0) == 0  # the array ends where nothing may be read
        shared = np.ctypeslib.as_array((ctypes.c_float * n).from_address(place))
        x, stop = from_dlpack(shared).array, threading.Event()
        def change():
            k = 0
            while not stop.is_set():
                shared[...] = (k := k + 1) % 2 * 2
        thread = threading.Thread(target=change)
        sys.setswitchinterval(1e-5)
        thread.start()
        end = time.monotonic() + 3
        while time.monotonic() < end:
            try:
                x.device.max(x, None, False) if sys.argv[1] == "max" else x.device.bernoulli(1, 2, x)
            except ValueError:
                pass
        stop.set()
        thread.join()
        print("done")
    """
    assert python(f"import sys; sys.argv = ['', {kernel!r}]\n" + textwrap.dedent(code)) == "done"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_computes_after_threads_were_used() -> None:
    code = """
        import os, threading, numpy as np, dlcore
        from dlcore import ops, tensor
        a = tensor(np.random.default_rng(0).standard_normal((300, 300)), "float32")
        expected = (a @ a).numpy().tobytes()            # with two threads: the team exists now
        tanh = ops.tanh(a).numpy().tobytes()
        stop = threading.Event()
        def busy():
            while not stop.is_set():
                a @ a
        background = threading.Thread(target=busy)      # and is busy when the process forks
        background.start()
        for _ in range(5):
            child = os.fork()
            if child == 0:
                good = (a @ a).numpy().tobytes() == expected and ops.tanh(a).numpy().tobytes() == tanh
                os._exit(0 if good else 1)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        stop.set()
        background.join()
        assert (a @ a).numpy().tobytes() == expected
        print("done")
    """
    assert python(code, DLCORE_NUM_THREADS="2") == "done"


@pytest.mark.parametrize("kernel", ["rbm_gibbs", "rbm_cd", "persistent"])
def test_an_interrupt_ends_a_long_chain(kernel: str) -> None:
    code = """
        import os, signal, sys, threading, time, numpy as np, dlcore.device
        signal.signal(signal.SIGINT, signal.default_int_handler)
        device, sent = dlcore.device.cpu, []
        v, w, b, c, h = (device.full(shape, 0.0, "float32") for shape in ((50, 30), (30, 20), (30,), (20,), (50, 20)))
        chains, forever = h.copy() if kernel == "persistent" else None, 2**31 - 1
        out = device.full((30 * 20 + 30 + 20,), 7.0, "float32")
        def interrupt():
            sent.append(time.monotonic())
            os.kill(os.getpid(), signal.SIGINT)
        threading.Timer(0.3, interrupt).start()
        try:
            if kernel == "rbm_gibbs":
                device.rbm_gibbs(v, w, b, c, forever, 1, 2)
            else:
                device.rbm_cd(v, w, b, c, forever, 1, 2, chains=chains, out=out)
        except KeyboardInterrupt:
            same = chains is None or chains.numpy().tobytes() == h.numpy().tobytes()
            print(time.monotonic() - sent[0] < 0.5, same, (out.numpy() == 7).all(), device.memory_stats()["in_use"])
        del chains, out, v, w, b, c, h
        print(device.memory_stats()["in_use"])
    """
    answered, left = python(f"kernel = {kernel!r}\n" + textwrap.dedent(code), DLCORE_NUM_THREADS="2").split("\n")
    assert answered.startswith("True True True")
    assert left == "0"
