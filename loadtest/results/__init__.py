"""What a replay's log is turned into once it is whole: thresholds, JUnit XML, HDR latencies, comparisons of two runs.

Pure functions of a merged log; nothing here knows gevent or Locust.
"""
