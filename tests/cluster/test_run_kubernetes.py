"""The whole line on a real cluster: `run` with a calibration between two runs, and a replay through all troubles."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kubernetes import client

from loadtest.lab.options import KEY_VARIABLE
from loadtest.lab.process import LabProcess
from loadtest.observe.scaling import ALLOWED, LABEL
from loadtest.observe.target import ClusterTarget
from loadtest.runfolder import RunFolder
from planner.causes import UNATTRIBUTED
from planner.child import child_environment, module_command
from planner.model import Cause, Outcome
from tests.cluster.cluster import Cluster, ForeignCluster
from tests.cluster.observing import apply_rbac, kubeconfig_with, remove_rbac, token_of
from tests.cluster.workloads import pods_of, scoring_deployment, wait_ready, wait_until

BURST = """
schema_version: 1
name: exhausting-burst
shows: A burst that five pods cannot serve.
duration: 45s
traffic: {arrivals: poisson, rate: [{from: 0s, rps: 4}, {from: 8s, rps: 30}, {from: 28s, rps: 4}]}
service_time: {distribution: lognormal, mean: 180ms, cv: 0.3}
deployment: {api: v2, autoscale_min_replicas: 2, autoscale_max_replicas: 5, request_timeout_ms: 5000}
cold_start: {distribution: lognormal, mean: 12s, cv: 0.2}
slo: {max_503: 1%}
seed: 3
"""
STEADY = """
schema_version: 1
name: steady
shows: Three pods that are just enough.
duration: 40s
traffic: {arrivals: poisson, rate: [{from: 0s, rps: 11}]}
service_time: {distribution: deterministic, mean: 200ms}
deployment: {api: v2, autoscaler: fixed, num_replicas: 3, request_timeout_ms: 5000}
cold_start: {distribution: deterministic, mean: 3s}
seed: 5
"""


@pytest.fixture
def target(
    cluster: Cluster | ForeignCluster, api: client.ApiClient, namespace: str, tmp_path: Path
) -> Iterator[ClusterTarget]:
    """A Deployment that a lab may scale, by a service account with the rights that are printed for it."""
    core: Any = client.CoreV1Api(api)
    core.patch_namespace(namespace, {"metadata": {"labels": {LABEL: ALLOWED}}})
    apply_rbac(api, namespace, scaling=True)
    scoring_deployment(api, namespace, "blue", replicas=2)
    wait_ready(api, namespace, "blue")
    path = kubeconfig_with(cluster, tmp_path, {"token": token_of(api, namespace)})
    yield ClusterTarget(kubeconfig=path, namespace=namespace, deployment="blue")
    remove_rbac(api, namespace)


def surgeproof(*arguments: str, key: str = "") -> tuple[int, dict[str, Any]]:
    command = [*module_command("planner.cli.root"), *arguments, "--output", "json"]
    done = subprocess.run(
        command, capture_output=True, text=True, env=child_environment() | {KEY_VARIABLE: key}, timeout=280
    )
    assert "Traceback" not in done.stderr
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def run(scenario: Path, target: ClusterTarget, out: Path, *options: str) -> dict[str, Any]:
    where = [*target.arguments(), "--replicas", "kubernetes", "--scale-deployment"]
    return surgeproof("run", str(scenario), *where, "--out", str(out), *options)[1]


def causes_sum_to_all_503s(document: dict[str, Any]) -> bool:
    observed = document["observed"]
    return sum(observed["causes_503"].values()) == observed["answers_503"]


def test_a_run_calibrates_the_scenario_and_another_one_confirms_it(target: ClusterTarget, tmp_path: Path) -> None:
    scenario, calibrated = tmp_path / "burst.yaml", tmp_path / "calibrated.yaml"
    scenario.write_text(BURST)
    first = run(scenario, target, tmp_path / "first")
    assert first["validate"]["observed"]["fraction_503"] > 0.05, "the burst exhausts five pods"
    code, _ = surgeproof("calibrate", str(tmp_path / "first"), "--out", str(calibrated))
    assert code == 0
    second = run(calibrated, target, tmp_path / "second", "--seed", "4")
    judged = second["validate"]
    predicted, observed = judged["predicted"]["fraction_503"], judged["observed"]["fraction_503"]
    print(f"observed {observed:.3f}, predicted {predicted['prediction_low']:.3f} to {predicted['prediction_high']:.3f}")
    assert not judged["in_sample"]
    assert predicted["prediction_low"] <= observed <= predicted["prediction_high"]
    for document in (first["validate"], judged):
        assert causes_sum_to_all_503s(document)
        assert document["observed"]["causes_503"][UNATTRIBUTED] == 0
    launches = [x for x in second["replay"]["cluster"]["launches"] if x["live"] and x["cold_start_s"]]
    assert len(launches) >= 3
    assert all(x["phases"]["init_s"] is not None for x in launches)
    page = (tmp_path / "second" / "report.html").read_text()
    assert "Cold starts, measured" in page
    assert "No replica failed to come up." in page


def test_a_replay_goes_on_when_a_pod_is_killed_and_the_api_server_restarts(
    own_cluster: Cluster, api: client.ApiClient, namespace: str, target: ClusterTarget, tmp_path: Path
) -> None:
    scenario, out = tmp_path / "steady.yaml", tmp_path / "out"
    scenario.write_text(STEADY)

    def disturb(started: threading.Event) -> None:
        started.wait(60)
        time.sleep(8)
        core: Any = client.CoreV1Api(api)
        core.delete_namespaced_pod(pods_of(api, namespace, "blue")[0].metadata.name, namespace, grace_period_seconds=0)
        time.sleep(14)
        own_cluster.stop_api_server()
        own_cluster.start_api_server()

    with LabProcess(scenario, replicas="kubernetes", cluster=target) as lab:
        started = threading.Event()
        disturbing = threading.Thread(target=disturb, args=[started])
        disturbing.start()
        where = ["--url", lab.url, *target.arguments(), "--out", str(out)]
        threading.Thread(target=_set_when_sending, args=[out, started], daemon=True).start()
        code, document = surgeproof("replay", str(scenario), *where, key=lab.key)
        disturbing.join()
    assert code == 0, document["message"]
    assert document["books"]["balanced"]
    causes = document["observed"]["causes_503"]
    print(causes, document["cluster"]["gaps"])
    assert causes["replica_lost"] > 0
    assert sum(causes.values()) == document["observed"]["counts"]["status_503"]
    (gap,) = document["cluster"]["gaps"]
    assert any("were not seen as they happened" in warning for warning in document["warnings"])
    log = RunFolder(out).read_requests()
    lost = log.finish_s[(log.outcome == Outcome.STATUS_503) & (log.cause == Cause.REPLICA_LOST)]
    assert 7 < lost.min() < lost.max() < 25
    assert np.isfinite(log.finish_s[(log.scheduled_s > gap["from_s"]) & (log.outcome == Outcome.OK)]).any()


def _set_when_sending(out: Path, started: threading.Event) -> None:
    wait_until(lambda: '"started"' in _text(out / "journal.jsonl"), "the replay to start")
    started.set()


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""
