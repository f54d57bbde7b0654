"""What tripswitch costs, measured on the real code beside what a user would run otherwise.

`python -m bench [NAME...] [--json]`. Each module answers the question in its docstring. What is measured runs in
processes of its own against a canned loopback endpoint; CPU is user plus system time of the measured process. Ratios
come from one run, so that a busy machine strikes both sides. Nothing here passes or fails: tests are never timed.
"""
