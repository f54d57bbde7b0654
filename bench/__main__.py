"""`python -m bench [NAME...] [--json]`."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import os
import platform
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from bench.report import show

NAMES = ("checks", "aws", "memory", "scrape", "breach", "drain", "start", "backtest")


def conditions() -> dict[str, Any]:
    """What every figure depends on."""
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpus": os.cpu_count(),
        "load": [round(one, 1) for one in os.getloadavg()],
        "python": platform.python_version(),
        **{name: version(name) for name in ("aiobotocore", "botocore", "aiohttp", "prometheus-client")},
    }


def main() -> None:
    """Run the named benchmarks, or all."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}; none: all")
    parser.add_argument("--json", action="store_true", help="one JSON document per benchmark")
    given = parser.parse_args()
    unknown = [name for name in given.names if name not in NAMES]
    if unknown:
        parser.error(f"no benchmark is called {unknown[0]}")
    for name in given.names or NAMES:
        module = importlib.import_module(f"bench.{name}")
        about = (module.__doc__ or "").strip().partition("\n")[0]
        before = conditions()
        figures = asyncio.run(module.run())
        if given.json:
            found = [figure.as_json() for figure in figures]
            print(json.dumps({"bench": name, "conditions": before, "load_after": os.getloadavg(), "figures": found}))
        else:
            print(f"\n{' '.join(f'{key}={value}' for key, value in before.items())}", file=sys.stderr)
            show(name, about, figures)


if __name__ == "__main__":
    main()
