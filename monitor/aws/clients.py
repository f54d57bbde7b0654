"""Sessions and clients: one session per identity over one loader, one client per (identity, region, service).

A client has a connection pool of its own, so a service that hangs can't take the connections of another. Sessions of
further identities share the loader: 0.3 MB instead of 38 MB each.
"""

from __future__ import annotations

import asyncio
import gc
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from typing import Any

from aiobotocore.config import AioConfig
from aiobotocore.credentials import AioCredentialResolver, AioDeferredRefreshableCredentials
from aiobotocore.session import AioSession
from botocore.exceptions import BotoCoreError
from botocore.loaders import Loader

from monitor.aws.settings import AwsSettings
from monitor.aws.transport import StrictParsers, shared_tls
from monitor.core.spec import AwsSpec

_SESSION_NAME = "tripswitch"


@dataclass(eq=False, slots=True)
class Principal:
    """Who we are towards AWS. `account` is known at once for a role (it stands in the ARN), else once STS said it."""

    role_arn: str | None = None
    external_id: str | None = None
    profile: str | None = None
    account: str | None = None
    session: Any = field(default=None, repr=False)

    @property
    def key(self) -> str:
        """What quotas are kept under: the account, or until it is known the identity."""
        return self.account or self.profile or "default"


class _AssumedRole:
    """A credential provider in botocore's sense: assumes the role, and again before the credentials run out."""

    METHOD = "assume-role"
    CANONICAL_NAME = None

    def __init__(self, clients: Clients, base: Principal, principal: Principal) -> None:
        self._clients = clients
        self._base = base
        self._principal = principal

    async def load(self) -> Any:
        return AioDeferredRefreshableCredentials(refresh_using=self._assume, method=self.METHOD)

    async def _assume(self) -> dict[str, Any]:
        asked = {"RoleArn": self._principal.role_arn, "RoleSessionName": _SESSION_NAME}
        if self._principal.external_id:
            asked["ExternalId"] = self._principal.external_id
        client = await self._clients.client(self._base, self._clients.home_region(), "sts")
        got = (await client.assume_role(**asked))["Credentials"]
        return {
            "access_key": got["AccessKeyId"],
            "secret_key": got["SecretAccessKey"],
            "token": got["SessionToken"],
            "expiry_time": got["Expiration"].isoformat(),
        }


class Clients:
    """The pool. `open` first; `close` ends every connection."""

    def __init__(self, settings: AwsSettings) -> None:
        self._settings = settings
        self._loader = Loader()
        self._http = shared_tls()
        self._exits = AsyncExitStack()
        self._principals: dict[tuple[str | None, str | None, str | None], Principal] = {}
        self._clients: dict[tuple[int, str, str, bool], Any] = {}
        self._locks: dict[tuple[int, str, str, bool], asyncio.Lock] = {}
        self._closed = False

    @property
    def loader(self) -> Loader:
        """botocore's data files, read once."""
        return self._loader

    def principal(self, spec: AwsSpec) -> Principal:
        """The identity of a spec; the same object for the same identity."""
        key = (spec.role_arn, spec.external_id, spec.profile)
        found = self._principals.get(key)
        if found is None:
            found = Principal(spec.role_arn, spec.external_id, spec.profile, account=_account(spec.role_arn))
            found.session = self._session(found)
            self._principals[key] = found
        return found

    def home_region(self, spec: AwsSpec | None = None) -> str:
        """The region of a spec, else the daemon's, else the SDK's own; "" if nothing says."""
        if spec and spec.region:
            return spec.region
        if self._settings.default_region:
            return self._settings.default_region
        try:
            session = self.principal(AwsSpec(profile=spec.profile if spec else None)).session
            return session.get_config_variable("region") or ""
        except BotoCoreError:  # a profile that does not exist: the first call says so, in its check's own voice
            return ""

    def partition(self, region: str) -> str:
        """`aws`, `aws-cn`, ..."""
        session = self.principal(AwsSpec()).session
        return str(session.get_partition_for_region(region))

    async def client(self, principal: Principal, region: str, aws_service: str, *, hot: bool = False) -> Any:
        """A client, made on first use. `hot` ones skip the SDK's parameter validation: 7 ms per 500 metrics."""
        key = (id(principal), region, aws_service, hot)
        found = self._clients.get(key)
        if found is not None:
            return found
        async with self._locks.setdefault(key, asyncio.Lock()):
            if key not in self._clients:
                if self._closed:
                    raise ConnectionError("the AWS room is closed")
                await asyncio.to_thread(_read_ahead, self._loader, aws_service)
                making = principal.session.create_client(
                    aws_service,
                    region_name=region or None,
                    endpoint_url=self._settings.endpoint_url,
                    config=self._config(hot),
                )
                self._clients[key] = await self._exits.enter_async_context(making)
                gc.freeze()  # a service's model stays: up to 100,000 objects the collector need not go through
            return self._clients[key]

    async def close(self) -> None:
        """Close every client. Idempotent."""
        self._closed = True
        self._clients.clear()
        await self._exits.aclose()

    def _session(self, principal: Principal) -> Any:
        session = AioSession(profile=principal.profile)
        session.register_component("data_loader", self._loader)
        session.register_component("response_parser_factory", StrictParsers())
        if principal.role_arn:
            base = self.principal(AwsSpec(profile=principal.profile))
            role = _AssumedRole(self, base, principal)
            session.register_component("credential_provider", AioCredentialResolver([role]))
        return session

    def _config(self, hot: bool) -> AioConfig:
        return AioConfig(
            connect_timeout=self._settings.connect_timeout.total_seconds(),
            read_timeout=self._settings.read_timeout.total_seconds(),
            max_pool_connections=self._settings.max_connections,
            # Retries are ours alone (calls.py); the SDK's would multiply with them and hide throttles for seconds.
            retries={"total_max_attempts": 1, "mode": "standard"},
            parameter_validation=not hot,
            http_session_cls=self._http,
            user_agent_extra=_SESSION_NAME,
        )


def _read_ahead(loader: Loader, aws_service: str) -> None:
    """Looks for botocore's files on the disk and parses them, which takes a tenth of a second of the loop's time; the
    loader keeps them. What is missing is no matter here: making the client says it."""
    with suppress(BotoCoreError):
        for name in ("endpoints", "partitions", "sdk-default-configuration", "_retry"):
            loader.load_data(name)
        for kind in ("service-2", "endpoint-rule-set-1"):
            loader.load_service_model(aws_service, kind, api_version=None)


def _account(role_arn: str | None) -> str | None:
    """The account id inside a role's ARN."""
    parts = (role_arn or "").split(":")
    return parts[4] if len(parts) > 5 and parts[4] else None
