"""Access logs: lines as servers write them, the path filter, and what is refused."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from planner.errors import InputError
from planner.traces.choosing import Wanted, url_paths
from planner.traces.formats.logs.common_log import form, parse
from planner.traces.formats.logs.lines import LONGEST_LINE, read_lines
from planner.traces.playing import play
from planner.traces.records import Requests
from planner.traces.trace_file import read_trace

STAMP = "[10/Oct/2000:13:55:36 -0700]"
PLAIN = f'127.0.0.1 - frank {STAMP} "GET /apache_pb.gif HTTP/1.0" 200 2326'
COMBINED = f'{PLAIN} "http://www.example.com/start.html" "Mozilla/4.08 [en] (Win98; I ;Nav)"'


def read_access_log(path: Path) -> Requests:
    return read_lines(path, form(None, parse))


def written(folder: Path, *lines: str, name: str = "access.log") -> Path:
    path = folder / name
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "line",
    [
        PLAIN,
        COMBINED,
        PLAIN + "\r",
        f"www.example.com:80 {COMBINED}",  # vhost_combined
        f'::1 - - {STAMP} "OPTIONS * HTTP/1.0" 200 126 "-" "Apache (internal dummy connection)"',
        f'2001:db8::1 - - {STAMP} "GET /products?id=2 HTTP/1.1" 404 - "-" "-"',
        f'[2001:db8::1] - - {STAMP} "GET / HTTP/2.0" 304 -',
        f'10.0.0.8 - Jane Doe {STAMP} "GET / HTTP/1.1" 200 1',
        f'10.0.0.8 - "Jane [x]" {STAMP} "GET / HTTP/1.1" 200 1',
        f'10.0.0.8 - - {STAMP} "-" 408 -',
        rf'10.0.0.8 - - {STAMP} "\x16\x03\x01" 400 226 "-" "-"',
        rf'10.0.0.8 - - {STAMP} "GET /a\"b HTTP/1.1" 404 10 "-" "says \"hello\" [] \\"',
        f'10.0.0.8 - - {STAMP} "GET / HTTP/1.1" 200 1 "-" "an unclosed agent',
        f'10.0.0.8 - - {STAMP} "POST /score HTTP/1.1" 200 20 "-" "curl/8" "10.1.1.1" rt=0.120 uct="0.001"',
    ],
)
def test_lines_as_apache_and_nginx_write_them(tmp_path: Path, line: str) -> None:
    log = read_access_log(written(tmp_path, line, ""))
    assert len(log) == 1
    assert log.utc_offset_s == -7 * 3600
    assert log.resolution_s == 1


def test_times_are_told_apart_by_their_offset_and_sorted(tmp_path: Path) -> None:
    stamps = ("01/Jan/2026:00:00:02 +0000", "01/Jan/2026:01:00:00 +0100", "31/Dec/2025:23:00:01 -0100")
    trace = read_trace(written(tmp_path, *(f'h - - [{stamp}] "GET / HTTP/1.1" 200 1' for stamp in stamps)))
    assert trace.times_s.tolist() == [0.0, 1.0, 2.0]
    assert trace.clock is not None
    assert trace.clock.shown(0) == "2026-01-01 01:00:00+01:00"  # in the offset of the earliest request


def test_stamps_are_cut_to_seconds_unless_a_line_has_a_fraction(tmp_path: Path) -> None:
    sparse = read_trace(written(tmp_path, PLAIN, PLAIN.replace(":36 ", ":39 ")))
    assert sparse.has_cut_stamps  # though no second repeats: the format has no more
    assert play(sparse, seed=1).spread
    fine = read_trace(written(tmp_path, PLAIN.replace(":36 ", ":36.250 "), PLAIN.replace(":36 ", ":37.5 ")))
    assert not fine.has_cut_stamps
    assert fine.times_s.tolist() == [0.0, 1.25]


def test_the_path_filter_is_exact_and_leaves_the_query_out(tmp_path: Path) -> None:
    targets = ("/score", "/score?v=1", "http://host/score?v=2", "/score/", "/scores", "/", "http://host")
    path = written(tmp_path, *(f'h - - {STAMP} "POST {target} HTTP/1.1" 200 1' for target in targets))
    assert len(read_trace(path)) == 7
    assert len(read_trace(path, wanted=Wanted(paths=("/score",)))) == 3
    assert len(read_trace(path, wanted=Wanted(paths=("/",)))) == 2
    with pytest.raises(InputError, match=r"no request for the path /other in 7 lines \(there are POST /score 3 "):
        read_trace(path, wanted=Wanted(paths=("/other",)))


@pytest.mark.parametrize("bad", ["score", "/score?x=1", "/a b", "", 7])
def test_a_path_to_look_for_is_one(bad: object) -> None:
    with pytest.raises(ValueError, match="must be a path without a query, for example /score"):
        url_paths(bad)


@pytest.mark.parametrize(
    "bad",
    [
        "time_s",
        '::1 - - [07/Dec/2021 08:39:53] "GET / HTTP/1.1" 200 -',
        PLAIN.replace("Oct", "oct"),
        PLAIN.replace("10/Oct", "31/Feb"),
        PLAIN.replace("13:55", "25:55"),
        PLAIN.replace(" 200 2326", ""),
        PLAIN.replace("200", "2000"),
        PLAIN.replace("-0700", "-0799"),
        PLAIN + "x",
        "\u00ff" * 30,
        PLAIN + " " * LONGEST_LINE,
    ],
)
def test_a_line_of_another_form_is_named_with_how_many_there_are(tmp_path: Path, bad: str) -> None:
    path = written(tmp_path, PLAIN, "", bad, PLAIN, bad)
    with pytest.raises(InputError) as raised:
        read_access_log(path)
    assert str(raised.value).startswith(f"{path}: line 3 is not in the common log format (")
    assert " lines are not, at most 5 % are left out (`format` names another format)" in str(raised.value)
    if len(bad) < LONGEST_LINE:
        assert "; 2 of 4 lines are not" in str(raised.value)


def test_a_hostile_line_takes_no_time(tmp_path: Path) -> None:
    stamps = f"{STAMP} " * (LONGEST_LINE // 40) + '"'
    for line in ("a " * (LONGEST_LINE // 2 - 1), f"h - {stamps}", "h - " + '[" ' * 20_000, "\\" * 60_000):
        with pytest.raises(InputError, match="line 1 is not"):
            read_access_log(written(tmp_path, line))


def test_endings_formats_and_compression(tmp_path: Path) -> None:
    for name in ("a.log", "a.clf", "a.txt", "A.LOG"):
        assert len(read_trace(written(tmp_path, PLAIN, name=name))) == 1
    assert len(read_trace(written(tmp_path, PLAIN, name="a.dat"), form="common_log")) == 1
    assert len(read_trace(written(tmp_path, "time_s", "1", name="b.txt"), form="csv")) == 1
    (tmp_path / "a.log.gz").write_bytes(gzip.compress(f"{PLAIN}\n{COMBINED}\n".encode()))
    assert len(read_trace(tmp_path / "a.log.gz")) == 2
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress(b"time_s\n1\n2\n"))
    assert read_trace(tmp_path / "b.csv.gz").times_s.tolist() == [0.0, 1.0]
    whole = gzip.compress(b"time_s\n" + b"".join(b"%d\n" % i for i in range(10_000)))
    (tmp_path / "cut.csv.gz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "none.log.gz").write_bytes(b"not compressed")
    for name, message in (
        ("cut.csv.gz", "ends in the middle"),
        ("none.log.gz", "line 1 is not in the common log format"),
        ("no.log", "no such"),
    ):
        with pytest.raises(InputError, match=message):
            read_trace(tmp_path / name)
    with pytest.raises(InputError, match="is empty, no request in it"):
        read_trace(written(tmp_path, "", name="empty.log"))


def test_what_belongs_to_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    table, log = written(tmp_path, "time_s", "1", name="t.csv"), written(tmp_path, PLAIN)
    with pytest.raises(InputError, match="does not say the `path` of its requests"):
        read_trace(table, wanted=Wanted(paths=("/score",)))
    with pytest.raises(InputError, match="`bin` is the width of counts"):
        read_trace(log, bin_s=60.0)
    with pytest.raises(InputError, match="`bin` is the width of counts"):
        read_trace(table, bin_s=60.0)


def test_the_counts_of_each_second_survive_the_spreading(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    seconds = np.sort(rng.integers(0, 60, 2000))
    lines = [f'h - - [01/Mar/2026:12:00:{s:02d} +0000] "POST /score HTTP/1.1" 200 1' for s in rng.permutation(seconds)]
    trace = read_trace(written(tmp_path, *lines))
    for even in (False, True):
        played = play(trace, seed=8, even=even)
        assert np.array_equal(np.floor(played.times_s) + seconds[0], seconds)
