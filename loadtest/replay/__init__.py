"""Open-loop replay of a schedule against a scoring URL, with books that balance.

The parent (`run`) never imports gevent: Locust works in a process of its own (`worker`), which writes one record per
event to a segment file (`segment`); the parent reads it while the run goes on and merges it at the end.
"""
