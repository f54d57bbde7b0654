"""CloudFront distributions as documents under an ETag; moto takes any IfMatch and gives no configuration back whole.

A configuration is kept as the XML in which it was written: what is not sent is not there, as on AWS. Every update makes
a new ETag and wants the present one. Sources: API_CreateDistribution, API_GetDistributionConfig, API_UpdateDistribution
(InvalidIfMatchVersion without IfMatch, PreconditionFailed with an old one, NoSuchDistribution), API_CustomErrorResponse
(a page path and a response code come together).
"""

from __future__ import annotations

import random
import re
import string
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from xml.etree import ElementTree

from moto.cloudfront.models import cloudfront_backends

from monitor.demo.emulator.calls import Call, Reply, refuse
from monitor.demo.emulator.state import Answerer, Emulator

_SPACE = "http://cloudfront.amazonaws.com/doc/2020-05-31/"
_NAMES = {"c": _SPACE}


@dataclass(slots=True)
class Distribution:
    """One distribution: the XML of its configuration, and how often it was written."""

    config: str
    etag: str


def install(emulator: Emulator) -> Mapping[str, Answerer]:
    """The operations answered here."""
    return {
        "cloudfront:CreateDistribution": _create,
        "cloudfront:GetDistribution": lambda call: _told(call, whole=True),
        "cloudfront:GetDistributionConfig": lambda call: _told(call, whole=False),
        "cloudfront:UpdateDistribution": _update,
    }


def _kept(call: Call) -> dict[str, Distribution]:
    backend: Any = cloudfront_backends[call.account]["aws"]
    if not hasattr(backend, "emulated_distributions"):
        backend.emulated_distributions = {}
    kept: dict[str, Distribution] = backend.emulated_distributions
    return kept


def _create(call: Call) -> Reply:
    """A CallerReference `id:EXXXX` chooses the id, which AWS does by itself."""
    config, fault = _config(call)
    if fault is not None:
        return fault
    reference = re.search(r"<CallerReference>id:([A-Z0-9]+)</CallerReference>", config)
    number = reference[1] if reference else "E" + "".join(random.choices(string.ascii_uppercase + string.digits, k=13))
    _kept(call)[number] = Distribution(config, _etag())
    return _answer(call, number, whole=True, status=201)


def _told(call: Call, *, whole: bool) -> Reply:
    number = _id(call)
    if number not in _kept(call):
        return refuse(call, "NoSuchDistribution", "The specified distribution does not exist.", 404)
    return _answer(call, number, whole=whole)


def _update(call: Call) -> Reply:
    number = _id(call)
    found = _kept(call).get(number)
    if found is None:
        return refuse(call, "NoSuchDistribution", "The specified distribution does not exist.", 404)
    if not call.if_match:
        return refuse(call, "InvalidIfMatchVersion", "The If-Match version is missing or not valid for the resource.")
    if call.if_match != found.etag:
        return refuse(call, "PreconditionFailed", "The request failed because it didn't meet the preconditions.", 412)
    config, fault = _config(call)
    if fault is not None:
        return fault
    found.config, found.etag = config, _etag()
    return _answer(call, number, whole=True)


def _config(call: Call) -> tuple[str, Reply | None]:
    """The configuration in the body; what AWS would refuse of its error pages."""
    root = ElementTree.fromstring(call.body)
    responses = root.findall("c:CustomErrorResponses/c:Items/c:CustomErrorResponse", _NAMES)
    for one in responses:
        page, status = one.findtext("c:ResponsePagePath", "", _NAMES), one.findtext("c:ResponseCode", "", _NAMES)
        if bool(page) != bool(status):
            text = "The response page path and the response code must be given together."
            return "", refuse(call, "InvalidArgument", text)
    told = root.findtext("c:CustomErrorResponses/c:Quantity", "0", _NAMES)
    if int(told) != len(responses):
        return "", refuse(call, "InconsistentQuantities", "The value of Quantity and the size of Items don't match.")
    ElementTree.register_namespace("", _SPACE)
    return ElementTree.tostring(root, encoding="unicode"), None


def _answer(call: Call, number: str, *, whole: bool, status: int = 200) -> Reply:
    found = _kept(call)[number]
    body = found.config
    if whole:
        body = (
            f'<Distribution xmlns="{_SPACE}"><Id>{number}</Id>'
            f"<ARN>arn:aws:cloudfront::{call.account}:distribution/{number}</ARN><Status>Deployed</Status>"
            f"<LastModifiedTime>{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}</LastModifiedTime>"
            "<InProgressInvalidationBatches>0</InProgressInvalidationBatches>"
            f"<DomainName>{number.lower()}.cloudfront.net</DomainName>{found.config}</Distribution>"
        )
    headers = (("Content-Type", "text/xml"), ("ETag", found.etag))
    return Reply(status, headers, f'<?xml version="1.0" encoding="UTF-8"?>{body}'.encode())


def _id(call: Call) -> str:
    return call.path.split("/distribution/")[1].split("/")[0]


def _etag() -> str:
    return "E" + "".join(random.choices(string.ascii_uppercase + string.digits, k=12))
