"""Why replicas did not come up: a snapshot of what the API shows, and pure functions that name causes in it."""

from loadtest.observe.troubles.diagnose import diagnose
from loadtest.observe.troubles.findings import Cause, Finding, findings_document
from loadtest.observe.troubles.snapshot import Snapshot, take_snapshot

__all__ = ["Cause", "Finding", "Snapshot", "diagnose", "findings_document", "take_snapshot"]
