"""Denials: the missing permission in AWS's own words."""

from __future__ import annotations

import json

import pytest

from monitor.core.denials import Denial, denials_in, statement

ROLE = "arn:aws:sts::123456789012:assumed-role/etl-role/ingest-handler"
KEY = "arn:aws:s3:::processed-data-bucket/out/2026/03/a.json"
FOLDER = "arn:aws:s3:::processed-data-bucket/out/2026/03/*"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (f'User: {ROLE} is not authorized to perform: s3:PutObject on resource: "{KEY}" because no identity-based '
         "policy allows the s3:PutObject action",
         Denial("s3:PutObject", FOLDER, ROLE, None, "identity-based policy")),
        (f"User: {ROLE} is not authorized to perform: s3:PutObject on resource: {KEY} with an explicit deny in a "
         "resource-based policy",
         Denial("s3:PutObject", FOLDER, ROLE, "resource-based policy", None)),
        (f"An error occurred (AccessDeniedException) when calling the PutItem operation: User: {ROLE} is not "
         "authorized to perform: dynamodb:PutItem on resource: arn:aws:dynamodb:us-east-1:1:table/etl-metadata",
         Denial("dynamodb:PutItem", "arn:aws:dynamodb:us-east-1:1:table/etl-metadata", ROLE)),
        ("An error occurred (AccessDenied) when calling the ListObjectsV2 operation: Access Denied",
         Denial("s3:ListBucket", "*")),
        ("An error occurred (403) when calling the HeadObject operation: Forbidden", Denial("s3:GetObject", "*")),
        (f"User: {ROLE} is not authorized to perform sts:AssumeRole on resource: arn:aws:iam::1:role/x.",
         Denial("sts:AssumeRole", "arn:aws:iam::1:role/x", ROLE)),
    ],
    ids=["identity", "explicit deny", "dynamodb", "s3 says no more", "head", "no colon, full stop"],
)  # fmt: skip
def test_a_denial_is_read(text: str, found: Denial) -> None:
    """Action, resource as a policy names it, who, and which policy."""
    assert denials_in(text) == [found]


def test_a_denial_within_json_within_json_is_read() -> None:
    """Step Functions' causes are JSON texts: quotes come with backslashes."""
    inner = json.dumps(
        {"errorMessage": f'User: {ROLE} is not authorized to perform: s3:GetObject on resource: "{KEY}"'}
    )
    assert denials_in(json.dumps({"cause": inner})) == [Denial("s3:GetObject", FOLDER, ROLE)]


@pytest.mark.parametrize("text", ["", "AccessDenied", "is authorized to perform: s3:GetObject", "all is well"])
def test_what_names_no_action_is_no_denial(text: str) -> None:
    """A word alone says nothing that could be proposed."""
    assert denials_in(text) == []


def test_the_statement_allows_what_was_missing_and_no_more() -> None:
    """One action, one resource."""
    denial = denials_in(f"User: {ROLE} is not authorized to perform: s3:PutObject on resource: {KEY}")[0]
    assert statement(denial) == {"Effect": "Allow", "Action": "s3:PutObject", "Resource": FOLDER}
    assert denial.target == "s3:PutObject on processed-data-bucket/out/2026/03/*"
    assert "role etl-role" in denial.advice


def test_an_explicit_deny_is_said_to_need_another_cure() -> None:
    """No allow statement overrides it."""
    text = f"User: {ROLE} is not authorized to perform: s3:PutObject on resource: {KEY} with an explicit deny in an SCP"
    denial = Denial("s3:PutObject", FOLDER, ROLE, "service control policy")
    assert "no allow overrides" in denial.advice
    assert denials_in(text)[0].action == "s3:PutObject"
