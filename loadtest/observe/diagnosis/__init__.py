"""Why replicas did not come up: a snapshot of what the API shows, and pure functions that name causes in it."""

from loadtest.observe.diagnosis.diagnose import diagnose
from loadtest.observe.diagnosis.findings import Finding, findings_document
from loadtest.observe.diagnosis.snapshot import Snapshot, take_snapshot
from loadtest.observe.diagnosis.words import Cause

__all__ = ["Cause", "Finding", "Snapshot", "diagnose", "findings_document", "take_snapshot"]
