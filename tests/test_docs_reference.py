"""The generated reference says all that the code knows."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from checks import KINDS
from monitor.actions import ACTIONS
from monitor.plugin import Action, Check
from monitor.settings import PREFIX, Settings
from monitor.telemetry.catalogue import METRICS
from tools import reference

PAGES = ("kinds", "actions", "metrics", "settings")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which everything was generated."""
    folder = tmp_path_factory.mktemp("reference")
    reference.main(folder)
    return folder


def page(root: Path, name: str) -> str:
    """One generated page."""
    return (root / "docs" / "reference" / f"{name}.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("check", KINDS, ids=lambda check: check.kind)
def test_every_kind_has_its_section_with_signals_permissions_and_example(root: Path, check: Check[Any]) -> None:
    """A kind's section names its signals and permissions and shows its example."""
    kind = check.kind
    section = page(root, "kinds").split(f"\n## {kind}\n")[1].split("\n## ")[0]
    assert all(f"| `{signal.name}` |" in section for signal in check.signals)
    assert all(f"`{one}`" in section for one in check.permissions)
    assert check.example.strip("\n") in section


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.name)
def test_every_action_has_its_section_with_risk_parameters_and_example(root: Path, action: Action[Any]) -> None:
    """An action's section names its risk and parameters and shows its example."""
    section = page(root, "actions").split(f"\n## {action.name}\n")[1].split("\n## ")[0]
    assert f"- Risk: {action.risk}" in section
    for name, field in action.params.model_fields.items():
        assert f"| `{field.alias or name}` |" in section
    assert action.example.strip("\n") in section


def test_every_metric_and_setting_is_listed(root: Path) -> None:
    """Nothing can be scraped or set that the pages don't list."""
    metrics, settings = page(root, "metrics"), page(root, "settings")
    assert [m.name for m in METRICS if f"| `{m.name}` |" not in metrics] == []
    assert [n for n in Settings.model_fields if f"| `{PREFIX}{n.upper()}` |" not in settings] == []


def test_the_schema_file_is_the_schema_of_what_is_shipped(root: Path) -> None:
    """Editors get every shipped kind and action."""
    text = (root / "config" / "schema" / "pipeline.schema.json").read_text(encoding="utf-8")
    assert json.loads(text)["title"] == "tripswitch pipeline"
    assert [check.kind for check in KINDS if f'"{check.kind}"' not in text] == []
    assert [action.name for action in ACTIONS if f'"{action.name}"' not in text] == []


def test_the_schema_file_has_one_order(root: Path) -> None:
    """Generating it in another process makes no difference in the repository."""
    text = (root / "config" / "schema" / "pipeline.schema.json").read_text(encoding="utf-8")
    orders: list[list[str]] = []
    json.loads(text, object_pairs_hook=lambda pairs: orders.append([key for key, _ in pairs]))
    assert [keys for keys in orders if keys != sorted(keys)] == []


def test_generating_again_changes_nothing(root: Path) -> None:
    """The pages hold no dates and no order of chance."""
    assert reference.main(root) == []


def test_the_pages_are_checked_in() -> None:
    """`make reference` was run: people read the pages on the web, editors read the schema from the checkout."""
    there = [reference.ROOT / "docs" / "reference" / f"{name}.md" for name in PAGES]
    there.append(reference.ROOT / "config" / "schema" / "pipeline.schema.json")
    assert [file for file in there if not file.is_file()] == []


@pytest.mark.parametrize(
    ("line", "names"),
    [("Kinds", sorted(check.kind for check in KINDS)), ("Actions", sorted(action.name for action in ACTIONS))],
)
def test_the_changelog_lists_what_is_shipped(line: str, names: list[str]) -> None:
    """Sorted, none forgotten and none too many."""
    text = (reference.ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    told = text.split(f"- {line}: ")[1].split("\n- ")[0].split("; steps")[0]
    assert re.findall(r"`(\w+)`", told) == names


@pytest.mark.parametrize(
    ("page", "said", "names"), [("docs/comparison.md", "kinds", KINDS), ("docs/comparison.md", "actions", ACTIONS)]
)
def test_pages_count_what_is_shipped(page: str, said: str, names: tuple[Any, ...]) -> None:
    """A page that says how many says it right."""
    text = (reference.ROOT / page).read_text(encoding="utf-8")
    assert set(re.findall(rf"\b(\d+) {said}\b", text)) == {str(len(names))}
