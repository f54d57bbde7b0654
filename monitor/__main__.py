"""`tripswitch` and `python -m monitor`."""

from __future__ import annotations

from monitor.cli import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
