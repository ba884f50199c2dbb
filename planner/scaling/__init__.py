"""Autoscaling policies: small compiled functions chosen by an integer code, one policy a file.

CONTRIBUTING.md says how to add one.
"""

from planner.model import Autoscaler, Deployment, ScaleDownRule, ScaleStep, UtilizationOver
from planner.scaling import azureml_fe, fixed
from planner.scaling.observation import Decision, Observation, PolicySettings
from planner.sim.compiled import compiled

__all__ = ["Decision", "Observation", "PolicySettings", "decide", "new_memory", "settings_of"]

AZUREML_FE = 0
FIXED = 1

_CODES = {Autoscaler.AZUREML_FE: AZUREML_FE, Autoscaler.FIXED: FIXED}


def settings_of(deployment: Deployment) -> PolicySettings:
    """The numbers a policy may look at."""
    return PolicySettings(
        policy=_CODES[deployment.autoscaler],
        min_replicas=deployment.min_replicas,
        max_replicas=deployment.max_replicas,
        target_percent=deployment.target_utilization_percent,
        slots_per_replica=deployment.max_concurrent_requests,
        window_ticks=azureml_fe.window_ticks(deployment),
        averaged=deployment.utilization_window_s > 0,
        timer_then_jump=deployment.scale_down_rule is ScaleDownRule.TIMER_THEN_JUMP,
        one_at_a_time=deployment.scale_step is ScaleStep.ONE,
        over_ready=deployment.utilization_over is UtilizationOver.READY,
    )


new_memory = azureml_fe.new_memory


@compiled
def decide(settings, memory, seen):
    """The decision at one tick; `memory` is the policy's own int64 array and is changed."""
    if settings.policy == FIXED:
        return fixed.decide(settings, memory, seen)
    return azureml_fe.decide(settings, memory, seen)
