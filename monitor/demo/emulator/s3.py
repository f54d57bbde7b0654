"""S3: a bucket's EventBridge setting is read back, and objects can be made older.

Source: API_GetBucketNotificationConfiguration (EventBridgeConfiguration is there, empty, while delivery is on).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from moto.s3.models import s3_backends
from moto.s3.responses import S3Response

from monitor.demo.emulator.state import Answerer, Emulator, patch


def install(emulator: Emulator) -> Mapping[str, Answerer]:
    """Mend the read; nothing is answered at the door."""
    patch(S3Response, "get_bucket_notification", _read)
    return {}


def _read(original: Any) -> Any:
    def read(response: Any) -> Any:
        status, headers, body = original(response)
        setting = response.backend.get_bucket_notification_configuration(response.bucket_name)
        if setting is None or setting.event_bridge is None:
            return status, headers, body
        text = body.decode() if isinstance(body, bytes) else str(body)
        head, end, rest = text.rpartition("</")
        if not end:  # an element without content
            head, _, rest = text.rpartition("/>")
            name = head[head.rindex("<") + 1 :].split()[0]
            return status, headers, f"{head}><EventBridgeConfiguration/></{name}>{rest}"
        return status, headers, f"{head}<EventBridgeConfiguration/></{rest}"

    return read


def age(account: str, bucket: str, prefix: str, seconds: float) -> int:
    """Make the objects under a prefix older; how many."""
    keys = s3_backends[account]["aws"].buckets[bucket].keys
    found = [key for name in list(keys) for key in keys.getlist(name) if name.startswith(prefix)]
    for key in found:
        key.last_modified -= timedelta(seconds=seconds)
    return len(found)
