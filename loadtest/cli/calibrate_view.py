"""How `surgeproof calibrate` looks in a terminal: rendered from its JSON document."""

from __future__ import annotations

from typing import Any

from planner.cli.output import console, print_indented, print_table
from planner.percent import percent


def show(document: dict[str, Any]) -> None:
    settings = document["settings"]
    told = [setting for setting in settings if setting["identified"] or setting["changed"]]
    if told:
        columns = ("setting", "was", "is", "95 % interval", "n", "removes of the 503 error")
        print_table(columns, [_row(setting) for setting in told])
    unknown = [setting for setting in settings if setting not in told]
    if unknown:
        print("  Not told by this run, kept:")
        for setting in unknown:
            print_indented(f"{setting['setting']} {_value(setting, 'before')}: {setting['why']}")
    error = document["prediction_error"]
    if error["before"]:
        for when in ("before", "after"):
            fraction = error[when]["fraction_503"]
            predicted, observed = fraction["predicted"], fraction["observed"]
            print(
                f"  503s {when}: predicted {percent(predicted['value'])} "
                f"({percent(predicted['low'])} to {percent(predicted['high'])}), observed {percent(observed)}"
            )
    for warning in document["warnings"]:
        console.print(f"Warning: {warning}", markup=False, soft_wrap=True)
    if document["scenario"] is None:
        print("Nothing could be calibrated from this run.")
        return
    verdict = document["in_sample_verdict"]
    print(f"  In-sample verdict: {verdict['verdict']}. {verdict['reason']}")
    print(document["scenario"])


def _row(setting: dict[str, Any]) -> tuple[str, ...]:
    removed = setting["removes"]
    is_now = _value(setting, "after") if setting["changed"] else "kept"
    interval = ""
    if setting["low"] is not None or setting["high"] is not None:
        interval = f"{_value(setting, 'low')} to {_value(setting, 'high')}"
    share = percent(removed["fraction_503"]) if removed else ""
    return setting["setting"], _value(setting, "before"), is_now, interval, str(setting["n"]), share


def _value(setting: dict[str, Any], key: str) -> str:
    value = setting[key]
    if value is None:
        return "?"
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return f"{text} {setting['unit']}" if setting["unit"] else text
