"""Client profiles: what single programs need besides what the RFCs ask for, by their User-Agent (RFC 3261 section 20.41).

One table, `PROFILES`: the first pattern that fits the beginning of User-Agent decides; who fits none is `STANDARD`. A quirk that
changes what a document says has to be in the aspect of its package (`event_package.View`), so that only clients with the same
quirk share it. `pa.client_profiles` = 0: everybody is standard. For operators: docs/clients.md.

profile         quirk            looked at by                     because
--------------  ---------------  -------------------------------  -------------------------------------------------------------
linphone        capital_event    asked, dialog                    it names the package Presence, before its SDK 5.4
                capital_list     asked                            it drops a list's NOTIFY that does not name the package so
                simple_multipart rls.package                      it finds parts by Content-Id without <>, and ends itself when a
                                                                  part has parts
jitsi           tuple_contact    presence.package                 it ignores a tuple without contact
pjsip           tuple_basic      presence.package                 old ones crash on a tuple without basic
                most_octets      notify                           PJSIP_MAX_PKT_LEN: longer messages are dropped
eyebeam, bria   least_gap        subscribe, refresh, notify       they cannot take NOTIFYs in quick succession
bria, aastra    dummy_dialog     the package dialog               a lamp without a dialog element stays as it was
cisco-spa       slow_to_answer   notify                           while it is busy it answers no NOTIFY
linksys-spa962  single_dialog    the package dialog               it crashes on several dialogs in one document
"""

import re
from dataclasses import dataclass
from functools import lru_cache

KEPT = 1024
"""User-Agents whose profile is kept; a deployment has few, an attacker any number."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What a kind of client needs.

    Args:
        name: as docs/clients.md has it.
        capital_event: a package named with a capital first letter in Event is that package; NOTIFYs repeat what came.
        capital_list: NOTIFYs of lists name the package with a capital first letter, whatever came.
        simple_multipart: parts of a list's NOTIFY are named by Content-Id without angle brackets, and none has parts of its own.
        tuple_contact: every tuple has a contact, the presentity's address where none was published.
        tuple_basic: every tuple has a basic, closed where none was published.
        least_gap: seconds between two NOTIFYs about changes, at least; 0: as all others.
        most_octets: the longest message that it takes; 0: any.
        slow_to_answer: silence after a NOTIFY does not end the subscription.
        dummy_dialog: without a dialog there is an element for one that is over.
        single_dialog: only one dialog in a document.
    """

    name: str
    capital_event: bool = False
    capital_list: bool = False
    simple_multipart: bool = False
    tuple_contact: bool = False
    tuple_basic: bool = False
    least_gap: float = 0.0
    most_octets: int = 0
    slow_to_answer: bool = False
    dummy_dialog: bool = False
    single_dialog: bool = False

    def package_named(self, written: str) -> str:
        """The package that Event names."""
        return written.lower() if self.capital_event and written == written.capitalize() else written


STANDARD = Profile("standard")
LINPHONE = Profile("linphone", capital_event=True, capital_list=True, simple_multipart=True)
JITSI = Profile("jitsi", tuple_contact=True)
PJSIP = Profile("pjsip", tuple_basic=True, most_octets=4000)
EYEBEAM = Profile("eyebeam", least_gap=2.0)
BRIA = Profile("bria", least_gap=2.0, dummy_dialog=True)
AASTRA = Profile("aastra", dummy_dialog=True)
CISCO_SPA = Profile("cisco-spa", slow_to_answer=True)
LINKSYS_SPA962 = Profile("linksys-spa962", single_dialog=True)

PROFILES: tuple[tuple[str, Profile], ...] = (
    (r".*\bLinphoneSDK/([0-4]|5\.[0-3])\b", LINPHONE),  # an application has its own version, the SDK's stands behind it
    (r".*\bLinphoneSDK/", STANDARD),
    (r"Linphone[^/]*/([0-4]|5\.[0-3])\b", LINPHONE),
    (r"Jitsi ?\d", JITSI),
    (r"PJSUA\b", PJSIP),
    (r"CSipSimple", PJSIP),
    (r"eyeBeam\b", EYEBEAM),
    (r"Bria\b", BRIA),
    (r"Aastra", AASTRA),
    (r"Cisco/SPA", CISCO_SPA),
    (r"Linksys/SPA962\b", LINKSYS_SPA962),
)
"""Patterns, capitals or not, and who fits them; the first one that fits decides."""

_TABLE = tuple((re.compile(pattern, re.IGNORECASE), profile) for pattern, profile in PROFILES)


@lru_cache(maxsize=KEPT)
def profile_of(user_agent: str, in_use: int = 1) -> Profile:
    """The profile of a client.

    Args:
        user_agent: value of its User-Agent header field, "" where it has none.
        in_use: `pa.client_profiles`; 0: everybody is standard.
    """
    fitting = (profile for pattern, profile in _TABLE if pattern.match(user_agent))
    return next(fitting, STANDARD) if in_use else STANDARD
