"""The parameters: what each of them means, which values it takes, and whether it can change while the server runs.

A parameter is one field of a group below, `group.name = value desc "..."` in kamailio.cfg. The metadata of the field holds:

    meaning, unit   for people
    range           a whole number between two others
    choices         one of these words
    uris            SIP URIs parted by commas, as canonical addresses (RFC 3261 section 10.3 step 5); 1: at most one
    pattern         a text of this form, with the words that describe it: (regular expression, words)
    runtime         True: kamcmd can change it while the server runs (runtime_settings)

The groups `pa` and `rls` have the names of SER's modules where they mean the same (SER handbook sections 5.2 and 6.3); SER's other
names are in `ser_parameters`.
"""

import difflib
import re
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from types import MappingProxyType
from typing import Any, Final

from kemi import sip
from kemi.configuration_file import Assignment
from kemi.errors import ConfigurationError, SipError

MOST: Final = 1_000_000
"""Of a number that is not limited otherwise."""

YEAR: Final = 31_536_000
"""Seconds."""

PATH: Final = (r"(/[A-Za-z0-9._~!$&'()*+,;=:@-]+)+", "a path as /xcap-root")
_PORT: Final = r":([1-9]\d{0,3}|[1-5]\d{4}|6[0-4]\d{3}|65[0-4]\d{2}|655[0-2]\d|6553[0-5])"
_ORIGIN: Final = rf"https?://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])({_PORT})?"
SERVER: Final = (rf"({_ORIGIN}({PATH[0]})?/?)?", "an http or https URL, or nothing")
_ROOT: Final = rf"{_ORIGIN}(/[A-Za-z0-9._~!$&'()*+=:@-]+)*/?"
SERVERS: Final = (rf"({_ROOT}( *, *{_ROOT})*)?", "http or https URLs parted by commas, or nothing")
NAME: Final = (r"(?!\.{1,2}$)[A-Za-z0-9._~!$'()*+,=:@-]+", "a file name")
_ONE_NAME: Final = r"(?!\.{1,2} *(?:,|$))[A-Za-z0-9._~!$'()*+=:@-]+"
NAMES: Final = (rf"({_ONE_NAME}( *, *{_ONE_NAME})*)?", "file names parted by commas, or nothing")
NAME_OR_NOTHING: Final = (rf"({NAME[0]})?", "a file name, or nothing")
TEMPLATE: Final = (r"([A-Za-z0-9._~!*'()+-]*\$uid[A-Za-z0-9._~!*'()+-]*)?", "a user name with $uid in it, or nothing")
_HOST: Final = r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*"
DOMAINS: Final = (rf"(\*|{_HOST}( *, *{_HOST})*)?", "domains parted by commas, * for any, or nothing")
NEXT_HOP: Final = (r"(sips?:[^\s<>\",]+)?", "a SIP URI, or nothing")
_ROUTE: Final = r"<sips?:[^\s<>\",]+>"
ROUTE: Final = (rf"({_ROUTE}( *, *{_ROUTE})*)?", "a Route as <sip:192.0.2.1;lr>, or nothing")
_OURS: Final = (
    "via|from|to|call-id|cseq|contact|max-forwards|route|record-route|event|expires|accept|supported|require|content-[a-z]+"
    "|(proxy-)?authorization|suppress-if-match|presence-path|[a-z]"
)
_LINE: Final = rf"(?!(?i:{_OURS})\s*:)[A-Za-z][A-Za-z0-9-]*: ?[^\x00-\x1f\x7f\\]*"
_LINES_END: Final = r"(\\r\\n|\r?\n)"
HEADERS: Final = (
    rf"({_LINE}({_LINES_END}{_LINE})*{_LINES_END}?)?",
    r"header lines parted by \r\n, of names that the server does not write itself, or nothing",
)
FILE: Final = (r"(/[^\x00-\x1f;]+)?", "an absolute path, or nothing")

Value = int | str | tuple[str, ...]


def _number(default: int, least: int, most: int, unit: str, meaning: str, **more: Any) -> int:
    value: int = _parameter(default, meaning, unit, range=(least, most), **more)
    return value


def _choice(default: str, choices: tuple[str, ...], meaning: str, **more: Any) -> str:
    value: str = _parameter(default, meaning, "", choices=choices, **more)
    return value


def _uris(meaning: str) -> tuple[str, ...]:
    value: tuple[str, ...] = _parameter((), meaning, "", uris=MOST)
    return value


def _text(default: str, pattern: tuple[str, str], meaning: str, **more: Any) -> str:
    value: str = _parameter(default, meaning, "", pattern=pattern, **more)
    return value


def _parameter(default: Value, meaning: str, unit: str, **more: Any) -> Any:
    return field(default=default, metadata={"meaning": meaning, "unit": unit, "runtime": True} | more)


@dataclass(frozen=True, slots=True)
class PresenceAgentSettings:
    """`pa`: publications, subscriptions and notifications."""

    default_expires: int = _number(3600, 60, 604800, "seconds", "expiry of a request that asks for none")
    max_subscription_expiration: int = _number(3600, 60, 604800, "seconds", "longest expiry granted to a subscription")
    max_publish_expiration: int = _number(3600, 60, 604800, "seconds", "longest expiry granted to a publication")
    min_expires: int = _number(60, 1, 3599, "seconds", "shortest expiry accepted, 423 below it")
    notify_interval: int = _number(5, 0, 3600, "seconds", "least time between two NOTIFYs of a subscription, 0 = off")
    auth: str = _choice("none", ("none", "implicit", "xcap"), "who may watch: everybody, or whom the presentity lets")
    auth_default: str = _choice(
        "confirm", ("block", "confirm", "polite-block", "allow"), "what rules say that a user does not have (pa.auth = xcap)"
    )
    draft_rules: int = _number(0, 0, 1, "", "1: rules may be written as SER's were too")
    rules_without_transformations: str = _choice(
        "oma", ("nothing", "oma", "all"), "which documents' rules show everything where they say nothing about what is shown"
    )
    winfo_auth: str = _choice("implicit", ("none", "implicit"), "who may watch the watchers: everybody, or only one's own")
    winfo_watchers: tuple[str, ...] = _uris("who may watch everybody's watchers")
    publishers: tuple[str, ...] = _uris("who may publish for everybody")
    watcherinfo_notify: int = _number(1, 0, 1, "", "0: no presence.winfo, 489")
    use_offline_winfo: int = _number(0, 0, 1, "", "1: watchers that come while the presentity is away are told to it later")
    offline_winfo_expiration: int = _number(259200, 60, YEAR, "seconds", "how long such a watcher is remembered")
    offline_winfo_timer: int = _number(3600, 1, 86400, "seconds", "how often those that ran out are removed")
    waiting_expiration: int = _number(259200, 0, YEAR, "seconds", "how long an undecided watcher waits, 0 = for ever")
    presentities: str = _choice("any", ("any", "subscriber"), "which addresses of our domains exist, else 404")
    offline_document: str = _choice("closed", ("closed", "empty", "none"), "what is told when nothing is published")
    dialog_details: str = _choice("virtual", ("virtual", "all"), "which dialogs others see: one without names, or all")
    use_callbacks: int = _number(1, 0, 1, "", "1: registered contacts are part of presence")
    default_priority_percentage: int = _number(0, 0, 100, "percent", "priority of registered contacts")
    ignore_408_on_notify: int = _number(0, 0, 1, "", "1: a NOTIFY that nobody answers does not end its subscription")
    notify_is_refresh: int = _number(1, 0, 1, "", "1: Contact in a 2xx to NOTIFY is the new target")
    subscribe_to_users: int = _number(0, 0, 1, "", "1: the server subscribes to presentities that do not publish", runtime=False)
    pa_subscription_uri: str = _parameter("", "who subscribes then", "", uris=1, runtime=False)
    client_profiles: int = _number(1, 0, 1, "", "1: clients known to need it are treated in a way of their own")
    auth_rules_refresh_time: int = _number(300, 1, 86400, "seconds", "how often rules of the watched are fetched (xcap.xcap_root)")
    max_auth_requests_per_tick: int = _number(50, 1, 10000, "fetches a second", "documents that are fetched (xcap.xcap_root)")
    pres_rules_file: str = _text("index", NAME, "document of a user that has its presence rules (xcap.xcap_root)")
    oma_pres_rules_files: str = _text(
        "index, pres-rules", NAMES, "documents of a user that have its presence rules as OMA's clients write them (xcap.xcap_root)"
    )
    dialog_rules_file: str = _text("index", NAME_OR_NOTHING, "document of a user that has its rules for dialogs (xcap.xcap_root)")
    im_rules_file: str = _text("im-rules.xml", NAME, "document of a user that has its rules for MESSAGE (xcap.xcap_root)")
    im_rules_default: str = _choice(
        "allow", ("block", "confirm", "polite-block", "allow"), "what becomes of MESSAGEs to a user without rules for them"
    )
    max_body: int = _number(65536, 1024, 1048576, "octets", "largest body accepted, 413 above it")
    max_publications: int = _number(64, 0, MOST, "per presentity", "publications at a time, 0 = no limit")
    max_watchers: int = _number(5000, 0, MOST, "per presentity", "subscriptions at a time, 0 = no limit")
    max_subscriptions: int = _number(1000, 0, MOST, "per watcher", "subscriptions at a time, 0 = no limit")
    notify_batch: int = _number(200, 1, 1000, "NOTIFYs", "claimed at a time")

    @property
    def asks_rules(self) -> bool:
        """Whether the rules of presentities decide about their watchers."""
        return self.auth == "xcap"


@dataclass(frozen=True, slots=True)
class ResourceListSettings:
    """`rls`: lists of resources (SER handbook section 6.3)."""

    min_expiration: int = _number(60, 1, 3599, "seconds", "shortest expiry accepted, 423 below it")
    max_expiration: int = _number(7200, 60, 604800, "seconds", "longest expiry granted to a subscription to a list")
    default_expiration: int = _number(3600, 60, 604800, "seconds", "expiry of a SUBSCRIBE that asks for none")
    auth: str = _choice("owner", ("owner", "implicit", "none"), "who may watch a list: its owner, or everybody")
    simple_list: str = _text("", TEMPLATE, "user part of a list that every user has without a service, as $uid-list")
    resource_lists_file: str = _text("index", NAME, "document of a user that has its lists (xcap.xcap_root)")
    timer_interval: int = _number(5, 0, 3600, "seconds", "least time between two NOTIFYs of a subscription to a list")
    max_notifications_at_once: int = _number(MOST, 1, MOST, "NOTIFYs", "of lists that are made together")
    max_list_nesting_level: int = _number(5, 0, 20, "lists", "how deep lists may stand in lists")
    max_members: int = _number(1000, 1, MOST, "per list", "entries, those of lists in it too, 403 above it")
    max_body: int = _number(60000, 0, MOST, "octets", "largest body of a NOTIFY, the rest follows in the next; 0 = no limit")


@dataclass(frozen=True, slots=True)
class DatabaseSettings:
    """`db`: durability and patience; a connection is made with them."""

    synchronous: str = _choice("normal", ("normal", "full"), "what survives: a crash, or a power cut too", runtime=False)
    busy_timeout: int = _number(5, 1, 60, "seconds", "longest wait for a lock", runtime=False)


@dataclass(frozen=True, slots=True)
class AuthSettings:
    """`auth`: digest authentication."""

    algorithm: str = _choice("MD5", ("MD5", "SHA-256"), "hash of the digest", runtime=False)
    max_rate: int = _number(100, 0, MOST, "requests a second", "of one source that is not trusted, 503 above it, 0 = no limit")
    check_from: int = _number(1, 0, 1, "", "1: From must be the authenticated user's address, else 403")


@dataclass(frozen=True, slots=True)
class XcapSettings:
    """`xcap`: the XCAP server, and the client of another one."""

    root: str = _text("/xcap-root", PATH, "where documents are, below http://KP_IP:KP_HTTP_PORT")
    max_document: int = _number(262144, 1024, 1048576, "octets", "largest document accepted, 413 above it")
    max_documents: int = _number(100, 0, MOST, "per user", "documents at a time, 0 = no limit")
    user_names: int = _number(1, 0, 1, "", "1: a user name alone stands for the user of the first domain")
    rls_readers: tuple[str, ...] = _uris("who may read rls-services/global/index")
    global_writers: tuple[str, ...] = _uris("who may write documents for everybody")
    xcap_root: str = _text("", SERVER, "another server, where documents are fetched", runtime=False)
    other_roots: str = _text("", SERVERS, "further roots, which a script may choose by set_xcap_root", runtime=False)
    fetch_folder: str = _choice("uri", ("uri", "user"), "a user's folder there: its URI, or its name alone", runtime=False)
    fetch_timeout: int = _number(5, 1, 60, "seconds", "longest wait for a document")
    fetch_freshness: int = _number(300, 1, 86400, "seconds", "a document that is needed and older is fetched again")
    fetch_stale: int = _number(86400, 60, YEAR, "seconds", "how long a document is used when it cannot be fetched")
    fetch_max_size: int = _number(262144, 1024, 1048576, "octets", "largest document taken")
    fetch_credentials: str = _text("", FILE, "a file with user:password for that server", runtime=False)
    fetch_ca: str = _text("", FILE, "a file with the certificates to trust instead of the system's", runtime=False)

    @property
    def roots(self) -> tuple[str, ...]:
        """All roots that may be asked, without the last slash, the usual one first; nothing where ours are asked."""
        given = (self.xcap_root, *self.other_roots.split(",")) if self.xcap_root else ()
        return tuple(dict.fromkeys(each.strip().rstrip("/") for each in given if each.strip()))


@dataclass(frozen=True, slots=True)
class B2buaSettings:
    """`b2b`: subscriptions that the server itself has with others (SER handbook section 7.2)."""

    handle_presence_subscriptions: int = _number(1, 0, 1, "", "0: nobody elsewhere is subscribed to")
    domains: str = _text("", DOMAINS, "domains of others whose users may be watched from here")
    default_expiration: int = _number(3600, 60, 604800, "seconds", "expiry that is asked for")
    resubscribe_delta: int = _number(30, 1, 3600, "seconds", "a refresh is sent so long before the expiry, or up to twice that")
    min_resubscribe_time: int = _number(30, 1, 3600, "seconds", "least time between two refreshes")
    on_error_retry_time: int = _number(120, 1, 86400, "seconds", "wait after a failure, twice as long after each further one")
    max_error_retry_time: int = _number(3600, 1, 604800, "seconds", "that wait grows no further")
    wait_for_term_notify: int = _number(30, 1, 3600, "seconds", "patience with the last NOTIFY after an unsubscribe")
    max_subscribe_delay: int = _number(0, 0, 3600, "seconds", "a first SUBSCRIBE is put off at random up to this, 0 = at once")
    fetch_wait: int = _number(5, 0, 25, "seconds", "a fetch waits so long for what is not known yet, 0 = it is told at once")
    presence_route: str = _text("", ROUTE, "Route of a first SUBSCRIBE")
    presence_outbound_proxy: str = _text("", NEXT_HOP, "next hop of a first SUBSCRIBE")
    additional_presence_headers: str = _text("", HEADERS, "header lines in every SUBSCRIBE")
    credentials: str = _text("", FILE, "a file with a line `realm user password` for each remote side that asks", runtime=False)
    max_subscribes: int = _number(50, 1, 10000, "a second", "SUBSCRIBEs sent by a process, those that are due later wait")
    max_in_flight: int = _number(50, 1, MOST, "per domain", "SUBSCRIBEs that wait for their answers")
    max_per_watcher: int = _number(1000, 0, MOST, "per watcher", "outgoing subscriptions, 503 above it, 0 = no limit")
    max_per_domain: int = _number(10000, 0, MOST, "per domain", "outgoing subscriptions, 503 above it, 0 = no limit")

    @property
    def reachable(self) -> tuple[str, ...]:
        """The domains, in lower case; `*` alone for any, nothing where nobody elsewhere is subscribed to."""
        names = (each.strip().lower() for each in self.domains.split(","))
        return tuple(filter(None, names)) if self.handle_presence_subscriptions else ()


GROUPS: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "pa": PresenceAgentSettings,
        "db": DatabaseSettings,
        "auth": AuthSettings,
        "xcap": XcapSettings,
        "rls": ResourceListSettings,
        "b2b": B2buaSettings,
    }
)


def known() -> dict[str, Field[Any]]:
    """Every parameter by `group.name`."""
    return {f"{group}.{parameter.name}": parameter for group, kind in GROUPS.items() for parameter in fields(kind)}


def allowed(parameter: Field[Any]) -> str:
    """What its value may be, for people."""
    rule = parameter.metadata
    if "choices" in rule:
        return ", ".join(rule["choices"])
    if "uris" in rule:
        return "a SIP URI, or nothing" if rule["uris"] == 1 else "SIP URIs parted by commas, or nothing"
    return str(rule["pattern"][1]) if "pattern" in rule else "{} to {}".format(*rule["range"])


def values(assigned: Mapping[str, Assignment]) -> dict[str, dict[str, Value]]:
    """Check values and put them into the form that the groups hold.

    Args:
        assigned: what is set, by `group.name`.

    Returns:
        Values by field name, for each group.

    Raises:
        ConfigurationError: there is no such parameter, or a value cannot be used.
    """
    parameters = known()
    found: dict[str, dict[str, Value]] = {group: {} for group in GROUPS}
    for name, (value, place) in assigned.items():
        if name not in parameters:
            raise _unknown(name, place, parameters)
        found[name.partition(".")[0]][parameters[name].name] = _value(f"{place}: {name}", value, parameters[name])
    return found


def _unknown(name: str, place: str, parameters: Mapping[str, Field[Any]]) -> ConfigurationError:
    same = [known for known in parameters if known.partition(".")[2] == name.rpartition(".")[2].lower()]
    near = same or difflib.get_close_matches(name, parameters, n=3, cutoff=0.7)
    nearest = near or difflib.get_close_matches(name, parameters, n=1)
    advice = f"did you mean {' or '.join(nearest)}? " if nearest else ""
    return ConfigurationError(f"{place}: there is no parameter {name!r}; {advice}presencectl parameters lists all")


def _value(name: str, value: int | str, parameter: Field[Any]) -> Value:
    rule = parameter.metadata
    if "choices" in rule:
        return _one_of(name, value, rule["choices"])
    if "range" in rule:
        least, most = rule["range"]
        return whole_number(name, value, least, most, rule["unit"])
    if "pattern" in rule:
        return _text_of_form(name, value, *rule["pattern"])
    found = _addresses(name, value, rule["uris"])
    return found if isinstance(parameter.default, tuple) else "".join(found)


def _one_of(name: str, value: int | str, choices: tuple[str, ...]) -> str:
    for choice in choices:
        if str(value).lower() == choice.lower():
            return choice
    raise ConfigurationError(f"{name} = {value!r}: not a choice; {' or '.join(choices)} is allowed")


def whole_number(name: str, value: int | str, least: int, most: int, unit: str) -> int:
    """A whole number between two others.

    Raises:
        ConfigurationError: it is none, or none of those.
    """
    numbers = f"{least} to {most} {unit}".rstrip() if least < most else f"{least}"
    if not re.fullmatch(r"-?[0-9]{1,18}", str(value)):
        raise ConfigurationError(f"{name} = {value!r}: not a whole number; {numbers} is allowed")
    if not least <= int(value) <= most:
        raise ConfigurationError(f"{name} = {value!r}: out of range; {numbers} is allowed")
    return int(value)


def _text_of_form(name: str, value: int | str, pattern: str, words: str) -> str:
    if not re.fullmatch(pattern, str(value)):
        shown = re.sub("//[^/]*@", "//...@", str(value))
        raise ConfigurationError(f"{name} = {shown!r}: not of this form; {words} is allowed")
    return str(value)


def _addresses(name: str, value: int | str, most: int) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(_address(name, part.strip()) for part in str(value).split(",") if part.strip()))
    if len(found) > most:
        raise ConfigurationError(f"{name} = {value!r}: more than {most} SIP URI; e.g. sip:alice@example.org is allowed")
    return found


def _address(name: str, text: str) -> str:
    try:
        return sip.address_of_record(sip.parse_uri(text))
    except SipError as problem:
        raise ConfigurationError(f"{name}: {text!r}: {problem}; e.g. sip:alice@example.org is allowed") from None
