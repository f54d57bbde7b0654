"""The one place where the vendor's errors become a Reason and a sentence for an operator.

Details name what to do. They never hold credentials: messages about signatures and tokens, which quote the signed
request, are replaced by our own words, and everything else is cut to a line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import aiohttp
from botocore import exceptions as sdk
from botocore.parsers import ResponseParserError

from monitor.core.model import Reason
from monitor.plugin import ActionError, ProbeError

_LONGEST_DETAIL = 300


@dataclass(frozen=True, slots=True)
class Failure:
    """One failed attempt.

    `ambiguous`: the request may have reached AWS and may have had its effect. `identity`: our credentials themselves
    are refused, not this one call. `endpoint`: nothing that speaks AWS answered. `local`: no request was made.
    """

    reason: Reason
    detail: str
    ambiguous: bool = False
    identity: bool = False
    endpoint: bool = False
    local: bool = False

    def as_probe_error(self) -> ProbeError:
        """For a read."""
        return ProbeError(self.reason, self.detail)

    def as_action_error(self, *, idempotent: bool) -> ActionError:
        """For a mutating call: repeating an idempotent one settles any doubt, so only the others are ambiguous."""
        return ActionError(self.reason, self.detail, ambiguous=self.ambiguous and not idempotent)


_THROTTLES = frozenset({
    "BandwidthLimitExceeded", "EC2ThrottledException", "LimitExceeded429", "PriorRequestNotComplete",
    "ProvisionedThroughputExceeded", "ProvisionedThroughputExceededException", "RequestLimitExceeded",
    "RequestThrottled", "RequestThrottledException", "SlowDown", "ThrottledException", "Throttling",
    "ThrottlingException", "TooManyRequestsException", "TooManyRequests", "TransactionInProgressException", "429",
    "KMSThrottlingException", "KmsThrottled", "OverLimit", "ReservedFunctionConcurrentInvocationLimitExceeded",
})  # fmt: skip

#: `LimitExceededException` is a rate at these services and a count of resources (permanent) everywhere else.
_LIMIT_IS_A_RATE = frozenset({"ce", "kinesis", "logs"})

_EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"})
_UNSIGNED = frozenset({
    "AuthFailure", "IncompleteSignature", "InvalidAccessKeyId", "InvalidClientTokenId", "InvalidIdentityToken",
    "InvalidSignatureException", "InvalidToken", "MissingAuthenticationToken", "MissingAuthenticationTokenException",
    "NotAuthorized", "OptInRequired", "SignatureDoesNotMatch", "UnrecognizedClientException",
})  # fmt: skip
_DENIED = frozenset({
    "AllAccessDisabled", "AuthorizationError", "AuthorizationErrorException", "Forbidden", "ForbiddenException",
    "KMSAccessDeniedException", "UnauthorizedException", "UnauthorizedOperation", "UnauthorizedAccess", "403",
})  # fmt: skip
_MISSING = frozenset({
    "404", "ActivityDoesNotExist", "BackupNotFoundException", "EntityDoesNotExist", "EntityNotFoundException",
    "ExecutionDoesNotExist", "InvalidInstanceID.NotFound", "NotFound", "NotFoundException", "ParameterNotFound",
    "QueueDoesNotExist", "StateMachineDoesNotExist", "TableNotFoundException", "UnknownResourceException",
})  # fmt: skip
_BROKEN = frozenset({
    "500", "502", "503", "504", "InternalError", "InternalErrorException", "InternalFailure", "InternalServerError",
    "InternalServerErrorException", "InternalServiceError", "InternalServiceException", "RequestTimeout",
    "RequestTimeoutException", "ServiceException", "ServiceUnavailable", "ServiceUnavailableException",
    "ServerException", "Unavailable",
})  # fmt: skip

_NO_CREDENTIALS = (
    sdk.NoCredentialsError, sdk.PartialCredentialsError, sdk.CredentialRetrievalError, sdk.ProfileNotFound,
    sdk.InvalidConfigError, sdk.ConfigNotFound, sdk.TokenRetrievalError, sdk.UnauthorizedSSOTokenError,
)  # fmt: skip
_MALFORMED = (
    sdk.ParamValidationError, sdk.InvalidRegionError, sdk.UnknownEndpointError,
    sdk.EndpointProviderError, sdk.OperationNotPageableError,
)  # fmt: skip


def translate(error: Exception, aws_service: str, operation: str) -> Failure:
    """What `error`, raised by one attempt of `aws_service`.`operation`, means. Never raises."""
    call = f"{aws_service}:{operation}"
    if isinstance(error, sdk.ClientError):
        if error.operation_name.startswith("AssumeRole") and error.operation_name != operation:
            return _no_role(_answered(error.response, "sts", error.operation_name))
        return _answered(error.response, aws_service, operation)
    if isinstance(error, _NO_CREDENTIALS):
        text = _line(str(error))
        return Failure(Reason.DENIED, f"no usable credentials for {call}: {text}", identity=True, local=True)
    if isinstance(error, sdk.NoRegionError):
        return Failure(Reason.INVALID, "no region: set `aws: {region: ...}` or AWS_REGION", local=True)
    if isinstance(error, sdk.UnknownServiceError):
        return Failure(Reason.INVALID, f"{call}: the SDK knows no service {aws_service!r}", local=True)
    if isinstance(error, _MALFORMED):
        return Failure(Reason.INVALID, f"{call}: {_line(str(error))}", local=True)
    if isinstance(error, (ResponseParserError, sdk.IncompleteReadError, sdk.ResponseStreamingError)):
        text = f"{call}: the answer is cut short or no AWS answer (a proxy or a wrong endpoint?)"
        return Failure(Reason.UNAVAILABLE, text, ambiguous=True, endpoint=True)
    return _unanswered(error, call)


def _no_role(failure: Failure) -> Failure:
    """The call itself was never made: its credentials could not be had."""
    if failure.reason not in (Reason.DENIED, Reason.INVALID, Reason.NOT_FOUND):
        return replace(failure, ambiguous=False)
    text = f"can't assume the role (check role_arn, external_id and its trust policy): {failure.detail}"
    return Failure(Reason.DENIED, text, identity=True)


def _unanswered(error: Exception, call: str) -> Failure:
    if isinstance(error, sdk.ConnectTimeoutError):
        return Failure(Reason.TIMEOUT, f"{call}: no connection to the endpoint in time", endpoint=True)
    if isinstance(error, (TimeoutError, sdk.ReadTimeoutError)):
        return Failure(Reason.TIMEOUT, f"{call}: no answer in time", ambiguous=True, endpoint=True)
    if isinstance(error, (sdk.SSLError, sdk.ProxyConnectionError)):
        return Failure(Reason.UNAVAILABLE, f"{call}: no secure connection: {_line(str(error))}", endpoint=True)
    if isinstance(error, sdk.EndpointConnectionError):
        cause = getattr(error, "kwargs", {}).get("error")
        # A refused connection or a name without address never carried the request; a reset may have.
        sent = not isinstance(cause, aiohttp.ClientConnectorError)
        text = f"{call}: can't reach the endpoint: {_line(str(cause or error))}"
        return Failure(Reason.UNAVAILABLE, text, ambiguous=sent, endpoint=True)
    if isinstance(error, sdk.HTTPClientError):
        cause = getattr(error, "kwargs", {}).get("error")
        text = f"{call}: the connection broke: {_line(str(cause or error))}"
        return Failure(Reason.UNAVAILABLE, text, ambiguous=True, endpoint=True)
    if isinstance(error, (OSError, aiohttp.ClientError)):
        return Failure(Reason.UNAVAILABLE, f"{call}: {_line(str(error))}", ambiguous=True, endpoint=True)
    if isinstance(error, sdk.BotoCoreError):
        return Failure(Reason.INVALID, f"{call}: {_line(str(error))}")
    return Failure(Reason.BUG, f"{call}: {type(error).__name__}: {_line(str(error))}", ambiguous=True)


def _answered(response: Mapping[str, Any], aws_service: str, operation: str) -> Failure:
    call = f"{aws_service}:{operation}"
    error = response.get("Error", {})
    # Namespaced codes (`AWS.SimpleQueueService.NonExistentQueue`, `com.amazonaws...#X`) are told apart by their end.
    code = str(error.get("Code") or "").rsplit("#", 1)[-1].rsplit(".", 1)[-1]
    message = _line(str(error.get("Message") or error.get("message") or ""))
    status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode") or 0)
    if not code or code.isdigit():
        page = "html" in str(response.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("content-type", ""))
        bodiless = operation.startswith("Head") and status in (403, 404)  # its headers tell nothing about a body
        if page and status != 429 and not bodiless:
            text = f"{call}: HTTP {status} with a web page, not an answer of AWS (a proxy or a wrong endpoint?)"
            return Failure(Reason.UNAVAILABLE, text, ambiguous=status >= 500, endpoint=True)
    if code in _EXPIRED:
        return Failure(Reason.DENIED, "the credentials have expired", identity=True)
    if code in _UNSIGNED:
        return Failure(Reason.DENIED, f"AWS does not accept these credentials ({code})", identity=True)
    if code == "SubscriptionRequiredException":
        text = f"{call} answers accounts with a paid AWS Support plan only: get one, or take the check out"
        return Failure(Reason.DENIED, text)
    if _throttled(code, status, aws_service):
        return Failure(Reason.THROTTLED, f"{call} is throttled by AWS: {message or code}")
    if code in _DENIED or code.startswith("AccessDenied") or code.endswith("AccessDeniedException"):
        return Failure(Reason.DENIED, f"{call} is not allowed for this role: {message or code}")
    if code in _BROKEN or status >= 500:
        return Failure(Reason.UNAVAILABLE, f"{call}: AWS answered {_status(status, code, message)}", ambiguous=True)
    if _absent(code):
        return Failure(Reason.NOT_FOUND, f"{call}: {message or code}")
    return Failure(Reason.INVALID, f"{call}: {code or status}: {message}")


def _throttled(code: str, status: int, aws_service: str) -> bool:
    if code in ("LimitExceededException", "LimitExceeded"):
        return aws_service in _LIMIT_IS_A_RATE or status == 429
    return code in _THROTTLES or status == 429


def _absent(code: str) -> bool:
    return (
        code in _MISSING
        or code.startswith(("NoSuch", "NonExistent", "ResourceNotFound"))
        or code.endswith(("NotFound", "NotFoundException", "NotFoundFault", "DoesNotExist"))
    )


def _status(status: int, code: str, message: str) -> str:
    words = f"HTTP {status}" if status else "an error"
    if code and not code.isdigit():
        words += f" {code}"
    return f"{words}: {message}" if message else words


_CLASS = re.compile(r"<class '([\w.]+)'>")
_MARKUP = re.compile(r"<[^>]*>")
_ENCODED = re.compile(r"Encoded authorization failure message: \S+")
_USERINFO = re.compile(r"//[^/@\s]+@")


def _line(text: str) -> str:
    """`text` on one line without markup, user info in URLs or encoded blobs, cut to a readable length."""
    plain = _USERINFO.sub("//", _ENCODED.sub("", _MARKUP.sub(" ", _CLASS.sub(r"\1", text))))
    plain = " ".join(plain.split())
    return plain if len(plain) <= _LONGEST_DETAIL else plain[: _LONGEST_DETAIL - 1] + "…"
