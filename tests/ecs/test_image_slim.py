"""What tools/slim.py leaves out of the image, and what it must not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.slim import slim


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """The packages of a small environment."""
    root = tmp_path / "lib" / "python3.11" / "site-packages"
    for name in (
        "aiohttp/__init__.py", "aiohttp/parser.pyx", "aiohttp/py.typed", "aiohttp/types.pyi", "aiohttp/test_utils.py",
        "botocore/data/ec2/2016-11-15/service-2.json.gz", "botocore/data/ec2/2016-11-15/examples-1.json",
        "aiosqlite/__init__.py", "aiosqlite/tests/__init__.py", "aiosqlite/tests/smoke.py", "x/test/data.bin",
        "tests/__init__.py", "pygments/lexers/__init__.py", "pygments/lexers/haskell.py", "monitor/core/model.py",
        "x-1.0.dist-info/licenses/LICENSE",
    ):  # fmt: skip
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("")
    return root


def test_what_people_and_compilers_need_goes(packages: Path) -> None:
    """Stubs, sources of extensions, examples of botocore, packages' own tests."""
    slim(packages.parents[2])
    gone = (
        "aiohttp/parser.pyx",
        "aiohttp/types.pyi",
        "botocore/data/ec2/2016-11-15/examples-1.json",
        "aiosqlite/tests",
    )
    assert [name for name in gone if (packages / name).exists()] == []


def test_what_may_be_asked_for_stays(packages: Path) -> None:
    """Service models, licences, marks of types, data, and a package that happens to be called tests."""
    slim(packages.parents[2])
    kept = (
        "botocore/data/ec2/2016-11-15/service-2.json.gz", "aiohttp/py.typed", "x/test/data.bin", "tests/__init__.py",
        "x-1.0.dist-info/licenses/LICENSE", "pygments/lexers/haskell.py", "aiohttp/test_utils.py",
    )  # fmt: skip
    assert [name for name in kept if not (packages / name).exists()] == []


def test_what_runs_is_compiled_once(packages: Path) -> None:
    """A read-only image can't compile later; what hardly runs is not worth the bytes."""
    slim(packages.parents[2])
    compiled = {(*one.relative_to(packages).parts[:-2], one.name.split(".")[0]) for one in packages.rglob("*.pyc")}
    assert ("monitor", "core", "model") in compiled
    assert ("pygments", "lexers", "__init__") in compiled
    assert ("pygments", "lexers", "haskell") not in compiled


def test_a_module_that_does_not_compile_stops_the_build(packages: Path) -> None:
    """Rather than failing at the first start."""
    (packages / "broken.py").write_text("def (")
    with pytest.raises(SystemExit, match="compile"):
        slim(packages.parents[2])
