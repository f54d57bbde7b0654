"""What can be said of a configuration before it runs: what it may do, what it can't see, what it costs.

Here: the IAM policy of a configuration, dead checks, calls and dollars. Pure but for `online`, which reads AWS through
the plugin room's Reads. Not here: loading a configuration (`config`), running it (`engine`).
"""
