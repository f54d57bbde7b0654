"""`python -m monitor.demo.emulator --port 0 --port-file F`: serve on loopback until told to end.

`--with-pipeline` builds the demo's ETL pipeline in it and prints what to export to look at it with any AWS client.
`--with-parent` ends it when the process that started it is gone, however that one died.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
import threading
import time
from pathlib import Path

from moto.moto_server.werkzeug_app import MotoRequestHandler
from werkzeug.serving import make_server

from monitor.demo.emulator.child import ACCOUNT, KEYS
from monitor.demo.emulator.door import Door
from monitor.demo.emulator.state import Emulator


def main() -> int:
    """Serve; 0 after SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m monitor.demo.emulator", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 picks a free one")
    parser.add_argument("--port-file", type=Path, help="where to write the port once it listens")
    parser.add_argument("--with-parent", action="store_true", help="end when the starting process ends")
    parser.add_argument("--with-pipeline", action="store_true", help="build the demo's ETL pipeline in it")
    options = parser.parse_args()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server("127.0.0.1", options.port, Door(Emulator()), threaded=True, request_handler=MotoRequestHandler)
    if options.port_file:
        draft = options.port_file.with_suffix(".part")
        draft.write_text(str(server.port))
        draft.replace(options.port_file)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0))  # hanging answers must not delay the end
    if options.with_parent:
        threading.Thread(target=_follow_parent, args=(os.getppid(),), daemon=True).start()
    url = f"http://127.0.0.1:{server.port}"
    print(url, flush=True)
    if options.with_pipeline:
        threading.Thread(target=lambda: asyncio.run(_pipeline(url)), daemon=True).start()
    server.serve_forever()
    return 0


async def _pipeline(url: str) -> None:
    from monitor.demo.world import World  # noqa: PLC0415 (the SDK: others need not wait for it)

    async with World(url) as world:
        await world.build()
    given = {**KEYS, "AWS_ENDPOINT_URL": url, "ACCOUNT_ID": ACCOUNT}
    print("the pipeline stands; in another shell:")
    print("export " + " ".join(f"{name}={value}" for name, value in given.items()), flush=True)


def _follow_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
