"""Makes an installed environment fit for an image: leaves out what never runs there, compiles the rest.

It runs in the image's build stage and imports nothing but the standard library. Service models stay all: a pipeline
file may ask any service of AWS.
"""

from __future__ import annotations

import compileall
import py_compile
import re
import shutil
import sys
from pathlib import Path

#: For people and compilers, not for the interpreter. botocore's examples are read by its documentation only.
USELESS = ("*.pyi", "*.pyx", "*.pxd", "*.c", "*.h", "examples-1.json", "examples-1.json.gz")
#: Folders of these packages' own tests.
TESTS = ("tests", "test")
#: Not compiled, for the daemon never imports them; a command that does compiles them in memory.
RARE = re.compile(
    r"/site-packages/(pygments/(lexers|styles|formatters)/(?!__init__|_mapping)|pydantic/v1/|rich/_unicode_data/unicode"
    r"|monitor/demo/(?!__init__)|anyio/(_backends/_trio|pytest_plugin)|jinja2/(ext|nativetypes|sandbox|meta)\b"
    r"|pydantic/(mypy|_hypothesis|experimental)|prometheus_client/(bridge|twisted|django|aiohttp)|pygments/cmdline"
    r"|aiohttp/(test_utils|pytest_plugin|_websocket/reader_py)|multidict/_multidict_py|rich/_win|urllib3/contrib/(?!__init__))"
)


def slim(environment: Path) -> tuple[int, int]:
    """Bytes before and after."""
    before = size(environment)
    packages = next(environment.glob("lib/python*/site-packages"))
    for pattern in USELESS:
        for file in packages.rglob(pattern):
            file.unlink()
    for folder in [one for one in packages.rglob("*") if one.is_dir() and is_useless(one)]:
        shutil.rmtree(folder, ignore_errors=True)  # it may have gone with the one above it
    # By hash and unchecked: the image is read-only, and modification times need not survive copying.
    done = compileall.compile_dir(
        packages, quiet=1, rx=RARE, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH
    )
    if not done:
        raise SystemExit("some modules don't compile")
    return before, size(environment)


def is_useless(folder: Path) -> bool:
    """True for a package of tests inside another package, and for what was compiled before."""
    tests = folder.name in TESTS and (folder / "__init__.py").exists() and folder.parent.name != "site-packages"
    return tests or folder.name == "__pycache__"


def size(folder: Path) -> int:
    """Bytes of all files."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file() and not file.is_symlink())


if __name__ == "__main__":
    was, became = slim(Path(sys.argv[1]))
    sys.stdout.write(f"{was / 1e6:.1f} MB -> {became / 1e6:.1f} MB\n")
