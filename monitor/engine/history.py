"""The last readings of a signal, for the page's charts: two packed doubles a reading instead of three objects.

A datetime, a float and a tuple take 130 bytes; with fifty thousand signals that is most of what the daemon holds.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import overload

Reading = tuple[datetime, float]


class History(Sequence[Reading]):
    """(at, value), oldest first; `at` is kept to the microsecond."""

    __slots__ = ("_numbers",)

    def __init__(self) -> None:
        self._numbers = array("d")

    def add(self, at: datetime, value: float, most: int) -> None:
        """Append a reading that is newer than the last one, an older one is left out; keep the newest `most`."""
        numbers, stamp = self._numbers, at.timestamp()
        if numbers and stamp <= numbers[-2]:
            return
        numbers.append(stamp)
        numbers.append(value)
        if len(numbers) > 2 * most:
            del numbers[: len(numbers) - 2 * most]

    def __len__(self) -> int:
        return len(self._numbers) // 2

    def __iter__(self) -> Iterator[Reading]:
        numbers = self._numbers[:]  # the page reads in a thread, while the engine adds and forgets
        for index in range(0, len(numbers) - 1, 2):
            yield datetime.fromtimestamp(numbers[index], UTC), numbers[index + 1]

    @overload
    def __getitem__(self, index: int) -> Reading: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Reading]: ...

    def __getitem__(self, index: int | slice) -> Reading | Sequence[Reading]:
        if isinstance(index, slice):
            return tuple(self)[index]
        place = 2 * (index if index >= 0 else len(self) + index)
        if not 0 <= place < len(self._numbers):
            raise IndexError(index)
        return datetime.fromtimestamp(self._numbers[place], UTC), self._numbers[place + 1]
