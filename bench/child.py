"""`python -m bench.child MODULE:FUNCTION JSON`: a coroutine function in an interpreter of its own, its JSON printed."""

from __future__ import annotations

import asyncio
import importlib
import json
import sys


def main() -> None:
    """Run it."""
    module, _, name = sys.argv[1].partition(":")
    function = getattr(importlib.import_module(module), name)
    print(json.dumps(asyncio.run(function(**json.loads(sys.argv[2])))), flush=True)


if __name__ == "__main__":
    main()
