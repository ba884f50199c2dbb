"""Kubernetes' own programs, built from source once and kept in the cache."""

import os
import re
import subprocess
import time
from pathlib import Path

from tests.cluster.cache import key_of, made_once, say

SOURCES = Path(__file__).parent / "go"
KUBERNETES_PROGRAMS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet")
RECIPE = "1"  # counted up when a command below changes


def programs() -> Path:
    """The folder with etcd, the Kubernetes programs and pause; built where the cache lacks it."""
    sources = sorted(file for file in SOURCES.rglob("*") if file.is_file())
    return made_once(f"programs-{kubernetes_version()}-{key_of(RECIPE, *sources)}", _build_all)


def kubernetes_version() -> str:
    """As go.mod requires it: `v1.35.4`."""
    found = re.search(r"^require k8s\.io/kubernetes (v\S+)$", (SOURCES / "kubernetes/go.mod").read_text(), re.MULTILINE)
    if found is None:
        raise LookupError("go/kubernetes/go.mod requires no k8s.io/kubernetes")
    return found[1]


def _build_all(folder: Path) -> None:
    # Without a version kubectl and the Python client's users cannot parse what the server says it is.
    version = kubernetes_version()
    stamp = (
        f"-X k8s.io/component-base/version.gitVersion={version} -X k8s.io/client-go/pkg/version.gitVersion={version}"
    )
    say(f"building Kubernetes {version} from source, about seven minutes on two cores the first time ...")
    _build(folder / "etcd", "etcd", "go.etcd.io/etcd/server/v3")
    for name in KUBERNETES_PROGRAMS:
        _build(folder / name, "kubernetes", f"k8s.io/kubernetes/cmd/{name}", stamp)
    _build(folder / "pause", "pause", ".", static=True)


def _build(program: Path, module: str, package: str, stamp: str = "", *, static: bool = False) -> None:
    started_s = time.monotonic()
    flags = f"-s -w {stamp}".strip()
    environment = os.environ | ({"CGO_ENABLED": "0"} if static else {})
    command = ["go", "build", "-trimpath", "-ldflags", flags, "-o", str(program), package]
    built = subprocess.run(command, cwd=SOURCES / module, env=environment, capture_output=True, text=True, check=False)
    if built.returncode != 0:
        raise RuntimeError(f"{program.name} cannot be built: {built.stderr.strip()[-2000:]}")
    say(f"built {program.name}: {time.monotonic() - started_s:.0f} s, {program.stat().st_size / 1e6:.0f} MB")
