"""Lines kept between scrapes are to the byte what the client library writes."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, disable_created_metrics
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

from monitor.telemetry.families import FamilyText

ENCODERS = [generate_latest, generate_openmetrics]
#: What UTF-8 can say; quotes, backslashes and line ends must be escaped.
LABEL = st.text(st.characters(codec="utf-8"), max_size=8) | st.sampled_from(['a"b', "a\\b", "a\nb", " ", "a} 1"])


def rendered(text: FamilyText, registry: CollectorRegistry, encode: Any) -> bytes:
    """A whole scrape."""
    scrape = text.scrape()
    pieces = [scrape.text(family, encode) for family in registry.collect()]
    scrape.done()
    return b"".join(pieces)


def expected(registry: CollectorRegistry, encode: Any) -> bytes:
    """What the library writes."""
    return encode(registry).removesuffix(b"# EOF\n")


@pytest.mark.parametrize("encode", ENCODERS)
@given(labels=st.lists(st.tuples(LABEL, LABEL), max_size=5), value=st.floats())
def test_a_scrape_is_the_librarys(encode: Any, labels: list[tuple[str, str]], value: float) -> None:
    """The first, the second with other values, and one in the other format on the same lines."""
    disable_created_metrics()
    registry, text = CollectorRegistry(), FamilyText()
    gauge = Gauge("things", 'how "many"\nthere are', ["b", "a"], registry=registry)
    count = Counter("events", "counted", ["a"], registry=registry)
    took = Histogram("took_seconds", "time", ["a"], registry=registry)
    Info("build", "which", registry=registry).info({"version": "1"})
    for one, two in labels:
        gauge.labels(one, two).set(value)
        count.labels(one).inc()
        took.labels(two).observe(0.3)
    assert rendered(text, registry, encode) == expected(registry, encode)
    for one, two in labels:
        gauge.labels(one, two).set(math.nan if value > 0 else -math.inf)
        count.labels(two).inc(7)
    assert rendered(text, registry, encode) == expected(registry, encode)
    for other in ENCODERS:
        assert rendered(text, registry, other) == expected(registry, other)


def test_names_and_values_of_labels_do_not_mix() -> None:
    """Two series whose labels have the same words in other places are two lines."""
    text, family = FamilyText(), GaugeMetricFamily("x", "y")
    family.add_sample("x", {"a": "b"}, 1)
    family.add_sample("x", {"b": "a"}, 2)
    scrape = text.scrape()
    assert b'x{a="b"} 1.0\nx{b="a"} 2.0\n' in scrape.text(family, generate_latest)


def test_what_vanished_is_forgotten() -> None:
    """A pipeline that was removed leaves no line behind, neither on the page nor in memory."""
    registry, text = CollectorRegistry(), FamilyText()
    gauge = Gauge("things", "x", ["a"], registry=registry)
    gauge.labels("one").set(1)
    gauge.labels("two").set(1)
    assert b"two" in rendered(text, registry, generate_latest)
    gauge.remove("two")
    assert b"two" not in rendered(text, registry, generate_latest)
    assert text.remembered == 1


def test_what_the_library_alone_can_do_goes_through_it() -> None:
    """A sample with a time of its own keeps it."""
    family = GaugeMetricFamily("x", "y", labels=["a"])
    family.add_metric(["b"], 1, timestamp=5)
    assert b'x{a="b"} 1.0 5000\n' in FamilyText().scrape().text(family, generate_latest)
