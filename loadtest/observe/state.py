"""The replicas of one Deployment at an instant, from the objects that the API shows: pure bookkeeping, no clock."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

Json = Mapping[str, Any]


class Phase(StrEnum):
    """Of a pod, as far as it is a replica. PENDING: the scheduler finds no node that has room for it."""

    PENDING = "pending"
    STARTING = "starting"
    READY = "ready"
    TERMINATING = "terminating"


def phase_of(pod: Json) -> Phase | None:
    """None for a pod that has ended (an evicted one, say): it is a replica no more."""
    status = pod.get("status") or {}
    if status.get("phase") in ("Succeeded", "Failed"):
        return None
    if pod["metadata"].get("deletionTimestamp"):
        return Phase.TERMINATING
    if is_true(pod, "Ready"):
        return Phase.READY
    scheduled = condition(pod, "PodScheduled")
    if scheduled.get("status") == "False" and scheduled.get("reason") == "Unschedulable":
        return Phase.PENDING
    return Phase.STARTING


def condition(pod: Json, kind: str) -> Json:
    """A condition of a pod; {} where it has none of that kind."""
    conditions = (pod.get("status") or {}).get("conditions") or []
    return next((c for c in conditions if c.get("type") == kind), {})


def is_true(pod: Json, kind: str) -> bool:
    return condition(pod, kind).get("status") == "True"


def owner_uid(thing: Json) -> str | None:
    """The uid of what controls an object."""
    owners = thing["metadata"].get("ownerReferences") or []
    return next((str(owner["uid"]) for owner in owners if owner.get("controller")), None)


@dataclass(frozen=True, kw_only=True)
class Counts:
    """Replicas under the names of `ReplicaLog`. desired is -1 while the Deployment is not known."""

    desired: int
    ready: int
    starting: int
    pending: int
    terminating: int
    lost: int


@dataclass(eq=False, kw_only=True)
class Pod:
    """What is remembered of a pod. started_s: when it was created or last ceased to be ready; its next readiness, if it
    began after a loss, makes up for that loss."""

    name: str
    owner: str | None
    phase: Phase | None
    started_s: float


@dataclass(eq=False)
class Replicas:
    """Follows the Deployment, its ReplicaSets and their pods; told of changes in the order in which they were seen.

    A pod belongs to the Deployment if a ReplicaSet of the Deployment controls it, whatever its labels say.
    """

    deployment_uid: str
    desired: int = -1
    pods: dict[str, Pod] = field(default_factory=dict)
    """By uid; those of other owners too, since their ReplicaSet may become known later."""
    _sets: set[str] = field(default_factory=set)
    _losses_s: deque[float] = field(default_factory=deque)

    def deployment_changed(self, deployment: Json | None) -> None:
        """None: it was deleted."""
        if deployment is None:
            self.desired = 0
        elif deployment["metadata"]["uid"] == self.deployment_uid:
            self.desired = int((deployment.get("spec") or {}).get("replicas", 1))
        self._forget_what_is_not_missing()

    def set_changed(self, replica_set: Json) -> None:
        if owner_uid(replica_set) == self.deployment_uid:
            self._sets.add(str(replica_set["metadata"]["uid"]))

    def pod_changed(self, pod: Json, seen_s: float, *, deleted: bool = False) -> Pod:
        """Note a pod's new state; what it is now."""
        uid, name = str(pod["metadata"]["uid"]), str(pod["metadata"]["name"])
        phase = None if deleted else phase_of(pod)
        known = self.pods.get(uid)
        if known is None:
            known = Pod(name=name, owner=owner_uid(pod), phase=None, started_s=seen_s)
            if not deleted:
                self.pods[uid] = known
        was, known.phase = known.phase, phase
        if self.is_mine(known):
            if was is Phase.READY and phase is not Phase.READY:
                known.started_s = seen_s
                self._losses_s.append(seen_s)
            elif phase is Phase.READY and was is not Phase.READY:
                self._make_up_for_a_loss(known)
        if deleted:
            self.pods.pop(uid, None)
        self._forget_what_is_not_missing()
        return known

    def is_mine(self, pod: Pod) -> bool:
        return pod.owner in self._sets

    def counts(self) -> Counts:
        phases = [pod.phase for pod in self.pods.values() if self.is_mine(pod)]
        return Counts(
            desired=self.desired,
            ready=phases.count(Phase.READY),
            starting=phases.count(Phase.STARTING),
            pending=phases.count(Phase.PENDING),
            terminating=phases.count(Phase.TERMINATING),
            lost=len(self._losses_s),
        )

    def _make_up_for_a_loss(self, pod: Pod) -> None:
        """What was on its way before the loss is no replacement."""
        if self._losses_s and pod.started_s >= self._losses_s[0]:
            self._losses_s.popleft()

    def _forget_what_is_not_missing(self) -> None:
        """A replica that was one too many is not lost, whichever of the two changes comes first."""
        ready = sum(pod.phase is Phase.READY and self.is_mine(pod) for pod in self.pods.values())
        missing = max(0, self.desired - ready)
        while len(self._losses_s) > missing:
            self._losses_s.popleft()
