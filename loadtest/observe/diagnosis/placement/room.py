"""How much room the nodes have: requests against what is allocatable, node selectors and taints."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

from kubernetes.utils import parse_quantity

from loadtest.observe.diagnosis.reading import Json, has_ended, is_ready, items, mapping, name_of, part, text
from loadtest.observe.diagnosis.snapshot import Snapshot

Amounts = dict[str, Decimal]
_PARSE: Any = parse_quantity


def requests_of(pod: Json) -> Amounts:
    """What a pod requests: the sum over its containers, or an init container's if that is more."""
    total: Amounts = {}
    for container in items(pod, "spec", "containers"):
        for name, value in _requests(container).items():
            total[name] = total.get(name, Decimal(0)) + value
    for container in items(pod, "spec", "initContainers"):
        stays = text(container, "restartPolicy") == "Always"  # a sidecar runs beside the others
        for name, value in _requests(container).items():
            before = total.get(name, Decimal(0))
            total[name] = before + value if stays else max(before, value)
    for name, value in mapping(pod, "spec", "overhead").items():
        total[name] = total.get(name, Decimal(0)) + _quantity(value)
    return total


def room(snapshot: Snapshot, pod: Json, wanted: Amounts) -> tuple[list[str], dict[str, Any]]:
    nodes = snapshot.nodes or []
    refused = {name_of(node): why for node in nodes if (why := _why_not(node, pod))}
    free = {name_of(node): _free(node, snapshot) for node in nodes if name_of(node) not in refused}
    largest = {name: max((left.get(name, Decimal(0)) for left in free.values()), default=None) for name in wanted}
    fit = sum(_how_many(left, wanted) for left in free.values())
    short = [name for name, most in largest.items() if most is None or most < wanted[name]]
    lines = [f"node {name} takes no such pod: {why}" for name, why in list(refused.items())[:5]]
    for name, most in largest.items():
        if most is not None:
            lack = ": too little" if name in short else ""
            lines.append(f"{name}: at most {_amount(name, most)} free on one of {len(free)} nodes{lack}")
    of_others = "" if snapshot.sees_all_pods else "; pods of other namespaces cannot be seen, and take room too"
    lines.append(f"{fit} more such replicas would fit on the nodes as they are{of_others}")
    if fit:
        lines.append(
            "that counts requests, node selector and taints alone: what else keeps a pod off, the scheduler says"
        )
    measured = {
        "would_fit": fit,
        "too_little_of": [name for name in short if largest[name] is not None],
        "largest_free": {name: float(most) for name, most in largest.items() if most is not None},
        "nodes": len(nodes),
        "nodes_that_refuse": len(refused),
    }
    return lines, measured


def _why_not(node: Json, pod: Json) -> str | None:
    """What but room keeps a pod off a node."""
    if part(node, "spec", "unschedulable"):
        return "it is cordoned"
    if not is_ready(node):
        return "it is not ready"
    labels = mapping(node, "metadata", "labels")
    for key, value in mapping(pod, "spec", "nodeSelector").items():
        if labels.get(key) != value:
            has = f"has {key}={labels[key]}" if key in labels else f"has no label {key}"
            return f"the pod's nodeSelector is {key}={value}, and the node {has}"
    for taint in items(node, "spec", "taints"):
        if taint.get("effect") in ("NoSchedule", "NoExecute") and not _is_tolerated(pod, taint):
            value = f"={text(taint, 'value')}" if text(taint, "value") else ""
            return f"its taint {text(taint, 'key')}{value}:{text(taint, 'effect')} is not tolerated"
    return None


def _is_tolerated(pod: Json, taint: Json) -> bool:
    for toleration in items(pod, "spec", "tolerations"):
        is_any = toleration.get("operator") == "Exists"
        is_key = toleration.get("key") in ((None, "", taint.get("key")) if is_any else (taint.get("key"),))
        is_value = is_any or text(toleration, "value") == text(taint, "value")
        if is_key and is_value and toleration.get("effect") in (None, "", taint.get("effect")):
            return True
    return False


def _free(node: Json, snapshot: Snapshot) -> Amounts:
    """Allocatable less what the pods that are seen there request."""
    free = {name: _quantity(value) for name, value in mapping(node, "status", "allocatable").items()}
    for pod in [*snapshot.pods, *snapshot.other_pods]:
        if text(pod, "spec", "nodeName") == name_of(node) and not has_ended(pod):
            for name, value in requests_of(pod).items():
                free[name] = free.get(name, Decimal(0)) - value
            free["pods"] = free.get("pods", Decimal(0)) - 1
    return free


def _how_many(free: Amounts, wanted: Amounts) -> int:
    fits = [int(free.get(name, Decimal(0)) // value) for name, value in wanted.items() if value > 0]
    if "pods" in free:
        fits.append(int(free["pods"]))
    return max(0, min(fits, default=0))


def _requests(container: Json) -> Amounts:
    """A resource with a limit alone is requested up to it."""
    asked = {**mapping(container, "resources", "limits"), **mapping(container, "resources", "requests")}
    return {str(name): _quantity(asked[name]) for name in sorted(asked, key=str)}


def _quantity(value: object) -> Decimal:
    try:
        read = Decimal(_PARSE(value))
    except (ValueError, TypeError, ArithmeticError, InvalidOperation):
        return Decimal(0)
    return read if read.is_finite() else Decimal(0)


def amounts_in_words(amounts: Amounts) -> str:
    named = [f"{name} {_amount(name, value)}" for name, value in amounts.items()]
    return ", ".join(named) or "nothing"


def _amount(name: str, value: Decimal) -> str:
    in_bytes = name in ("memory", "ephemeral-storage") or name.startswith("hugepages-")
    return f"{float(value) / 2**20:.0f} Mi" if in_bytes else f"{float(value):g}"
