"""What reaches the log, and what never does."""

from __future__ import annotations

import io
import json
import logging
import warnings
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from monitor.telemetry import Redactor, configure_logging
from monitor.telemetry.redaction import MASK


class Terminal(io.StringIO):
    """A stream that says it is one."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    """Logging is global: put it back."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    yield
    root.handlers[:] = before
    root.setLevel(level)
    logging.captureWarnings(False)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def logged(stream: io.StringIO) -> list[dict[str, Any]]:
    """The JSON lines written."""
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_lines_are_json_when_no_terminal_listens() -> None:
    """Event, level, aware time, bound and given fields."""
    out = io.StringIO()
    configure_logging("auto", "info", Redactor(), out)
    structlog.get_logger().bind(pipeline="etl").info("breaker.tripped", breaker="loop", targets=["a", "b"])
    [line] = logged(out)
    assert line.pop("at").endswith("Z")
    assert line == {
        "event": "breaker.tripped", "level": "info", "pipeline": "etl", "breaker": "loop", "targets": ["a", "b"],
    }  # fmt: skip


@pytest.mark.parametrize(("log_format", "stream"), [("console", io.StringIO), ("auto", Terminal)])
def test_people_get_text(log_format: str, stream: type[io.StringIO]) -> None:
    """A terminal, or who asks for it."""
    out = stream()
    configure_logging(log_format, "info", Redactor(), out)
    structlog.get_logger().info("probe.failed", check="depth")
    assert "probe.failed" in out.getvalue()
    assert not out.getvalue().startswith("{")


def test_the_level_holds_for_ours() -> None:
    """Loggers made before are included."""
    log, out = structlog.get_logger(), io.StringIO()
    configure_logging("json", "WARNING", Redactor(), out)
    log.info("quiet")
    log.warning("loud")
    assert [line["event"] for line in logged(out)] == ["loud"]


def test_libraries_log_from_warning_on() -> None:
    """Their info and debug would drown ours, even at level debug; they come in the same form."""
    out = io.StringIO()
    configure_logging("json", "debug", Redactor(), out)
    for name in ("aiohttp.access", "botocore.hooks", "asyncio"):
        logging.getLogger(name).info("chatter")
    logging.getLogger("botocore.retries").warning("slow %s", "down")
    [line] = logged(out)
    assert (line["event"], line["level"], line["logger"]) == ("slow down", "warning", "botocore.retries")


def test_configuring_again_doubles_no_line() -> None:
    """The last call counts."""
    first, second = io.StringIO(), io.StringIO()
    configure_logging("json", "info", Redactor(), first)
    configure_logging("json", "info", Redactor(), second)
    logging.getLogger("x").warning("once")
    structlog.get_logger().info("once")
    assert first.getvalue() == ""
    assert len(logged(second)) == 2


@pytest.mark.parametrize(("log_format", "level"), [("xml", "info"), ("json", "loud")])
def test_unknown_words_are_refused(log_format: str, level: str) -> None:
    """With the words that are known."""
    with pytest.raises(ValueError, match="is none of"):
        configure_logging(log_format, level, Redactor(), io.StringIO())


def test_only_bugs_have_tracebacks() -> None:
    """An expected failure says its kind and text; a bug shows where."""
    out = io.StringIO()
    configure_logging("json", "info", Redactor(), out)
    log = structlog.get_logger()
    try:
        raise TimeoutError("no answer")
    except TimeoutError as error:
        log.warning("probe.failed", reason="timeout", exc_info=True)
        log.warning("probe.failed", reason="denied", exc_info=error)
        log.error("probe.failed", reason="bug", exc_info=True)
        logging.getLogger("asyncio").error("Task exception was never retrieved", exc_info=True)
    timeout, denied, bug, foreign = logged(out)
    assert timeout["error"] == denied["error"] == "TimeoutError: no answer"
    assert "exception" not in timeout
    assert "exception" not in denied
    assert "Traceback" in bug["exception"]
    assert "Traceback" in foreign["exception"]


def test_warnings_become_log_lines() -> None:
    """Python's own warnings don't go to stderr past the format."""
    out = io.StringIO()
    configure_logging("json", "info", Redactor(), out)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(False)
        logging.captureWarnings(True)
        warnings.warn("old thing", UserWarning, stacklevel=1)
    assert any("old thing" in line["event"] for line in logged(out))


# --- law 12 -----------------------------------------------------------------------------------------------------------

KEY = "AKIA" + "IOSFODNN7EXAMPLE"
TOKEN = "IQoJ" + "b3JpZ2luX2VjE" * 10

SECRETS = [
    ("posting to https://hooks.slack.com/services/T000/B000/XXXX failed", "T000"),
    ("https://acme.webhook.office.com/webhookb2/abc@def/IncomingWebhook/1/2", "abc"),
    ("https://discord.com/api/webhooks/123/abcdef", "abcdef"),
    ("https://api.telegram.org/bot12345:abc/sendMessage", "12345"),
    ("https://user:hunter22@proxy.example/path", "hunter22"),
    ("postgres://app:hunter22@db/x", "hunter22"),
    ("Authorization: Bearer abc.def.ghi", "abc.def"),
    ("{'Authorization': 'AWS4-HMAC-SHA256 Credential=x/y, Signature=deadbeef'}", "deadbeef"),
    ("got bearer abcdefghijkl", "abcdefghijkl"),
    (f"denied for {KEY} in us-east-1", KEY),
    (f"denied for ASIA{KEY[4:]}", KEY[4:]),
    (f"token {TOKEN}", TOKEN[:50]),
    ("aws_secret_access_key=wJalrXUtnFEMI/K7MDENG", "wJalr"),
    ('{"SecretAccessKey": "wJalrXUtnFEMI", "SessionToken": "abcdef"}', "wJalr"),
    ("https://sqs.aws/?X-Amz-Signature=beef1234&Action=x", "beef1234"),
    ("X-Amz-Security-Token: zzzzzzz", "zzzzzzz"),
    ("login with password='hunter22' failed", "hunter22"),
]


@pytest.mark.parametrize(("text", "secret"), SECRETS)
def test_credentials_are_found_by_their_form(text: str, secret: str) -> None:
    """Unregistered secrets are masked wherever they stand: in the event, a field, nested, an exception."""
    out = io.StringIO()
    configure_logging("json", "info", Redactor(), out)
    log = structlog.get_logger()
    log.info(text)
    log.info("x", detail=text, nested={"list": [text]}, error=ValueError(text))
    try:
        raise RuntimeError(text)
    except RuntimeError:
        log.error("y", reason="bug", exc_info=True)
        log.error("z", reason="denied", exc_info=True)
    logging.getLogger("lib").warning("%s", text)
    assert secret not in out.getvalue()
    assert MASK in out.getvalue()


@pytest.mark.parametrize(
    "text",
    [
        "arn:aws:states:us-east-1:123456789012:stateMachine:etl-workflow",
        "https://sqs.us-east-1.amazonaws.com/123456789012/orders-dlq",
        "check.failed: 3 tokens left, signature of the queue is fine",
        "https://wiki.example.com/etl#s3-event-loop",
        "disable_rule etl-s3-events",
        "AKIAN is a name",
    ],
)
def test_ordinary_texts_stay_as_they_are(text: str) -> None:
    """Masking too much makes logs useless."""
    assert Redactor().text(text) == text


@pytest.mark.parametrize("field", ["Authorization", "token", "api_key", "X-Amz-Security-Token", "webhook_url"])
def test_fields_that_name_a_secret_are_masked_whole(field: str) -> None:
    """Whatever they hold, at any depth; a flag or nothing tells nothing."""
    redactor = Redactor()
    assert redactor.value({"a": [{field: "short"}]}) == {"a": [{field: MASK}]}
    assert redactor.value({field: {"x": 1}}) == {field: MASK}
    assert redactor.value({field: None}) == {field: None}


def test_bodies_tell_their_size_only() -> None:
    """What others sent stays out of the log."""
    found = Redactor().value({"body": "order 17 of Jane", "MessageBody": {"a": 1}, "payload": b"12345"})
    assert found["body"] == "(16 characters withheld)"
    assert found["payload"] == "(5 characters withheld)"
    assert "1}" not in found["MessageBody"]


def test_long_texts_are_cut() -> None:
    """With how much is missing."""
    assert Redactor().value({"detail": "y" * 5_000})["detail"].endswith("… (4000 more characters)")


def test_long_lists_are_cut() -> None:
    """Ten thousand targets are no log line."""
    found = Redactor().value({"targets": [f"queue-{number}" for number in range(10_000)]})["targets"]
    assert found[49:] == ["queue-49", "… (9950 more)"]


@given(secret=st.text(min_size=4).filter(lambda text: len(text.strip()) >= 4))
def test_known_values_are_masked_in_every_form(secret: str) -> None:
    """As they are, in JSON and in a URL."""
    redactor = Redactor()
    redactor.add(secret)
    secret = secret.strip()
    for form in (secret, json.dumps(secret)[1:-1], quote(secret, safe="")):
        assert redactor.text(f"<{form}>") == f"<{MASK}>"


def test_a_secret_within_a_secret_leaves_no_rest() -> None:
    """The longer one is masked first, whichever was added first."""
    for order in (("abcdef", "abcdef-ghijkl"), ("abcdef-ghijkl", "abcdef")):
        redactor = Redactor()
        for value in order:
            redactor.add(value)
        assert redactor.text("x abcdef-ghijkl y abcdef z") == f"x {MASK} y {MASK} z"


def test_tiny_values_are_not_registered() -> None:
    """Masking every "1" would hide the log, not the secret."""
    redactor = Redactor()
    for value in ("", "1", "abc", "   "):
        redactor.add(value)
    assert redactor.text("1 abc") == "1 abc"


def test_known_values_are_bounded() -> None:
    """Rotating credentials for ever costs no memory; the newest are kept."""
    redactor = Redactor()
    for number in range(1_005):
        redactor.add(f"secret-{number:05}")
    assert redactor.text("secret-00000 secret-01004") == f"secret-00000 {MASK}"
