"""`tripswitch iam-policy`: what the daemon has to be allowed, and no more."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from monitor.cli import options
from monitor.cli.talk import EXIT_USAGE, count, die, say, show_json

if TYPE_CHECKING:
    from monitor.audit.needs import Settings as Needed
    from monitor.audit.policy import Policy

Form = Annotated[
    Literal["json", "cloudformation", "terraform"],
    typer.Option("--output", "-o", help="json: as IAM takes it; terraform: its JSON syntax (.tf.json)."),
]
Observe = Annotated[bool, typer.Option("--observe", help="Reads only, whatever the breakers' modes are.")]
Account = Annotated[
    str | None,
    typer.Option("--account", help="Account id in ARNs (ACCOUNT_ID; else any account).", metavar="ID"),
]
Region = Annotated[
    str | None,
    typer.Option("--region", help="Region of pipelines that name none (AWS_REGION; else any).", metavar="NAME"),
]
Name = Annotated[str, typer.Option("--name", help="Name of the policy.")]


def iam_policy(
    paths: options.Paths,
    observe: Observe = False,
    output: Form = "json",
    account: Account = None,
    region: Region = None,
    name: Name = "tripswitch",
) -> None:
    """Print the least-privilege IAM policy for exactly these files.

    Checks get their reads, each on the resources that the file names (globs become wildcards, tags conditions).
    Breakers in mode auto or approve get what their actions call, undo and reading back included; those that observe
    get nothing that changes anything. Notices over sns://, secret references, the kill switch's parameter and roles
    to assume are in it. What is known only to AWS (the queue behind a dead-letter queue) is allowed on every resource
    of its kind. It is split where it is longer than a managed policy may be (6,144 characters).

    \b
    tripswitch iam-policy etl.yaml > policy.json
    tripswitch iam-policy pipelines/ --observe --account 123456789012 --region us-east-1
    tripswitch iam-policy pipelines/ --output cloudformation > tripswitch-policy.yaml
    """
    from monitor.audit.needs import asked_by
    from monitor.audit.policy import policies
    from monitor.audit.rendering import as_cloudformation, as_json, as_terraform

    if account is not None and not re.fullmatch(r"\d{12}", account):
        die(f"--account: '{account}' is not an account: write its 12 digits", EXIT_USAGE)
    known = options.registry()
    loaded = options.load(paths, known)
    made = policies(asked_by(loaded.pipelines, known, needed(account, region, observe)), name)
    forms: Mapping[str, Callable[[Sequence[Policy]], Any]] = {
        "json": as_json,
        "cloudformation": as_cloudformation,
        "terraform": as_terraform,
    }
    show_json(forms[output](made))
    _explain(made)


def needed(account: str | None, region: str | None, observe: bool) -> Needed:
    """Where the daemon lives, and the references in its settings."""
    from monitor.audit.needs import Settings, partition_of
    from monitor.aws.operations import Operations
    from monitor.aws.quotas import sdk_service
    from monitor.core.iam import Where
    from monitor.settings import environ

    environment = environ()
    operations = Operations()
    token = options.settings().token
    region = region or environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or "*"
    place = Where(partition_of(region), region, account or environment.get("ACCOUNT_ID") or "*")
    return Settings(
        place,
        lambda service, name: (sdk_service(service), operations.canonical(service, name) or name),
        (token.get_secret_value(),) if token is not None else (),
        observe,
    )


def _explain(made: Sequence[Policy]) -> None:
    from monitor.audit.policy import ATTACHED, LIMIT

    statements = sum(len(one.document["Statement"]) for one in made)
    say(f"{_policies(len(made))}, {count(statements, 'statement')}")
    for principal in dict.fromkeys(one.principal for one in made):
        own = [one for one in made if one.principal == principal]
        whom = principal or "the role that tripswitch runs as"
        if len(own) > 1:
            sizes = ", ".join(f"{one.name} {one.size}" for one in own)
            say(f"more than {LIMIT} characters, so {len(own)} policies: attach all of them to {whom} ({sizes})")
        elif len(made) > 1:
            say(f"{own[0].name}: attach it to {whom}")
        if len(own) > ATTACHED:
            say(f"a role takes {ATTACHED} managed policies by default: split the pipelines among several daemons")
    text = str([one.document for one in made])
    if re.search(r"arn:[\w-]+:[\w-]+:(\*:|[\w-]*:\*:)", text):
        say("some ARNs name any account or region: give --account and --region (or ACCOUNT_ID and AWS_REGION)")


def _policies(number: int) -> str:
    return "1 policy" if number == 1 else f"{number} policies"
