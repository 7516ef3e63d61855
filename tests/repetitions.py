"""How often a test repeats what can be repeated any number of times: a little in every run, a lot with SLOW=1."""

import os
import secrets

from hypothesis import HealthCheck, settings

SLOW = os.environ.get("SLOW") == "1"

settings.register_profile("usual", max_examples=50, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("slow", max_examples=1000, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def load_profile() -> None:
    """Examples of hypothesis: the same ones in every usual run, always others with SLOW=1. None is against the clock."""
    settings.load_profile("slow" if SLOW else "usual")


def repeated(usually: int, slowly: int) -> int:
    """The number of this run."""
    return slowly if SLOW else usually


def seed_of_this_run() -> int:
    """What begins everything random: always the same, another one with SLOW=1; SEED=n repeats a run."""
    return int(os.environ.get("SEED") or (secrets.randbelow(10**6) if SLOW else 1))
