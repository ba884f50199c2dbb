"""How `surgeproof diagnose` looks in a terminal: rendered from its JSON document."""

from __future__ import annotations

from typing import Any

from planner.cli.output import print_indented

_HEALTH = {
    "healthy": "Healthy: every wanted replica is ready, and nothing is wrong.",
    "unknown": "Replicas are missing, and without the rights below their cause cannot be seen.",
}

MOST_WAITING = 12
"""So many pods that wait are told one by one."""

_NONE_WANTED = (
    "No replica is wanted, so none is missing; the endpoint answers nobody until the Deployment is scaled up."
)


def show(document: dict[str, Any]) -> None:
    replicas = document["replicas"]
    counts = ", ".join(f"{n} {name}" for name, n in replicas.items() if name != "desired")
    whose = f"Deployment {document['deployment']} in namespace {document['namespace']}"
    print(f"{whose}: {replicas['desired']} wanted, {counts}")
    if document["health"] == "healthy" and not replicas["desired"]:
        print_indented(_NONE_WANTED)
    elif document["health"] == "starting":
        _show_start(document)
    elif document["health"] in _HEALTH:
        print_indented(_HEALTH[document["health"]])
    for finding in document["findings"]:
        _show_finding(finding)
    _show_waiting(document["waiting"])
    for sentence in document["missing_rights"]:
        print_indented(sentence)


def _show_start(document: dict[str, Any]) -> None:
    replicas, patience_s = document["replicas"], document["patience_s"]
    measured = "the longest start that was measured" if patience_s == document["cold_start_s"] else "--patience"
    print_indented(
        f"Replicas are missing, and may still be starting: ask again. What waits for more than {patience_s:.0f} s "
        f"({measured}) becomes a finding."
    )
    without = replicas["desired"] - replicas["ready"] - replicas["starting"] - replicas["pending"]
    if without > 0:
        print_indented(f"Replicas that have no pod yet: {without}.")


def _show_waiting(waiting: list[dict[str, Any]]) -> None:
    """What pods wait for that no finding tells of."""
    if waiting:
        print("\nWaiting")
    for pod in waiting[:MOST_WAITING]:
        for_s = "" if pod["for_s"] is None else f", for {pod['for_s']} s"
        print_indented(f"{pod['pod']}{for_s}: {pod['state']}.")
    if len(waiting) > MOST_WAITING:
        print_indented(f"And {len(waiting) - MOST_WAITING} more.")


def _show_finding(finding: dict[str, Any]) -> None:
    print(f"\n{finding['title']} ({finding['cause']})")
    if finding["pods"]:
        print_indented(f"Pods: {', '.join(finding['pods'])}")
    for piece in finding["evidence"]:
        if "\n" in piece:
            print("\n".join(f"    {line}" for line in piece.splitlines()))
        else:
            print_indented(piece)
    print_indented(f"In Azure's words: {finding['azure']}.")
    print_indented(f"Next: {finding['next_step']}")
