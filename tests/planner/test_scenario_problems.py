"""Every way in which a scenario file can be wrong: one sentence each, all at once."""

import copy
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.errors import InputError
from planner.scenario_file import load
from planner.scenario_file.build import build
from planner.scenario_file.overrides import override
from tests.planner.scenario_documents import document, problems, trace_traffic, with_trace

BAD_VALUES: list[tuple[dict[str, Any], str]] = [
    ({"durations": "5m"}, "durations = 5m, unknown key; did you mean duration?"),
    ({"duration": 20}, "duration = 20, needs a unit"),
    ({"duration": "0s"}, "duration = 0s, must be above 0"),
    ({"duration": "169h"}, "duration = 169h, must be at most 7d"),
    ({"duration": None}, "duration is missing"),
    ({"warm_up": "20m"}, "warm_up = 20m, must be below the duration (1200 s)"),
    ({"seed": -1}, "seed = -1, must be an integer from 0"),
    ({"seed": 1.5}, "seed = 1.5, must be an integer"),
    ({"name": "a/b"}, "name = a/b, must be up to 64"),
    ({"shows": 3}, "shows = 3, must be text"),
    ({"schema_version": 2}, "schema_version = 2, must be 1"),
    ({"traffic": None}, "traffic is missing"),
    ({"traffic": "poisson"}, "traffic = poisson, must hold settings"),
    ({"traffic": {"rps": 1}}, "traffic.arrivals is missing"),
    ({"traffic": {"arrivals": "posson", "rps": 1}}, "traffic.arrivals = posson, must be regular or poisson; did you"),
    ({"traffic": {"arrivals": {"weibull": 3}, "rps": 1}}, "must be regular, poisson, {gamma: {cv: ...}}"),
    ({"traffic": {"arrivals": "poisson"}}, "traffic.rate is missing"),
    ({"traffic": {"arrivals": "poisson", "rps": -20}}, "traffic.rps = -20, must be at least 0"),
    ({"traffic": {"arrivals": "poisson", "rps": 1e8}}, "traffic.rps = 100000000.0, must be at most 1e+07"),
    (
        {"traffic": {"arrivals": "poisson", "rps": 1e5}},
        "traffic: makes 120,000,000 requests in 1200 s, at most 100,000",
    ),
    ({"traffic": {"arrivals": "poisson", "rate": []}}, "traffic.rate = [], must have at least 1 entries"),
    ({"traffic": {"arrivals": "poisson", "rps": 1, "rate": [{"from": "0s", "rps": 1}]}}, "give one of them"),
    ({"traffic": {"arrivals": "poisson", "rate": [{"from": "1s", "rps": 1}]}}, "traffic.rate[0].from = 1s, must be 0s"),
    (
        {"traffic": {"arrivals": "poisson", "rate": [{"from": "0s", "rps": 1}, {"from": "0s", "rps": 2}]}},
        "traffic.rate[1].from = 0s, must be later than the entry before it",
    ),
    (
        {"traffic": {"arrivals": "poisson", "rate": [{"from": "0s", "rps": 1, "to_rsp": 1}]}},
        "rate[0].to_rsp = 1, unknown key; did",
    ),
    ({"traffic": {"arrivals": {"gamma": {"cv": 0}}, "rps": 1}}, "traffic.arrivals.gamma.cv = 0, must be above 0"),
    (
        {"traffic": {"arrivals": {"mmpp": {"rates": [1, 2], "switching": [1, 1, 1]}}}},
        "mmpp.switching = [1, 1, 1], must have as many entries as rates (2)",
    ),
    ({"traffic": {"arrivals": {"mmpp": {"rates": [1, 2], "switching": [1, 0]}}}}, "mmpp.switching[1] = 0, must be"),
    ({"traffic": {"arrivals": {"mmpp": {"rates": [1, 2], "switching": [1, 1e9]}}}}, "[1] = 1000000000.0, must be at"),
    (
        {"traffic": {"arrivals": {"mmpp": {"rates": [1, 2], "switching": [900, 900]}}}},
        "mmpp.switching = [900, 900], makes 1,080,000 switches in 1200 s, at most 1,000,000 are supported",
    ),
    ({"traffic": {"arrivals": {"mmpp": {"rates": [0, 0], "switching": [1, 1]}}}}, "not all 0"),
    ({"traffic": {"arrivals": {"mmpp": {"rates": [1, 2], "switching": [1, 1]}}, "rps": 2}}, "must be left out"),
    ({"traffic": {"arrivals": {"trace": {"file": "no.csv"}}}}, "traffic.arrivals.trace.file = no.csv, no such file"),
    (
        {"traffic": {"arrivals": {"trace": {"file": "no.csv", "rate_scale": 0}}}},
        "trace.rate_scale = 0, must be at least",
    ),
    ({"traffic": {"arrivals": {"trace": {"file": "no.csv", "rate_scale": 1e9}}}}, "must be at most 1000"),
    (
        {"traffic": {"arrivals": {"trace": {"file": "no.csv", "for": "1d", "time_scale": 8}}}, "duration": None},
        "at most 7d",
    ),
    ({"service_time": 0.2}, "service_time = 0.2, needs a unit"),
    ({"service_time": None}, "service_time is missing"),
    ({"service_time": "trace"}, "service_time = trace, needs traffic.arrivals to be a trace"),
    ({"service_time": {"mean": "1s"}}, "service_time.distribution is missing (one of deterministic"),
    ({"service_time": {"distribution": "lognromal"}}, "service_time.distribution = lognromal, must be one of"),
    ({"service_time": {"distribution": "lognormal", "mean": "1s"}}, "service_time.cv is missing"),
    ({"service_time": {"distribution": "lognormal", "mean": "0s", "cv": 1}}, "service_time.mean = 0s, must be above 0"),
    ({"service_time": {"distribution": "lognormal", "mean": "1s", "cv": 0}}, "service_time.cv = 0, must be above 0"),
    ({"service_time": {"distribution": "exponential", "mean": "1s", "cv": 1}}, "service_time.cv = 1, unknown key"),
    (
        {"service_time": {"tokens": {"base": "1s", "per_generated": "1ms"}}},
        "service_time.tokens.per_context is missing",
    ),
    ({"service_time": {"distribution": "gamma", "mean": "1s", "cv": 1e-9}}, "service_time: cv = 1e-09, must be from"),
    ({"cold_start": None}, "cold_start is missing"),
    ({"cold_start": {"distribution": "empirical"}}, "cold_start: empirical needs either values or file"),
    ({"cold_start": {"distribution": "empirical", "values": []}}, "cold_start.values = [], must have at least 1"),
    ({"cold_start": {"distribution": "empirical", "file": "no.csv"}}, "cold_start.file = no.csv, no such file"),
    ({"slo": {"max_503": 5}}, "slo.max_503 = 5, above 1 needs a percent sign; did you mean 5%?"),
    ({"slo": {"max_503": 0}}, "slo.max_503 = 0, must be above 0"),
    ({"slo": {"max_503": "100%"}}, "slo.max_503 = 100%, must be above 0 and below 1"),
    ({"slo": {"runs": "95%"}}, "slo.max_503 is missing"),
    ({"slo": {"max_503": "1%", "p99_latency": 2}}, "slo.p99_latency = 2, needs a unit"),
    ({"deployment": None}, "deployment is missing"),
    ({"deployment": {"file": "no.yml"}}, "deployment.file = no.yml, no such file"),
    ({"deployment": {"api": "v3"}}, "deployment.api = v3, must be v1 or v2"),
    ({"deployment": {"autoscaler": "hpa"}}, "deployment.autoscaler = hpa, must be azureml-fe or fixed"),
    ({"deployment": {"scale_step": "two"}}, "deployment.scale_step = two, must be jump or one"),
    ({"deployment": {"dispatch": "random"}}, "deployment.dispatch = random, must be fewest_requests, round_robin or"),
    ({"deployment": {"scoring_timeout_from": "queue"}}, "scoring_timeout_from = queue, must be dispatch or arrival"),
    (
        {"deployment": {"scoring_timeout_ms": 300, "max_request_wait_time": "1s", "scoring_timeout_from": "arrival"}},
        "deployment.scoring_timeout_ms = 300, must be at least max_request_wait_time (1000 ms) with "
        "scoring_timeout_from: arrival",
    ),
    ({"deployment": {"slot_busy_after_504": "no"}}, "deployment.slot_busy_after_504 = no, must be true or false"),
    ({"deployment": {"router_overhead": 5}}, "deployment.router_overhead = 5, needs a unit"),
    ({"deployment": {"autoscale_min_replica": 4}}, "unknown key; did you mean autoscale_min_replicas?"),
    ({"deployment": {"autoscale_min_replicas": 0}}, "deployment.autoscale_min_replicas = 0, must be an integer, at"),
    (
        {"deployment": {"autoscale_min_replicas": 4, "min_instances": 4}},
        "deployment.autoscale_min_replicas = 4, but deployment.min_instances is the same setting",
    ),
    (
        {"deployment": {"autoscale_min_replicas": 4, "autoscale_max_replicas": 3}},
        "deployment.autoscale_max_replicas = 3, must be at least autoscale_min_replicas (4)",
    ),
    (
        {"deployment": {"autoscale_target_utilization": 0}},
        "autoscale_target_utilization = 0, must be an integer percent",
    ),
    ({"deployment": {"autoscale_target_utilization": 0.7}}, "did you mean 70?"),
    ({"deployment": {"autoscale_target_utilization": 101}}, "from 1 to 100"),
    ({"deployment": {"polling_interval": 0}}, "deployment.polling_interval = 0, must be above 0"),
    ({"deployment": {"max_request_wait_time": -1}}, "deployment.max_request_wait_time = -1, must be at least 0"),
    (
        {"deployment": {"max_request_wait_time": 1e9}},
        "deployment.max_request_wait_time = 1000000000.0, must be at most",
    ),
    ({"deployment": {"polling_interval": 1e-9}}, "deployment.polling_interval = 1e-09, must be at least 0.001"),
    ({"deployment": {"utilization_window": "169h"}}, "deployment.utilization_window = 169h, must be at most 7d"),
    (
        {"deployment": {"polling_interval": "1ms", "utilization_window": "1d"}},
        "makes 86,400,000 looks of the autoscaler in utilization_window, at most 10,000,000 are supported",
    ),
    (
        {"deployment": {"polling_interval": "1ms", "scale_down_delay": "1d"}},
        "makes 86,400,000 looks of the autoscaler in scale_down_delay, at most 10,000,000 are supported",
    ),
    (
        {"deployment": {"polling_interval": "1ms", "scoring_timeout_ms": "3h"}},
        "looks of the autoscaler in a run (duration, wait limit and timeout), at most 10,000,000",
    ),
    (
        {"deployment": {"max_instances": 200, "worker_count": 9999}},
        "makes 1,999,800 requests or workers in 200 replicas, at most 1,000,000 are supported",
    ),
    ({"deployment": {"autoscale_max_replicas": 10**30}}, f"deployment.autoscale_max_replicas = {10**30}, must be"),
    ({"deployment": {"num_replicas": 10**6}}, "deployment.num_replicas = 1000000, must be"),
    ({"deployment": {"max_request_wait_time": "500"}}, "deployment.max_request_wait_time = 500, needs a unit"),
]


@pytest.mark.parametrize(("changes", "message"), BAD_VALUES)
def test_a_bad_value_is_named(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    changed = {key: value for key, value in (document() | changes).items() if value is not None}
    found = problems(tmp_path, changed)
    assert len(found) == 1
    assert found[0].startswith(f"{tmp_path / 'spike.yaml'}: ")
    assert message in found[0]


def test_everything_wrong_is_reported_at_once(tmp_path: Path) -> None:
    bad = document() | {"duration": 20, "colour": "red", "slo": {"max_503": 5}, "cold_start": {"distribution": "x"}}
    bad["traffic"]["rate"][1]["rps"] = -140
    bad["deployment"] |= {
        "autoscale_max_replicas": 3,  # below the minimum of 4
        "autoscale_target_utilization": 0.7,
        "scale_step": "two",
        "speed": 1,
    }
    found = "\n".join(problems(tmp_path, bad))
    for message in (
        "duration = 20, needs a unit",
        "colour = red, unknown key",
        "slo.max_503 = 5",
        "cold_start.distribution = x",
        "traffic.rate[1].rps = -140, must be at least 0",
        "deployment.autoscale_max_replicas = 3, must be at least autoscale_min_replicas (4)",
        "deployment.autoscale_target_utilization = 0.7",
        "deployment.scale_step = two",
        "deployment.speed = 1, unknown key",
    ):
        assert message in found
    assert len(found.splitlines()) == 9


def test_a_bad_maximum_does_not_raise_doubts_about_the_minimum(tmp_path: Path) -> None:
    bad = document()
    bad["deployment"]["autoscale_max_replicas"] = "many"
    assert len(problems(tmp_path, bad)) == 1


@pytest.mark.parametrize("bad", [{"max_request_wait_time": "6"}, {"scoring_timeout_ms": "0.1"}])
def test_a_bad_wait_or_timeout_does_not_raise_doubts_about_the_other(tmp_path: Path, bad: dict[str, Any]) -> None:
    good = {"max_request_wait_time": "5500ms", "scoring_timeout_ms": "400ms", "scoring_timeout_from": "arrival"}
    assert len(problems(tmp_path, document() | {"deployment": good | bad})) == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "the file is empty"),
        ("# only a comment\n", "the file is empty"),
        ("- a\n- b\n", "not a list"),
        ("just text\n", "not a single value"),
        ("name: x\nname: y\n", "line 2, column 1: the key name stands twice, first on line 1"),
        ("a: {b: 1, b: 2}\n", "the key b stands twice"),
        ("name: [1, 2\n", "line 2, column 1: expected"),
        ("name: a: b\n", "line 1, column 8: mapping values are not allowed here"),
        ("\tname: x\n", "line 1, column 1"),
        ("name: !!python/object:os.system x\n", "line 1, column 7"),
        ("name: !!bool x\n", "line 1, column 7: the tag !!bool is not read, leave it out"),
        ("!!map [a]\n", "the tag !!map is not read"),
        ("a: &a [x]\nb: [*a, *a]\n", "line 2, column 5: the alias *a is not followed"),
        ('name: "a\\0b"\n', "line 1, column 7: a text holds what is no character"),
        ('name: "\\ud800"\n', "line 1, column 7: a text holds what is no character"),
        ("seed: " + "9" * 5000, "holds a number of thousands of digits"),
        ("a: " + "[" * 5000, "nested too deeply"),
        ("# " + "x" * 1_000_000, "is larger than 1 MB"),
    ],
)
def test_text_that_is_no_scenario(tmp_path: Path, content: str, message: str) -> None:
    found = problems(tmp_path, content)
    assert len(found) == 1
    assert message in found[0]


def test_files_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "binary.yaml").write_bytes(b"\x89PNG\r\n\x1a\n\x00\x00")
    (tmp_path / "nul.yaml").write_bytes(b"name: a\x00b\n")
    (tmp_path / "folder.yaml").mkdir()
    os.mkfifo(tmp_path / "pipe.yaml")
    for name, message in (
        ("missing.yaml", "no such file"),
        ("nul.yaml/x.yaml", "no such file, a part of its path is not a folder"),
        ("pipe.yaml", "is a pipe or a device, not a file"),
        ("binary.yaml", "not a text file"),
        ("nul.yaml", "not a text file"),
        ("folder.yaml", "is a folder"),
    ):
        with pytest.raises(InputError, match=message) as raised:
            load(tmp_path / name)
        assert str(raised.value).startswith(str(tmp_path / name))


def test_text_in_a_trace_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("time_s\n0\noops\n")
    found = problems(tmp_path, document() | {"traffic": {"arrivals": {"trace": {"file": "t.csv"}}}})
    assert found == (f"{tmp_path / 't.csv'}: line 3, column time_s = oops, must be a number",)


def test_a_trace_slice_must_fit_and_hold_requests(tmp_path: Path) -> None:
    with_trace(tmp_path)
    found = problems(tmp_path, document() | {"duration": "5s", "traffic": trace_traffic(**{"for": "8s"})})
    assert "trace.for = 8s, plays for 8 s at this time_scale, longer than the duration (5 s)" in found[0]
    found = problems(tmp_path, document() | {"traffic": trace_traffic(**{"from": "1h"})})
    assert "no request of traces/t.csv falls into this slice" in found[0]


def test_a_trace_may_last_a_week_and_make_ten_million_requests(tmp_path: Path) -> None:
    (tmp_path / "long.csv").write_text("time_s\n0\n1e9\n")
    (tmp_path / "dense.csv").write_text("time_s\n" + "0\n" * 10_001)
    for name, changes, message in (
        ("long.csv", {}, "plays for 1e+09 s, must be at most 7d; `for` or a `duration` makes it shorter"),
        ("dense.csv", {"rate_scale": 1000}, "makes 10,001,000 requests, at most 10,000,000 are supported"),
    ):
        traffic = {"arrivals": {"trace": {"file": name} | changes}}
        found = problems(
            tmp_path, {key: value for key, value in document().items() if key != "duration"} | {"traffic": traffic}
        )
        assert found == (f"{tmp_path / 'spike.yaml'}: traffic.arrivals.trace: {message}",)


def test_service_times_from_tokens_are_bounded_too(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("time_s,context_tokens,generated_tokens\n0,1e308,1\n")
    traffic = {"arrivals": {"trace": {"file": "t.csv"}}}
    tokens = {"tokens": {"base": "1s", "per_context": "1h", "per_generated": "1s"}}
    found = problems(tmp_path, document() | {"traffic": traffic, "service_time": tokens})
    assert found == (f"{tmp_path / 'spike.yaml'}: service_time: gives a request inf s, must be at most 604800 s",)


def test_a_number_that_no_computer_holds_in_azures_file(tmp_path: Path) -> None:
    (tmp_path / "v1.json").write_text('{"computeType": "aks", "numReplicas": %s}' % ("9" * 5000))
    found = problems(tmp_path, document() | {"deployment": {"file": "v1.json"}})
    assert found == (f"{tmp_path / 'v1.json'}: not valid JSON",)


def test_columns_that_a_trace_lacks(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("time_s\n0\n1\n")
    traffic = {"arrivals": {"trace": {"file": "t.csv"}}}
    found = problems(tmp_path, document() | {"traffic": traffic, "service_time": "trace"})
    assert "needs the column service_time_s, which t.csv does not have" in found[0]


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a document."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, item in inner for place in places(item, (*path, key)))]


ODD_VALUES: st.SearchStrategy[Any] = st.sampled_from(
    [
        *(
            None,
            True,
            0,
            -1,
            1e308,
            10**400,
            float("nan"),
            float("inf"),
            "",
            " ",
            "x",
            "5",
            "-3s",
            "1e999s",
            "0%",
            "5%",
        ),
        *([], {}, [[]], {"": 1}, {1: 2}, {None: 3}, {"trace": {"file": ""}}, {"trace": {"file": "\0"}}, {"file": "."}),
        *({"distribution": ["x"]}, {"tokens": {}}, "trace", ["0s"], "9" * 400 + "h", {"trace": {"file": "t.csv"}}),
        {"mmpp": {"rates": [1e308, 1e308], "switching": [1e-308, 1e308]}},
    ]
).map(copy.deepcopy)


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_no_value_anywhere_is_more_than_an_input_error(data: st.DataObject) -> None:
    """Up to three places of a good document hold odd values: it is read or refused, never anything else."""
    changed: Any = document()
    for _ in range(data.draw(st.integers(1, 3))):
        *parents, key = data.draw(st.sampled_from(places(changed)[1:]))
        holder = changed
        for parent in parents:
            holder = holder[parent]
        if data.draw(st.booleans()):
            holder[key] = data.draw(ODD_VALUES)
        elif isinstance(holder, dict):
            holder[str(data.draw(st.sampled_from(["", "x", "mean", "file", "rps"])))] = data.draw(ODD_VALUES)
    overrides: dict[str, Any] = data.draw(
        st.sampled_from([{}, {"duration": "30s"}, {"deployment.autoscale_min_replicas": 3, "seed": "x"}])
    )
    document_with_options = override(changed, overrides) if overrides else changed
    refused: tuple[str, ...] = ("read",)
    try:
        build(document_with_options, "odd.yaml", Path("/nonexistent"), tuple(overrides))
    except InputError as error:
        refused = error.problems
    assert refused
    assert all(problem and "\n" not in problem for problem in refused)
