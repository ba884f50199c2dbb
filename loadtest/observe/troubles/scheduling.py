"""Pods that no node has room for: which resource, how much is free, and how many would fit."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal, InvalidOperation

from kubernetes.utils import parse_quantity

from loadtest.observe.state import condition
from loadtest.observe.troubles.containers import name_of
from loadtest.observe.troubles.findings import Cause, Finding
from loadtest.observe.troubles.snapshot import Json, Snapshot

COUNTED = ("cpu", "memory", "nvidia.com/gpu")


def scheduling_findings(snapshot: Snapshot, pod: Json) -> Iterator[Finding]:
    scheduled = condition(pod, "PodScheduled")
    if scheduled.get("status") != "False" or scheduled.get("reason") != "Unschedulable":
        return
    wanted = requests_of(pod)
    evidence = [str(scheduled.get("message") or "the scheduler gives no reason"), f"it requests {_said(wanted)}"]
    measured: dict[str, object] = {"requests": {name: float(value) for name, value in wanted.items()}}
    if snapshot.nodes is None:
        evidence.append("nodes cannot be seen (no right to list them), so what is free is not known")
    else:
        free = {name_of(node): _free(node, snapshot) for node in snapshot.nodes}
        for name, value in wanted.items():
            if value > 0:
                most = max((left.get(name, Decimal(0)) for left in free.values()), default=Decimal(0))
                lacks = " : too little" if most < value else ""
                evidence.append(f"{name}: at most {_amount(name, most)} free on one of {len(free)} nodes{lacks}")
        fit = sum(_how_many(left, wanted) for left in free.values())
        measured["would_fit"] = fit
        evidence.append(
            f"{fit} more of such replicas would fit on the nodes as they are, counting pods of this namespace only "
            "(those of others are not visible and take room too)"
        )
    yield Finding(cause=Cause.DOES_NOT_FIT, pods=(name_of(pod),), evidence=tuple(evidence), measured=measured)


def requests_of(pod: Json) -> dict[str, Decimal]:
    """What a pod requests of each counted resource: the sum over its containers."""
    total: dict[str, Decimal] = {}
    for container in (pod.get("spec") or {}).get("containers") or []:
        resources = container.get("resources") or {}
        asked = {**(resources.get("limits") or {}), **(resources.get("requests") or {})}
        for name in COUNTED:
            if name in asked:
                total[name] = total.get(name, Decimal(0)) + _quantity(asked[name])
    return total


def _free(node: Json, snapshot: Snapshot) -> dict[str, Decimal]:
    """Allocatable less what the pods that we see there request; nothing on a node that takes no pods."""
    if (node.get("spec") or {}).get("unschedulable") or condition(node, "Ready").get("status") != "True":
        return {}
    allocatable = (node.get("status") or {}).get("allocatable") or {}
    free = {name: _quantity(value) for name, value in allocatable.items() if name in COUNTED}
    for pod in [*snapshot.pods, *(snapshot.other_pods or [])]:
        over = (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")
        if (pod.get("spec") or {}).get("nodeName") == name_of(node) and not over:
            for name, value in requests_of(pod).items():
                free[name] = free.get(name, Decimal(0)) - value
    return free


def _how_many(free: dict[str, Decimal], wanted: dict[str, Decimal]) -> int:
    fits = [int(free.get(name, Decimal(0)) // value) for name, value in wanted.items() if value > 0]
    return max(0, min(fits)) if fits else 0


def _quantity(text: object) -> Decimal:
    try:
        return Decimal(parse_quantity(text))
    except (ValueError, InvalidOperation):
        return Decimal(0)


def _said(amounts: dict[str, Decimal]) -> str:
    return ", ".join(f"{name} {_amount(name, value)}" for name, value in amounts.items()) or "nothing"


def _amount(name: str, value: Decimal) -> str:
    return f"{float(value) / 2**20:.0f}Mi" if name == "memory" else f"{float(value):g}"
