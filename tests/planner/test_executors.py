"""Executors: the same results bit for bit wherever they are computed, lost workers, and how each of them ends."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import psutil
import pytest

from planner import executors
from planner.child import child_environment
from planner.cli import root, simulation
from planner.errors import WorkersLostError
from planner.executors import cluster, executor_for
from planner.executors.batches import Answer, in_order
from planner.executors.local import PROBE_S, Local
from planner.executors.processes import LOSSES, Processes
from planner.scenario import Scenario
from planner.scenario_file import load
from planner.sim.engine import ReplicateResult, compile_kernel
from planner.sim.replications import replicate
from tests.planner.executor_tasks import DeadlyArrivals, deadly_from_three, inverse, process_id, slowly, square


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    compile_kernel()
    return load("quickstart")


@pytest.fixture(scope="module")
def in_one_process(scenario: Scenario) -> list[ReplicateResult]:
    return list(replicate(scenario, 200))


@pytest.fixture
def processes() -> Iterator[Processes]:
    with Processes(2) as executor:
        yield executor


def assert_equal(left: list[ReplicateResult], right: list[ReplicateResult]) -> None:
    """In every field, to the last bit."""
    assert len(left) == len(right)
    for one, other in zip(left, right, strict=True):
        for field in fields(ReplicateResult):
            np.testing.assert_array_equal(getattr(one, field.name), getattr(other, field.name))


def children(parent: int) -> list[psutil.Process]:
    return psutil.Process(parent).children(recursive=True)


def is_running(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_until(happens: Callable[[], object], limit_s: float = 20.0) -> None:
    deadline = time.monotonic() + limit_s
    while not happens():
        assert time.monotonic() < deadline
        time.sleep(0.01)


# Batches


class Recorder:
    """Computes batches when they are awaited, at a hundredth of a second for each task."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.cancelled = 0

    def submit(self, batch: list[int]) -> Any:
        self.sizes.append(len(batch))
        recorder = self

        class Future:
            def result(self) -> Answer:
                return Answer([square(task) for task in batch], 0.01 * len(batch))

            def cancel(self) -> None:
                recorder.cancelled += 1

        return Future()


def test_batches_grow_to_what_takes_long_enough_and_keep_the_order() -> None:
    recorder = Recorder()
    assert list(in_order(recorder.submit, range(100), 3, batch_s=0.08)) == [square(n) for n in range(100)]
    assert recorder.sizes[:3] == [1, 1, 1]
    assert max(recorder.sizes) == 8


def test_closing_cancels_what_nobody_waits_for_any_more() -> None:
    recorder = Recorder()
    results = in_order(recorder.submit, iter(range(10**9)), 5)
    assert [next(results), next(results)] == [0, 1]
    results.close()
    assert len(recorder.sizes) == 2 + 4 == recorder.cancelled + 2


# This machine


def test_worker_processes_give_the_same_results(
    scenario: Scenario, in_one_process: list[ReplicateResult], processes: Processes
) -> None:
    """One is killed in the middle; replicates 20 to 59 are also made by themselves, as sequential stopping does."""
    results = replicate(scenario, 200, processes)
    first = [next(results) for _ in range(3)]
    before = processes.pids
    os.kill(before[0], signal.SIGKILL)
    assert_equal([*first, *results], in_one_process)
    assert before[0] not in processes.pids
    assert_equal(list(replicate(scenario, 40, processes, first=20)), in_one_process[20:60])


def test_a_task_that_ends_every_worker_is_given_up(processes: Processes) -> None:
    results = processes.in_order(deadly_from_three, range(10))
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(WorkersLostError, match=f"^{LOSSES} worker processes in turn .*too little memory") as lost:
        next(results)
    assert list(lost.value.tasks) == [3]
    assert list(processes.in_order(square, range(4))) == [0, 1, 4, 9], "the executor is as good as before"


def test_the_scenario_and_the_replicate_that_ends_every_worker_are_named(
    scenario: Scenario, processes: Processes
) -> None:
    deadly = replace(scenario, arrivals=DeadlyArrivals())
    with pytest.raises(WorkersLostError, match=r"^quickstart, replicate 3: 3 worker processes"):
        list(replicate(deadly, 4, processes))


def test_an_error_in_a_worker_is_an_error_here(processes: Processes) -> None:
    results = processes.in_order(inverse, [1, 0])
    assert next(results) == 1
    with pytest.raises(ZeroDivisionError) as error:
        next(results)
    assert "executor_tasks.py" in error.value.__notes__[0]


def test_workers_import_nothing_from_the_folder_in_which_they_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, processes: Processes
) -> None:
    for name in ("pickle", "queue", "numpy", "planner"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit(f'{__file__} was imported')")
    monkeypatch.chdir(tmp_path)
    assert list(processes.in_order(square, [3])) == [9]


def test_workers_are_started_when_that_pays() -> None:
    with Local(2) as executor:
        assert list(executor.in_order(process_id, range(100))) == [os.getpid()] * 100
        assert executor._processes.pids == []
        results = executor.in_order(slowly, range(1000))
        here = 1.5 * PROBE_S / 0.01
        assert [next(results) for _ in range(int(here))] == list(range(int(here)))
        assert executor._processes.pids
    with Local(1) as executor:
        results = executor.in_order(slowly, range(1000))
        assert [next(results) for _ in range(int(here))] == list(range(int(here)))
        assert executor._processes.pids == []


@contextmanager
def started(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A Python process that is gone on leaving, however."""
    process = subprocess.Popen(
        [sys.executable, *arguments],
        env=child_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("limit", "cores"), [("max 100000", 64), ("150000 100000", 2), ("9900000 100000", 64), ("", 64)]
)
def test_a_container_has_the_cores_of_its_quota(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, cores: int
) -> None:
    (tmp_path / "cpu.max").write_text(limit)
    monkeypatch.setattr(executors, "CPU_LIMIT", tmp_path / "cpu.max")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(64), raising=False)
    assert executors.usable_cores() == cores


def test_a_parent_that_is_killed_leaves_no_worker() -> None:
    code = (
        "import time; from planner.executors.processes import Processes\n"
        "with Processes(2) as p: list(p.in_order(time.sleep, [0, 0, 60, 60]))"
    )
    with started("-c", code) as parent:
        wait_until(lambda: len(children(parent.pid)) == 2)
        workers = children(parent.pid)
        parent.kill()
        wait_until(lambda: not any(is_running(worker) for worker in workers))


def test_ctrl_c_ends_workers_at_once_and_keeps_what_is_done() -> None:
    arguments = ["simulate", "launch-spike", "--replications", "50000", "--cores", "2", "--output", "json"]
    with started("-c", "from planner.cli.root import main; main()", *arguments) as parent:
        wait_until(lambda: len(children(parent.pid)) == 2)
        workers = children(parent.pid)
        parent.send_signal(signal.SIGINT)
        said, _ = parent.communicate(timeout=30)
    assert parent.returncode == 130
    assert json.loads(said)["interrupted"]
    assert not any(is_running(worker) for worker in workers)


# A Dask cluster


class DaskCluster(NamedTuple):
    address: str
    process: subprocess.Popen[str]


@contextmanager
def dask_cluster(workers: int) -> Iterator[DaskCluster]:
    with started("-m", "tests.planner.dask_cluster", str(workers)) as process:
        assert process.stdout is not None
        yield DaskCluster(process.stdout.readline().strip(), process)
        assert process.stdin is not None
        process.stdin.close()
        process.wait(10)


@pytest.fixture(scope="module")
def dask() -> Iterator[DaskCluster]:
    with dask_cluster(2) as running:
        yield running


def wait_for_workers(running: DaskCluster, workers: int) -> None:
    """A cluster starts its workers one after the other, and takes a second to replace one that was killed."""
    from distributed import Client

    with Client(running.address, set_as_default=False) as client:
        client.wait_for_workers(workers, timeout=60)


def simulate(scheduler: str, *options: str) -> int:
    return root.run(["simulate", "quickstart", "--scheduler", scheduler, *options])


def test_a_dask_cluster_gives_the_same_results(
    scenario: Scenario, in_one_process: list[ReplicateResult], dask: DaskCluster
) -> None:
    """One of its workers is killed in the middle."""
    wait_for_workers(dask, 2)
    with executor_for(dask.address) as executor:
        assert executor.workers == 2
        results = replicate(scenario, 200, executor)
        first = [next(results) for _ in range(3)]
        os.kill(min(executor._client.run(os.getpid).values()), signal.SIGKILL)
        assert_equal([*first, *results], in_one_process)


def test_a_worker_of_other_versions_is_refused(
    dask: DaskCluster, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ours = cluster.versions()
    monkeypatch.setattr(cluster, "versions", lambda: ours | {"numpy": "1.0"})
    assert simulate(dask.address) == 2
    said = capsys.readouterr().err
    assert re.fullmatch(rf"a Dask worker on .* has numpy {re.escape(ours['numpy'])}, this command 1\.0: .*\n", said)


def test_an_error_on_a_dask_worker_is_an_error_here(dask: DaskCluster) -> None:
    with executor_for(dask.address) as executor, pytest.raises(ZeroDivisionError):
        list(executor.in_order(inverse, [1, 0]))


def test_a_task_that_ends_every_dask_worker_is_given_up(scenario: Scenario, dask: DaskCluster) -> None:
    """Dask blames what a worker had to compute when it ended: the deadly replicate 3, or one that waited behind it."""
    deadly = replace(scenario, arrivals=DeadlyArrivals())
    with executor_for(dask.address) as executor:
        results = replicate(deadly, 4, executor)
        with pytest.raises(
            WorkersLostError, match=r"^quickstart, replicate [0-3]: 2 Dask workers in turn ended that had it to compute"
        ):
            list(results)


def test_what_was_done_when_the_cluster_is_lost_is_kept(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with dask_cluster(1) as lost:

        def results(*arguments: Any, **options: Any) -> Iterator[ReplicateResult]:
            for number, result in enumerate(replicate(*arguments, **options)):
                yield result
                if number == 3:
                    lost.process.kill()

        monkeypatch.setattr(simulation, "replicate", results)
        assert simulate(lost.address, "--replications", "5000", "--output", "json") == 3
    output = capsys.readouterr()
    said = json.loads(output.out)
    assert said["interrupted"]
    assert 4 <= said["replications"] < 5000
    assert output.err == f"{said['workers_lost']}\n" == f"{lost.address}: the Dask scheduler is gone\n"


def test_a_cluster_without_workers_is_given_up(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "WORKER_WITHIN_S", 1.0)
    with dask_cluster(0) as empty:
        assert simulate(empty.address) == 3
    assert capsys.readouterr().err == f"{empty.address}: no worker for 1 s\n"


@pytest.mark.parametrize(
    "address",
    [
        *("localhost:8786", "http://localhost:8786", "tcp://localhost", "tcp://[::1", "tcp://:1", "TCP://localhost:1"),
        *("tcp://localhost:1/", "tcp://me:word@localhost:1", "tcp://localhost:1?x"),
    ],
)
def test_an_address_has_a_scheme_a_host_and_a_port(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert simulate(address) == 2
    assert capsys.readouterr().err == (
        f"--scheduler {address}: must be tcp://HOST:PORT, or tls://HOST:PORT if it is encrypted\n"
    )


def test_an_encrypted_cluster_needs_certificates(capsys: pytest.CaptureFixture[str]) -> None:
    assert simulate("tls://127.0.0.1:1") == 2
    assert capsys.readouterr().err == (
        "--scheduler tls://127.0.0.1:1: Dask's own configuration names no certificates for it\n"
    )


@pytest.mark.parametrize("listens", [True, False])
def test_an_address_without_a_scheduler_is_said_within_seconds(
    listens: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "CONNECT_WITHIN_S", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        if not listens:
            server.close()
        started_s = time.monotonic()
        assert simulate(address) == 2
        assert time.monotonic() - started_s < 3.0
    assert re.fullmatch(f"--scheduler {address}: no Dask scheduler answers there\n", capsys.readouterr().err)


def test_without_dask_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert simulate("tcp://127.0.0.1:8786") == 2
    assert capsys.readouterr().err == (
        "--scheduler needs Dask: install it with  python -m pip install 'surgeproof[dask]'\n"
    )


def test_cores_and_a_cluster_exclude_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    assert simulate("tcp://127.0.0.1:8786", "--cores", "2") == 2
    assert "give one of them" in capsys.readouterr().err
