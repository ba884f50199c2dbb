"""`fixed`: the same number of replicas at every tick."""

from planner.scaling.observation import Decision
from planner.sim.compiled import compiled


@compiled
def decide(settings, memory, seen):
    count = settings.max_replicas
    return Decision(count, count, count)
