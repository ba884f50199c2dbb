"""What a diagnosis says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from loadtest.observe.diagnosis.words import WORDS, Cause

MOST_VARIANTS = 5
"""So many different first sentences of one cause are told."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One cause, in one or several pods. measured: the numbers of the evidence.

    evidence: sentences, or blocks of lines. The first says what is wrong without what differs from pod to pod.
    """

    cause: Cause
    pods: tuple[str, ...]
    evidence: tuple[str, ...]
    measured: Mapping[str, Any] = field(default_factory=dict)

    @property
    def next_step(self) -> str:
        return WORDS[self.cause].next_step

    @property
    def azure(self) -> str:
        return WORDS[self.cause].azure


def joined(findings: Iterable[Finding]) -> list[Finding]:
    """One finding of each cause, with all its pods: the first one's evidence, and what others say that differs."""
    by_cause: dict[Cause, list[Finding]] = {}
    for finding in findings:
        by_cause.setdefault(finding.cause, []).append(finding)
    return [_one(by_cause[cause]) for cause in Cause if cause in by_cause]


def findings_document(findings: Iterable[Finding]) -> list[dict[str, Any]]:
    """As JSON, with the words for people."""
    return [
        {
            "cause": str(finding.cause),
            "title": WORDS[finding.cause].title,
            "pods": list(finding.pods),
            "evidence": list(finding.evidence),
            "next_step": finding.next_step,
            "azure": finding.azure,
            "measured": dict(finding.measured),
        }
        for finding in findings
    ]


def _one(same: list[Finding]) -> Finding:
    first = same[0]
    variants = {finding.evidence[0]: finding for finding in reversed(same) if finding.evidence}
    others = [finding for finding in same if variants.get(finding.evidence[0]) is finding and finding is not first]
    differing = [f for f in others if f.evidence[0] not in first.evidence]
    also = [f"{', '.join(f.pods)}: {f.evidence[0]}".removeprefix(": ") for f in differing]
    if len(also) >= MOST_VARIANTS:
        also = [*also[: MOST_VARIANTS - 1], f"and {len(also) - MOST_VARIANTS + 1} more that differ"]
    return Finding(
        cause=first.cause,
        pods=tuple(dict.fromkeys(pod for finding in same for pod in finding.pods)),
        evidence=(*first.evidence, *also),
        measured=first.measured,
    )
