"""Removes whatever a cluster has left on the machine, however it ended."""

import contextlib
import ipaddress
import os
import shutil
import subprocess
from pathlib import Path

from tests.cluster import cgroups
from tests.cluster.cache import cache_folder
from tests.cluster.layout import Layout

CONTAINER_LOG_LINKS = Path("/var/log/containers")
CNI_RESULTS = Path("/var/lib/cni/results")
CONTAINER_CGROUPS = "k8s.io"  # containerd puts those of pods there, each under the container's id


def clean_up(layout: Layout) -> None:
    """Afterwards nothing of the cluster is left, and nobody needs to know of it."""
    remove_remains(layout)
    remove_state(layout)
    unregister(layout)


def remove_remains(layout: Layout, cgroup: str | None = None, folder: Path | None = None) -> None:
    """Processes, mounts, interfaces and control groups of the cluster, or of one node's `cgroup` and `folder`."""
    cgroup = cgroup or layout.cgroup
    folder = folder or layout.folder
    containers = containers_of(folder)
    cgroups.kill_processes(cgroup, *(f"{CONTAINER_CGROUPS}/{container.name}" for container in containers))
    for container in containers:
        _remove_container(container)
    _unmount_all(folder)
    for interface in interfaces_of(layout) if cgroup == layout.cgroup else ():
        subprocess.run(["ip", "link", "delete", interface], capture_output=True, check=False)
    cgroups.remove(cgroup)
    cgroups.remove_if_empty(CONTAINER_CGROUPS)
    _remove_log_links(folder)


def remove_state(layout: Layout) -> None:
    """The state folder; of one that the user chose only what the cluster put there, and not the logs."""
    if not layout.keeps_state:
        shutil.rmtree(layout.folder, ignore_errors=True)
        return
    for name in ("etcd", "pki", *(f"node-{number}" for number in range(1, len(layout.pod_subnets) + 1))):
        shutil.rmtree(layout.folder / name, ignore_errors=True)
    layout.kubeconfig.unlink(missing_ok=True)


def mounts_under(folder: Path) -> list[str]:
    """Mount points under the folder, in the order in which they were mounted."""
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return [point for point in points if Path(point).is_relative_to(folder)]


def interfaces_of(layout: Layout) -> set[str]:
    """The host's ends of the pods' network interfaces: those with a route to one of the cluster's pods."""
    subnets = [ipaddress.IPv4Network(subnet) for subnet in layout.pod_subnets]
    found = set()
    for line in subprocess.run(["ip", "-4", "route"], capture_output=True, text=True, check=True).stdout.splitlines():
        words = line.split()
        if words[0][0].isdigit() and "dev" in words:
            route = ipaddress.IPv4Network(words[0], strict=False)
            if any(route.subnet_of(subnet) for subnet in subnets):
                found.add(words[words.index("dev") + 1])
    return found


def registry() -> Path:
    """The folder that names every cluster that runs, or that was killed before it could clean up."""
    folder = cache_folder() / "clusters"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def start_time(pid: int) -> int | None:
    """When a process started, in clock ticks since boot; with its id it names a process for good."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else int(fields[19])


def register(layout: Layout) -> None:
    """Called by the keeper before it starts anything."""
    entry = registry() / layout.id
    (registry() / f".{layout.id}").write_text(f"{os.getpid()} {start_time(os.getpid())} {boot()}\n{layout.to_json()}")
    (registry() / f".{layout.id}").rename(entry)


def unregister(layout: Layout) -> None:
    (registry() / layout.id).unlink(missing_ok=True)


def sweep() -> tuple[Layout, ...]:
    """Cleans up after clusters whose keeper was killed; returns those that run."""
    running = []
    for entry in [path for path in registry().iterdir() if not path.name.startswith(".")]:
        try:
            head, _, document = entry.read_text().partition("\n")
        except FileNotFoundError:
            continue
        pid, started, booted = head.split()
        layout = Layout.from_json(document)
        if booted == boot() and start_time(int(pid)) == int(started):
            running.append(layout)
            continue
        clean_up(layout)
    return tuple(running)


def boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _unmount_all(folder: Path) -> None:
    for _ in range(50):  # a mount may hide others
        if not (mounts := mounts_under(folder)):
            return
        for mount in reversed(mounts):
            subprocess.run(["umount", "--lazy", mount], capture_output=True, check=False)
    raise RuntimeError(f"cannot be unmounted, so {folder} is not deleted: {', '.join(mounts)}")


def containers_of(folder: Path) -> list[Path]:
    """containerd's bundles, one folder for each container, named as the container is."""
    return list(folder.glob("**/containerd/state/io.containerd.runtime.v2.task/k8s.io/*"))


def _remove_container(bundle: Path) -> None:
    """What containerd keeps outside its own folders: control groups, the shim's socket, what CNI plugins answered."""
    cgroups.remove(f"{CONTAINER_CGROUPS}/{bundle.name}")
    with contextlib.suppress(OSError):
        Path((bundle / "address").read_text().strip().removeprefix("unix://")).unlink()
    for result in CNI_RESULTS.glob(f"*-{bundle.name}-*"):
        result.unlink(missing_ok=True)


def _remove_log_links(folder: Path) -> None:
    for link in CONTAINER_LOG_LINKS.glob("*.log") if CONTAINER_LOG_LINKS.exists() else ():
        with contextlib.suppress(OSError):
            if Path(os.readlink(link)).is_relative_to(folder):
                link.unlink()
