"""Scenario files: the only place that knows YAML and pydantic.

`load` reads one into a `planner.scenario.Scenario`, `save_copy` keeps it beside a run, `shipped` lists those that come
with Surgeproof, `json_schema` describes the format to editors.
"""

from planner.scenario_file.files import load, save_copy, shipped
from planner.scenario_file.schema import json_schema

__all__ = ["json_schema", "load", "save_copy", "shipped"]
