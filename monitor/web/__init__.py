"""The daemon's HTTP face: metrics, health, JSON API, event stream and status page.

Belongs here: everything that turns a `Surface` into HTTP. Doesn't belong here: decisions (they are the engine's), the
socket (the composition root listens) and Prometheus itself (`metrics` is handed in as bytes).
"""

from monitor.web.app import make_app
from monitor.web.settings import WebSettings

__all__ = ["WebSettings", "make_app"]
