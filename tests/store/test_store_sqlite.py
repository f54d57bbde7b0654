"""What only a file can go through: damage, a full disk, strangers, age."""

# ruff: noqa: ASYNC221, ASYNC240 - nothing else runs in these loops; files are prepared in place
from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from monitor.core.ports import Delete, Put, StoreUnavailable
from monitor.store import MemoryStore, SqliteStore, open_store, schema


@pytest.fixture
async def sqlite(sqlite_path: Path, clock: Any) -> AsyncIterator[SqliteStore]:
    """An open store on a file."""
    made = SqliteStore(str(sqlite_path), clock, patience=timedelta(milliseconds=50))
    await made.open()
    yield made
    await made.close()


def pragma(path: Path, name: str) -> Any:
    """A setting of a closed database."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(f"PRAGMA {name}").fetchone()[0]


# --- opening ----------------------------------------------------------------------------------------------------------


async def test_files_are_the_owners_alone(sqlite: SqliteStore, sqlite_path: Path) -> None:
    """Database, log, shared memory and lock have mode 0600, whatever the umask."""
    await sqlite.commit([Put("thing", "a", {}, 0)])
    files = sorted(sqlite_path.parent.iterdir())
    assert [file.name for file in files] == ["state.db", "state.db-shm", "state.db-wal", "state.db.lock"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


async def test_a_file_that_others_could_read_is_closed_to_them(sqlite_path: Path, clock: Any) -> None:
    """A copy restored with mode 0644 is put right at open."""
    sqlite_path.touch(0o644)
    sqlite_path.chmod(0o644)
    store = SqliteStore(str(sqlite_path), clock)
    await store.open()
    await store.close()
    assert stat.S_IMODE(sqlite_path.stat().st_mode) == 0o600


async def test_closing_leaves_one_whole_file(sqlite: SqliteStore, sqlite_path: Path) -> None:
    """After close the file alone is the store: a backup is a copy."""
    await sqlite.commit([Put("thing", "a", {}, 0)])
    await sqlite.close()
    assert sorted(file.name for file in sqlite_path.parent.iterdir()) == ["state.db", "state.db.lock"]


async def test_a_second_store_in_this_process_is_refused(sqlite: SqliteStore, sqlite_path: Path, clock: Any) -> None:
    """Also by another name of the same file; once the first is closed, the second gets in."""
    link = sqlite_path.parent / "link.db"
    link.symlink_to(sqlite_path)
    for path in (sqlite_path, link):
        second = SqliteStore(str(path), clock)
        with pytest.raises(StoreUnavailable, match=rf"another tripswitch \(pid {os.getpid()}\) holds"):
            await second.open()
    await sqlite.close()
    await second.open()
    await second.close()


async def test_a_missing_folder_is_named(tmp_path: Path, clock: Any) -> None:
    """Not created: it may be a mount that isn't there."""
    with pytest.raises(StoreUnavailable, match=r"folder .*/state doesn't exist: create it"):
        await SqliteStore(str(tmp_path / "state" / "x.db"), clock).open()


async def test_a_folder_is_no_file(tmp_path: Path, clock: Any) -> None:
    """And the lock is given back."""
    (tmp_path / "x.db").mkdir()
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match="is a folder"):
            await SqliteStore(str(tmp_path / "x.db"), clock).open()


async def test_a_file_that_is_no_database_is_refused(sqlite_path: Path, clock: Any) -> None:
    """With what to do, and the file untouched."""
    sqlite_path.write_bytes(b"not a database at all, " * 100)
    with pytest.raises(StoreUnavailable, match=r"is damaged: .*restore a backup"):
        await SqliteStore(str(sqlite_path), clock).open()
    assert sqlite_path.read_bytes().startswith(b"not a database")


async def test_a_damaged_page_is_found_at_open(sqlite: SqliteStore, sqlite_path: Path, clock: Any) -> None:
    """Garbage in the middle of the file, with a healthy first page."""
    await sqlite.commit([Put("thing", f"{number:05}", {"text": "x" * 200}, 0) for number in range(500)])
    await sqlite.close()
    with sqlite_path.open("r+b") as file:
        file.seek(4096 * 6)
        file.write(os.urandom(4096 * 4))
    with pytest.raises(StoreUnavailable, match="is damaged"):
        await SqliteStore(str(sqlite_path), clock).open()


async def test_another_programs_database_is_left_alone(sqlite_path: Path, clock: Any) -> None:
    """Neither converted nor filled."""
    with closing(sqlite3.connect(sqlite_path)) as connection:
        connection.execute("CREATE TABLE song (name TEXT)")
    before = sqlite_path.read_bytes()
    with pytest.raises(StoreUnavailable, match="another program's database"):
        await SqliteStore(str(sqlite_path), clock).open()
    assert sqlite_path.read_bytes() == before


async def test_a_newer_format_is_refused(sqlite: SqliteStore, sqlite_path: Path, clock: Any) -> None:
    """A downgrade must not write what it doesn't understand."""
    await sqlite.close()
    with closing(sqlite3.connect(sqlite_path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreUnavailable, match=r"newer tripswitch \(format 99"):
        await SqliteStore(str(sqlite_path), clock).open()


async def test_an_older_format_climbs(
    sqlite: SqliteStore, sqlite_path: Path, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new rung is applied once, over the data there is."""
    await sqlite.commit([Put("thing", "a", {"n": 1}, 0)])
    await sqlite.close()
    rung = ("CREATE TABLE extra (x)", "INSERT INTO extra VALUES (1)")
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, rung))
    for _ in range(2):
        store = SqliteStore(str(sqlite_path), clock)
        await store.open()
        assert await store.get("thing", "a") is not None
        await store.close()
    assert pragma(sqlite_path, "user_version") == 2
    with closing(sqlite3.connect(sqlite_path)) as connection:
        assert connection.execute("SELECT count(*) FROM extra").fetchone() == (1,)


async def test_a_rung_that_fails_leaves_the_old_version(
    sqlite: SqliteStore, sqlite_path: Path, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of a migration or none of it."""
    await sqlite.close()
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, ("CREATE TABLE extra (x)", "NONSENSE")))
    with pytest.raises(StoreUnavailable):
        await SqliteStore(str(sqlite_path), clock).open()
    assert pragma(sqlite_path, "user_version") == 1
    with closing(sqlite3.connect(sqlite_path)) as connection:
        assert not connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'extra'").fetchall()


async def test_durability_settings_hold(sqlite: SqliteStore, sqlite_path: Path) -> None:
    """A write-ahead log, and space that can be given back."""
    await sqlite.close()
    assert pragma(sqlite_path, "journal_mode") == "wal"
    assert pragma(sqlite_path, "auto_vacuum") == 2
    assert pragma(sqlite_path, "application_id") == schema.APPLICATION_ID


# --- trouble while open -----------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting a tmpfs needs root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.process
async def test_a_full_disk_writes_nothing_and_heals(small_disk: Path, clock: Any) -> None:
    """The batch that doesn't fit leaves no trace; once there is space the same store goes on."""
    store = SqliteStore(str(small_disk / "state.db"), clock)
    await store.open()
    await store.commit([Put("thing", "first", {}, 0)])
    ballast = small_disk / "ballast"
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"x" * 4096)
    with pytest.raises(StoreUnavailable, match=r"the disk is full: nothing was written"):
        await store.commit([Put("thing", f"big-{number}", {"text": "x" * 20_000}, 0) for number in range(20)])
    assert [item.key for item in await store.scan("thing")] == ["first"]
    ballast.unlink()
    await store.commit([Put("thing", "second", {}, 0)])
    await store.close()
    await store.open()
    assert [item.key for item in await store.scan("thing")] == ["first", "second"]
    await store.close()


@pytest.mark.process
async def test_a_read_only_disk_is_told_and_heals(small_disk: Path, clock: Any) -> None:
    """Reading goes on, writing says why not."""
    path = small_disk / "state.db"
    store = SqliteStore(str(path), clock)
    await store.open()
    await store.commit([Put("thing", "first", {}, 0)])
    await store.close()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(StoreUnavailable, match=r"can't write the lock file|read-only"):
        await store.open()
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    await store.open()
    assert await store.get("thing", "first") is not None
    await store.close()


async def test_a_strangers_lock_ends_in_a_sentence(sqlite: SqliteStore, sqlite_path: Path) -> None:
    """Another program that holds the file for writing is waited for, then named; afterwards writing goes on."""
    with closing(sqlite3.connect(sqlite_path, isolation_level=None)) as stranger:
        stranger.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match="locked by another program"):
            await sqlite.commit([Put("thing", "a", {}, 0)])
        stranger.execute("ROLLBACK")
    await sqlite.commit([Put("thing", "a", {}, 0)])


async def test_reading_beside_a_strangers_read_is_fine(sqlite: SqliteStore, sqlite_path: Path) -> None:
    """Someone who looks with a shell disturbs nothing, prune included."""
    with closing(sqlite3.connect(sqlite_path, isolation_level=None)) as stranger:
        stranger.execute("BEGIN")
        stranger.execute("SELECT * FROM document").fetchall()
        await sqlite.commit([Put("thing", "a", {}, 0)])
        assert stranger.execute("SELECT count(*) FROM document").fetchone() == (0,)
        stranger.execute("COMMIT")


# --- age --------------------------------------------------------------------------------------------------------------


async def test_file_sizes_are_flat(sqlite: SqliteStore, sqlite_path: Path, clock: Any) -> None:
    """Days of history written, rewritten, expired and pruned: file and log stay as large as on the first day."""
    sizes = []
    await sqlite.commit([Put("state", "breaker", {"n": 0}, 0)])
    for day in range(12):
        end = clock.now() + timedelta(days=1)
        for part in range(4):
            names = [f"{day}/{part}/{number}" for number in range(200)]
            await sqlite.commit([Put("history", name, {"text": name * 40}, 0, end) for name in names])
            await sqlite.commit([Put("state", "breaker", {"n": part}, day * 4 + part + 1)])
        clock.at = end
        assert await sqlite.prune(clock.now()) == 800
        sizes.append(sum(os.path.getsize(f"{sqlite_path}{end}") for end in ("", "-wal")))
    assert max(sizes) <= 64 * 1024
    assert sizes[-1] <= sizes[0]


async def test_prune_works_in_slices(sqlite: SqliteStore, clock: Any) -> None:
    """More than one slice's worth goes in one call."""
    end = clock.now() + timedelta(seconds=1)
    await sqlite.commit([Put("history", str(number), {}, 0, end) for number in range(2_500)])
    clock.at = end
    assert await sqlite.prune(clock.now()) == 2_500
    assert await sqlite.scan("history") == []


async def test_a_large_batch_is_one_transaction(sqlite: SqliteStore) -> None:
    """Thousands of documents, checked and written together."""
    await sqlite.commit([Put("thing", str(number), {}, 0) for number in range(3_000)])
    await sqlite.commit([Delete("thing", str(number), 1) for number in range(3_000)])
    assert await sqlite.scan("thing") == []


# --- URLs -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///state.db", "state.db"),
        ("sqlite:///var/state.db", "var/state.db"),
        ("sqlite:////var/lib/tripswitch/state.db", "/var/lib/tripswitch/state.db"),
    ],
)
def test_sqlite_urls_mean_what_sqlalchemys_mean(url: str, path: str, clock: Any) -> None:
    """Three slashes are relative, four absolute."""
    store = open_store(url, clock)
    assert isinstance(store, SqliteStore)
    assert store.path == path


def test_memory_is_memory(clock: Any) -> None:
    """`memory:` and nothing more."""
    assert isinstance(open_store("memory:", clock), MemoryStore)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("dynamodb://table", "comes in a later version"),
        ("postgres://x/y", "'postgres' is unknown: write memory:"),
        ("state.db", "is not a URL"),
        ("", "is not a URL"),
        ("memory:x", "takes nothing"),
        ("sqlite://state.db", "too few slashes"),
        ("sqlite:state.db", "too few slashes"),
        ("sqlite:///", "names no file"),
        ("sqlite:////", "names no file"),
        ("sqlite:////var/lib/", "names no file"),
        ("sqlite:///x.db?mode=ro", "not supported"),
        ("sqlite:///:memory:", "not supported"),
    ],
)
def test_other_urls_are_refused_with_a_hint(url: str, message: str, clock: Any) -> None:
    """Every mistake has its sentence."""
    with pytest.raises(ValueError, match=message):
        open_store(url, clock)


async def test_exclusive_locking_maps_no_shared_memory(sqlite_path: Path, clock: Any) -> None:
    """On a network file system the log's index must not be a mapped file; another program can't look in meanwhile."""
    store = open_store(f"sqlite:///{sqlite_path}?locking=exclusive", clock)
    await store.open()
    await store.commit([Put("thing", "a", {"n": 1}, 0)])
    assert {file.name for file in sqlite_path.parent.iterdir()} >= {"state.db", "state.db-wal"}
    assert not sqlite_path.with_name("state.db-shm").exists()
    with (
        closing(sqlite3.connect(sqlite_path, timeout=0)) as other,
        pytest.raises(sqlite3.OperationalError, match="locked"),
    ):
        other.execute("SELECT * FROM document")
    await store.close()
    again = open_store(f"sqlite:///{sqlite_path}", clock)
    await again.open()
    assert (await again.get("thing", "a")) is not None
    await again.close()


@pytest.mark.parametrize("option", ["?mode=ro", "?locking=normal", "?locking=exclusive&mode=ro"])
def test_other_options_are_refused_with_the_one_there_is(option: str, clock: Any) -> None:
    """An option that does nothing would be worse than none."""
    with pytest.raises(ValueError, match="the only SQLite option is locking=exclusive"):
        open_store(f"sqlite:////var/lib/state.db{option}", clock)
