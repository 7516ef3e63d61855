"""What presencectl prints for programs, and a subscription for it to print."""

import json
import re
import time
from pathlib import Path
from typing import Any

from click.testing import Result

from kemi import store
from kemi.database import Database
from kemi.subscription import Subscription
from tests.unit.values import subscription

REFERENCE = (Path(__file__).resolve().parents[3] / "docs" / "presencectl.md").read_text()


def found(result: Result) -> Any:
    """What a command that went well printed with --json."""
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def keys(name: str) -> set[str]:
    """The keys that the reference has for an object."""
    section = REFERENCE.split(f"### {name}\n")[1].split("\n### ")[0]
    return set(re.findall(r"`([a-z_]+)`", "".join(line.split("|")[1] for line in section.splitlines() if line.startswith("| `"))))


def watching(rows: Database, **changes: Any) -> Subscription:
    """A subscription of bob to alice that is there now."""
    now = time.time()
    times = {"created_at": now, "expires_at": now + 600, "notified_at": now - 3, "next_at": now + 600}
    made = subscription(**(times | changes))
    store.create(rows, made, 0, 0)
    return made
