"""However a cluster ends, nothing of it is left on the machine: it stops, its owner is killed, its keeper is killed."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client

from tests.cluster import cgroups, images, remains
from tests.cluster.cluster import REPOSITORY, Cluster, ForeignCluster, api_client
from tests.cluster.layout import Layout, new_layout
from tests.cluster.workloads import wait_until

STARTS = [sys.executable, "-m", "tests.cluster", "--bare"]


def leftovers(layout: Layout) -> list[str]:
    """What is left of a cluster on this machine."""
    found = [f"process {pid}" for pid in cgroups.processes(layout.cgroup)]
    found += [f"mount {mount}" for mount in remains.mounts_under(layout.folder)]
    found += [f"interface {interface}" for interface in remains.interfaces_of(layout)]
    found += [f"control group {layout.cgroup}"] if cgroups.exists(layout.cgroup) else []
    found += [f"folder {layout.folder}"] if layout.folder.exists() and not layout.keeps_state else []
    found += [f"registration {layout.id}"] if (remains.registry() / layout.id).exists() else []
    # Found in another way than the clean-up's: by command lines, and containers by what their file systems are made of.
    for process in Path("/proc").glob("[0-9]*"):
        try:
            known_by = (process / "cmdline").read_bytes() + (process / "mountinfo").read_bytes()
        except OSError:
            continue
        if f"{layout.state}/node".encode() in known_by:
            found.append(f"process {process.name}")
    return found


@pytest.fixture(autouse=True)
def _own_machine(own_cluster: Cluster) -> None:
    """Only where clusters are started here."""


@contextmanager
def held_by_another_process() -> Iterator[tuple[subprocess.Popen[str], Layout]]:
    """A bare cluster with a running pod, and the process that holds it."""
    with subprocess.Popen(STARTS, cwd=REPOSITORY, stderr=subprocess.PIPE, text=True) as owner:
        try:
            assert owner.stderr is not None
            told = next(line for line in iter(owner.stderr.readline, "") if line.startswith("export KUBECONFIG="))
            (layout,) = [layout for layout in remains.sweep() if f"={layout.kubeconfig} " in told]
            run_a_pod(layout)
            yield owner, layout
        finally:
            owner.kill()


def run_a_pod(layout: Layout) -> None:
    with api_client(ForeignCluster(layout.kubeconfig, None, None)) as api:
        core: Any = client.CoreV1Api(api)
        account = "the default ServiceAccount"
        wait_until(lambda: core.list_namespaced_service_account("default").items, account)
        container = {"name": "pause", "image": images.pause_image().name, "imagePullPolicy": "Never"}
        core.create_namespaced_pod("default", {"metadata": {"name": "pause"}, "spec": {"containers": [container]}})
        wait_until(lambda: core.read_namespaced_pod("pause", "default").status.phase == "Running", "the pod to run")
    assert remains.mounts_under(layout.folder)
    assert remains.interfaces_of(layout)


def keeper_of(layout: Layout) -> int:
    return int((remains.registry() / layout.id).read_text().split()[0])


def test_two_clusters_run_at_once_and_one_stops() -> None:
    with held_by_another_process() as (owner, layout):
        owner.send_signal(signal.SIGINT)
        assert owner.wait(60) == 0
        assert leftovers(layout) == []


def test_its_owner_is_killed() -> None:
    with held_by_another_process() as (owner, layout):
        owner.kill()
        wait_until(lambda: not leftovers(layout), "the keeper to clean up", told=lambda: str(leftovers(layout)))


def test_its_keeper_is_killed_and_the_next_start_sweeps() -> None:
    with held_by_another_process() as (owner, layout):
        keeper = keeper_of(layout)
        owner.send_signal(signal.SIGSTOP)  # or it would clean up when its keeper is gone
        os.kill(keeper, signal.SIGKILL)
        owner.kill()
        assert owner.wait(10) == -signal.SIGKILL
        assert len(leftovers(layout)) > 3
        remains.sweep()  # what every start does first
        assert leftovers(layout) == []


def test_a_process_that_has_the_id_of_a_dead_keeper_is_left_alone() -> None:
    with subprocess.Popen(["sleep", "60"]) as bystander:
        layout = new_layout(Path("/nowhere"), keeps_state=False, bare=True)
        entry = remains.registry() / layout.id
        entry.write_text(f"{bystander.pid} 1 {remains.boot()}\n{layout.to_json()}")
        assert layout.id not in [running.id for running in remains.sweep()]
        assert not entry.exists()
        assert bystander.poll() is None
        bystander.kill()
