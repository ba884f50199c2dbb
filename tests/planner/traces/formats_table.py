"""The table of formats in docs/traces.md, made from the registry. Run as a module, it writes the table anew."""

from __future__ import annotations

from pathlib import Path

from planner.traces.formats import FORMATS
from planner.traces.formats.format import Format
from planner.traces.records import Stamps

PAGE = Path(__file__).parents[3] / "docs" / "traces.md"
BEGIN, END = "<!-- formats: begin -->\n", "<!-- formats: end -->\n"

_STAMPS = {Stamps.START: "start", Stamps.END: "end", None: "–"}


def table() -> str:
    """A row for each format, in the order of the registry, and a line or two of each below."""
    rows = ["| `format` | file | a stamp names | taken | not taken |", "|---|---|---|---|---|"]
    for known in FORMATS:
        cells = (f"`{known.name}`", known.title, _STAMPS[known.stamps], known.taken, known.left)
        rows.append(f"| {' | '.join(cells)} |")
    samples = "\n\n".join(_sample(known) for known in FORMATS)
    return "\n".join([*rows, "", "What each looks like:", "", samples, ""])


def _sample(known: Format) -> str:
    return f"`{known.name}`\n\n```text\n{known.sample.rstrip()}\n```"


def with_table(page: str) -> str:
    """The page with the table of now between its two marks."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
