"""Inputs given as intervals: their worlds, what is refused, and that every other command takes the mid."""

import copy
import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from planner.arrivals import MarkovModulatedPoisson, Renewal
from planner.cli.root import run
from planner.documents import scenario_document
from planner.draws import Stream, block_generator
from planner.errors import InputError
from planner.scenario import Scenario
from planner.scenario_file import json_schema, load, save_copy
from planner.scenario_file.build import build
from planner.scenario_file.overrides import override
from planner.scenario_file.scaling import scaled_trace
from planner.scenario_file.what_if import what_if
from planner.scenario_file.worlds import in_world
from planner.scenario_file.yaml_text import parse
from planner.service import Deterministic, FromTrace, Lognormal
from planner.uncertain import MID_WARNING, UncertainInput, between
from planner.workload import arrival_times, service_times
from tests.planner.scenario_documents import document, loaded, problems, trace_traffic, with_trace, written

KEYS = ("low", "mid", "high")
POSITION = {"low": -1.0, "mid": 0.0, "high": 1.0}


def interval(low: object, mid: object, high: object) -> dict[str, Any]:
    return {"low": low, "mid": mid, "high": high}


SERVICE = {"distribution": "lognormal", "mean": interval("80ms", "120ms", "200ms"), "cv": 0.6}
COLD_START = {"distribution": "lognormal", "mean": interval("20s", "35s", "60s"), "cv": 0.3}
SPIKE = {
    "arrivals": "poisson",
    "rate": [
        {"from": "0s", "rps": interval(10, "20/s", 25)},
        {"from": "5m", "rps": 100, "to_rps": interval(100, 140, "12000/min")},
        {"from": "10m", "rps": 20},
    ],
}


def plainly(value: Any, key: str) -> Any:
    """A document with one value of each interval written in its place."""
    if isinstance(value, dict):
        return value[key] if value.keys() == set(KEYS) else {name: plainly(v, key) for name, v in value.items()}
    return [plainly(v, key) for v in value] if isinstance(value, list) else value


def assert_same_draws(one: Scenario, other: Scenario) -> None:
    """Everything that a simulation draws, for a few replicates, to the last bit."""
    assert (one.duration_s, one.warm_up_s, one.seed, one.name) == (
        *(other.duration_s, other.warm_up_s, other.seed),
        other.name,
    )
    assert (one.deployment, one.slo) == (other.deployment, other.slo)
    for replicate in range(3):
        times_s = arrival_times(one, replicate)
        assert np.array_equal(times_s, arrival_times(other, replicate))
        n = len(times_s)
        assert np.array_equal(service_times(one, replicate, n), service_times(other, replicate, n))
        starts = [
            s.cold_start.draw(block_generator(s.seed, replicate, Stream.COLD_STARTS, 0), 50) for s in (one, other)
        ]
        assert np.array_equal(*starts)


# What is read


def test_three_inputs_with_their_values_in_si(tmp_path: Path) -> None:
    scenario = loaded(tmp_path, service_time=SERVICE, cold_start=COLD_START, traffic=SPIKE)
    service, rate, cold = scenario.uncertain
    assert service == UncertainInput(
        name="request_time", low=0.08, mid=0.12, high=0.2, unit="s", paths=("service_time.mean",)
    )
    assert cold == UncertainInput(name="cold_start", low=20, mid=35, high=60, unit="s", paths=("cold_start.mean",))
    assert (rate.name, rate.unit) == ("rate", "requests per second")
    assert rate.paths == ("traffic.rate[0].rps", "traffic.rate[1].to_rps")
    # 5 minutes of a rate, 5 of a ramp, 10 of 20 rps, over 20 minutes
    expected = [(10 + 100 + 40) / 4, (20 + 120 + 40) / 4, (25 + 150 + 40) / 4]
    assert [rate.low, rate.mid, rate.high] == pytest.approx(expected)
    assert scenario.service_time == Lognormal(0.12, 0.6)
    assert scenario.cold_start == Lognormal(35.0, 0.3)
    assert scenario.arrivals.expected_count == pytest.approx(rate.mid * 1200)


@pytest.mark.parametrize("distribution", ["deterministic", "exponential", "lognormal", "gamma"])
@pytest.mark.parametrize("section", ["service_time", "cold_start"])
def test_every_named_distribution_takes_one(tmp_path: Path, section: str, distribution: str) -> None:
    form = {"distribution": distribution, "mean": interval("1s", "2s", "4s")}
    if distribution in ("lognormal", "gamma"):
        form["cv"] = 0.5
    (found,) = loaded(tmp_path, **{section: form}).uncertain
    assert (found.low, found.mid, found.high, found.paths) == (1, 2, 4, (f"{section}.mean",))


def test_the_short_form_is_a_constant(tmp_path: Path) -> None:
    scenario = loaded(tmp_path, cold_start=interval("0s", "35s", "1m"), service_time=interval("1s", "1s", "2s"))
    assert (scenario.cold_start, scenario.service_time) == (Deterministic(35.0), Deterministic(1.0))
    assert [given.paths for given in scenario.uncertain] == [("service_time",), ("cold_start",)]


def test_a_document_tells_them(tmp_path: Path) -> None:
    scenario = loaded(tmp_path, cold_start=COLD_START)
    assert scenario_document(scenario)["uncertain"] == [
        {"name": "cold_start", "low": 20.0, "mid": 35.0, "high": 60.0, "unit": "s"}
    ]
    assert scenario_document(loaded(tmp_path))["uncertain"] == []


def test_the_warning_is_one_sentence_and_only_where_there_are_intervals(tmp_path: Path) -> None:
    assert loaded(tmp_path, service_time=SERVICE, cold_start=COLD_START).warnings == (MID_WARNING,)
    assert loaded(tmp_path).warnings == ()


def test_simulate_takes_the_mid_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = document() | {"duration": "20s", "traffic": {"arrivals": "poisson", "rps": interval(5, 20, 50)}}
    documents = []
    for made in (content | {"cold_start": COLD_START}, plainly(content, "mid")):
        assert run(["simulate", str(written(tmp_path, made)), "--replications", "2", "-o", "json"]) in (0, 1, 3)
        documents.append(json.loads(capsys.readouterr().out))
    assert [made["warnings"] for made in documents] == [[MID_WARNING], []]
    assert documents[0]["requests"] == documents[1]["requests"] > 0
    assert documents[0]["fraction_503"] == documents[1]["fraction_503"]


def test_an_interval_that_is_never_played_is_no_input(tmp_path: Path) -> None:
    rate = [{"from": "0s", "rps": 5}, {"from": "30m", "rps": interval(1, 2, 3)}]
    scenario = loaded(tmp_path, traffic={"arrivals": "poisson", "rate": rate})
    assert scenario.uncertain == ()
    assert MID_WARNING not in scenario.warnings


# Worlds

SMALL_TIMES = st.tuples(*[st.integers(1, 5000)] * 3).map(sorted).filter(lambda v: v[0] < v[2])
RATES = st.tuples(*[st.integers(0, 400)] * 3).map(sorted).filter(lambda v: v[0] < v[2] and v[2] > 0)


def _milliseconds(values: list[int]) -> dict[str, Any]:
    return interval(*(f"{value}ms" for value in values))


@st.composite
def uncertain_documents(draw: st.DrawFn) -> dict[str, Any]:
    """Documents of 20 seconds with some of the three inputs given as intervals."""

    def distribution(name: str) -> Any:
        mean = _milliseconds(draw(SMALL_TIMES))
        named: list[Any] = [
            *({"distribution": plain, "mean": mean} for plain in ("deterministic", "exponential")),
            *({"distribution": plain, "mean": mean, "cv": 0.7} for plain in ("lognormal", "gamma")),
        ]
        return draw(st.sampled_from([mean, *named, document()[name]]))

    def rate() -> Any:
        values = draw(RATES)
        return draw(st.sampled_from([interval(*values), values[2]]))

    traffic = draw(
        st.sampled_from(
            [
                {"arrivals": "poisson", "rps": rate()},
                {"arrivals": "regular", "rps": rate()},
                {"arrivals": {"gamma": {"cv": 2}}, "rps": rate()},
                {
                    "arrivals": "poisson",
                    "rate": [{"from": "0s", "rps": rate(), "to_rps": rate()}, {"from": "7s", "rps": rate()}],
                },
                {"arrivals": {"mmpp": {"rates": [rate(), 30, rate()], "switching": [0.5, 1, 2]}}},
            ]
        )
    )
    sections = {name: distribution(name) for name in ("service_time", "cold_start")}
    return document() | {"duration": "20s", "traffic": traffic} | sections


def read(content: Mapping[str, Any], name: str = "launch.yaml") -> Scenario:
    """As `load` does, without a file."""
    text = json.dumps(content)
    return dataclasses.replace(build(copy.deepcopy(dict(content)), name, Path()), source=Path(name), text=text)


@given(uncertain_documents(), st.tuples(*[st.sampled_from(KEYS)] * 3))
@settings(max_examples=30, deadline=None)
def test_at_the_ends_and_the_middle_a_world_is_the_file_with_plain_values(
    content: dict[str, Any], keys: tuple[str, str, str]
) -> None:
    scenario = read(content)
    names = {"request_time": "service_time", "rate": "traffic", "cold_start": "cold_start"}
    chosen = dict(zip(names, keys, strict=True))
    positions = {given.name: POSITION[chosen[given.name]] for given in scenario.uncertain}
    world = in_world(scenario, positions)
    plain = read(content | {names[name]: plainly(content[names[name]], key) for name, key in chosen.items()})
    assert_same_draws(world, plain)
    assert world.uncertain == ()
    assert MID_WARNING not in world.warnings
    assert_same_draws(in_world(scenario, {}), scenario)
    for known in scenario.uncertain:
        if known.name == "rate":
            mean_rps = world.arrivals.expected_count / world.duration_s
            assert known.at(positions["rate"]) == pytest.approx(mean_rps)


@given(uncertain_documents(), st.floats(-1, 1))
@settings(max_examples=30, deadline=None)
def test_between_them_each_input_is_linear_and_the_world_can_be_read_again(
    content: dict[str, Any], position: float
) -> None:
    scenario = read(content)
    world = in_world(scenario, {given.name: position for given in scenario.uncertain})
    found = {
        "request_time": world.service_time.mean_s,
        "rate": world.arrivals.expected_count / world.duration_s,
        "cold_start": world.cold_start.mean_s,
    }
    for known in scenario.uncertain:
        assert found[known.name] == pytest.approx(known.at(position), rel=1e-9, abs=1e-12)
    assert_same_draws(read(parse(world.text, "world.yaml")), world)


def test_all_rates_move_together_and_nothing_else_does(tmp_path: Path) -> None:
    scenario = loaded(tmp_path, service_time=SERVICE, cold_start=COLD_START, traffic=SPIKE)
    world = in_world(scenario, {"rate": 0.5})
    assert isinstance(world.arrivals, Renewal)
    assert world.arrivals.profile.left_rps.tolist() == [22.5, 100, 20]
    assert world.arrivals.profile.right_rps.tolist() == [22.5, 170, 20]
    assert (world.service_time, world.cold_start) == (scenario.service_time, scenario.cold_start)
    assert in_world(scenario, {"cold_start": -0.5}).cold_start == Lognormal(27.5, 0.3)


def test_phases_of_an_mmpp_stay_where_they_are(tmp_path: Path) -> None:
    mmpp = {"rates": [interval(5, 10, 20), interval(20, 30, 60)], "switching": [0.05, 0.05]}
    scenario = loaded(tmp_path, traffic={"arrivals": {"mmpp": mmpp}})
    (rate,) = scenario.uncertain
    assert (rate.low, rate.mid, rate.high) == pytest.approx((12.5, 20, 40))
    high = in_world(scenario, {"rate": 1}).arrivals
    assert isinstance(high, MarkovModulatedPoisson)
    assert isinstance(scenario.arrivals, MarkovModulatedPoisson)
    assert np.array_equal(high.rate_path(1, 0).time_s, scenario.arrivals.rate_path(1, 0).time_s)
    assert np.array_equal(high.rate_path(1, 0).left_rps, 2 * scenario.arrivals.rate_path(1, 0).left_rps)


def test_of_a_trace_the_scale_is_uncertain(tmp_path: Path) -> None:
    with_trace(tmp_path)
    traffic = trace_traffic(rate_scale=interval(0.5, 1, 2))
    scenario = loaded(tmp_path, traffic=traffic, service_time="trace", duration="10s")
    (rate,) = scenario.uncertain
    assert (rate.low, rate.mid, rate.high) == (2.0, 4.0, 8.0)
    assert rate.paths == ("traffic.arrivals.trace.rate_scale",)
    for key, position in POSITION.items():
        world = in_world(scenario, {"rate": position})
        plain = loaded(tmp_path, traffic=plainly(traffic, key), service_time="trace", duration="10s")
        assert_same_draws(world, plain)
        assert isinstance(world.service_time, FromTrace)
    assert in_world(scenario, {"rate": 1}).arrivals.fixed_count == 80
    assert_same_draws(scaled_trace(scenario, 2.0), in_world(scenario, {"rate": 1}))


def test_a_world_keeps_what_was_changed_since_the_file_was_read(tmp_path: Path) -> None:
    scenario = loaded(tmp_path, cold_start=COLD_START)
    deployment = dataclasses.replace(scenario.deployment, min_replicas=9)
    changed = dataclasses.replace(scenario, deployment=deployment, seed=5)
    world = in_world(changed, {"cold_start": 1})
    assert (world.deployment.min_replicas, world.seed, world.cold_start.mean_s) == (9, 5, 60.0)


def test_without_intervals_there_is_one_world(tmp_path: Path) -> None:
    scenario = loaded(tmp_path)
    assert in_world(scenario, {}) is scenario
    with pytest.raises(ValueError, match="rate: not uncertain in launch-spike"):
        in_world(scenario, {"rate": 1.0})


@pytest.mark.parametrize("position", [-1.001, 2, float("nan")])
def test_a_position_beyond_the_interval_is_a_mistake_of_the_caller(tmp_path: Path, position: float) -> None:
    with pytest.raises(ValueError, match="must be from -1 to 1"):
        in_world(loaded(tmp_path, cold_start=COLD_START), {"cold_start": position})
    with pytest.raises(ValueError, match="must be from -1 to 1"):
        between(1, 2, 3, position)


@pytest.mark.parametrize(
    ("changes", "position", "message"),
    [
        (
            {"traffic": {"arrivals": "poisson", "rps": interval(1, 2, 1e5)}},
            1.0,
            "in the world with rate = 100000 requests per second (high): spike.yaml: traffic: makes 120,000,000 "
            "requests in 1200 s, at most 100,000,000 are supported",
        ),
        (
            {"traffic": {"arrivals": {"mmpp": {"rates": [interval(0, 1, 2), 0], "switching": [1, 1]}}}},
            -1.0,
            "in the world with rate = 0 requests per second (low): spike.yaml: traffic.arrivals.mmpp.rates = [0, 0], "
            "must be not all 0",
        ),
    ],
)
def test_a_world_that_breaks_a_bound_is_named(
    tmp_path: Path, changes: dict[str, Any], position: float, message: str
) -> None:
    scenario = loaded(tmp_path, **changes)
    with pytest.raises(InputError) as raised:
        in_world(scenario, {"rate": position})
    assert raised.value.problems == (message,)


# Options, counterfactuals, copies


def test_an_option_or_a_what_if_replaces_an_interval(tmp_path: Path) -> None:
    path = written(tmp_path, document() | {"service_time": SERVICE, "cold_start": COLD_START})
    assert [known.name for known in load(path, {"service_time.mean": "100ms"}).uncertain] == ["cold_start"]
    replaced = what_if(load(path), "service_time.mean=100ms").scenario
    assert replaced.service_time == Lognormal(0.1, 0.6)
    assert [known.name for known in replaced.uncertain] == ["cold_start"]
    assert in_world(replaced, {"cold_start": 1}).service_time == Lognormal(0.1, 0.6)
    moved = what_if(load(path), "service_time.mean.mid=100ms").scenario
    assert moved.service_time == Lognormal(0.1, 0.6)
    assert moved.uncertain[0].low == 0.08
    assert what_if(load(path), "cold_start=0").scenario.cold_start == Deterministic(0.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("service_time.mean.mid=300ms", "spike.yaml: service_time.mean.high = 200ms, must be at least mid (300ms)"),
        ("service_time.mean.middle=1s", "unknown key; did you mean mid?"),
        ("service_time.mean.low=1", "needs a unit, for example 250ms, 20s, 5m or 1h30m"),
        ("cold_start.mean.mid=1s", "there is no cold_start.mean.mid, cold_start.mean = 35s"),
    ],
)
def test_a_bad_what_if_on_an_interval_is_refused_clearly(tmp_path: Path, text: str, message: str) -> None:
    scenario = loaded(tmp_path, service_time=SERVICE)
    with pytest.raises(InputError) as raised:
        what_if(scenario, text)
    assert raised.value.problems == (f"--what-if {text}: {message}",)


RAMP = {"arrivals": "poisson", "rate": [{"from": "0s", "rps": interval(0, 10, 20), "to_rps": 40}]}


@pytest.mark.parametrize(
    "overrides",
    [
        {"duration": "7m"},
        {"duration": "40m"},
        {"trace.rate_scale": 2.5},
        {"trace.from": "4m", "trace.for": "5m", "trace.time_scale": 0.5},
    ],
)
@pytest.mark.parametrize("traffic", [SPIKE, RAMP, {"arrivals": "poisson", "rps": interval(1, 3, 7)}])
def test_options_that_change_the_traffic_change_all_of_an_interval(
    tmp_path: Path, traffic: dict[str, Any], overrides: dict[str, Any]
) -> None:
    scenario = load(written(tmp_path, document() | {"traffic": traffic}), overrides)
    for key, position in POSITION.items():
        plain = load(written(tmp_path, document() | {"traffic": plainly(traffic, key)}, "plain.yaml"), overrides)
        assert_same_draws(in_world(scenario, {"rate": position}), plain)


@pytest.mark.parametrize("overrides", [{"duration": "7m"}, {"trace.rate_scale": 2.5}])
@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (interval(30, 20, 10), "traffic.rate[1].to_rps.mid = 20, must be at least low (30)"),
        (interval(1, 2, 3) | {"hi": 4}, "traffic.rate[1].to_rps.hi = 4, unknown key"),
        ({"low": 1, "high": 2}, "traffic.rate[1].to_rps.mid is missing"),
    ],
)
def test_an_option_hides_no_bad_interval(
    tmp_path: Path, overrides: dict[str, Any], bad: dict[str, Any], message: str
) -> None:
    traffic = copy.deepcopy(SPIKE)
    traffic["rate"][1]["to_rps"] = bad  # type: ignore[index]
    with pytest.raises(InputError) as raised:
        load(written(tmp_path, document() | {"traffic": traffic}), overrides)
    assert any(message in sentence for sentence in raised.value.problems)


@pytest.mark.parametrize("name", ["launch-spike", None])
def test_a_copy_keeps_the_intervals(tmp_path: Path, name: str | None) -> None:
    content = document() | {"traffic": SPIKE, "service_time": SERVICE, "cold_start": COLD_START, "name": name}
    scenario = load(written(tmp_path, {key: value for key, value in content.items() if value is not None}))
    again = load(save_copy(scenario, tmp_path / "run"))
    assert again.uncertain == scenario.uncertain
    assert_same_draws(in_world(again, {"rate": 0.3}), in_world(scenario, {"rate": 0.3}))
    world = in_world(scenario, {"rate": 0.3, "cold_start": -0.7})
    assert_same_draws(load(save_copy(world, tmp_path / "world")), world)


# What is refused

LOGNORMAL = {"distribution": "lognormal", "cv": 0.6}
BAD: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    (
        {"service_time": LOGNORMAL | {"mean": interval("3s", "2s", "1s")}},
        (
            "service_time.mean.mid = 2s, must be at least low (3s)",
            "service_time.mean.high = 1s, must be at least mid (2s)",
        ),
    ),
    ({"cold_start": interval("2s", "2s", "2s")}, ("cold_start.high = 2s, must be above low (2s)",)),
    (
        {"cold_start": {"low": "20s", "mid": "35s", "hihg": "60s"}},
        ("cold_start.high is missing", "cold_start.hihg = 60s, unknown key; did you mean high?"),
    ),
    (
        {"service_time": LOGNORMAL | {"mean": interval("0s", 1, "8d")}},
        (
            "service_time.mean.low = 0s, must be above 0",
            "service_time.mean.mid = 1, needs a unit, for example 250ms, 20s, 5m or 1h30m",
            "service_time.mean.high = 8d, must be at most 7d",
        ),
    ),
    (
        {"service_time": {"distribution": "exponential", "mean": "1s", "high": "2s"}},
        ("service_time.high = 2s, unknown key; an interval is the value of mean: {low: ..., mid: ..., high: ...}",),
    ),
    (
        {"traffic": {"arrivals": "poisson", "rps": interval(-1, 2, 1e8)}},
        (
            "traffic.rps.low = -1, must be at least 0",
            "traffic.rps.high = 100000000.0, must be at most 1e+07",
        ),
    ),
    (
        {"traffic": {"arrivals": {"mmpp": {"rates": [1, interval(4, 3, 5)], "switching": [1, 1]}}}},
        ("traffic.arrivals.mmpp.rates[1].mid = 3, must be at least low (4)",),
    ),
    (
        {"traffic": {"arrivals": {"trace": {"file": "no.csv", "rate_scale": interval(0, 1, 2000)}}}},
        (
            "traffic.arrivals.trace.rate_scale.low = 0, must be at least 1e-06",
            "traffic.arrivals.trace.rate_scale.high = 2000, must be at most 1000",
        ),
    ),
    ({"duration": interval("1m", "2m", "3m")}, ("must be a duration, for example 250ms, 20s, 5m or 1h30m",)),
    ({"service_time": LOGNORMAL | {"mean": "1s", "cv": interval(1, 2, 3)}}, ("must be a number",)),
]


@pytest.mark.parametrize(("changes", "messages"), BAD)
def test_a_bad_interval_is_named_value_by_value(
    tmp_path: Path, changes: dict[str, Any], messages: tuple[str, ...]
) -> None:
    found = problems(tmp_path, document() | changes)
    assert len(found) == len(messages)
    for sentence, message in zip(found, messages, strict=True):
        assert sentence.startswith(f"{tmp_path / 'spike.yaml'}: ")
        assert sentence.endswith(message)


def test_bad_intervals_of_all_sections_are_told_at_once(tmp_path: Path) -> None:
    bad = {
        "service_time": LOGNORMAL | {"mean": interval("3s", "2s", "4s")},
        "cold_start": interval("1s", "2s", "oops"),
        "traffic": {"arrivals": "poisson", "rps": interval(5, 5, 5)},
    }
    found = " ".join(problems(tmp_path, document() | bad))
    for place in ("service_time.mean.mid = 2s", "cold_start.high = oops", "traffic.rps.high = 5"):
        assert place in found


ODD: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 5),
    st.floats(),
    st.sampled_from([10**400, "", "1s", "2s", "-3s", "5/s", "20", "1e999s", "9" * 400 + "h", [], {}, [1], {"low": 1}]),
    st.text(max_size=5),
)
ODD_INTERVALS = st.dictionaries(st.sampled_from([*KEYS, "hihg", "mean", ""]), ODD, max_size=4)
PLACES: list[tuple[Any, ...]] = [
    ("service_time",),
    ("service_time", "mean"),
    ("cold_start",),
    ("cold_start", "mean"),
    ("traffic", "rps"),
    ("traffic", "rate", 0, "rps"),
    ("traffic", "rate", 1, "to_rps"),
    ("traffic", "arrivals", "mmpp", "rates", 0),
    ("traffic", "arrivals", "trace", "rate_scale"),
]


@given(st.sampled_from(PLACES), ODD_INTERVALS, st.sampled_from([{}, {"duration": "7m"}, {"trace.rate_scale": 2}]))
@settings(max_examples=80, deadline=None)
def test_a_random_interval_is_read_or_refused_in_sentences(
    place: tuple[Any, ...], odd: dict[str, Any], overrides: dict[str, Any]
) -> None:
    content: Any = document()
    if "mmpp" in place:
        content["traffic"] = {"arrivals": {"mmpp": {"rates": [1, 2], "switching": [1, 1]}}}
    elif "trace" in place:
        content["traffic"] = {"arrivals": {"trace": {"file": "t.csv", "rate_scale": 1}}}
    elif place == ("traffic", "rps"):
        content["traffic"] = {"arrivals": "poisson", "rps": 1}
    holder = content
    for step in place[:-1]:
        holder = holder[step]
    holder[place[-1]] = copy.deepcopy(odd)
    made: Scenario | None = None
    refused: tuple[str, ...] = ()
    schema_refuses = bool(list(VALIDATOR.iter_errors(content)))
    try:
        made = build(override(content, overrides) if overrides else content, "odd.yaml", Path("/nonexistent"))
    except InputError as error:
        made, refused = None, error.problems
    assert (made is None) == bool(refused)
    assert all(problem and "\n" not in problem for problem in refused)
    if made is not None:
        assert not schema_refuses or overrides
        assert all(known.low <= known.mid <= known.high > known.low for known in made.uncertain)


def test_a_bad_interval_ends_a_command_with_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path, document() | {"cold_start": interval("3s", "2s", "1s")})
    assert run(["simulate", str(path)]) == 2
    assert "cold_start.mid = 2s, must be at least low (3s)" in capsys.readouterr().err


# The schema

VALIDATOR = Draft202012Validator(json_schema())


@pytest.mark.parametrize(
    ("changes", "good"),
    [
        ({"service_time": SERVICE, "cold_start": COLD_START, "traffic": SPIKE}, True),
        ({"service_time": interval("1s", "2s", "3s"), "cold_start": interval("1s", "2s", "3s")}, True),
        ({"traffic": {"arrivals": {"mmpp": {"rates": [1, interval(1, 2, 3)], "switching": [1, 1]}}}}, True),
        ({"traffic": {"arrivals": {"trace": {"file": "t.csv", "rate_scale": interval(1, 2, 3)}}}}, True),
        ({"service_time": SERVICE | {"mean": {"low": "1s", "high": "2s"}}}, False),
        ({"service_time": SERVICE | {"mean": interval(1, 2, 3)}}, False),
        ({"cold_start": interval("1s", "2s", "3s") | {"cv": 1}}, False),
        ({"cold_start": interval("1s", "2s", "3s") | {"distribution": "deterministic"}}, False),
        ({"traffic": {"arrivals": "poisson", "rps": interval(-1, 2, 3)}}, False),
        ({"traffic": {"arrivals": {"trace": {"file": "t.csv", "rate_scale": interval(0, 1, 2)}}}}, False),
        ({"duration": interval("1s", "2s", "3s")}, False),
    ],
)
def test_the_schema_describes_intervals_strictly(changes: dict[str, Any], good: bool) -> None:
    assert (list(VALIDATOR.iter_errors(document() | changes)) == []) is good
