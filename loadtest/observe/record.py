"""What an observer saw, as it saw it: JSON lines that are only ever appended to, and what is made of them afterwards.

`at_s` is on this machine's monotonic clock, `at` in UTC. An observer that is killed has written what it saw.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from planner.errors import InputError
from planner.model import CLUSTER_COLUMNS, REPLICA_COLUMNS

FILE = "cluster.jsonl"

CLUSTER, CLOCK, ROW, POD, EVENT, NODE, HPA = "cluster", "clock", "row", "pod", "event", "node", "hpa"
GAP, RIGHT, PROBLEM, LAUNCH, FINDINGS = "gap", "missing_right", "problem", "launch", "findings"

ROW_COLUMNS = (*REPLICA_COLUMNS[1:], *CLUSTER_COLUMNS)

SEEN_OF_REPLICAS = ("deployments", "replicasets", "pods")
"""Resources without which the counts of replicas are blind."""

Line = dict[str, Any]


class ClusterLog:
    """Appends lines from any thread. What a full disk does not take stays in memory; `problem` says so."""

    def __init__(self, folder: Path) -> None:
        self._lock = threading.Lock()
        self.lines: list[Line] = []
        self.problem: str | None = None
        try:
            self._file = (folder / FILE).open("a", encoding="utf-8")
        except OSError as error:
            raise InputError(f"{folder / FILE}: cannot be written ({error.strerror or error})") from None

    def add(self, kind: str, at_s: float, **fields: object) -> None:
        at = datetime.fromtimestamp(time.time() - time.monotonic() + at_s, UTC)
        line: Line = {"kind": kind, "at_s": round(at_s, 6), "at": at.isoformat(timespec="milliseconds"), **fields}
        with self._lock:
            self.lines.append(line)
            try:
                self._file.write(json.dumps(line, allow_nan=False, ensure_ascii=False) + "\n")
                self._file.flush()
            except (OSError, ValueError) as error:
                self.problem = getattr(error, "strerror", None) or str(error)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._file.close()


def read_lines(folder: Path) -> list[Line]:
    """The lines of a folder's log, none where there is no log; a last line that was torn is left out."""
    path = folder / FILE
    try:
        texts = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    lines: list[Line] = []
    for number, text in enumerate(texts, 1):
        try:
            line = json.loads(text)
            known = isinstance(line["kind"], str) and isinstance(line["at_s"], int | float)
        except (ValueError, TypeError, KeyError, RecursionError):
            known = False
        if not known:
            if number == len(texts):
                break
            raise InputError(f"{path}: line {number} is no line of an observer")
        lines.append(line)
    return lines


def of_kind(lines: Iterable[Line], kind: str) -> list[Line]:
    return [line for line in lines if line["kind"] == kind]


def replica_rows(lines: Iterable[Line]) -> list[tuple[float, ...]]:
    """(monotonic_s, *ROW_COLUMNS), -1 where a cluster does not tell."""
    return [
        (line["at_s"], *(float(line.get(name, -1)) for name in ROW_COLUMNS)) for line in lines if line["kind"] == ROW
    ]


def gaps(lines: Iterable[Line], zero_s: float, resources: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """When changes could not be seen as they happened: spans of seconds after zero_s, overlapping ones joined."""
    spans: list[dict[str, Any]] = []
    found = [line for line in of_kind(lines, GAP) if resources is None or line["resource"] in resources]
    for line in sorted(found, key=lambda line: float(line["from_s"])):
        start_s, end_s = line["from_s"] - zero_s, line["to_s"] - zero_s
        if spans and start_s <= spans[-1]["to_s"]:
            spans[-1]["to_s"] = max(spans[-1]["to_s"], end_s)
            if line["resource"] not in spans[-1]["resources"]:
                spans[-1]["resources"].append(line["resource"])
        else:
            spans.append({"from_s": start_s, "to_s": end_s, "resources": [line["resource"]], "why": line["why"]})
    return [span for span in spans if span["to_s"] > 0]


def cluster_document(lines: Sequence[Line], zero_s: float) -> dict[str, Any] | None:
    """What a run's summary says of the cluster; instants in seconds after zero_s. None where none was observed."""
    about = next(iter(of_kind(lines, CLUSTER)), None)
    if about is None:
        return None
    clocks = of_kind(lines, CLOCK)
    launches = {line["uid"]: line["launch"] for line in of_kind(lines, LAUNCH)}
    return {
        "deployment": about["deployment"],
        "namespace": about["namespace"],
        "clock": {name: clocks[-1][name] for name in ("difference_s", "uncertainty_s")} if clocks else None,
        "gaps": gaps(lines, zero_s),
        "missing_rights": list(dict.fromkeys(line["sentence"] for line in of_kind(lines, RIGHT))),
        "problems": list(dict.fromkeys(line["sentence"] for line in of_kind(lines, PROBLEM))),
        "launches": [_moved(launch, zero_s) for launch in launches.values()],
        "findings": list(_newest_findings(lines).values()),
        "events": len(of_kind(lines, EVENT)),
        "autoscalers": list(dict.fromkeys(line["hpa"] for line in of_kind(lines, HPA))),
        "warning_events": _warnings(of_kind(lines, EVENT)),
        "pods": len({line["uid"] for line in of_kind(lines, POD)}),
    }


def _moved(launch: Mapping[str, Any], zero_s: float) -> dict[str, Any]:
    instants = ("created_s", "scheduled_s", "image_s", "container_s", "ready_s")
    return {**launch, **{n: None if launch[n] is None else round(launch[n] - zero_s, 3) for n in instants}}


def _newest_findings(lines: Sequence[Line]) -> dict[tuple[str, ...], dict[str, Any]]:
    """One of each cause and next step: the newest, since its evidence is the fullest; what had healed by the end is
    kept."""
    return {
        (finding["cause"], finding.get("next_step", "")): finding | {"seen_at": line["at"]}
        for line in of_kind(lines, FINDINGS)
        for finding in line["findings"]
    }


def _warnings(events: Iterable[Line]) -> dict[str, int]:
    """Events of type Warning by reason."""
    counted: dict[str, int] = {}
    for event in events:
        if event["type"] == "Warning":
            counted[event["reason"]] = counted.get(event["reason"], 0) + 1
    return counted
