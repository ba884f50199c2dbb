"""What the cluster needs of the machine: root, Go, and a few Debian packages."""

import os
import shutil
import subprocess

from tests.cluster.cache import say
from tests.cluster.node import cni_folder

PACKAGES = {
    "containerd": "containerd",
    "runc": "runc",
    "ip": "iproute2",
    "umount": "mount",
    "debootstrap": "debootstrap",
}
CNI_PACKAGE = "containernetworking-plugins"


def is_root() -> bool:
    return os.geteuid() == 0


def has_go() -> bool:
    return shutil.which("go") is not None


def missing_packages() -> list[str]:
    """Debian's names of what is not installed."""
    missing = [package for program, package in PACKAGES.items() if shutil.which(program) is None]
    return missing if cni_folder() else [*missing, CNI_PACKAGE]


def refusal() -> str | None:
    """Why no cluster can run here, in one line; None where one can, once `install_packages` was called."""
    if not is_root():
        return "the test cluster needs root: its nodes make network namespaces, mounts and control groups"
    if not has_go():
        return "the test cluster needs Go 1.25 or newer: Kubernetes is built from source"
    if (missing := missing_packages()) and shutil.which("apt-get") is None:
        return f"the test cluster needs these programs (Debian's package names): {', '.join(missing)}"
    return None


def install_packages() -> None:
    """With apt-get, only what is missing."""
    if not (missing := missing_packages()):
        return
    say(f"installing {', '.join(missing)} ...")
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "--yes", "--no-install-recommends", *missing]
    for command in (["apt-get", "update"], install):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"`{' '.join(command)}` failed: {done.stderr.strip()[-1000:]}")
