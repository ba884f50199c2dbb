"""Python processes of our own: they import what this one imports, whatever lies in the user's folder."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import planner


def module_command(module: str) -> list[str]:
    """`python -m module` without the current folder in front of the search path: a `queue.py` there is the user's."""
    return [sys.executable, "-P", "-m", module]


def child_environment() -> dict[str, str]:
    """This environment, in which our packages can be imported."""
    root = str(Path(planner.__file__).resolve().parent.parent)
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))}
