"""`surgeproof replicas`, plainly spelled, without typer: importing that takes three times as long as the answer."""

from __future__ import annotations

from collections.abc import Sequence

OPTIONS = {"--target-rps", "--request-time", "--max-concurrent", "--target-utilization", "--max-request-wait-time"}
REQUIRED = {"--target-rps", "--request-time"}


def answer_replicas(arguments: Sequence[str]) -> bool:
    """Answer on stdout. False where anything is unusual: then `planner.cli.replicas` has its say."""
    given: dict[str, str] = {}
    words = iter(arguments)
    for word in words:
        name, equals, value = word.partition("=")
        if name in given or name not in OPTIONS | {"--output"}:
            return False
        given[name] = value if equals else next(words, "--")
        if given[name].startswith("--"):
            return False
    output = given.pop("--output", "table")
    if output not in ("table", "json") or not given.keys() >= REQUIRED:
        return False
    from planner.replicas import read_sizing, text

    sizing = read_sizing(**{name[2:].replace("-", "_"): value for name, value in given.items()})
    if output == "json":
        from planner.cli.output import emit_json
        from planner.replicas import document

        emit_json(document(sizing))
    else:
        print(text(sizing))
    return True
