"""Which deployment on which cluster is meant: plain data that costs nothing to import."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class ClusterTarget:
    """What the user said of the cluster and of the deployment on it.

    kubeconfig: None means $KUBECONFIG or ~/.kube/config; context: None means the current one; in_cluster: this process
    runs in a pod and uses its service account. namespace: None means that of the context (or of the pod), else
    `default`. The deployment has a name or a label selector, not both; `diagnose` and `observe` need one of them.
    """

    kubeconfig: Path | None = None
    context: str | None = None
    in_cluster: bool = False
    namespace: str | None = None
    deployment: str | None = None
    selector: str | None = None

    def arguments(self) -> list[str]:
        """As on a command line, for a process that is started with the same target."""
        named = {
            "--kubeconfig": self.kubeconfig and str(self.kubeconfig.absolute()),
            "--kube-context": self.context,
            "--namespace": self.namespace,
            "--deployment": self.deployment,
            "--deployment-selector": self.selector,
        }
        given = [part for option, value in named.items() if value for part in (option, value)]
        return given + (["--in-cluster"] if self.in_cluster else [])
