"""The promises of the command line: what goes where, the exit codes, what is imported and how fast."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest

from planner import __version__
from planner.cli import group, root
from planner.cli.output import emit_json, print_table
from planner.errors import NoVerdictError, StoppedByLimit

REPLICAS = ["replicas", "--target-rps", "20", "--request-time", "10"]
HEAVY = {"numba", "scipy", "numpy", "pyarrow", "matplotlib", "locust", "kubernetes", "yaml", "rich"}


def python(code: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh interpreter with the command line's arguments."""
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | environment,
        check=False,
    )


MAIN = "from planner.cli.root import main; main()"


def surgeproof(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return python(MAIN, *arguments, **environment)


def redirected(redirection: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command line with its streams as a shell would have them, for example `>/dev/full`."""
    shell = ["sh", "-c", f'exec "$@" {redirection}', "sh", sys.executable, "-c", MAIN]
    return subprocess.run([*shell, *arguments], capture_output=True, text=True, timeout=60, check=False)


def with_command(monkeypatch: pytest.MonkeyPatch, body: object) -> list[str]:
    """A command `probe` whose body is a function without arguments; returns the command line that runs it."""
    module = ModuleType("probe_command")
    module.command = body  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "probe_command", module)
    monkeypatch.setitem(group.COMMANDS, "probe", ("probe_command", "A probe."))
    return ["probe"]


# replicas


def test_replicas_as_text_and_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--max-concurrent", "1", "--target-utilization", "0.7"]
    assert root.run([*REPLICAS, *options]) == 0
    assert capsys.readouterr().out.startswith("286 replicas: the published rule")
    assert root.run([*REPLICAS, *options, "--output", "json"]) == 0
    output = capsys.readouterr()
    assert json.loads(output.out)["replicas"] == 286
    assert output.err == ""


@pytest.mark.parametrize("spelling", [["--output=json"], ["--output", "json"], ["-o", "json"]])
def test_the_quick_answer_is_the_commands_answer(spelling: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert root.run([*REPLICAS, "--target-utilization=0.5", *spelling]) == 0
    first = json.loads(capsys.readouterr().out)
    assert first["replicas"] == 400
    from planner.cli.options import Output
    from planner.cli.replicas import command

    command("20", "10", target_utilization="0.5", output=Output.JSON)
    assert json.loads(capsys.readouterr().out) == first


def test_replicas_imports_nothing_heavy() -> None:
    code = "import sys; from planner.cli.root import run; code = run(sys.argv[1:]); print(sorted(sys.modules), code)"
    done = python(code, *REPLICAS)
    loaded = {name.strip("'[], ").split(".")[0] for name in done.stdout.splitlines()[-1].split()}
    assert "planner" in loaded
    assert not loaded & (HEAVY | {"typer", "pydantic", "loadtest"})


def test_replicas_answers_in_less_than_four_tenths_of_a_second() -> None:
    """The fastest of five: what it needs, not what else the machine is doing."""
    times = []
    for _ in range(5):
        start = time.perf_counter()
        assert surgeproof(*REPLICAS).returncode == 0
        times.append(time.perf_counter() - start)
    assert min(times) < 0.4


def test_help_and_version_import_no_command() -> None:
    code = "import sys; from planner.cli.root import run; code = run(sys.argv[1:]); print(sorted(sys.modules), code)"
    done = python(code, "--help")
    for name, (module, _) in group.COMMANDS.items():
        assert name in done.stdout
        assert f"'{module}'" not in done.stdout.splitlines()[-1]
    assert surgeproof("--version").stdout == f"surgeproof {__version__}\n"


def test_no_arguments_show_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert root.run([]) == 0
    assert "surgeproof run quickstart" in capsys.readouterr().out


# Exit codes


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["simulat"], "Did you mean 'simulate'?"),
        (["scenarios", "--colour", "red"], "--colour"),
        (["scenarios", "--output", "xml"], "xml"),
        (["simulate", "quickstart", "--replications", "1000000000"], "100000"),
        (["replicas"], "--target-rps"),
        (["replicas", "--target-rps", "20"], "--request-time"),
        ([*REPLICAS, "--target-utilization", "70"], "did you mean 0.7?"),
        (["replicas", "--target-rps", "-1", "--request-time", "x"], "--request-time = x"),
        (["replicas", "--target-rps"], "--target-rps"),
    ],
)
def test_wrong_usage_ends_with_2_and_an_empty_stdout(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert root.run(arguments) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert message in output.err
    assert "Traceback" not in output.err


def test_bad_scenarios_end_with_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def command() -> None:
        from planner.cli.options import load_scenario

        load_scenario(str(tmp_path / "bad.yaml"), autoscale_min_replicas="x")

    (tmp_path / "bad.yaml").write_text("duration: 20\n")
    assert root.run(with_command(monkeypatch, command)) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert "bad.yaml: duration = 20, needs a unit" in output.err
    assert "--autoscale-min-replicas = x, must be an integer" in output.err
    assert "traffic is missing" in output.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["quikstart"], "did you mean quickstart?"),
        (["no/such.yaml"], "no/such.yaml: no such file"),
        (["quickstart", "--autoscale-target-utilization", "0.7"], "did you mean 70?"),
        (["quickstart", "--autoscale-target-utilization", "0"], "--autoscale-target-utilization = 0, must be"),
        (["quickstart", "--autoscale-min-replicas", "11"], "--autoscale-min-replicas = 11, must be at most"),
        (["quickstart", "--duration", "60"], "--duration = 60, needs a unit"),
        (["quickstart", "--seed", "x"], "--seed = x, must be an integer"),
        (["/dev/full"], "/dev/full: is a pipe or a device, not a file"),
        (["steady-poisson", "--autoscale-max-replicas", "9"], "not used with autoscaler: fixed"),
    ],
)
def test_a_bad_scenario_or_option_of_simulate_ends_with_2(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert root.run(["simulate", *arguments, "--output", "json"]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert message in output.err
    assert len(output.err.splitlines()) == 1


@pytest.mark.parametrize(("error", "code"), [(NoVerdictError("lost"), 3), (StoppedByLimit("the budget"), 4)])
def test_errors_for_the_user_end_with_their_own_code(
    error: Exception, code: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def command() -> None:
        raise error

    assert root.run(with_command(monkeypatch, command)) == code
    assert capsys.readouterr().err == f"{error}\n"


def test_a_command_chooses_its_own_code(monkeypatch: pytest.MonkeyPatch) -> None:
    def command() -> None:
        import typer

        raise typer.Exit(1)

    assert root.run(with_command(monkeypatch, command)) == 1


def test_a_bug_is_one_line_and_70(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def command() -> None:
        raise ZeroDivisionError("a\nb")

    assert root.run(with_command(monkeypatch, command)) == 70
    assert capsys.readouterr().err == "internal error: ZeroDivisionError: a (SURGEPROOF_DEBUG=1 shows where)\n"
    monkeypatch.setenv("SURGEPROOF_DEBUG", "1")
    assert root.run(with_command(monkeypatch, command)) == 70
    assert "Traceback" in capsys.readouterr().err


def test_a_missing_extra_says_how_to_install_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def command() -> None:
        raise ModuleNotFoundError("No module named 'locust'", name="locust.env")

    assert root.run(with_command(monkeypatch, command)) == 2
    assert "python -m pip install 'surgeproof[loadtest]'" in capsys.readouterr().err


def test_ctrl_c_ends_with_130(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def command() -> None:
        signal.raise_signal(signal.SIGINT)

    assert root.run(with_command(monkeypatch, command)) == 130
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("arguments", [["schema"], REPLICAS, ["--help"], ["scenarios"]])
def test_a_reader_that_goes_away_is_no_error(arguments: list[str]) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", f"input(); {MAIN}", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.close()
    process.stdout = None
    _, errors = process.communicate(b"go on\n", timeout=60)
    assert (process.returncode, errors) == (141, b"")


@pytest.mark.parametrize("arguments", [REPLICAS, ["scenarios"], ["--help"]])
@pytest.mark.parametrize(("redirection", "why"), [(">/dev/full", "No space left on device"), (">&-", "it is closed")])
def test_a_stdout_that_takes_nothing_ends_with_2(arguments: list[str], redirection: str, why: str) -> None:
    done = redirected(redirection, *arguments)
    assert (done.returncode, done.stderr) == (2, f"stdout cannot be written ({why})\n")


@pytest.mark.parametrize("arguments", [["simulate", "quikstart"], ["simulate", "--colour"]])
@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full", ">&- 2>&-"])
def test_a_stderr_that_takes_nothing_changes_neither_stdout_nor_the_code(
    arguments: list[str], redirection: str
) -> None:
    done = redirected(redirection, *arguments)
    assert (done.returncode, done.stdout) == (2, "")


def test_an_answer_arrives_without_a_stderr() -> None:
    done = redirected("2>&-", *REPLICAS)
    assert done.returncode == 0
    assert done.stdout.startswith("286 replicas")


# Output


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_without_a_character_gets_another(encoding: str) -> None:
    code = (
        "from planner.cli.output import guard_streams, print_table; guard_streams(); print_table(['a'], [['\\u6f22']])"
    )
    done = python(code, PYTHONIOENCODING=encoding)
    assert done.returncode == 0
    assert "?" in done.stdout.splitlines()[-2]


def test_scenarios_and_schema(capsys: pytest.CaptureFixture[str]) -> None:
    assert root.run(["scenarios", "--output", "json"]) == 0
    listed = {row["name"]: row["shows"] for row in json.loads(capsys.readouterr().out)["scenarios"]}
    assert "quickstart" in listed
    assert root.run(["scenarios"]) == 0
    assert listed["quickstart"] in capsys.readouterr().out
    assert root.run(["schema"]) == 0
    assert json.loads(capsys.readouterr().out)["title"] == "Surgeproof scenario"


def test_json_refuses_what_is_not_json(capsys: pytest.CaptureFixture[str]) -> None:
    import numpy as np

    emit_json({"n": np.int64(3), "values": np.array([1.5]), "where": Path("a/b"), "unknown": None})
    assert json.loads(capsys.readouterr().out) == {"n": 3, "values": [1.5], "where": "a/b", "unknown": None}
    with pytest.raises(ValueError, match="not JSON compliant"):
        emit_json({"n": float("nan")})
    with pytest.raises(TypeError, match="has no JSON form"):
        emit_json({"n": object()})
    assert capsys.readouterr().out == ""


def test_a_narrow_terminal_loses_no_letter_of_a_table(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "20")
    print_table(("name", "value"), [("utilization_window", "fewest_requests")])
    shown = Counter(capsys.readouterr().out)
    assert not Counter("utilization_windowfewest_requests") - shown
    assert "…" not in shown


def test_tables_align_numbers_to_the_right(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("name", "share"), [("a", "1 %"), ("b", "100 %")])
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert " a        1 %" in lines
    assert " b      100 %" in lines
