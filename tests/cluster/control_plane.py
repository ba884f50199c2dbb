"""etcd, the API server, the controller manager and the scheduler of one cluster."""

import base64
import json
import ssl
import time
import urllib.error
import urllib.request
from pathlib import Path

import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.cluster.layout import CONTEXT, NODE_NAMES, SERVICE_ACCOUNT_ISSUER, Layout
from tests.cluster.program import Program

START_PATIENCE_S = 90.0
# A node is lost eight seconds after its last lease, which the kubelet renews every second; Kubernetes' default is 50 s.
NODE_MONITOR = ["--node-monitor-period=1s", "--node-monitor-grace-period=8s"]


class ControlPlane:
    """The four programs; the API server can be stopped and started alone."""

    def __init__(self, layout: Layout, programs: Path) -> None:
        self._layout = layout
        self._programs = programs
        self.etcd = self._program("etcd", _etcd_flags(layout))
        self.api_server = self._program("kube-apiserver", _api_server_flags(layout))
        kubeconfig = f"--kubeconfig={layout.kubeconfig}"
        self.controller_manager = self._program("kube-controller-manager", [kubeconfig, *_controller_flags(layout)])
        self.scheduler = self._program("kube-scheduler", [kubeconfig, "--leader-elect=false", "--secure-port=0"])

    def start(self) -> None:
        _write_credentials(self._layout)
        self.etcd.start()
        self.start_api_server()
        write_kubeconfig(self._layout, self._layout.kubeconfig, "admin", self._layout.admin_token)
        self.controller_manager.start()
        self.scheduler.start()

    def start_api_server(self) -> None:
        self.api_server.start()
        deadline_s = time.monotonic() + START_PATIENCE_S
        while not self._is_ready():
            self.etcd.check()
            self.api_server.check()
            if time.monotonic() > deadline_s:
                raise TimeoutError(
                    f"the API server is not ready after {START_PATIENCE_S:.0f} s, see {self._layout.logs}"
                )
            time.sleep(0.1)

    def compact(self) -> int:
        """Drops every old revision in etcd; returns the revision that is now the oldest."""
        status = _post(f"{self._layout.etcd}/v3/maintenance/status", {})
        revision = int(status["header"]["revision"])
        _post(f"{self._layout.etcd}/v3/kv/compaction", {"revision": str(revision), "physical": True})
        return revision

    def _is_ready(self) -> bool:
        try:
            trusted = ssl.create_default_context(cafile=str(self._layout.server_certificate))
            request = urllib.request.Request(f"{self._layout.server}/readyz")
            request.add_header("Authorization", f"Bearer {self._layout.admin_token}")
            with urllib.request.urlopen(request, timeout=2, context=trusted) as answer:
                return bool(answer.status == 200)
        except (OSError, urllib.error.URLError):
            return False

    def _program(self, name: str, flags: list[str]) -> Program:
        layout = self._layout
        command = [str(self._programs / name), *flags]
        return Program(name, command, layout.logs / f"{name}.log", f"{layout.cgroup}/control-plane")


def write_kubeconfig(layout: Layout, path: Path, user: str, token: str) -> None:
    authority = base64.b64encode(layout.server_certificate.read_bytes()).decode()
    cluster = {"server": layout.server, "certificate-authority-data": authority}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": CONTEXT, "cluster": cluster}],
        "users": [{"name": user, "user": {"token": token}}],
        "contexts": [{"name": CONTEXT, "context": {"cluster": CONTEXT, "user": user}}],
        "current-context": CONTEXT,
    }
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(document))


def _write_credentials(layout: Layout) -> None:
    layout.pki.mkdir(parents=True, exist_ok=True)
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    private = key.private_bytes(pem, pkcs8, serialization.NoEncryption())
    public = key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
    (layout.pki / "service-account.key").write_bytes(private)
    (layout.pki / "service-account.pub").write_bytes(public)
    lines = [f'{layout.admin_token},admin,admin,"system:masters"']
    for node, token in zip(NODE_NAMES, layout.node_tokens, strict=True):
        lines.append(f'{token},system:node:{node},system:node:{node},"system:nodes"')
    (layout.pki / "tokens.csv").write_text("\n".join(lines) + "\n")


def _etcd_flags(layout: Layout) -> list[str]:
    peer = f"http://127.0.0.1:{layout.etcd_peer_port}"
    return [
        f"--data-dir={layout.folder / 'etcd'}",
        f"--listen-client-urls={layout.etcd}",
        f"--advertise-client-urls={layout.etcd}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--unsafe-no-fsync",
    ]


def _api_server_flags(layout: Layout) -> list[str]:
    return [
        f"--etcd-servers={layout.etcd}",
        "--bind-address=127.0.0.1",
        f"--secure-port={layout.api_port}",
        f"--cert-dir={layout.pki}",
        f"--token-auth-file={layout.pki / 'tokens.csv'}",
        f"--service-account-issuer={SERVICE_ACCOUNT_ISSUER}",
        f"--service-account-key-file={layout.pki / 'service-account.pub'}",
        f"--service-account-signing-key-file={layout.pki / 'service-account.key'}",
        "--service-account-extend-token-expiration=false",
        "--authorization-mode=Node,RBAC",
        f"--service-cluster-ip-range={layout.service_subnet}",
        "--endpoint-reconciler-type=none",
        "--kubelet-preferred-address-types=Hostname",
        "--shutdown-watch-termination-grace-period=1s",  # or it waits half a minute for watches that go on
    ]


def _controller_flags(layout: Layout) -> list[str]:
    return [
        f"--service-account-private-key-file={layout.pki / 'service-account.key'}",
        "--leader-elect=false",
        "--secure-port=0",
        "--bind-address=127.0.0.1",
        "--concurrent-namespace-syncs=10",
        "--horizontal-pod-autoscaler-sync-period=5s",
        *NODE_MONITOR,
    ]


def _post(url: str, document: dict[str, object]) -> dict[str, dict[str, str]]:
    request = urllib.request.Request(url, json.dumps(document).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        parsed: dict[str, dict[str, str]] = json.load(answer)
        return parsed
