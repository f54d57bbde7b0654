"""Commands: parse, call, render; no logic.

stdout carries data, stderr carries talk. Exit codes: 0 done, 1 failed, 2 wrong usage, 3 invalid configuration,
4 refused by the daemon; `check` has its own (0 ok, 1 warning, 2 critical, 3 unknown).
"""

from __future__ import annotations

from monitor.cli.main import main

__all__ = ["main"]
