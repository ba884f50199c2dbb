"""How `surgeproof diagnose` looks in a terminal: rendered from its JSON document."""

from __future__ import annotations

from typing import Any

from planner.cli.output import print_indented

_HEALTH = {
    "healthy": "Healthy: every wanted replica is ready, and nothing is wrong.",
    "starting": "Replicas are missing, and nothing says why yet: they may still be starting. Ask again.",
    "unknown": "Replicas are missing, and without the rights below their cause cannot be seen.",
}

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
    elif document["health"] in _HEALTH:
        print_indented(_HEALTH[document["health"]])
    for finding in document["findings"]:
        _show_finding(finding)
    for sentence in document["missing_rights"]:
        print_indented(sentence)


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
