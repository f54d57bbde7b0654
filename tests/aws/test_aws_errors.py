"""Vendor errors become a reason and a sentence."""

from __future__ import annotations

import aiohttp
import pytest
from botocore import exceptions as sdk
from botocore.parsers import ResponseParserError

from monitor.aws.errors import Failure, translate
from monitor.core.model import Reason


def answered(code: str, message: str = "no", status: int = 400, service: str = "sqs", content: str = "") -> Failure:
    """What an answer of AWS with this code means."""
    response = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": {"content-type": content}},
    }
    return translate(sdk.ClientError(response, "GetQueueAttributes"), service, "GetQueueAttributes")


@pytest.mark.parametrize(
    ("code", "status", "reason"),
    [
        ("Throttling", 400, Reason.THROTTLED),
        ("ThrottlingException", 400, Reason.THROTTLED),
        ("ThrottledException", 429, Reason.THROTTLED),
        ("TooManyRequestsException", 429, Reason.THROTTLED),
        ("RequestLimitExceeded", 503, Reason.THROTTLED),
        ("SlowDown", 503, Reason.THROTTLED),
        ("ProvisionedThroughputExceededException", 400, Reason.THROTTLED),
        ("AnythingElse", 429, Reason.THROTTLED),
        ("AccessDenied", 403, Reason.DENIED),
        ("AccessDeniedException", 400, Reason.DENIED),
        ("UnauthorizedOperation", 403, Reason.DENIED),
        ("SubscriptionRequiredException", 400, Reason.DENIED),
        ("ExpiredToken", 403, Reason.DENIED),
        ("ExpiredTokenException", 400, Reason.DENIED),
        ("InvalidClientTokenId", 403, Reason.DENIED),
        ("SignatureDoesNotMatch", 403, Reason.DENIED),
        ("UnrecognizedClientException", 400, Reason.DENIED),
        ("ResourceNotFoundException", 404, Reason.NOT_FOUND),
        ("AWS.SimpleQueueService.NonExistentQueue", 400, Reason.NOT_FOUND),
        ("com.amazonaws.states#StateMachineDoesNotExist", 400, Reason.NOT_FOUND),
        ("NoSuchBucket", 404, Reason.NOT_FOUND),
        ("404", 404, Reason.NOT_FOUND),
        ("InternalError", 500, Reason.UNAVAILABLE),
        ("", 502, Reason.UNAVAILABLE),
        ("ServiceUnavailable", 503, Reason.UNAVAILABLE),
        ("ValidationException", 400, Reason.INVALID),
        ("UnknownOperationException", 400, Reason.INVALID),
        ("InvalidAttributeName", 400, Reason.INVALID),
        ("LimitExceededException", 400, Reason.INVALID),
    ],
)
def test_a_code_has_one_reason(code: str, status: int, reason: Reason) -> None:
    """Every AWS code maps to one of the closed list."""
    assert answered(code, status=status).reason is reason


def test_limit_exceeded_is_a_rate_where_the_service_says_so() -> None:
    """Cost Explorer and Logs call their throttle LimitExceededException."""
    assert answered("LimitExceededException", service="ce").reason is Reason.THROTTLED


@pytest.mark.parametrize("status", [200, 403, 404, 500])
def test_a_web_page_is_no_answer_of_aws(status: int) -> None:
    """HTML with any status means a proxy or a wrong endpoint, not a missing resource."""
    found = answered(str(status), "<html>x</html>", status, content="text/html; charset=utf-8")
    assert (found.reason, found.endpoint) == (Reason.UNAVAILABLE, True)
    assert "<" not in found.detail


def test_denied_names_the_permission() -> None:
    """The operator reads which permission is missing."""
    found = answered("AccessDeniedException", "User: u is not authorized")
    assert found.detail == "sqs:GetQueueAttributes is not allowed for this role: User: u is not authorized"


def test_expired_credentials_say_so() -> None:
    """Expired credentials are our identity's fault, not this call's."""
    found = answered("ExpiredToken", "The security token included in the request is expired")
    assert (found.detail, found.identity) == ("the credentials have expired", True)


def test_an_account_without_a_support_plan_is_told_what_it_lacks() -> None:
    """AWS says nothing but the code; the credentials are fine."""
    failure = answered("SubscriptionRequiredException")
    assert "paid AWS Support plan" in failure.detail
    assert not failure.identity


@pytest.mark.parametrize("code", ["SignatureDoesNotMatch", "InvalidClientTokenId", "ExpiredToken"])
def test_signature_errors_quote_nothing(code: str) -> None:
    """AWS quotes the canonical request, with the session token in it; we don't."""
    assert "hush" not in answered(code, "The Canonical String: x-amz-security-token:hush").detail


def test_encoded_blobs_and_user_info_are_cut() -> None:
    """EC2's encoded message and a proxy's password stay out."""
    found = answered("UnauthorizedOperation", "no. Encoded authorization failure message: hush" + "x" * 900)
    assert "hush" not in found.detail
    url = translate(sdk.HTTPClientError(error=OSError("proxy http://me:hush@proxy:1 died")), "s", "O")
    assert "hush" not in url.detail


class _Key:
    """What aiohttp wants of a connection key to print it."""

    host, port, ssl, is_ssl = "queue.example", 443, True, True


@pytest.mark.parametrize(
    ("error", "reason", "ambiguous"),
    [
        (sdk.ConnectTimeoutError(endpoint_url="http://x"), Reason.TIMEOUT, False),
        (sdk.ReadTimeoutError(endpoint_url="http://x"), Reason.TIMEOUT, True),
        (TimeoutError(), Reason.TIMEOUT, True),
        (sdk.ConnectionClosedError(endpoint_url="http://x"), Reason.UNAVAILABLE, True),
        (
            sdk.EndpointConnectionError(
                endpoint_url="http://x",
                error=aiohttp.ClientConnectorError(_Key(), OSError(111, "refused")),  # type: ignore[arg-type]
            ),
            Reason.UNAVAILABLE,
            False,
        ),
        (
            sdk.EndpointConnectionError(endpoint_url="http://x", error=aiohttp.ClientOSError(104, "reset")),
            Reason.UNAVAILABLE,
            True,
        ),
        (sdk.SSLError(endpoint_url="https://x", error="bad certificate"), Reason.UNAVAILABLE, False),
        (ResponseParserError("cut"), Reason.UNAVAILABLE, True),
        (ConnectionResetError(), Reason.UNAVAILABLE, True),
        (sdk.NoCredentialsError(), Reason.DENIED, False),
        (sdk.ProfileNotFound(profile="x"), Reason.DENIED, False),
        (sdk.ParamValidationError(report="bad"), Reason.INVALID, False),
        (sdk.UnknownServiceError(service_name="x", known_service_names="y"), Reason.INVALID, False),
        (sdk.NoRegionError(), Reason.INVALID, False),
        (KeyError("x"), Reason.BUG, True),
    ],
)
def test_an_error_without_answer_has_a_reason(error: Exception, reason: Reason, ambiguous: bool) -> None:
    """Connections that fail say whether the request may have had its effect."""
    found = translate(error, "sqs", "SendMessage")
    assert (found.reason, found.ambiguous) == (reason, ambiguous)


def test_only_calls_that_cannot_be_repeated_are_ambiguous() -> None:
    """An idempotent call in doubt is settled by repeating it."""
    found = translate(TimeoutError(), "sqs", "SendMessage")
    assert found.as_action_error(idempotent=False).ambiguous
    assert not found.as_action_error(idempotent=True).ambiguous


def test_a_role_that_cannot_be_assumed_is_our_identitys_fault() -> None:
    """The operator is pointed to the trust policy, not to the call that wanted the role."""
    response = {"Error": {"Code": "AccessDenied", "Message": "User: u is not authorized to perform: sts:AssumeRole"}}
    found = translate(sdk.ClientError(response, "AssumeRole"), "sqs", "ListQueues")
    assert (found.reason, found.identity) == (Reason.DENIED, True)
    assert "trust policy" in found.detail
