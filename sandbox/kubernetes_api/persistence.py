"""The state file: every object and the resourceVersion, in SQLite, so that a killed server loses nothing."""

from __future__ import annotations

import json
import secrets
import sqlite3
from pathlib import Path

from sandbox.kubernetes_api.objects import Key, Object

_SCHEMA = """
CREATE TABLE IF NOT EXISTS object (
    resource_group TEXT, plural TEXT, namespace TEXT, name TEXT, body TEXT NOT NULL,
    PRIMARY KEY (resource_group, plural, namespace, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""


class StateFile:
    """One open state file.

    Raises:
        ValueError: the file exists and is something else.
    """

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        try:
            # Safe against the death of the process, which is what happens here; not against loss of power.
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.executescript(_SCHEMA)
        except sqlite3.DatabaseError as error:
            self._db.close()
            raise ValueError(
                f"{path}: not a state file of this server ({error}): name another file or remove it"
            ) from error

    def load(self) -> tuple[list[tuple[Key, Object]], int]:
        """Every object, and the resourceVersion of the last write (0 in a new file)."""
        rows = self._db.execute("SELECT resource_group, plural, namespace, name, body FROM object").fetchall()
        return [(Key(*row[:4]), json.loads(row[4])) for row in rows], int(self._setting("version") or 0)

    def signing_key(self) -> bytes:
        """The key that signs service account tokens; made once for each file."""
        found = self._setting("signing_key")
        if found is None:
            found = secrets.token_hex(32)
            self._set("signing_key", found)
        return bytes.fromhex(found)

    def put(self, key: Key, obj: Object, version: int) -> None:
        """Keep an object and the version; both or neither."""
        body = json.dumps(obj, separators=(",", ":"))
        with self._transaction():
            self._db.execute("INSERT OR REPLACE INTO object VALUES (?, ?, ?, ?, ?)", (*key, body))
            self._set("version", str(version))

    def remove(self, key: Key, version: int) -> None:
        """Forget an object and keep the version; both or neither."""
        with self._transaction():
            self._db.execute(
                "DELETE FROM object WHERE resource_group = ? AND plural = ? AND namespace = ? AND name = ?", key
            )
            self._set("version", str(version))

    def close(self) -> None:
        """Release the file."""
        self._db.close()

    def _transaction(self) -> sqlite3.Connection:
        self._db.execute("BEGIN IMMEDIATE")
        return self._db  # as a context manager: commit, or roll back when the block raises

    def _setting(self, name: str) -> str | None:
        row = self._db.execute("SELECT value FROM setting WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def _set(self, name: str, value: str) -> None:
        self._db.execute("INSERT OR REPLACE INTO setting VALUES (?, ?)", (name, value))
