"""The folder outside the checkout that keeps what takes long to make; nothing half-made is ever in it."""

import fcntl
import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


def cache_folder() -> Path:
    """`$SURGEPROOF_TEST_CLUSTER_CACHE`, or a folder of the user's cache."""
    if chosen := os.environ.get("SURGEPROOF_TEST_CLUSTER_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "surgeproof-test-cluster"


def key_of(*parts: str | bytes | Path) -> str:
    """12 hexadecimal digits that change with any of the texts or of the files' contents."""
    digest = hashlib.sha256()
    for part in parts:
        content = part.read_bytes() if isinstance(part, Path) else part.encode() if isinstance(part, str) else part
        digest.update(len(content).to_bytes(8, "big") + content)
    return digest.hexdigest()[:12]


def made_once(name: str, make: Callable[[Path], None]) -> Path:
    """The cached folder of this name; `make` fills an empty one where there is none yet, one process at a time."""
    folder = cache_folder() / name
    if folder.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _lock(folder.with_name(f".{folder.name}.lock")):
        if folder.exists():
            return folder
        for abandoned in folder.parent.glob(f".{folder.name}.making-*"):
            shutil.rmtree(abandoned)
        making = Path(tempfile.mkdtemp(prefix=f".{folder.name}.making-", dir=folder.parent))
        try:
            make(making)
            making.chmod(0o755)
            making.rename(folder)
        finally:
            shutil.rmtree(making, ignore_errors=True)
    return folder


def say(line: str) -> None:
    """One line of progress."""
    print(line, file=sys.stderr, flush=True)


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
