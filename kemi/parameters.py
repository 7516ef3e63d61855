"""The parameters: what each of them means, which values it takes, and whether it can change while the server runs.

A parameter is one field of a group below, `group.name = value desc "..."` in kamailio.cfg. The metadata of the field holds:

    meaning, unit   for people
    range           a whole number between two others
    choices         one of these words
    uris            SIP URIs parted by commas, as canonical addresses (RFC 3261 section 10.3 step 5); 1: at most one
    pattern         a text of this form, with the words that describe it: (regular expression, words)
    not_yet         values that will be allowed one day, and why they are not today
    runtime         True: kamcmd can change it while the server runs (runtime_settings)

The group `pa` has the names of SER's module `pa` where they mean the same (SER handbook section 5.2); SER's other names are in
`ser_parameters`.
"""

import difflib
import re
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from types import MappingProxyType
from typing import Any, Final

from kemi import sip
from kemi.errors import ConfigurationError, SipError

NO_LIMIT: Final = 1_000_000
YEAR: Final = 31_536_000
B2BUA: Final = "needs the presence B2BUA, which is not there yet"

PATH: Final = (r"(/[A-Za-z0-9._~!$&'()*+,;=:@-]+)+", "a path as /xcap-root")
_PORT: Final = r":([1-9]\d{0,3}|[1-5]\d{4}|6[0-4]\d{3}|65[0-4]\d{2}|655[0-2]\d|6553[0-5])"
SERVER: Final = (rf"(https?://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])({_PORT})?({PATH[0]})?/?)?", "an http or https URL, or nothing")
NAME: Final = (r"(?!\.{1,2}$)[A-Za-z0-9._~!$'()*+,=:@-]+", "a file name")
FILE: Final = (r"(/[^\x00-\x1f;]+)?", "an absolute path, or nothing")

Value = int | str | tuple[str, ...]


def _number(default: int, least: int, most: int, unit: str, meaning: str, **more: Any) -> int:
    value: int = _parameter(default, meaning, unit, range=(least, most), **more)
    return value


def _choice(default: str, choices: tuple[str, ...], meaning: str, **more: Any) -> str:
    value: str = _parameter(default, meaning, "", choices=choices, **more)
    return value


def _uris(meaning: str) -> tuple[str, ...]:
    value: tuple[str, ...] = _parameter((), meaning, "", uris=NO_LIMIT)
    return value


def _text(default: str, pattern: tuple[str, str], meaning: str, **more: Any) -> str:
    value: str = _parameter(default, meaning, "", pattern=pattern, **more)
    return value


def _parameter(default: Value, meaning: str, unit: str, **more: Any) -> Any:
    return field(default=default, metadata={"meaning": meaning, "unit": unit, "not_yet": {}, "runtime": True} | more)


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
    subscribe_to_users: int = _number(0, 0, 0, "", "1: the server subscribes to presentities", not_yet={"1": B2BUA}, runtime=False)
    pa_subscription_uri: str = _parameter("", "who subscribes then", "", uris=1, runtime=False)
    client_profiles: int = _number(1, 0, 1, "", "1: clients known to need it are treated in a way of their own")
    auth_rules_refresh_time: int = _number(300, 1, 86400, "seconds", "how often rules of the watched are fetched (xcap.xcap_root)")
    max_auth_requests_per_tick: int = _number(50, 1, 10000, "fetches a second", "documents that are fetched (xcap.xcap_root)")
    pres_rules_file: str = _text("index", NAME, "document of a user that has its presence rules (xcap.xcap_root)")
    max_body: int = _number(65536, 1024, 1048576, "octets", "largest body accepted, 413 above it")
    max_publications: int = _number(64, 0, NO_LIMIT, "per presentity", "publications at a time, 0 = no limit")
    max_watchers: int = _number(5000, 0, NO_LIMIT, "per presentity", "subscriptions at a time, 0 = no limit")
    max_subscriptions: int = _number(1000, 0, NO_LIMIT, "per watcher", "subscriptions at a time, 0 = no limit")
    notify_batch: int = _number(200, 1, 1000, "NOTIFYs", "claimed at a time")


@dataclass(frozen=True, slots=True)
class DatabaseSettings:
    """`db`: durability and patience; a connection is made with them."""

    synchronous: str = _choice("normal", ("normal", "full"), "what survives: a crash, or a power cut too", runtime=False)
    busy_timeout: int = _number(5, 1, 60, "seconds", "longest wait for a lock", runtime=False)


@dataclass(frozen=True, slots=True)
class AuthSettings:
    """`auth`: digest authentication."""

    algorithm: str = _choice("MD5", ("MD5", "SHA-256"), "hash of the digest", runtime=False)
    max_rate: int = _number(100, 0, NO_LIMIT, "requests a second", "of one source that is not trusted, 503 above it, 0 = no limit")
    check_from: int = _number(1, 0, 1, "", "1: From must be the authenticated user's address, else 403")


@dataclass(frozen=True, slots=True)
class XcapSettings:
    """`xcap`: the XCAP server, and the client of another one."""

    root: str = _text("/xcap-root", PATH, "where documents are, below http://KP_IP:KP_HTTP_PORT")
    max_document: int = _number(262144, 1024, 1048576, "octets", "largest document accepted, 413 above it")
    max_documents: int = _number(100, 0, NO_LIMIT, "per user", "documents at a time, 0 = no limit")
    user_names: int = _number(1, 0, 1, "", "1: a user name alone stands for the user of the first domain")
    rls_readers: tuple[str, ...] = _uris("who may read rls-services/global/index")
    global_writers: tuple[str, ...] = _uris("who may write documents for everybody")
    xcap_root: str = _text("", SERVER, "another server, where documents are fetched", runtime=False)
    fetch_folder: str = _choice("uri", ("uri", "user"), "a user's folder there: its URI, or its name alone", runtime=False)
    fetch_timeout: int = _number(5, 1, 60, "seconds", "longest wait for a document")
    fetch_freshness: int = _number(300, 1, 86400, "seconds", "a document that is needed and older is fetched again")
    fetch_stale: int = _number(86400, 60, YEAR, "seconds", "how long a document is used when it cannot be fetched")
    fetch_max_size: int = _number(262144, 1024, 1048576, "octets", "largest document taken")
    fetch_credentials: str = _text("", FILE, "a file with user:password for that server", runtime=False)
    fetch_ca: str = _text("", FILE, "a file with the certificates to trust instead of the system's", runtime=False)


GROUPS: Final[Mapping[str, Any]] = MappingProxyType(
    {"pa": PresenceAgentSettings, "db": DatabaseSettings, "auth": AuthSettings, "xcap": XcapSettings}
)


def known() -> dict[str, Field[Any]]:
    """Every parameter by `group.name`."""
    return {f"{group}.{parameter.name}": parameter for group, kind in GROUPS.items() for parameter in fields(kind)}


def values(given: Mapping[str, tuple[int | str, str]]) -> dict[str, dict[str, Value]]:
    """Check values and put them into the form that the groups hold.

    Args:
        given: value and place, for messages, by `group.name`.

    Returns:
        Values by field name, for each group.

    Raises:
        ConfigurationError: there is no such parameter, or a value cannot be used.
    """
    parameters = known()
    found: dict[str, dict[str, Value]] = {group: {} for group in GROUPS}
    for name, (value, place) in given.items():
        if name not in parameters:
            raise _unknown(name, place, parameters)
        found[name.partition(".")[0]][parameters[name].name] = _value(f"{place}: {name}", value, parameters[name])
    return found


def _unknown(name: str, place: str, parameters: Mapping[str, Field[Any]]) -> ConfigurationError:
    nearest = difflib.get_close_matches(name, parameters, n=1)
    advice = f"did you mean {nearest[0]}?" if nearest else f"known are: {', '.join(parameters)}"
    return ConfigurationError(f"{place}: there is no parameter {name!r}; {advice}")


def _value(name: str, value: int | str, parameter: Field[Any]) -> Value:
    rule = parameter.metadata
    not_yet = rule["not_yet"].get(str(value).lower(), "")
    if "choices" in rule:
        return _one_of(name, value, rule["choices"], not_yet)
    if "range" in rule:
        least, most = rule["range"]
        return whole_number(name, value, least, most, rule["unit"], not_yet)
    if "pattern" in rule:
        return _text_of_form(name, value, *rule["pattern"])
    found = _addresses(name, value, rule["uris"])
    return found if isinstance(parameter.default, tuple) else "".join(found)


def _one_of(name: str, value: int | str, choices: tuple[str, ...], not_yet: str) -> str:
    for choice in choices:
        if str(value).lower() == choice.lower():
            return choice
    raise ConfigurationError(f"{name} = {value!r}: {not_yet or 'not a choice'}; {' or '.join(choices)} is allowed")


def whole_number(name: str, value: int | str, least: int, most: int, unit: str, not_yet: str = "") -> int:
    """A whole number between two others.

    Raises:
        ConfigurationError: it is none, or none of those.
    """
    numbers = f"{least} to {most} {unit}".rstrip() if least < most else f"{least}"
    if not re.fullmatch(r"-?[0-9]{1,18}", str(value)):
        raise ConfigurationError(f"{name} = {value!r}: not a whole number; {numbers} is allowed")
    if not least <= int(value) <= most:
        raise ConfigurationError(f"{name} = {value!r}: {not_yet or 'out of range'}; {numbers} is allowed")
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
