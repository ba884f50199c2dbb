"""One point of the search: the integer settings that a plan chooses."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from planner.model import Autoscaler, Deployment


@dataclass(frozen=True, order=True)
class Setting:
    """The chosen settings. Under `fixed` min_replicas = max_replicas is the count, and the target means nothing."""

    min_replicas: int
    max_replicas: int
    target_percent: int
    max_concurrent: int = 1
    worker_count: int = 1

    @classmethod
    def of(cls, deployment: Deployment) -> Setting:
        """Those that a deployment has."""
        return cls(
            deployment.min_replicas,
            deployment.max_replicas,
            deployment.target_utilization_percent,
            deployment.max_concurrent_requests,
            deployment.worker_count,
        )

    def applied_to(self, deployment: Deployment) -> Deployment:
        """The deployment with these settings; everything else stays, but no more replicas start than may exist."""
        initial = deployment.initial_replicas
        return dataclasses.replace(
            deployment,
            min_replicas=self.min_replicas,
            max_replicas=self.max_replicas,
            target_utilization_percent=self.target_percent,
            max_concurrent_requests=self.max_concurrent,
            worker_count=self.worker_count,
            initial_replicas=None if initial is None else min(initial, self.max_replicas),
        )

    def text(self, autoscaler: Autoscaler) -> str:
        """As a sentence names it: min 4, max 40, target 70 %."""
        size = "" if self.max_concurrent == 1 else f", {self.max_concurrent} requests per replica"
        if autoscaler is Autoscaler.FIXED:
            return f"{self.min_replicas} replica{'' if self.min_replicas == 1 else 's'}{size}"
        return f"min {self.min_replicas}, max {self.max_replicas}, target {self.target_percent} %{size}"
