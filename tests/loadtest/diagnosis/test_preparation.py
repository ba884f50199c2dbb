"""What fails before the first container runs: pulls, sandboxes, volumes, and containers that cannot start."""

from __future__ import annotations

from typing import Any

import pytest

from loadtest.observe.diagnosis import Cause, Finding, Snapshot, diagnose
from tests.loadtest.diagnosis.objects import (
    aged,
    creating,
    ended,
    event,
    log,
    pod,
    snapshot,
    status,
    waiting,
)

IMAGE = "reg.example/a:1"
UNPACK = f'failed to pull and unpack image "{IMAGE}": '
RESOLVE = f'{UNPACK}failed to resolve reference "{IMAGE}": '


def only(taken: Snapshot) -> Finding:
    (finding,) = diagnose(taken)
    return finding


def pulled(words: str, reason: str = "ErrImagePull", *events: dict[str, Any]) -> Finding:
    waits = pod(status(state=waiting(reason, words)), phase="Pending", container={"image": IMAGE})
    return only(snapshot(aged(waits), events=list(events)))


def test_the_first_error_of_a_pull_decides() -> None:
    """A registry without the tag goes on to ask for a token, which it refuses to nobody in particular."""
    not_found = f"rpc error: code = NotFound desc = {RESOLVE}{IMAGE}: not found"
    refused = f"rpc error: code = Unknown desc = {RESOLVE}failed to authorize: unexpected status: 401 Unauthorized"
    assert pulled(f"[{not_found}, {refused}]").cause == Cause.IMAGE_NOT_FOUND
    assert pulled(f"[{refused}, {not_found}]").cause == Cause.IMAGE_NOT_AUTHORISED


def test_the_words_of_the_pull_decide_and_not_those_of_the_back_off() -> None:
    failed = event("Failed", f'Failed to pull image "{IMAGE}": rpc error: code = NotFound desc = {RESOLVE}not found')
    back_off = pulled(f'Back-off pulling image "{IMAGE}"', "ImagePullBackOff", failed)
    assert back_off.cause == Cause.IMAGE_NOT_FOUND
    assert "not found" in back_off.evidence[1]


def test_an_image_for_another_platform_is_not_one_that_is_not_there() -> None:
    finding = pulled(f"rpc error: code = NotFound desc = {UNPACK}no match for platform in manifest: not found")
    assert (finding.cause, "no match for platform" in finding.evidence[1]) == (Cause.IMAGE_PULL_FAILED, True)
    assert "Build the image for the nodes' platform" in finding.next_step


def test_a_registrys_firewall_is_no_missing_role() -> None:
    said = (
        "403 Forbidden; denied: client with IP '203.0.113.3' is not allowed access. Refer https://aka.ms/acr/firewall"
    )
    finding = pulled(f"rpc error: code = Unknown desc = {RESOLVE}{said} to grant access.")
    assert (finding.cause, finding.measured["http_status"]) == (Cause.REGISTRY_FIREWALL, 403)
    assert "203.0.113.3" in finding.evidence[1]
    assert "az acr network-rule add" in finding.next_step


@pytest.mark.parametrize(
    ("words", "step"),
    [
        ("failed to extract layer: write /var/lib/containerd/x: no space left on device", "disk is full"),
        (f"{RESOLVE}unexpected status from HEAD request: 429 Too Many Requests", "limits how often"),
        (f"{RESOLVE}failed to do request: tls: x509: certificate signed by unknown authority", "certificate"),
    ],
)
def test_other_pulls_that_fail_have_next_steps_of_their_own(words: str, step: str) -> None:
    finding = pulled(f"rpc error: code = Unknown desc = {words}")
    assert (finding.cause, step in finding.next_step) == (Cause.IMAGE_PULL_FAILED, True)


def test_two_next_steps_of_one_cause_are_two_findings() -> None:
    full = pod(status(state=waiting("ErrImagePull", "no space left on device")), name="full")
    other = pod(status(state=waiting("ErrImagePull", "no match for platform in manifest: not found")), name="other")
    found = diagnose(snapshot(full, other))
    assert [(finding.cause, finding.pods) for finding in found] == [
        (Cause.IMAGE_PULL_FAILED, ("full",)),
        (Cause.IMAGE_PULL_FAILED, ("other",)),
    ]


SANDBOX = 'Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for sandbox "{id}": '


@pytest.mark.parametrize(
    ("words", "cause", "kind"),
    [
        ('plugin type="azure-vnet" failed (add): No available addresses', Cause.NO_ADDRESS_LEFT, "no_address"),
        (
            "plugin type='azure-vnet' failed (add): IPAM Invoker Add failed with error: Failed to get IP address from "
            "CNS with error: %w: AllocateIPConfig failed: not enough IPs available for 9c6a, waiting on Azure CNS",
            Cause.NO_ADDRESS_LEFT,
            "no_address",
        ),
        (
            'plugin type="bridge" failed (add): failed to allocate for range 0: no IP addresses available in range set',
            Cause.NO_ADDRESS_LEFT,
            "no_address",
        ),
        ('plugin type="cilium-cni" failed (add): unable to connect to agent', Cause.SANDBOX_FAILS, "network_plugin"),
        ('no runtime for "kata" is configured', Cause.SANDBOX_FAILS, "network_plugin"),
    ],
)
def test_a_sandbox_that_cannot_be_made(words: str, cause: Cause, kind: str) -> None:
    said = SANDBOX.format(id="a" * 64) + words
    finding = only(snapshot(creating(200), events=[event("FailedCreatePodSandBox", said, count=40)]))
    assert (finding.cause, "a" * 64 in finding.evidence[0]) == (cause, False)
    if kind != "network_plugin" or "cilium" in words:
        assert finding.measured["kind"] == kind


def test_a_runtime_that_the_node_does_not_know() -> None:
    said = 'Failed to create pod sandbox: rpc error: desc = failed to get sandbox runtime: no runtime for "kata" is '
    finding = only(snapshot(creating(200), events=[event("FailedCreatePodSandBox", f"{said}configured", count=4)]))
    assert (finding.cause, finding.measured["kind"]) == (Cause.SANDBOX_FAILS, "runtime_class")


def test_a_sandbox_that_failed_once_or_was_got_past_is_no_finding() -> None:
    """A node that has just come up refuses until its network plugin runs."""
    failed = event("FailedCreatePodSandBox", "cni plugin not initialized", count=2)
    assert diagnose(snapshot(creating(60), events=[failed])) == []
    past = [failed | {"count": 9}, event("Pulling", "Pulling image", seconds_ago=5)]
    assert diagnose(snapshot(creating(60), events=past)) == []


@pytest.mark.parametrize(
    ("words", "cause", "kind"),
    [
        ("mount failed: exit status 32 mount error(115): Operation now in progress", Cause.VOLUME_FAILS, "network"),
        ("mount failed: exit status 32 mount error(13): Permission denied", Cause.VOLUME_FAILS, "access"),
        (
            'Multi-Attach error for volume "pvc-1" Volume is already used by pod(s) blue-0',
            Cause.VOLUME_FAILS,
            "in_use",
        ),
        ("hostPath type check failed: /x is not a directory", Cause.VOLUME_FAILS, "other"),
        ("mount error(2): No such file or directory", Cause.CONFIGURATION_MISSING, None),
        ('MountVolume.SetUp failed for volume "m": configmap "m" not found', Cause.CONFIGURATION_MISSING, None),
    ],
)
def test_a_volume_that_cannot_be_mounted(words: str, cause: Cause, kind: str | None) -> None:
    general = "Unable to attach or mount volumes: unmounted volumes=[m], timed out waiting for the condition"
    events = [event("FailedMount", words, count=40, seconds_ago=30), event("FailedMount", general, seconds_ago=5)]
    finding = only(snapshot(creating(), events=events))
    assert (finding.cause, finding.measured.get("kind")) == (cause, kind)
    assert finding.evidence[0] == f"FailedMount: {words}"


def test_a_container_that_cannot_start_tells_the_runtimes_message() -> None:
    never = ended(128, "StartError") | {"message": 'exec: "/not/there": stat /not/there: no such file or directory'}
    finding = only(snapshot(pod(status(state=waiting("CrashLoopBackOff"), last=never, restarts=9))))
    assert (finding.cause, finding.evidence[0]) == (Cause.CANNOT_START, never["message"])
    small = ended(128, "StartError") | {"message": "container init was OOM-killed (memory limit too low?)"}
    finding = only(snapshot(pod(status(state=waiting("CrashLoopBackOff"), last=small))))
    assert (finding.cause, finding.evidence[0]) == (Cause.MEMORY_LIMIT, small["message"])


def test_a_program_for_another_platform() -> None:
    crashed = pod(status(state=waiting("CrashLoopBackOff"), last=ended(255)))
    logs = {("blue-1", "previous"): log("exec /opt/server: exec format error")}
    finding = only(snapshot(crashed, logs=logs))
    assert finding.cause == Cause.CANNOT_START
    assert "nodes' platform" in finding.next_step
    running = pod(status(state=waiting("RunContainerError", "runc create failed: exec format error")))
    assert only(snapshot(running)).cause == Cause.CANNOT_START


@pytest.mark.parametrize(
    ("reason", "words", "cause"),
    [
        ("CreateContainerConfigError", 'secret "key" not found', Cause.CONFIGURATION_MISSING),
        ("CreateContainerConfigError", "couldn't find key k in ConfigMap ml/m", Cause.CONFIGURATION_MISSING),
        (
            "CreateContainerConfigError",
            "container has runAsNonRoot and image will run as root",
            Cause.CANNOT_START,
        ),
        ("RunContainerError", "runc: exec: x: executable file not found in $PATH", Cause.CANNOT_START),
        ("CreateContainerError", "failed to reserve container name", Cause.CANNOT_START),
    ],
)
def test_what_is_missing_is_told_from_what_cannot_start(reason: str, words: str, cause: Cause) -> None:
    assert only(snapshot(pod(status(state=waiting(reason, words))))).cause == cause
