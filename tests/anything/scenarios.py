"""Small random scenarios over the whole schema, for tests that hold of any scenario that `simulate` accepts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

Document = dict[str, Any]

TRACE_FILE = "trace.csv"


def seconds(*values: float) -> st.SearchStrategy[str]:
    return st.sampled_from([f"{value:g}s" for value in values])


def maybe(name: str, values: st.SearchStrategy[Any]) -> st.SearchStrategy[Document]:
    """The key with a value, or nothing."""
    return st.one_of(st.just({}), values.map(lambda value: {name: value}))


def joined(*parts: st.SearchStrategy[Document]) -> st.SearchStrategy[Document]:
    return st.tuples(*parts).map(lambda found: {key: value for part in found for key, value in part.items()})


INTERVAL = st.just({"low": "100ms", "mid": "200ms", "high": "300ms"})


def times(*means: float) -> st.SearchStrategy[Any]:
    """A distribution of times, constant ones as often as all others together."""
    mean = seconds(*(value for value in means if value > 0))
    constant = seconds(*means)
    shaped = st.fixed_dictionaries(
        {"distribution": st.sampled_from(["lognormal", "gamma"]), "mean": mean, "cv": st.sampled_from([0.001, 0.5, 3])}
    )
    return st.one_of(
        constant,
        constant.map(lambda value: {"distribution": "deterministic", "mean": value}),
        mean.map(lambda value: {"distribution": "exponential", "mean": value}),
        shaped,
        st.lists(constant, min_size=1, max_size=3).map(lambda given: {"distribution": "empirical", "values": given}),
        st.lists(constant, min_size=1, max_size=1).map(lambda v: {"distribution": "empirical", "values": v * 3}),
    )


SERVICE = (0.0, 0.02, 0.2, 0.4, 1.0, 6.0)
COLD = (0.0, 0.5, 3.0, 20.0)

RPS = st.sampled_from([0.01, 0.3, 1, 2.5, 8])
RATE = st.one_of(
    RPS.map(lambda rps: {"rps": rps}),
    st.tuples(RPS, st.sampled_from([0, 1, 30]), RPS).map(
        lambda r: {"rate": [{"from": "0s", "rps": r[0]}, {"from": "1s", "rps": r[1], "to_rps": r[2]}]}
    ),
    st.just({"rps": {"low": 1, "mid": 2, "high": 3}}),
)
KINDS = st.sampled_from(["regular", "poisson", {"gamma": {"cv": 0.3}}, {"gamma": {"cv": 4}}])
MMPP = st.sampled_from([[1, 10], [0, 5, 0.5]]).map(
    lambda rates: {"arrivals": {"mmpp": {"rates": rates, "switching": [0.2] * len(rates)}}}
)
MADE = st.one_of(joined(KINDS.map(lambda kind: {"arrivals": kind}), RATE), MMPP)

ROWS = st.lists(st.sampled_from([0.0, 0.05, 0.3, 1.0, 4.0]), min_size=0, max_size=40)


@st.composite
def traces(draw: st.DrawFn) -> tuple[Document, str, list[Any]]:
    """The traffic, the trace's file, and the service times that it can carry."""
    kind = draw(st.sampled_from(["plain", "times", "tokens", "counts", "stamps", "rates", "log"]))
    gaps = [0.0, *draw(ROWS)]
    at_s = [sum(gaps[: i + 1]) for i in range(len(gaps))]
    chosen = draw(
        joined(
            maybe("for", seconds(2, 30)),
            maybe("rate_scale", st.sampled_from([0.5, 2])),
            maybe("time_scale", st.sampled_from([0.5, 3])),
        )
    )
    carried: list[Any] = []
    if kind == "counts":
        lines = ["time_s,requests", *(f"{2 * i},{(3 * i) % 7 + 1}" for i in range(len(gaps) // 2 + 2))]
        chosen |= draw(maybe("spread", st.just("even")))
    elif kind == "rates":
        lines = ["time_s,rps", *(f"{i},{(3 * i) % 5}" for i in range(len(gaps) // 4 + 2))]
        chosen |= draw(maybe("arrivals", st.sampled_from(["regular", "poisson", {"gamma": {"cv": 3}}])))
    elif kind == "log":
        carried = ["trace"]
        lines = [
            f'10.0.0.1 - - [14/Jul/2026:10:{int(at) // 60:02}:{int(at) % 60:02} +0000] "POST /score HTTP/1.1" 200 9 '
            f'"-" "curl" 70 {0.1 * (i % 5):.3f}'
            for i, at in enumerate(at_s)
        ]
        chosen |= draw(joined(maybe("stamps", st.sampled_from(["start", "end"])), maybe("path", st.just("/score"))))
    elif kind == "stamps":
        lines = ["time_s", *(f"{int(at)}" for at in at_s)]
        chosen |= draw(maybe("one_second_stamps", st.just("start_of_second")))
    elif kind == "plain":
        lines = ["time_s", *(f"{at}" for at in at_s)]
    elif kind == "times":
        carried = ["trace"]
        lines = ["time_s,service_time_s", *(f"{at},{0.2 * (i % 3)}" for i, at in enumerate(at_s))]
    else:
        carried = [{"tokens": {"base": "60ms", "per_context": "0.1ms", "per_generated": "4ms"}}]
        lines = ["time_s,context_tokens,generated_tokens", *(f"{at},{97 * i},{i}" for i, at in enumerate(at_s))]
    return {"arrivals": {"trace": {"file": TRACE_FILE} | chosen}}, "\n".join(lines) + "\n", carried


SCALING = joined(
    maybe("autoscale_min_replicas", st.sampled_from([1, 2, 4])),
    st.sampled_from([1, 2, 4, 7]).map(lambda most: {"autoscale_max_replicas": most}),
    maybe("autoscale_target_utilization", st.sampled_from([1, 50, 100])),
    maybe("autoscale_refresh_seconds", st.sampled_from([1, 10])),
    maybe("initial_replicas", st.sampled_from([0, 1])),
    maybe("scale_step", st.just("one")),
    maybe("scale_down_rule", st.just("timer_then_jump")),
    maybe("scale_down_delay", seconds(2)),
    maybe("utilization_window", seconds(0, 5)),
    maybe("utilization_over", st.just("ready")),
)
FIXED = joined(
    st.sampled_from([1, 2, 5]).map(lambda count: {"autoscaler": "fixed", "num_replicas": count}),
    maybe("initial_replicas", st.sampled_from([0, 1])),
)
REPLICA = joined(
    maybe("api", st.sampled_from(["v1", "v2"])),
    maybe("replica_max_concurrent_requests", st.sampled_from([2, 5])),
    maybe("worker_count", st.sampled_from([2])),
    maybe("max_request_wait_time", seconds(0, 0.1, 3)),
    maybe("scoring_timeout_ms", seconds(0.2, 0.3, 1, 60)),
    maybe("router_overhead", seconds(0.004)),
    maybe("dispatch", st.sampled_from(["round_robin", "lowest_id"])),
    maybe("when_no_replica_is_ready", st.just("reject")),
    maybe("slot_busy_after_504", st.just(False)),
    maybe("worker_busy_after_504", st.just(False)),
)
SHARE = st.sampled_from(["0.001%", "1%", "29%", "50%", "99%"])
BOUNDS = st.one_of(
    joined(SHARE.map(lambda share: {"max_503": share}), maybe("max_504", st.one_of(st.just("ignore"), SHARE))),
    SHARE.map(lambda share: {"max_failed": share}),
    st.tuples(SHARE, SHARE).map(lambda both: {"max_503": both[0], "max_failed": both[1]}),
)
SLO = joined(
    BOUNDS,
    maybe("p99_latency", seconds(0.001, 0.2, 0.4, 10)),
    maybe("runs", st.sampled_from(["1%", "50%", "95%"])),
)


FILES = {
    "v1.json": {
        "computeType": "aks",
        "autoScaler": {"autoscaleEnabled": True, "minReplicas": 1, "maxReplicas": 3, "targetUtilization": 70},
        "maxQueueWaitMs": 300,
        "scoringTimeoutMs": 400,
    },
    "v2.yml": {
        "name": "blue",
        "endpoint_name": "any",
        "type": "kubernetes",
        "scale_settings": {"type": "target_utilization", "min_instances": 1, "max_instances": 3},
        "request_settings": {"request_timeout_ms": 400, "max_queue_wait_ms": 300},
    },
    "arm.json": {
        "name": "blue",
        "type": "Microsoft.MachineLearningServices/workspaces/onlineEndpoints/deployments",
        "properties": {
            "endpointComputeType": "Kubernetes",
            "requestSettings": {"maxQueueWait": "PT0.3S", "requestTimeout": "PT1S"},
            "scaleSettings": {"scaleType": "TargetUtilization", "minInstances": 2, "maxInstances": 4},
        },
    },
}
"""Deployment files as Azure has them, written beside each scenario. JSON is YAML too."""

FROM_FILE = joined(
    st.sampled_from(sorted(FILES)).map(lambda name: {"file": name}),
    maybe("worker_count", st.just(2)),
    maybe("initial_replicas", st.sampled_from([0, 1])),
    maybe("router_overhead", seconds(0.004)),
)
OF_V1 = joined(
    st.sampled_from([1, 3]).map(lambda most: {"autoscale_enabled": True, "autoscale_max_replicas": most}),
    maybe("cpu_cores", st.just(1)),
    maybe("max_request_wait_time", st.sampled_from([0, 200])),
    maybe("scoring_timeout_ms", st.sampled_from([300, 5000])),
)
DEPLOYMENT = st.one_of(joined(st.one_of(SCALING, FIXED), REPLICA), joined(FIXED, REPLICA), FROM_FILE, OF_V1)


@st.composite
def scenarios(draw: st.DrawFn, *, uncertain: bool = True) -> tuple[Document, str]:
    """A scenario document and the trace that it may play (empty without one)."""
    service = times(*SERVICE)
    cold = times(*COLD)
    if uncertain:
        service, cold = (st.one_of(each, INTERVAL) for each in (service, cold))
    length = {"duration": draw(seconds(0.5, 5, 20))}
    trace = ""
    if draw(st.booleans()):
        traffic, trace, carried = draw(traces())
        own = st.sampled_from(carried) if carried else service
        length = {} if draw(st.booleans()) or "for" in traffic["arrivals"]["trace"] else length
    else:
        traffic, own = draw(MADE), service
    document = {
        "name": "any",
        "traffic": traffic,
        "service_time": draw(own),
        "deployment": draw(DEPLOYMENT),
        "cold_start": draw(cold),
    }
    document |= length | draw(joined(maybe("slo", SLO), maybe("seed", st.just(7))))
    if "duration" in length:
        document |= draw(maybe("warm_up", seconds(0.2, 0.45, 4, 4.9)))
    return document, trace


def write(folder: Path, document: Document, trace: str) -> Path:
    """The scenario file, its trace beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    if trace:
        (folder / TRACE_FILE).write_text(trace, encoding="utf-8")
    for name, deployment in FILES.items():
        (folder / name).write_text(json.dumps(deployment), encoding="utf-8")
    path = folder / "any.yaml"
    path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    return path


def fast(examples: int) -> settings:
    """Without shrinking, which takes minutes where an example takes seconds: what failed is printed and is small."""
    return settings(
        max_examples=examples,
        deadline=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )
