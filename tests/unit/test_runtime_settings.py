"""What kamcmd sets while the server runs: taken over or refused by the process of the tick, and seen by all others."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kemi import parameters, settings
from kemi.runtime_settings import Watch, restored
from kemi.settings import Settings
from tests.ksr import KSR
from tests.unit.kamailio import Server

PROJECT = Path(__file__).resolve().parents[2]


class Kamailio:
    """What Kamailio has for each parameter, and the watch that looks at it."""

    def __init__(self, found: Settings) -> None:
        self.start = found
        self.values = {name: str(value) for name, value in found.written.items()}
        self.watch = Watch(found)

    def set(self, **changes: str) -> tuple[list[str], list[str]]:
        """kamcmd sets parameters of the group pa, then the watch looks."""
        self.values |= {f"pa.{name}": value for name, value in changes.items()}
        return self.look()

    def look(self) -> tuple[list[str], list[str]]:
        lines = self.watch.look(self.values.__getitem__)
        assert restored(self.start, self.watch.text()) == self.watch.settings
        return lines


@pytest.fixture
def kamailio() -> Kamailio:
    return Kamailio(settings.load({}, PROJECT / "kamailio.cfg"))


def start(**environment: str) -> Kamailio:
    return Kamailio(settings.load(environment, PROJECT / "kamailio.cfg"))


def test_where_nothing_was_set_the_settings_of_the_start_count(kamailio: Kamailio) -> None:
    assert kamailio.look() == ([], [])
    assert kamailio.watch.settings is kamailio.start


def test_what_is_set_is_taken_over_and_told_once(kamailio: Kamailio) -> None:
    assert kamailio.set(notify_interval="0", auth="Implicit", publishers="sip:VM@Example.org, sip:b@x") == (
        [
            "parameter changed: pa.auth='implicit' was='none'",
            "parameter changed: pa.notify_interval=0 was=5",
            "parameter changed: pa.publishers='sip:VM@example.org,sip:b@x' was=''",
        ],
        [],
    )
    assert kamailio.look() == ([], [])
    assert kamailio.watch.settings.pa == replace(
        kamailio.start.pa, notify_interval=0, auth="implicit", publishers=("sip:VM@example.org", "sip:b@x")
    )


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        (
            "notify_interval",
            "-1",
            "kamcmd: pa.notify_interval = '-1': out of range; 0 to 3600 seconds is allowed; pa.notify_interval = 5 stays",
        ),
        ("auth", "3", "kamcmd: pa.auth = '3': not a choice; none or implicit or xcap is allowed; pa.auth = 'none' stays"),
        (
            "publishers",
            "sip:a@b,c",
            "kamcmd: pa.publishers: 'c': a URI cannot be read; e.g. sip:alice@example.org is allowed; pa.publishers = '' stays",
        ),
        (
            "default_expires",
            "3601",
            (
                "kamcmd: pa.default_expires = 3601: must not be above pa.max_subscription_expiration = 3600; "
                "pa.default_expires = 3600 stays"
            ),
        ),
    ],
)
def test_what_cannot_be_used_is_told_once_and_the_old_value_stays(
    kamailio: Kamailio, name: str, value: str, complaint: str
) -> None:
    assert kamailio.set(**{name: value}) == ([], [complaint])
    assert kamailio.look() == ([], [])
    assert kamailio.watch.settings == kamailio.start


def test_the_old_value_is_the_one_that_kamcmd_set_before(kamailio: Kamailio) -> None:
    kamailio.set(notify_interval="7")
    assert kamailio.set(notify_interval="-7")[1][0].endswith("; pa.notify_interval = 7 stays")
    assert kamailio.watch.settings.pa.notify_interval == 7


def test_several_at_once_are_judged_together_in_any_order(kamailio: Kamailio) -> None:
    """default_expires stands before both maxima in the file; alone it would contradict them."""
    taken, refused = kamailio.set(default_expires="7200", max_subscription_expiration="7200", max_publish_expiration="7200")
    assert (len(taken), refused) == (3, [])
    taken, refused = kamailio.set(default_expires="70", max_subscription_expiration="80", max_publish_expiration="90")
    assert (len(taken), refused) == (3, [])


def test_one_that_is_wrong_does_not_keep_back_the_others(kamailio: Kamailio) -> None:
    taken, refused = kamailio.set(notify_interval="x", auth="implicit", default_expires="9000")
    assert (taken, len(refused)) == (["parameter changed: pa.auth='implicit' was='none'"], 2)


def test_what_contradicted_another_one_is_taken_over_when_that_is_set(kamailio: Kamailio) -> None:
    assert len(kamailio.set(default_expires="7200")[1]) == 1
    assert kamailio.set(max_subscription_expiration="7200") == (
        ["parameter changed: pa.max_subscription_expiration=7200 was=3600"],
        [],
    )
    assert kamailio.set(max_publish_expiration="7200") == (
        ["parameter changed: pa.default_expires=7200 was=3600", "parameter changed: pa.max_publish_expiration=7200 was=3600"],
        [],
    )


def test_what_was_refused_and_set_back_is_forgotten(kamailio: Kamailio) -> None:
    kamailio.set(default_expires="7200")
    kamailio.set(default_expires="3600")
    kamailio.set(max_subscription_expiration="7200", max_publish_expiration="7200")
    assert kamailio.watch.settings.pa.default_expires == 3600


@pytest.mark.parametrize(("name", "value"), [("auth.algorithm", "SHA-256"), ("db.synchronous", "full"), ("db.busy_timeout", "7")])
def test_what_is_read_at_the_start_only_stays(kamailio: Kamailio, name: str, value: str) -> None:
    before = kamailio.values[name]
    kamailio.values[name] = value
    taken, (line,) = kamailio.look()
    assert taken == []
    assert line.startswith(f"kamcmd: {name} = '{value}': it changes with the next start only; ")
    assert kamailio.watch.settings == kamailio.start
    kamailio.values[name] = before
    assert kamailio.look()[1] == []


def test_kp_set_stays_until_another_value_than_that_of_the_file_is_set() -> None:
    kamailio = start(KP_SET="pa.notify_interval=0;pa.auth=implicit")
    assert kamailio.look() == ([], [])
    assert kamailio.set(min_expires="30") == (["parameter changed: pa.min_expires=30 was=60"], [])
    assert (kamailio.watch.settings.pa.notify_interval, kamailio.watch.settings.pa.auth) == (0, "implicit")
    kamailio.set(notify_interval="9")
    assert kamailio.set(notify_interval="5") == (["parameter changed: pa.notify_interval=5 was=9"], [])
    assert kamailio.watch.settings.pa.auth == "implicit"


def test_a_parameter_without_a_line_in_the_file_is_not_asked_for(tmp_path: Path) -> None:
    """Kamailio does not know it, and complains about the question."""
    (tmp_path / "kamailio.cfg").write_text("pa.notify_interval = 7\nother.thing = 1\npa.use_db = 1\n")
    found = settings.load({"KP_SET": "pa.auth=implicit"}, tmp_path / "kamailio.cfg")
    asked: list[str] = []
    Watch(found).look(lambda name: asked.append(name) or "7")
    assert asked == ["pa.notify_interval"]


@given(st.lists(st.tuples(st.sampled_from(sorted(parameters.known())), st.text(max_size=8) | st.integers(-1, 9999).map(str))))
def test_whatever_is_set_the_settings_make_sense_and_lines_are_lines(changes: list[tuple[str, str]]) -> None:
    kamailio = start()
    for name, value in changes:
        kamailio.values[name] = value
        taken, refused = kamailio.look()
        assert all(len(line.splitlines()) == 1 for line in taken + refused)
    pa = kamailio.watch.settings.pa
    assert pa.min_expires <= pa.default_expires <= min(pa.max_subscription_expiration, pa.max_publish_expiration)
    assert (kamailio.watch.settings.db, kamailio.watch.settings.auth.algorithm) == (kamailio.start.db, "MD5")


# In Kamailio


@pytest.fixture
def set_by_kamcmd(server: Server, ksr: KSR) -> Callable[..., None]:
    """Sets parameters of the group pa in the double of Kamailio, then a second is over."""
    written = settings.load({}, PROJECT / "kamailio.cfg").written
    server.set(written=written)
    ksr.parameters = {name: str(value) for name, value in written.items()}

    def change(**changes: str) -> None:
        ksr.parameters |= {f"pa.{name}": value for name, value in changes.items()}
        assert server.handler.ksr_timer_tick(None) == 1

    return change


def test_every_process_takes_over_what_the_tick_has_found(server: Server, ksr: KSR, set_by_kamcmd: Callable[..., None]) -> None:
    worker = server.module.Handler(server.settings, server.handler.secret)
    set_by_kamcmd(min_expires="120", notify_batch="0")
    assert server.lines("info") == ["parameter changed: pa.min_expires=120 was=60"]
    assert server.lines("warn") == [
        "kamcmd: pa.notify_batch = '0': out of range; 1 to 1000 NOTIFYs is allowed; pa.notify_batch = 200 stays",
    ]
    server.handler, ticking = worker, server.handler
    server.request("OPTIONS")
    assert worker.settings == ticking.settings == replace(server.settings, pa=replace(server.settings.pa, min_expires=120))
    notifier = server.module.Handler(server.settings, ticking.secret)
    assert notifier.ksr_notify(None) == 1
    assert notifier.settings == worker.settings


def test_a_request_asks_kamailio_once(server: Server, ksr: KSR, set_by_kamcmd: Callable[..., None]) -> None:
    set_by_kamcmd(auth="implicit")
    ksr.calls.clear()
    server.request("OPTIONS")
    asked = [name for (name,) in ksr.called("pv.get")]
    assert asked.count("$shv(changed)") == 1
    assert not [name for name in asked if "cfg_get" in name]


def test_settings_are_made_anew_only_when_something_has_changed(server: Server, set_by_kamcmd: Callable[..., None]) -> None:
    set_by_kamcmd(auth="implicit")
    before = server.handler.settings
    set_by_kamcmd()
    server.request("OPTIONS")
    assert server.handler.settings is before
