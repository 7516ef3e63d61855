"""The event packages that are served: `presence`, and one for each file in this folder.

A file here that has a value `PACKAGE` is a package: that is all there is to adding one (RFC 6665 section 5.4).
"""

import pkgutil
from functools import cache
from importlib import import_module

from kemi.b2bua.foreign import with_foreign, with_foreign_lists
from kemi.event_package import EventPackage
from kemi.presence.package import PRESENCE
from kemi.rls.package import with_lists
from kemi.settings import Settings
from kemi.watcher_information import with_templates

DEPTH = 2
"""presence.winfo and presence.winfo.winfo; deeper ones are refused (RFC 3857 section 4.6)."""


@cache
def _all() -> tuple[EventPackage, ...]:
    found = (import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(__path__))
    return (PRESENCE, *(module.PACKAGE for module in found if hasattr(module, "PACKAGE")))


def _served(settings: Settings) -> list[EventPackage]:
    return [each for each in _all() if each.is_served(settings)]


def served(settings: Settings) -> dict[str, EventPackage]:
    """Packages by name, with watcher information of each unless `pa.watcherinfo_notify` is 0, and with lists of all of them."""
    packages = with_templates(_served(settings), DEPTH if settings.pa.watcherinfo_notify else 0)
    return with_foreign_lists(with_lists(with_foreign(packages, settings)), settings)
