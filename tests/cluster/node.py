"""A real node: its own containerd, its own network for pods, and a kubelet."""

import json
import subprocess
import time
from pathlib import Path

import yaml

from tests.cluster.control_plane import write_kubeconfig
from tests.cluster.images import Image
from tests.cluster.layout import NODE_NAMES, Layout
from tests.cluster.program import Program

CNI_FOLDERS = (Path("/usr/lib/cni"), Path("/opt/cni/bin"))
SOCKET_PATIENCE_S = 20.0
MEMORY_TO_SPARE_BYTES = 6 * 1024**3
# As a node pool of AKS labels its nodes, with one of its usual machines.
LABELS = {
    "agentpool": "surgeproof",
    "kubernetes.azure.com/agentpool": "surgeproof",
    "node.kubernetes.io/instance-type": "Standard_D2s_v3",
}


class Node:
    """Node `NODE_NAMES[index]` of a cluster."""

    def __init__(self, layout: Layout, programs: Path, index: int) -> None:
        self.layout = layout
        self.index = index
        self.name = NODE_NAMES[index]
        self.cgroup = f"{layout.cgroup}/node-{index + 1}"
        self.folder = layout.folder / f"node-{index + 1}"
        self.containerd = self._program("containerd", ["containerd", "--config", str(self.folder / "containerd.toml")])
        self.kubelet = self._program("kubelet", [str(programs / "kubelet"), *self._kubelet_flags()])

    @property
    def socket(self) -> Path:
        return self.folder / "containerd.sock"

    def start_containerd(self, images: list[Image]) -> None:
        """The first image is that of the pause program."""
        self._mount_memory()
        for name in ("cni", "containerd", "kubelet"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        (self.folder / "containerd.toml").write_text(_containerd_config(self, images[0]))
        (self.folder / "cni/10-ptp.conflist").write_text(_cni_config(self))
        self.containerd.start()
        self._wait_for_socket()
        for image in images:
            self._ctr("images", "import", str(image.archive))

    def start_kubelet(self) -> None:
        (self.folder / "kubelet.yaml").write_text(yaml.safe_dump(_kubelet_config(self)))
        write_kubeconfig(self.layout, self.folder / "kubeconfig", self.name, self.layout.node_tokens[self.index])
        self.kubelet.start()

    def stop(self) -> None:
        self.kubelet.stop()
        self.containerd.stop()

    def kill(self) -> None:
        """The node is lost: kubelet and containerd are gone at once. Its containers run on: nobody told them to end."""
        self.kubelet.kill()
        self.containerd.kill()

    def _mount_memory(self) -> None:
        """Images and containers in memory where there is plenty: on a slow disk their import takes half a minute."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if available_memory_bytes() > MEMORY_TO_SPARE_BYTES:
            options = ["-t", "tmpfs", "-o", "size=3g,mode=755", self.cgroup.replace("/", "-"), str(self.folder)]
            subprocess.run(["mount", *options], capture_output=True, check=False)  # refused, it is the disk after all

    def _ctr(self, *arguments: str) -> None:
        command = ["ctr", "--address", str(self.socket), "-n", "k8s.io", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"`{' '.join(command)}` failed: {done.stderr.strip()[-1000:]}")

    def _wait_for_socket(self) -> None:
        deadline_s = time.monotonic() + SOCKET_PATIENCE_S
        while not self.socket.exists():
            self.containerd.check()
            if time.monotonic() > deadline_s:
                raise TimeoutError(f"containerd does not listen after {SOCKET_PATIENCE_S:.0f} s")
            time.sleep(0.05)

    def _kubelet_flags(self) -> list[str]:
        labels = ",".join(f"{name}={value}" for name, value in LABELS.items())
        return [
            f"--config={self.folder / 'kubelet.yaml'}",
            f"--kubeconfig={self.folder / 'kubeconfig'}",
            f"--root-dir={self.folder / 'kubelet'}",
            f"--cert-dir={self.folder / 'kubelet/pki'}",
            f"--hostname-override={self.name}",
            f"--node-labels={labels}",
        ]

    def _program(self, name: str, command: list[str]) -> Program:
        log = self.layout.logs / f"{name}-{self.index + 1}.log"
        return Program(f"{name} of node {self.name}", command, log, f"{self.cgroup}/host")


def available_memory_bytes() -> int:
    line = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemAvailable:"))
    return int(line.split()[1]) * 1024


def cni_folder() -> Path | None:
    return next((folder for folder in CNI_FOLDERS if (folder / "ptp").exists()), None)


def _containerd_config(node: Node, pause: Image) -> str:
    # Without CAP_SYS_RESOURCE runc cannot lower oom_score_adj, hence restrict_oom_score_adj.
    # The network namespaces are under the state folder, so that none of them is lost among others.
    return f"""
version = 2
root = "{node.folder}/containerd/root"
state = "{node.folder}/containerd/state"
[grpc]
address = "{node.socket}"
[plugins."io.containerd.internal.v1.opt"]
path = "{node.folder}/containerd/opt"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{pause.name}"
restrict_oom_score_adj = true
netns_mounts_under_state_dir = true
[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "overlayfs"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
Root = "{node.folder}/runc"
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{cni_folder()}"
conf_dir = "{node.folder}/cni"
"""


def _cni_config(node: Node) -> str:
    subnet = node.layout.pod_subnets[node.index]
    ranges = [[{"subnet": subnet}]]
    ipam = {
        "type": "host-local",
        "dataDir": str(node.folder / "cni/leases"),
        "ranges": ranges,
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    plugin = {"type": "ptp", "ipMasq": False, "ipam": ipam}
    return json.dumps({"cniVersion": "1.0.0", "name": f"pods-{node.index + 1}", "plugins": [plugin]})


def _kubelet_config(node: Node) -> dict[str, object]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": node.name,
        "port": node.layout.kubelet_ports[node.index],
        "healthzPort": 0,
        "readOnlyPort": 0,
        "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
        "authorization": {"mode": "AlwaysAllow"},
        "containerRuntimeEndpoint": f"unix://{node.socket}",
        "podLogsDir": str(node.folder / "pod-logs"),
        "failCgroupV1": False,
        "cgroupDriver": "cgroupfs",
        "cgroupsPerQOS": False,
        "enforceNodeAllocatable": [],
        "failSwapOn": False,
        "localStorageCapacityIsolation": True,
        "volumeStatsAggPeriod": "2s",
        "evictionHard": {"memory.available": "100Mi"},
        "imageGCHighThresholdPercent": 100,
        "makeIPTablesUtilChains": False,
        "clusterDNS": ["127.0.0.1"],
        "clusterDomain": "cluster.local",
        "nodeStatusUpdateFrequency": "2s",
        "nodeStatusReportFrequency": "10s",
        "nodeLeaseDurationSeconds": 4,
        "syncFrequency": "5s",
    }
