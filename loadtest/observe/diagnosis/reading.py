"""Reading of objects as the API has them, of which any field may be missing or of another kind than expected."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

Json = dict[str, Any]

SERVER_CONTAINERS = ("inference-server", "scoring-server")
"""Names that Azure gives the container with the model, beside which others may run."""
_DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"
"""An annotation of the pod. Istio names the application in it, since its own proxy may be the first container."""


def part(thing: object, *keys: str) -> Any:
    """What lies under these keys; None where something on the way is missing."""
    for key in keys:
        thing = thing.get(key) if isinstance(thing, dict) else None
    return thing


def mapping(thing: object, *keys: str) -> Json:
    found = part(thing, *keys)
    return found if isinstance(found, dict) else {}


def items(thing: object, *keys: str) -> list[Json]:
    """The objects of a list."""
    found = part(thing, *keys)
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def text(thing: object, *keys: str) -> str:
    found = part(thing, *keys)
    return "" if found is None or isinstance(found, dict | list) else str(found)


def whole(thing: object, *keys: str) -> int | None:
    found = part(thing, *keys)
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def instant(thing: object, *keys: str) -> datetime | None:
    return moment(text(thing, *keys))


def moment(stamp: str) -> datetime | None:
    """Of a stamp as the API writes it; nanoseconds are cut to microseconds."""
    try:
        read = datetime.fromisoformat(stamp)
    except ValueError:
        return None
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def name_of(thing: object) -> str:
    return text(thing, "metadata", "name") or "(without a name)"


def condition(thing: object, kind: str) -> Json:
    """{} where it has none of that kind."""
    return next((c for c in items(thing, "status", "conditions") if c.get("type") == kind), {})


def is_ready(thing: object) -> bool:
    return condition(thing, "Ready").get("status") == "True"


def has_ended(pod: object) -> bool:
    return text(pod, "status", "phase") in ("Succeeded", "Failed")


def statuses(pod: object) -> list[Json]:
    """Of its containers, and of those init containers that have not done their work."""
    waited_for = [
        status
        for status in items(pod, "status", "initContainerStatuses")
        if whole(status, "state", "terminated", "exitCode") != 0 and not part(status, "state", "running")
    ]
    return waited_for + items(pod, "status", "containerStatuses")


def container(pod: object, name: str) -> Json:
    every = items(pod, "spec", "containers") + items(pod, "spec", "initContainers")
    return next((c for c in every if text(c, "name") == name), {})


def main_container(pod: object) -> Json:
    """That with the scoring server."""
    every = items(pod, "spec", "containers")
    annotated = text(pod, "metadata", "annotations", _DEFAULT_CONTAINER)
    named = [c for names in (SERVER_CONTAINERS, (annotated,)) for c in every if text(c, "name") in names]
    return (named + every + [{}])[0]


def server_status(pod: object) -> Json:
    """Of the container with the scoring server; {} where the kubelet has not reported it yet."""
    name = text(main_container(pod), "name")
    return next((s for s in items(pod, "status", "containerStatuses") if text(s, "name") == name), {})


def running_statuses(pod: object) -> list[Json]:
    """Of the containers that a ready pod needs: its own, and the sidecars among its init containers."""
    sidecars = [
        status
        for status in items(pod, "status", "initContainerStatuses")
        if text(container(pod, text(status, "name")), "restartPolicy") == "Always"
    ]
    return items(pod, "status", "containerStatuses") + sidecars


def unfinished_init(pod: object) -> Json:
    """The status of the init container that the others wait for; {} where all have done their work.

    A sidecar (restartPolicy Always) has done it once it has started.
    """
    for status in items(pod, "status", "initContainerStatuses"):
        is_sidecar = text(container(pod, text(status, "name")), "restartPolicy") == "Always"
        is_done = whole(status, "state", "terminated", "exitCode") == 0
        if not is_done and not (is_sidecar and part(status, "started") is True):
            return status
    return {}


def container_of(event: object) -> str:
    """The container of which an event speaks: its fieldPath is `spec.containers{NAME}`. "" where it names none."""
    return text(event, "involvedObject", "fieldPath").partition("{")[2].rstrip("}")


def ended(status: object) -> Json:
    """How a container ended: now, or before it was restarted."""
    return mapping(status, "state", "terminated") or mapping(status, "lastState", "terminated")


def ended_status(pod: object) -> Json:
    """Of the container that ended: the one that is down now before one that runs again."""
    down = [s for s in statuses(pod) if ended(s) and not part(s, "state", "running")]
    again = [s for s in statuses(pod) if ended(s)]
    return (down + again + [{}])[0]


def when(event: object) -> datetime | None:
    """The newest instant of an event."""
    stamps = [
        instant(event, "series", "lastObservedTime"),
        instant(event, "lastTimestamp"),
        instant(event, "eventTime"),
        instant(event, "firstTimestamp"),
    ]
    return max((stamp for stamp in stamps if stamp is not None), default=None)


def count(events: list[Json]) -> int:
    """So often did these events happen: the API keeps one for several of the same."""
    return sum(max(1, whole(event, "count") or 1) for event in events)


def one_line(said: str, most: int = 400) -> str:
    line = " ".join(said.split())
    return line if len(line) <= most else f"{line[: most - 1]}…"
