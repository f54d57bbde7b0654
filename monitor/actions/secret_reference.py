"""A password in a file is a leak: parameters that hold secrets take references only."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field

_REFERENCE = re.compile(r"(env|file|ssm|secretsmanager):.+")


def _is_reference(value: str) -> str:
    if not _REFERENCE.fullmatch(value):
        raise ValueError("a secret belongs in no file: refer to it by env:, file:, ssm: or secretsmanager:")
    return value


#: `env:NAME`, `file:/path`, `ssm:/name`, `secretsmanager:id`.
SecretReference = Annotated[str, AfterValidator(_is_reference), Field(examples=["ssm:/canary/password"])]
