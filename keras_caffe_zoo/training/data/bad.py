"""Records that cannot be read: counted and named, never silently dropped."""

import threading
import warnings


class BadRecords:
    """Collects the records that cannot be read; the batches go without them.

    A batch with a bad record is smaller by one. It is not filled up with the next
    record, so that each record keeps its place when training is resumed. A batch in
    which no record can be read is an error all the same.

    Each bad record is named in a warning when it is first met.

    Args:
        limit: How many records to name; all are counted.

    Attributes:
        count: How many different records were bad.
        records: The first of them, as `(name, reason)`.
    """

    def __init__(self, limit: int = 1000):
        self.limit, self.count = limit, 0
        self.records: list[tuple[str, str]] = []
        self._seen: set[int] = set()  # hashes: a million names would be too long
        self._lock = threading.Lock()

    def add(self, name: str, reason: str) -> None:
        """Count a bad record, and name it if it is new.

        Args:
            name: The record: a file and where it is listed, or a key.
            reason: Why it cannot be read.
        """
        with self._lock:
            if hash(name) in self._seen:
                return
            self._seen.add(hash(name))
            self.count += 1
            if self.count <= self.limit:
                self.records.append((name, reason))
        if self.count <= self.limit:
            warnings.warn(f"Left out a bad record: {name}: {reason}", stacklevel=2)
        elif self.count == self.limit + 1:
            warnings.warn(
                f"More than {self.limit} bad records; the others are counted and not "
                "named",
                stacklevel=2,
            )

    def __str__(self):
        if not self.count:
            return "No bad records"
        lines = [f"{self.count} bad record{'s' if self.count > 1 else ''}:"]
        lines += [f"  {name}: {reason}" for name, reason in self.records]
        rest = self.count - len(self.records)
        return "\n".join([*lines, *([f"  and {rest} more"] if rest else [])])

    def __repr__(self):
        return f"BadRecords(count={self.count})"
