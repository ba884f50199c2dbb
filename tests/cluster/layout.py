"""What a cluster is made of: names, addresses and places, chosen once and written down for who cleans up."""

import ipaddress
import json
import secrets
import socket
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

CONTEXT = "surgeproof-test"
# The issuer of ServiceAccount tokens and, as nothing else is configured, their audience.
SERVICE_ACCOUNT_ISSUER = "https://kubernetes.default.svc.cluster.local"
NODE_NAMES = ("127.0.0.1", "127.0.0.2")
# Below Linux's range for outgoing connections: none of them takes the API server's port while that restarts.
PORTS = range(20000, 32000)


@dataclass(frozen=True)
class Layout:
    """One cluster's names and places; a `bare` one has no scoring image, and so starts in half the time."""

    id: str
    state: str
    keeps_state: bool
    bare: bool
    pod_subnets: tuple[str, ...]
    service_subnet: str
    etcd_port: int
    etcd_peer_port: int
    api_port: int
    kubelet_ports: tuple[int, ...]
    admin_token: str
    node_tokens: tuple[str, ...]

    @property
    def folder(self) -> Path:
        return Path(self.state)

    @property
    def cgroup(self) -> str:
        return f"surgeproof-{self.id}"

    @property
    def server(self) -> str:
        return f"https://127.0.0.1:{self.api_port}"

    @property
    def etcd(self) -> str:
        return f"http://127.0.0.1:{self.etcd_port}"

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    @property
    def pki(self) -> Path:
        return self.folder / "pki"

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "kubeconfig"

    @property
    def server_certificate(self) -> Path:
        return self.pki / "apiserver.crt"

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Layout":
        document: dict[str, Any] = json.loads(text)
        fields: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in document.items()
        }
        return cls(**fields)


def new_layout(state: Path, *, keeps_state: bool, bare: bool, others: tuple[Layout, ...] = ()) -> Layout:
    """Free ports and subnets that collide neither with a route of this machine nor with another cluster."""
    ports = _free_ports(3 + len(NODE_NAMES))
    second = _free_second_octet(others)
    return Layout(
        id=secrets.token_hex(4),
        state=str(state),
        keeps_state=keeps_state,
        bare=bare,
        pod_subnets=tuple(f"10.{second}.{number}.0/24" for number in range(1, len(NODE_NAMES) + 1)),
        service_subnet=f"10.{second}.128.0/20",
        etcd_port=ports[0],
        etcd_peer_port=ports[1],
        api_port=ports[2],
        kubelet_ports=tuple(ports[3:]),
        admin_token=secrets.token_hex(16),
        node_tokens=tuple(secrets.token_hex(16) for _ in NODE_NAMES),
    )


def _free_ports(count: int) -> list[int]:
    held: list[socket.socket] = []
    try:
        while len(held) < count:
            listener = socket.socket()
            try:
                listener.bind(("127.0.0.1", secrets.choice(PORTS)))
            except OSError:
                listener.close()
                continue
            held.append(listener)
        return [listener.getsockname()[1] for listener in held]
    finally:
        for listener in held:
            listener.close()


def _free_second_octet(others: tuple[Layout, ...]) -> int:
    taken = [ipaddress.ip_network(layout.service_subnet).supernet(new_prefix=16) for layout in others]
    for line in subprocess.run(["ip", "-4", "route"], capture_output=True, text=True, check=True).stdout.splitlines():
        first = line.split()[0]
        if first[0].isdigit():
            taken.append(ipaddress.ip_network(first, strict=False))
    free = [
        second
        for second in range(64, 250)
        if not any(ipaddress.ip_network(f"10.{second}.0.0/16").overlaps(network) for network in taken)
    ]
    return secrets.choice(free)
