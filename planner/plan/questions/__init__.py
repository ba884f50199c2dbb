"""Questions about one deployment: what traffic it survives, what each remedy does, what the published rule says.

Each answer is a document as the command line prints it; every simulated number in it is an estimate with its interval.
"""

from planner.plan.questions.answers import answer_questions
from planner.plan.questions.rule import published_rule
from planner.plan.questions.scaled import scaled_spike, scaled_traffic

__all__ = ["answer_questions", "published_rule", "scaled_spike", "scaled_traffic"]
