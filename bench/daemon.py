"""`python -m bench.daemon PATH...`: the daemon as `tripswitch run` starts it, which also knows the bench's kinds."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from pathlib import Path

from bench.kinds import KINDS
from monitor import app
from monitor.settings import Settings, environ


async def _say(url: str) -> None:
    print(url, flush=True)


def main() -> None:
    """Run until SIGTERM."""
    known = app.registry()
    known = replace(known, kinds={**known.kinds, **KINDS})
    boot = app.Boot(tuple(map(Path, sys.argv[1:])), Settings.from_sources(), environ(), known)
    raise SystemExit(asyncio.run(app.serve(boot, _say)))


if __name__ == "__main__":
    main()
