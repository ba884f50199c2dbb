"""The run folder: what a replay leaves behind, and where each part lies. No secret ever reaches it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from loadtest.replay.in_use import is_in_use
from loadtest.replay.journal import JOURNAL
from loadtest.schedule import Schedule, read_schedule
from planner.documents import provenance as planner_provenance
from planner.errors import InputError
from planner.folders import RUNS, new_folder
from planner.model import ENDED, SENT, Outcome, ReplicaLog, RequestLog
from planner.recognise.documents import Kind
from planner.recognise.paths import recognise
from planner.recognise.sentences import not_a_run
from planner.records import read_replicas, read_requests

__all__ = ["RUNS", "RunFolder", "create_run_folder", "open_run_folder", "provenance"]

_VERDICT_KEYS = ("verdict", "reasons", "observed", "predicted", "statistics", "cannot_tell_apart", "generator", "books")

_NEEDED: dict[str, type] = {
    "books.planned": int,
    "books.sent": int,
    "generator.valid": bool,
    "generator.problems": list,
    "observed.problems": list,
    "observed.latency_from_schedule_s": dict,
    "provenance.packages": dict,
    "warnings": list,
}
_OPTIONAL: dict[str, type] = {
    "cluster": dict,
    "cluster.findings": list,
    "cluster.launches": list,
    "endpoint": dict,
    "replicas": dict,
    "replicas.gaps": list,
    "started_at": str,
}
_TIMES: dict[str, tuple[str, ...]] = {"cluster.launches": ("cold_start_s",), "replicas.gaps": ("from_s", "to_s")}
"""Lists of objects, and which of their members are numbers or null."""
"""What those who read a summary rely on, by path; optional parts may be null or missing."""

_PACKAGES = ("numpy", "pyarrow", "locust", "gevent", "geventhttpclient")


@dataclass(frozen=True)
class RunFolder:
    """Paths of one run and the readers of its parts; a missing or broken part is an InputError that names the file."""

    path: Path

    @property
    def scenario(self) -> Path:
        return self.path / "scenario.yaml"

    @property
    def schedule(self) -> Path:
        return self.path / "schedule.parquet"

    @property
    def requests(self) -> Path:
        return self.path / "requests.parquet"

    @property
    def replicas(self) -> Path:
        return self.path / "replicas.parquet"

    @property
    def summary(self) -> Path:
        return self.path / "summary.json"

    @property
    def latencies(self) -> Path:
        """Both latencies per second and status, as an HDR interval log."""
        return self.path / "latencies.hlog"

    @property
    def report(self) -> Path:
        return self.path / "report.html"

    @property
    def validation(self) -> Path:
        """The document of `surgeproof validate`, once it has judged the run."""
        return self.path / "validation.json"

    def segments(self) -> list[Path]:
        """The workers' records while the run goes on; merged into `requests` at the end."""
        return sorted(self.path.glob("worker-*.segment"))

    def logs(self) -> list[Path]:
        """What the processes of the replay wrote to stderr; kept only if they wrote anything."""
        return sorted([*self.path.glob("lead.log"), *self.path.glob("worker-*.log")])

    def read_schedule(self) -> Schedule:
        return read_schedule(self.schedule)

    def read_requests(self) -> RequestLog:
        log = read_requests(self.requests)
        known = np.isin(log.outcome, list(Outcome))
        if len(bad := np.flatnonzero(~known)):
            raise InputError(f"{self.requests}: row {bad[0] + 1} has the unknown outcome {log.outcome[bad[0]]}")
        for column, having in (("sent_s", SENT), ("finish_s", ENDED)):
            values = getattr(log, column)
            if len(bad := np.flatnonzero(np.isin(log.outcome, having) != np.isfinite(values))):
                raise InputError(
                    f"{self.requests}: row {bad[0] + 1} has {column} = {values[bad[0]]}, its outcome says else"
                )
        return log

    def read_replicas(self) -> ReplicaLog | None:
        """None where the run could not see replicas; the summary says why."""
        log = read_replicas(self.replicas) if self.replicas.exists() else None
        return log if log is not None and len(log) else None

    def read_validation(self) -> dict[str, Any]:
        document = _read_json_object(self.validation)
        if missing := [key for key in _VERDICT_KEYS if key not in document]:
            raise InputError(f"{self.validation}: {missing[0]} is missing; delete the file and the run is judged anew")
        return document

    def read_summary(self) -> dict[str, Any]:
        document = _read_json_object(self.summary)
        if problem := _problem(document):
            raise InputError(f"{self.summary}: {problem}: not the summary of a replay")
        return document

    def write_summary(self, document: dict[str, Any]) -> None:
        """Write the summary; NaN is refused (unknown is null)."""
        text = json.dumps(document, indent=2, allow_nan=False, ensure_ascii=False)
        self.summary.write_text(text + "\n", encoding="utf-8")


def _read_json_object(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: not a readable JSON file ({error})") from None
    if not isinstance(document, dict):
        raise InputError(f"{path}: holds no JSON object")
    return document


def _problem(document: dict[str, Any]) -> str | None:
    """What in a summary is not as its readers need it."""
    for name, kind in (_NEEDED | _OPTIONAL).items():
        value = _at(document, name)
        if value is None and name in _NEEDED:
            return f"{name} is missing"
        if value is not None and not isinstance(value, kind):
            return f"{name} is no {kind.__name__}"
    for name, members in _TIMES.items():
        for i, entry in enumerate(_at(document, name) or []):
            for member in members:
                number = entry.get(member, "missing") if isinstance(entry, dict) else "missing"
                if number is not None and type(number) not in (int, float):
                    return f"{name}[{i}].{member} is no number"
    try:
        datetime.fromisoformat(document.get("started_at") or "2026-01-01")
    except ValueError:
        return "started_at is no time"
    return None


def _at(document: dict[str, Any], name: str) -> Any:
    value: Any = document
    for key in name.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def create_run_folder(name: str, out: Path | None = None) -> RunFolder:
    """A new, empty run folder: `out`, or runs/NAME-TIME. A folder that already holds something is refused."""
    return RunFolder(new_folder(name, out))


def open_run_folder(path: Path) -> RunFolder:
    """An existing run folder, complete enough to be judged."""
    folder = RunFolder(path)
    found = recognise(path)
    if found is not None and found.kind is Kind.UNFINISHED_RUN:
        raise InputError(_unfinished(path))
    if found is not None and found.kind is not Kind.RUN_FOLDER:
        raise InputError(not_a_run(found, path))
    try:
        if not path.is_dir():
            raise InputError(f"{path}: no such run folder")
        for part in (folder.scenario, folder.schedule, folder.requests, folder.summary):
            if not part.is_file():
                raise InputError(f"{part}: no such file, {path} is not a complete run folder")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    return folder


def _unfinished(path: Path) -> str:
    """What is to be said of the folder of a replay that has not written its results."""
    if is_in_use(path / JOURNAL):
        return f"{path}: the replay is still going on, its results come at its end"
    return (
        f"{path}: the replay was killed before it wrote its results; what it measured is there, and "
        f"`surgeproof replay --recover {path}` makes the results of it"
    )


def provenance(seed: int) -> dict[str, Any]:
    """What made a run, and when (UTC)."""
    return planner_provenance(seed, _PACKAGES) | {"written_at": datetime.now(UTC).isoformat(timespec="seconds")}
