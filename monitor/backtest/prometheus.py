"""Samples from a Prometheus that scraped the daemon: `tripswitch_observation` through its `query_range`.

One query per check and stretch of time: Prometheus answers at most 11,000 points per series. It fills up to five
minutes after a lost scrape with the last value (its look-back), so a short gap is not seen as one here.
"""

from __future__ import annotations

import json
import math
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

import aiohttp

from monitor.backtest.samples import Sample, SampleError
from monitor.backtest.tape import Span
from monitor.core.spec import CheckSpec, Pipeline

METRIC = "tripswitch_observation"
_POINTS = 10_000
_TIMEOUT = aiohttp.ClientTimeout(total=60)


async def fetch(url: str, pipelines: Sequence[Pipeline], span: Span, step: timedelta) -> list[Sample]:
    """Every observation of these checks within `span`, one per `step`. Raises SampleError that says what to do."""
    found: list[Sample] = []
    try:
        async with aiohttp.ClientSession(timeout=_TIMEOUT) as session:
            for pipeline in pipelines:
                for check in pipeline.checks.values():
                    found += [sample async for sample in _check(session, url, check, span, step)]
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise SampleError(f"{url} gave no samples: {str(error) or type(error).__name__} (is it Prometheus?)") from error
    if not found:
        raise SampleError(f"{url} knows no {METRIC} of these checks in this span: does it scrape the daemon?")
    return found


async def _check(
    session: aiohttp.ClientSession, url: str, check: CheckSpec, span: Span, step: timedelta
) -> AsyncIterator[Sample]:
    seconds = step.total_seconds()
    begin, end = (math.ceil(at.timestamp() / seconds) * seconds for at in (span.start, span.end))
    selector = f"{METRIC}{{pipeline={json.dumps(check.pipeline)},check={json.dumps(check.name)}}}"
    while begin < end:
        until = min(end, begin + (_POINTS - 1) * seconds)
        query = {"query": selector, "start": str(begin), "end": str(until), "step": str(seconds)}
        async with session.get(f"{url.rstrip('/')}/api/v1/query_range", params=query) as reply:
            body = await reply.json(content_type=None)
        if not isinstance(body, dict) or body.get("status") != "success":
            why = body.get("error") if isinstance(body, dict) else "no object"
            raise SampleError(f"{url} refused {selector}: {why or reply.status}")
        for series in body["data"]["result"]:
            labels = series["metric"]
            for at, value in series["values"]:
                number = float(value)
                if math.isfinite(number):
                    yield Sample(float(at), check.key, labels["signal"], labels["target"], number)
        begin = until + seconds
