"""Apprise is synchronous: each notice runs in a thread that nobody has to wait for."""

from __future__ import annotations

import asyncio
import contextlib
import threading

from monitor.notices.failures import Undelivered

_MISSING = "this kind of URL needs the extra: pip install 'tripswitch[apprise]'"


async def notify_by_apprise(url: str, title: str, body: str, severity: str) -> None:
    """Deliver through Apprise. Raises Undelivered; the caller sets the deadline and may cancel at any time.

    A thread of its own, a daemon: the pool's threads are joined when the process ends, so one hung plugin would hold
    up a shutdown. Apprise's plugins time out by themselves (8 s), so left-over threads are few.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()

    def work() -> None:
        failure: Undelivered | None = None
        try:
            _notify(url, title, body, severity)
        except Undelivered as error:
            failure = error
        except Exception as error:  # noqa: BLE001 - boundary: a third-party plugin raises what it likes
            failure = Undelivered(f"Apprise failed with {type(error).__name__}")
        # The loop may be gone by the time a slow plugin returns.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(_settle, done, failure)

    threading.Thread(target=work, name="apprise", daemon=True).start()
    await done


def _notify(url: str, title: str, body: str, severity: str) -> None:
    try:
        # Late: an extra that may be missing, and half a second that most daemons needn't spend.
        import apprise  # noqa: PLC0415
    except ImportError as error:
        raise Undelivered(_MISSING, lasting=True) from error
    kind = {"SEV1": "failure", "SEV2": "failure", "SEV3": "warning"}.get(severity, "info")
    sender = apprise.Apprise()
    if not sender.add(url):
        raise Undelivered("Apprise does not know this kind of URL", lasting=True)
    if not sender.notify(body=body, title=f"[{severity}] {title}", notify_type=kind):
        raise Undelivered("Apprise could not deliver it")


def _settle(done: asyncio.Future[None], failure: Undelivered | None) -> None:
    if done.done():
        return
    if failure is None:
        done.set_result(None)
    else:
        done.set_exception(failure)
