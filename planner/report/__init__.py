"""The capacity reports: one self-contained HTML page about one run, or about one plan.

Rendered from documents and logs; `planner.report.plan.folder` alone reads and writes files.
"""
