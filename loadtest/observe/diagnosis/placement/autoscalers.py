"""What the autoscaler of the nodes says of a pod without a place.

The cluster autoscaler writes TriggeredScaleUp and NotTriggerScaleUp on the pod (cluster-autoscaler/FAQ.md). Karpenter,
which is AKS' node auto provisioning, writes Nominated, and FailedScheduling under its own name.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from loadtest.observe.diagnosis.reading import Json, instant, one_line, text, when
from loadtest.observe.diagnosis.snapshot import Snapshot

NODE_PATIENCE_S = 900.0
"""A node that was asked for may take so long: the cluster autoscaler's own limit (max-node-provision-time, 15 min)."""

_ON_ITS_WAY = ("TriggeredScaleUp", "Nominated")
_CLUSTER, _KARPENTER = "the cluster autoscaler", "Karpenter (node auto provisioning)"


@dataclass(frozen=True, kw_only=True)
class ScaleUp:
    """Its newest word of one pod. who: which autoscaler; for_s: how long ago it first asked for a node, if it did."""

    who: str
    words: str
    is_refused: bool
    for_s: float | None = None

    @property
    def is_late(self) -> bool:
        return not self.is_refused and self.for_s is not None and self.for_s > NODE_PATIENCE_S

    @property
    def sentence(self) -> str:
        if self.is_refused:
            return f"{self.who} is on and adds no node: {self.words}"
        since = "" if self.for_s is None else f" {self.for_s:.0f} s ago"
        return f"a node was asked for{since} and is on its way, says {self.who}: {self.words}"

    @property
    def step(self) -> str:
        """What to do where no node comes; "" where the cause's own words fit."""
        if self.is_late:
            return (
                "Look at why the node does not come up (a quota of Azure, no machines of its size, a full subnet): the "
                "activity log of the node pool's scale set, `kubectl get nodes`."
            )
        if "max node group size reached" in self.words:
            return (
                "The autoscaler is on, and the node pool is at its most: raise its max-count (`az aks nodepool update "
                "--update-cluster-autoscaler --max-count N`), or lower the requests."
            )
        if "in backoff after failed scale-up" in self.words:
            return (
                "The last attempt to add a node failed, and the autoscaler waits before the next: look at why (a quota "
                "of Azure, no machines of this size, a full subnet) with `kubectl get events -n kube-system`."
            )
        if "exceed limits" in self.words:
            return "The NodePool's limits are reached: raise spec.limits of the Karpenter NodePool."
        return ""


def scale_up(snapshot: Snapshot, pod: Json) -> ScaleUp | None:
    """None where no autoscaler has said anything of this pod."""
    spoken = [
        event
        for event in snapshot.events_of(pod, *_ON_ITS_WAY, "NotTriggerScaleUp", "FailedScheduling")
        if text(event, "reason") != "FailedScheduling" or "karpenter" in _component(event)
    ]
    if not spoken:
        return None
    reason, words = text(spoken[-1], "reason"), one_line(text(spoken[-1], "message")) or "no reason given"
    who = _CLUSTER if reason in ("TriggeredScaleUp", "NotTriggerScaleUp") else _KARPENTER
    if reason not in _ON_ITS_WAY:
        return ScaleUp(who=who, words=words, is_refused=True)
    return ScaleUp(who=who, words=words, is_refused=False, for_s=snapshot.age_s(_asked_since(spoken)))


def _asked_since(spoken: list[Json]) -> datetime | None:
    """The first time after its last refusal. Karpenter repeats its word, with another node each time."""
    asked: list[Json] = []
    for event in spoken:
        asked = [*asked, event] if text(event, "reason") in _ON_ITS_WAY else []
    stamps = [instant(event, "firstTimestamp") or when(event) for event in asked]
    return min((stamp for stamp in stamps if stamp is not None), default=None)


def _component(event: Json) -> str:
    return f"{text(event, 'source', 'component')} {text(event, 'reportingComponent')}".lower()
