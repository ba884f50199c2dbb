"""Every format of recorded traffic that is read; docs/traces.md shows them, CONTRIBUTING.md says how to add one."""

from __future__ import annotations

from pathlib import Path

from planner.traces.formats.documents import azure_metrics, prometheus, query_result
from planner.traces.formats.format import Format, Sample, sample_of
from planner.traces.formats.logs import (
    alb,
    azmlinfsrv,
    common_log,
    envoy,
    haproxy,
    ingress_nginx,
    json_lines,
    traefik,
    w3c,
)
from planner.traces.formats.tables import app_insights, csv_file, jmeter, k6, locust_history, parquet_file, traffic_log

TABLES: tuple[Format, ...] = (
    parquet_file.FORMAT,
    azure_metrics.FORMAT,
    prometheus.FORMAT,
    query_result.FORMAT,
    k6.JSON,
    app_insights.FORMAT,
    traffic_log.FORMAT,
    jmeter.FORMAT,
    k6.CSV,
    locust_history.FORMAT,
    csv_file.COUNTS,
    csv_file.RATES,
    csv_file.FORMAT,
)
LOGS: tuple[Format, ...] = (
    azmlinfsrv.FORMAT,
    w3c.FORMAT,
    ingress_nginx.FORMAT,
    traefik.FORMAT,
    common_log.FORMAT,
    common_log.APACHE,
    common_log.GUNICORN,
    envoy.FORMAT,
    haproxy.FORMAT,
    alb.FORMAT,
    json_lines.ENVOY,
    json_lines.CADDY,
    json_lines.TRAEFIK,
    json_lines.NGINX,
)
FORMATS = (*TABLES, *LOGS)
"""In the order in which a file is held against them: what is told apart by more comes first."""

BY_NAME = {known.name: known for known in FORMATS}


def recognise(path: Path) -> Format | None:
    """The format of a file by its content, whatever its name; None for none that is read.

    Raises InputError where the file cannot be read.
    """
    return recognise_sample(sample_of(path))


def recognise_sample(sample: Sample) -> Format | None:
    return next((known for known in FORMATS if known.recognises(sample)), None)


def format_name(value: object) -> str:
    """The name of a format, as a person writes it. Raises ValueError with the names there are."""
    if not isinstance(value, str) or value not in BY_NAME:
        raise ValueError(f"must be one of {', '.join(sorted(BY_NAME))}")
    return value
