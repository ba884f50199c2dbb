"""How long each launch of a pod took, and what it did meanwhile: from the instants at which its changes were seen.

The API stamps whole seconds. A watch delivers a change within milliseconds, so the instants of this machine are used
where the change was seen as it happened, and the stamps where the pod was there before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from loadtest.observe.clock import ServerClock
from loadtest.observe.state import condition, is_true

Json = Mapping[str, Any]

PHASES = ("schedule_s", "image_s", "container_s", "server_s")
"""In their order; the last ends with the first readiness. Those that are known add up to the cold start."""


@dataclass(eq=False, kw_only=True)
class Launch:
    """One pod from its creation to its first readiness; instants of the monotonic clock, None while unknown.

    image_s is when the last image was there, container_s when the last container started. live: every instant was seen
    as it happened; else they are the API's stamps, good to a second.
    """

    pod: str
    created_s: float
    live: bool
    node: str | None = None
    scheduled_s: float | None = None
    image_s: float | None = None
    container_s: float | None = None
    ready_s: float | None = None
    init_s: float | None = None
    restarts: int = 0

    def phases(self) -> dict[str, float | None]:
        """Durations: until a node was chosen, the image was there, the container ran, and the scoring server was ready.

        A phase whose end was not seen is part of the next. init_s is the part of server_s that init() took.
        """
        ends = (self.scheduled_s, self.image_s, self.container_s, self.ready_s)
        durations: dict[str, float | None] = {}
        before_s = self.created_s
        for name, end_s in zip(PHASES, ends, strict=True):
            durations[name] = None if end_s is None else max(0.0, end_s - before_s)
            before_s = before_s if end_s is None else max(before_s, end_s)
        return durations | {"init_s": self.init_s}

    @property
    def cold_start_s(self) -> float | None:
        return None if self.ready_s is None else self.ready_s - self.created_s

    def document(self, zero_s: float = 0.0) -> dict[str, Any]:
        """As JSON; instants as seconds after zero_s."""
        instants = ("created_s", "scheduled_s", "image_s", "container_s", "ready_s")
        moved = {n: None if (v := getattr(self, n)) is None else round(v - zero_s, 6) for n in instants}
        return asdict(self) | moved | {"cold_start_s": self.cold_start_s, "phases": self.phases()}


@dataclass(eq=False)
class Launches:
    """Follows pods from one Deployment; told of the changes that concern them."""

    clock: ServerClock | None = None
    by_uid: dict[str, Launch] = field(default_factory=dict)

    def pod_changed(self, pod: Json, seen_s: float, *, listed: bool) -> Launch:
        """Note what is new in a pod; its launch."""
        uid = str(pod["metadata"]["uid"])
        if uid not in self.by_uid:
            stamp = self._stamp(pod["metadata"].get("creationTimestamp"))
            live = not listed and not is_true(pod, "Ready")
            created_s = seen_s if live or stamp is None else stamp
            self.by_uid[uid] = Launch(pod=str(pod["metadata"]["name"]), created_s=created_s, live=live)
        launch = self.by_uid[uid]
        launch.node = (pod.get("spec") or {}).get("nodeName") or launch.node
        statuses = (pod.get("status") or {}).get("containerStatuses") or []
        if launch.ready_s is None:
            launch.restarts = sum(int(status.get("restartCount") or 0) for status in statuses)
            launch.live = launch.live and not listed
            launch.scheduled_s = self._reached(launch, launch.scheduled_s, pod, "PodScheduled", seen_s)
            if all(((status.get("state") or {}).get("running")) for status in statuses) and statuses:
                launch.container_s = launch.container_s or self._started(launch, statuses, seen_s)
            launch.ready_s = self._reached(launch, launch.ready_s, pod, "Ready", seen_s)
        return launch

    def event_seen(self, event: Json, seen_s: float, *, listed: bool) -> None:
        """What the kubelet says of images and containers; the last of its kind before the pod is ready counts."""
        launch = self.by_uid.get(str((event.get("involvedObject") or {}).get("uid")))
        if launch is None or launch.ready_s is not None or listed:
            return
        if event.get("reason") == "Pulled":
            launch.image_s = seen_s
        elif event.get("reason") == "Started":
            launch.container_s = seen_s

    def _reached(self, launch: Launch, known_s: float | None, pod: Json, kind: str, seen_s: float) -> float | None:
        if known_s is not None or not is_true(pod, kind):
            return known_s
        stamp_s = self._stamp(condition(pod, kind).get("lastTransitionTime"))
        return seen_s if launch.live or stamp_s is None else stamp_s

    def _started(self, launch: Launch, statuses: list[Json], seen_s: float) -> float:
        stamps = [self._stamp(status["state"]["running"].get("startedAt")) for status in statuses]
        known = [stamp for stamp in stamps if stamp is not None]
        return seen_s if launch.live or not known else max(known)

    def _stamp(self, text: object) -> float | None:
        """The middle of the whole second that the API names, on this machine's monotonic clock."""
        if self.clock is None or not isinstance(text, str):
            return None
        try:
            return self.clock.to_monotonic(datetime.fromisoformat(text).timestamp() + 0.5)
        except ValueError:
            return None
