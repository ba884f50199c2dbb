"""What the first and every further use of an installed version cost."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

_PACKAGE = Path(__file__).parents[2] / "planner"
_ANSWERS = (0, 1, 3)
"""Exit codes of a simulation: the SLO is kept, broken, undecided."""
_COMPILE = """
import time
from planner.sim.compiled import is_cached
from planner.sim.engine import compile_kernel
assert not is_cached()
started = time.process_time()
compile_kernel()
print(time.process_time() - started)
"""


def compile_seconds() -> float:
    """CPU time of compiling the kernel in a copy of the package, which has no cache yet."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(_PACKAGE, Path(folder) / "planner", ignore=shutil.ignore_patterns("__pycache__"))
        command = [sys.executable, "-c", _COMPILE]
        return float(subprocess.run(command, cwd=folder, check=True, stdout=subprocess.PIPE, text=True).stdout)


def quickstart_seconds() -> float:
    """The whole command `surgeproof simulate quickstart`, its kernel compiled before."""
    command = [str(Path(sys.executable).with_name("surgeproof")), "simulate", "quickstart"]
    started = time.perf_counter()
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    seconds = time.perf_counter() - started
    if done.returncode not in _ANSWERS:
        raise RuntimeError(f"{' '.join(command)} ended with exit code {done.returncode}")
    return seconds
