"""What the daemon tells: metrics (`catalogue`, `instruments`, `collector`) and logs (`logs`).

The only room that constructs Prometheus objects. It counts and renders what others say; it judges nothing.
"""

from __future__ import annotations

from monitor.telemetry.collector import SurfaceCollector
from monitor.telemetry.instruments import Instruments
from monitor.telemetry.logs import configure_logging
from monitor.telemetry.redaction import Redactor

__all__ = ["Instruments", "Redactor", "SurfaceCollector", "configure_logging"]
