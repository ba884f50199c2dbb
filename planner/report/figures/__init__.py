"""The report's figures: the only place that knows matplotlib. Functions draw on given axes and return the artists."""

from planner.report.figures.assembly import Picture, pictures
from planner.report.figures.plan_assembly import plan_pictures

__all__ = ["Picture", "pictures", "plan_pictures"]
