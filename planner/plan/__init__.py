"""The planner: a search for the cheapest settings that keep the promise. `docs/planning.md` tells how it decides."""
