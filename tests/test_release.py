"""What a release says of itself is the same everywhere, and what it needs is in it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from monitor import __version__

ROOT = Path(__file__).resolve().parent.parent


def test_the_chart_names_the_version_of_the_daemon():
    """`appVersion` is what `tripswitch --version` says: the chart's default image tag comes from it."""
    chart = (ROOT / "helm/tripswitch/Chart.yaml").read_text(encoding="utf-8")
    assert re.search(rf'^appVersion: "?{re.escape(__version__)}"?$', chart, re.MULTILINE)


def test_the_changelog_has_a_place_for_the_next_version():
    """Keep a Changelog: `Unreleased` stands first, and released versions are dated and descend."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    heads = re.findall(r"^## \[(.+?)\](?: - (\d{4}-\d{2}-\d{2}))?$", text, re.MULTILINE)
    assert heads[0] == ("Unreleased", "")
    released = [tuple(map(int, version.split("."))) for version, day in heads[1:] if day]
    assert len(released) == len(heads) - 1
    assert released == sorted(released, reverse=True)


def test_the_version_is_written_once():
    """pyproject.toml takes it from the package instead of repeating it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert "version" not in project["project"]
    assert project["tool"]["hatch"]["version"]["path"] == "monitor/__init__.py"


def test_both_packages_say_they_are_typed():
    """PEP 561: without the marker, an author's mypy ignores every annotation here."""
    for package in ("monitor", "checks"):
        assert (ROOT / package / "py.typed").is_file()
