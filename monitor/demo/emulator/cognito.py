"""Cognito user pools, their clients and users; who signs in with a password gets tokens that are none.

Sources: API_CreateUserPool, API_DescribeUserPool, API_CreateUserPoolClient, API_DescribeUserPoolClient,
API_UpdateUserPoolClient ("If you don't provide a value for an attribute, Amazon Cognito sets it to its default value";
legacy flows can't stand beside values that begin with ALLOW_), API_AdminInitiateAuth (the flow must be enabled for the
client; a wrong password is NotAuthorizedException; a temporary one is answered with the challenge
NEW_PASSWORD_REQUIRED), API_AdminSetUserPassword, API_AdminGetUser (UserStatus). AWS's ids are random; here they are
made of the names, so that a configuration can name them. moto needs a package for its tokens that is not installed with
tripswitch.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from typing import Any

from monitor.demo.emulator.calls import Call, Reply, answer, refuse
from monitor.demo.emulator.state import Answerer, Emulator

_LEGACY = frozenset({"ADMIN_NO_SRP_AUTH", "CUSTOM_AUTH_FLOW_ONLY", "USER_PASSWORD_AUTH"})
#: What a client has that was told nothing.
_DEFAULTS = {"RefreshTokenValidity": 30, "EnableTokenRevocation": True, "AuthSessionValidity": 3}


def install(emulator: Emulator) -> Mapping[str, Answerer]:
    """The operations answered here."""
    pools = Pools(emulator)
    return {
        "cognito-idp:CreateUserPool": pools.create,
        "cognito-idp:DescribeUserPool": pools.describe,
        "cognito-idp:CreateUserPoolClient": pools.create_client,
        "cognito-idp:DescribeUserPoolClient": pools.describe_client,
        "cognito-idp:UpdateUserPoolClient": pools.update_client,
        "cognito-idp:AdminCreateUser": pools.create_user,
        "cognito-idp:AdminGetUser": pools.get_user,
        "cognito-idp:AdminSetUserPassword": pools.set_password,
        "cognito-idp:AdminInitiateAuth": pools.sign_in,
    }


def pool_id(name: str, region: str = "us-east-1") -> str:
    """The id of the pool of that name."""
    return f"{region}_{hashlib.sha256(name.encode()).hexdigest()[:9]}"


def client_id(name: str) -> str:
    """The id of the client of that name."""
    return hashlib.sha256(name.encode()).hexdigest()[:26]


class Pools:
    """Pools by (account, region, id); each holds its clients."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator

    def create(self, call: Call) -> Reply | None:
        """CreateUserPool."""
        name = str(call.json()["PoolName"])
        pool = {"Id": pool_id(name, call.region), "Name": name}
        self._emulator.pools[(call.account, call.region, pool["Id"])] = {"pool": pool, "clients": {}, "users": {}}
        return answer(call, {"UserPool": pool})

    def describe(self, call: Call) -> Reply | None:
        """DescribeUserPool."""
        found = self._pool(call)
        return found if isinstance(found, Reply) else answer(call, {"UserPool": found["pool"]})

    def create_client(self, call: Call) -> Reply | None:
        """CreateUserPoolClient."""
        found, asked = self._pool(call), call.json()
        if isinstance(found, Reply):
            return found
        return _write(call, found, client_id(str(asked["ClientName"])), asked)

    def describe_client(self, call: Call) -> Reply | None:
        """DescribeUserPoolClient."""
        found = self._client(call)
        return found if isinstance(found, Reply) else answer(call, {"UserPoolClient": found})

    def update_client(self, call: Call) -> Reply | None:
        """UpdateUserPoolClient: what is left out becomes its default; the name stays."""
        pool, client = self._pool(call), self._client(call)
        if isinstance(pool, Reply) or isinstance(client, Reply):
            return _missing(call)
        return _write(call, pool, client["ClientId"], {"ClientName": client["ClientName"], **call.json()})

    def create_user(self, call: Call) -> Reply | None:
        """AdminCreateUser: with a temporary password."""
        pool, asked = self._pool(call), call.json()
        if isinstance(pool, Reply):
            return pool
        user = {"password": asked.get("TemporaryPassword"), "status": "FORCE_CHANGE_PASSWORD", "at": time.time()}
        pool["users"][asked["Username"]] = user
        return answer(call, {"User": _user(asked["Username"], user, "Attributes")})

    def get_user(self, call: Call) -> Reply | None:
        """AdminGetUser."""
        user = self._user(call)
        return user if isinstance(user, Reply) else answer(call, _user(call.json()["Username"], user, "UserAttributes"))

    def set_password(self, call: Call) -> Reply | None:
        """AdminSetUserPassword."""
        user, asked = self._user(call), call.json()
        if isinstance(user, Reply):
            return user
        status = "CONFIRMED" if asked.get("Permanent") else "FORCE_CHANGE_PASSWORD"
        user.update(password=asked["Password"], status=status, at=time.time())
        return answer(call, {})

    def sign_in(self, call: Call) -> Reply | None:
        """AdminInitiateAuth, by password only."""
        client, asked = self._client(call), call.json()
        if isinstance(client, Reply):
            return client
        if not {"ALLOW_ADMIN_USER_PASSWORD_AUTH", "ADMIN_NO_SRP_AUTH"} & set(client.get("ExplicitAuthFlows") or ()):
            return refuse(call, "InvalidParameterException", "Auth flow not enabled for this client")
        pool, given = self._pool(call), asked.get("AuthParameters") or {}
        user = pool["users"].get(given.get("USERNAME")) if not isinstance(pool, Reply) else None
        if user is None or user["password"] != given.get("PASSWORD"):
            return refuse(call, "NotAuthorizedException", "Incorrect username or password.")
        if user["status"] == "FORCE_CHANGE_PASSWORD":
            return answer(call, {"ChallengeName": "NEW_PASSWORD_REQUIRED", "Session": "s", "ChallengeParameters": {}})
        tokens = {"AccessToken": "a", "IdToken": "i", "RefreshToken": "r", "ExpiresIn": 3600, "TokenType": "Bearer"}
        return answer(call, {"ChallengeParameters": {}, "AuthenticationResult": tokens})

    def _user(self, call: Call) -> dict[str, Any] | Reply:
        pool = self._pool(call)
        if isinstance(pool, Reply):
            return pool
        user: dict[str, Any] | None = pool["users"].get(call.json().get("Username"))
        return refuse(call, "UserNotFoundException", "User does not exist.") if user is None else user

    def _pool(self, call: Call) -> dict[str, Any] | Reply:
        pool = self._emulator.pools.get((call.account, call.region, str(call.json().get("UserPoolId"))))
        return _missing(call) if pool is None else pool

    def _client(self, call: Call) -> dict[str, Any] | Reply:
        pool = self._pool(call)
        if isinstance(pool, Reply):
            return pool
        client: dict[str, Any] | None = pool["clients"].get(call.json().get("ClientId"))
        return _missing(call) if client is None else client


def _user(name: str, user: Mapping[str, Any], attributes: str) -> dict[str, Any]:
    told = {"Username": name, "UserStatus": user["status"], "Enabled": True, attributes: []}
    return {**told, "UserCreateDate": user["at"], "UserLastModifiedDate": user["at"]}


def _write(call: Call, pool: dict[str, Any], client: str, asked: Mapping[str, Any]) -> Reply:
    flows = set(asked.get("ExplicitAuthFlows") or ())
    if flows & _LEGACY and any(flow.startswith("ALLOW_") for flow in flows):
        text = "Explicit auth flows with the ALLOW_ prefix and without it can not be used together."
        return refuse(call, "InvalidParameterException", text)
    pool["clients"][client] = {**_DEFAULTS, **asked, "ClientId": client}
    return answer(call, {"UserPoolClient": pool["clients"][client]})


def _missing(call: Call) -> Reply:
    return refuse(call, "ResourceNotFoundException", "The user pool or its client does not exist.")
