"""Many devices of one user publish at the same time, through all workers: nothing is lost and nothing is doubled."""

import re
import selectors
from collections.abc import Iterator

import pytest

from tests.server import Server
from tests.useragent import Message, UserAgent, pidf
from tests.wire.observe import rows, wait_until

DEVICES = 8
REQUESTS = 50
NOTE = re.compile(rb"<note>([^<]*)</note>")


class Device:
    """Publishes, and then modifies its publication with the tag it was given last."""

    def __init__(self, agent: UserAgent, number: int) -> None:
        self.agent = agent
        self.number = number
        self.tags: list[str] = []

    @property
    def note(self) -> str:
        return f"device{self.number}-{len(self.tags)}"

    def send(self) -> None:
        self.agent.send_raw(self._build())

    def _build(self) -> bytes:
        body = pidf("open", self.agent.user, f"d{self.number}", f"device{self.number}-{len(self.tags) + 1}")
        lines = ["Event: presence", "Expires: 600", "Content-Type: application/pidf+xml"]
        if self.tags:
            lines.append(f"SIP-If-Match: {self.tags[-1]}")
        return self.agent.build("PUBLISH", self.agent.aor, *lines, body=body)

    def take(self, answer: Message) -> None:
        assert answer.status == 200, answer.raw
        self.tags.append(answer.get("SIP-ETag"))


@pytest.fixture(params=["udp", "tcp"])
def devices(server: Server, request: pytest.FixtureRequest) -> Iterator[list[Device]]:
    transport = str(request.param)
    agents = [UserAgent(server.address, f"many-{transport}", transport=transport) for _ in range(DEVICES)]
    yield [Device(agent, number) for number, agent in enumerate(agents)]
    for agent in agents:
        agent.close()


def _play(devices: list[Device]) -> None:
    """Every device sends its next request as soon as the last one is answered; all of them at the same time."""
    with selectors.DefaultSelector() as selector:
        for device in devices:
            selector.register(device.agent.socket, selectors.EVENT_READ, device)
            device.send()
        working = len(devices)
        while working:
            events = selector.select(10)
            assert events, "no answer any more"
            for key, _ in events:
                working -= _step(key.data)


def _step(device: Device) -> bool:
    """Take one answer and send on; whether the device is done."""
    device.take(device.agent.response(device.agent.branch))
    if len(device.tags) == REQUESTS:
        return True
    device.send()
    return False


def test_publications_at_once_are_all_stored_and_composed(server: Server, devices: list[Device]) -> None:
    user = devices[0].agent.user
    watcher = UserAgent(server.address, f"watcher-of-{user}")
    watcher.subscribe(f"sip:{user}@example.org")
    watcher.notify()
    _play(devices)
    tags = [tag for device in devices for tag in device.tags]
    assert len(set(tags)) == DEVICES * REQUESTS
    stored = {etag for (etag,) in rows(server, f"SELECT etag FROM publication WHERE presentity = 'sip:{user}@example.org'")}
    assert stored == {device.tags[-1] for device in devices}
    newest = {device.note.encode() for device in devices}
    wait_until(lambda: set(NOTE.findall(watcher.notify().body)) == newest, "the composition has all devices")
    watcher.close()


def test_one_tag_two_winners_never(server: Server) -> None:
    """Many sockets modify the same publication with the same tag: one wins, the others get 412."""
    agents = [UserAgent(server.address, "contested") for _ in range(DEVICES)]
    tag = agents[0].publish(pidf("open", "contested")).get("SIP-ETag")
    for turn in range(10):
        for number, agent in enumerate(agents):
            body = pidf("open", "contested", note=f"{turn}-{number}")
            lines = ("Event: presence", "Content-Type: application/pidf+xml", f"SIP-If-Match: {tag}")
            agent.send_raw(agent.build("PUBLISH", agent.aor, *lines, body=body))
        answers = [agent.response(agent.branch) for agent in agents]
        assert sorted(answer.status for answer in answers) == [200] + [412] * (DEVICES - 1)
        tag = next(answer.get("SIP-ETag") for answer in answers if answer.status == 200)
    for agent in agents:
        agent.close()


def test_subscriptions_at_once_all_end_with_the_newest_state(server: Server) -> None:
    """New dialogs while the state changes: everybody ends with the newest."""
    alice = UserAgent(server.address, "popular")
    watchers = [UserAgent(server.address, f"fan{number}") for number in range(DEVICES)]
    tag = ""
    for number in range(10):
        for watcher in watchers:
            lines = ("Event: presence", f"Contact: <{watcher.contact}>", "Expires: 600")
            watcher.send_raw(watcher.build("SUBSCRIBE", alice.aor, *lines))
        answer = alice.publish(pidf("open", alice.user, "t1", f"state{number}"), etag=tag)
        assert answer.status == 200
        tag = answer.get("SIP-ETag")
        for watcher in watchers:
            assert watcher.response(watcher.branch).status == 200
    for watcher in watchers:
        _check_newest(watcher, b"state9", 10)
        watcher.close()


def _check_newest(watcher: UserAgent, mark: bytes, dialogs: int) -> None:
    latest: dict[str, tuple[int, bool]] = {}
    while len(latest) < dialogs or not all(good for _, good in latest.values()):
        message = watcher.notify()
        seen = latest.get(message.get("Call-ID"), (0, False))
        if message.cseq > seen[0]:
            latest[message.get("Call-ID")] = (message.cseq, mark in message.body)
