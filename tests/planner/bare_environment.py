"""A Python that has everything but one extra: a virtual environment with a filtered view of this one's packages."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
import venv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

DRIVER = """
import contextlib, io, json, sys
from planner.cli import root
for arguments in json.load(sys.stdin):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = root.run(arguments)
    print(json.dumps([code, out.getvalue(), err.getvalue()]), flush=True)
"""


@dataclass(frozen=True)
class Ended:
    """One command line: its exit code and what it wrote."""

    code: int
    stdout: str
    stderr: str


def installed(requirements: Iterable[str]) -> dict[str, metadata.Distribution]:
    """These packages and all that they need, by name, as far as they are installed here."""
    found: dict[str, metadata.Distribution] = {}
    wanted = [Requirement(text) for text in requirements]
    while wanted:
        requirement = wanted.pop()
        name = canonicalize_name(requirement.name)
        extras = requirement.extras or {""}
        if requirement.marker and not requirement.marker.evaluate():
            continue
        try:
            distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
        if name in found and not requirement.extras:
            continue
        found[name] = distribution
        for text in distribution.requires or []:
            needed = Requirement(text)
            if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in extras):
                needed.marker = None
                wanted.append(needed)
    return found


def packages_without(extra: str) -> dict[str, metadata.Distribution]:
    """What `pip install` of this project gives with every extra but this one."""
    others = [text for name, texts in PROJECT["optional-dependencies"].items() if name != extra for text in texts]
    return installed([*PROJECT["dependencies"], *(others if extra else [])])


def make_environment(folder: Path, distributions: Mapping[str, metadata.Distribution]) -> Path:
    """The folder's `python`: it sees the standard library, these packages and this checkout, and nothing else."""
    venv.create(folder, with_pip=False, symlinks=True)
    (site,) = folder.glob("lib/python*/site-packages")
    for distribution in distributions.values():
        tops = {Path(file).parts[0] for file in distribution.files or []} - {"..", "__pycache__"}
        for top in tops:
            here = Path(str(distribution.locate_file(top)))
            if here.exists() and not (site / top).exists():
                (site / top).symlink_to(here)
    (site / "checkout.pth").write_text(f"{ROOT}\n")
    return folder / "bin/python"


def run_there(python: Path, commands: Sequence[Sequence[str]], folder: Path) -> list[Ended]:
    """Each command line, in one process that lies in the folder: what one has imported, another may use."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [str(python), "-P", "-c", DRIVER],
        input=json.dumps(commands),
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment,
        timeout=120,
        check=False,
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lines) == len(commands), (len(lines), done.stderr[-2000:])
    return [Ended(*line) for line in lines]


if __name__ == "__main__":
    made = make_environment(Path(sys.argv[2]), packages_without(sys.argv[1]))
    print(made)
