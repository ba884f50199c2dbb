"""What a diagnosis says."""

from __future__ import annotations

import re
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
    step: what to do, where that is not what the cause's own words say.
    """

    cause: Cause
    pods: tuple[str, ...]
    evidence: tuple[str, ...]
    measured: Mapping[str, Any] = field(default_factory=dict)
    step: str = ""

    @property
    def next_step(self) -> str:
        return self.step or WORDS[self.cause].next_step

    @property
    def azure(self) -> str:
        return WORDS[self.cause].azure


@dataclass(frozen=True)
class Kind:
    """One of several troubles of a cause, known by words of the cluster's, with its own next step."""

    name: str
    words: re.Pattern[str]
    step: str = ""


OTHER = Kind("other", re.compile(""))
"""None of those that are known: what the cause's own words say is to be done."""


def kind_of(kinds: Iterable[Kind], said: str) -> Kind:
    """The first that fits, else OTHER."""
    return next((kind for kind in kinds if kind.words.search(said)), OTHER)


def joined(findings: Iterable[Finding]) -> list[Finding]:
    """One finding of each cause and next step, with all its pods: the first one's evidence, and what others say that
    differs."""
    alike: dict[tuple[Cause, str], list[Finding]] = {}
    for finding in findings:
        alike.setdefault((finding.cause, finding.step), []).append(finding)
    order = list(Cause)
    return [_one(alike[key]) for key in sorted(alike, key=lambda key: order.index(key[0]))]


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
        step=first.step,
    )
