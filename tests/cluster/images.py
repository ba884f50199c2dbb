"""Container images made here, of Debian packages and pinned wheels: no registry is asked."""

import hashlib
import io
import json
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.cluster import binaries
from tests.cluster.cache import key_of, made_once, say

REQUIREMENTS = Path(__file__).parents[2] / "loadtest/lab/scoring_server/requirements.txt"
DEBIAN = "bookworm"
DEBIAN_PYTHON = (3, 11)
DEBIAN_PACKAGES = "python3-venv,ca-certificates"
SCORING_PORT = 5001
RECIPE = "3"  # counted up when a command below changes
NOT_IN_THE_IMAGE = (
    *("dev", "proc", "sys", "run", "tmp", "var/cache/apt", "var/lib/apt/lists", "wheels"),
    *("usr/share/doc", "usr/share/locale", "usr/share/man"),
)


@dataclass(frozen=True)
class Image:
    """A docker-archive and the name under which containerd knows its image."""

    name: str
    archive: Path


def pause_image() -> Image:
    """What holds a pod's namespaces."""
    program = binaries.programs() / "pause"
    name = f"surgeproof.test/pause:{key_of(RECIPE, program)}"

    def make(folder: Path) -> None:
        with tarfile.open(folder / "layer.tar", "w") as layer:
            layer.add(program, "pause")
        _pack(folder, name, {"Entrypoint": ["/pause"]})

    return Image(name, made_once(f"image-pause-{name.rpartition(':')[2]}", make) / "image.tar")


def scoring_image() -> Image:
    """The Azure ML inference server, which serves the `/score/score.py` that is mounted there."""
    name = f"surgeproof.test/scoring:{key_of(RECIPE, DEBIAN, DEBIAN_PACKAGES, REQUIREMENTS)}"
    command = ["azmlinfsrv", "--entry_script", "/score/score.py", "--port", str(SCORING_PORT)]

    def make(folder: Path) -> None:
        started_s = time.monotonic()
        say("making the scoring image, about two minutes the first time ...")
        with tempfile.TemporaryDirectory(prefix="surgeproof-image-") as work:
            _layer_of(_scoring_root(Path(work)), folder / "layer.tar")
        environment = ["PATH=/opt/scoring/bin:/usr/sbin:/usr/bin:/sbin:/bin", "PYTHONUNBUFFERED=1", "HOME=/root"]
        _pack(folder, name, {"Env": environment, "Cmd": command, "WorkingDir": "/"})
        size_mb = (folder / "image.tar").stat().st_size / 1e6
        say(f"made the scoring image: {time.monotonic() - started_s:.0f} s, {size_mb:.0f} MB")

    return Image(name, made_once(f"image-scoring-{name.rpartition(':')[2]}", make) / "image.tar")


def _scoring_root(work: Path) -> Path:
    root = work / "root"
    _run(["debootstrap", "--variant=minbase", f"--include={DEBIAN_PACKAGES}", DEBIAN, str(root)])
    _run([*_pip_download(), "--require-hashes", "-r", str(REQUIREMENTS), "-d", str(root / "wheels")])
    shutil.copy(REQUIREMENTS, root / "wheels/requirements.txt")
    inside = ["chroot", str(root), "/usr/bin/env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root"]
    _run([*inside, "python3", "-m", "venv", "/opt/scoring"])
    install = ["/opt/scoring/bin/pip", "install", "--no-index", "--find-links", "/wheels", "--require-hashes"]
    _run([*inside, *install, "-r", "/wheels/requirements.txt"])
    return root


def _pip_download() -> list[str]:
    command = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--only-binary", ":all:"]
    if sys.version_info[:2] != DEBIAN_PYTHON:
        version = "".join(str(part) for part in DEBIAN_PYTHON)
        command += ["--python-version", version, "--implementation", "cp", "--abi", f"cp{version}", "--abi", "abi3"]
        command += ["--abi", "none"]
        for glibc in ("2_17", "2_28", "2_34"):
            command += ["--platform", f"manylinux_{glibc}_{platform.machine()}"]
        command += ["--platform", f"manylinux2014_{platform.machine()}"]
    return command


def _layer_of(root: Path, layer: Path) -> None:
    excluded = [f"--exclude=./{folder}/*" for folder in NOT_IN_THE_IMAGE]
    _run(["tar", "--numeric-owner", "--sort=name", *excluded, "-C", str(root), "-cf", str(layer), "."])


def _pack(folder: Path, name: str, config: dict[str, object]) -> None:
    """Writes `image.tar`, the format of `docker save`, around `layer.tar`."""
    layer = folder / "layer.tar"
    with layer.open("rb") as file:
        layer_digest = hashlib.file_digest(file, "sha256").hexdigest()
    _run(["gzip", "-1", str(layer)])  # on import the disk is slower than the processor
    document = {
        "architecture": {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine()),
        "os": "linux",
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer_digest}"]},
    }
    config_bytes = json.dumps(document).encode()
    config_name = f"{hashlib.sha256(config_bytes).hexdigest()}.json"
    manifest = json.dumps([{"Config": config_name, "RepoTags": [name], "Layers": ["layer.tar.gz"]}]).encode()
    with tarfile.open(folder / "image.tar", "w") as archive:
        for entry, content in ((config_name, config_bytes), ("manifest.json", manifest)):
            info = tarfile.TarInfo(entry)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        archive.add(f"{layer}.gz", "layer.tar.gz")
    Path(f"{layer}.gz").unlink()


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"`{' '.join(command[:4])} ...` failed: {(done.stderr or done.stdout).strip()[-2000:]}")
