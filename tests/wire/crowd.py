"""A crowd of devices that publish and watchers with dialogs, and what the RFCs let each of them expect (an oracle).

What a server must not do at any moment is written into `problems` as it happens; what must be so at rest tells `differences`.
"""

import re
import time
from collections.abc import Iterator

from tests.useragent import Message, UserAgent, pidf
from tests.wire.parties import UNTOLD, Device, Dialog, Network

NOTE = re.compile(rb"<note>([^<]*)</note>")
WINFO = "presence.winfo"
PUT_OFF = 0.7
"""Seconds after which a late answer is given: the NOTIFY has come a second time by then."""
SWEPT = 3.0
"""Seconds after its time in which a publication, or a subscription, may still be there."""


def aor(user: str) -> str:
    return f"sip:{user}@example.org"


def notes(body: bytes) -> frozenset[str]:
    return frozenset(note.decode() for note in NOTE.findall(body))


class Crowd:
    """All of them, and what is decided about whom."""

    def __init__(self, server: tuple[str, int]) -> None:
        self.network = Network(server, self._notified)
        self.devices: list[Device] = []
        self.dialogs: list[Dialog] = []
        self.decisions: dict[tuple[str, str], str] = {}
        self.decided = 0
        self.crashed_at: list[float] = []
        self.problems: list[str] = []
        self._tags: set[str] = set()
        self._documents: dict[tuple[str, str, str], bytes] = {}

    def decision(self, dialog: Dialog) -> str:
        own = dialog.watcher == dialog.resource
        return "allow" if own else self.decisions.get((dialog.resource, dialog.watcher), "allow")

    def has_crashed_since(self, moment: float) -> bool:
        return any(each >= moment - SWEPT for each in self.crashed_at)

    # PUBLISH

    def publish(self, device: Device, operation: str, expires: int, copies: int) -> None:
        """create, modify, refresh or remove; or wrong: modify what is not there."""
        device.is_busy = True
        note = device.note
        body = b""
        if operation in ("create", "modify", "wrong"):
            device.count += 1
            note = f"{device.name}-{device.count}"
            body = pidf("open", device.user, "t1" if device.count % 2 else device.name, note)
        lines = ["Event: presence", f"Expires: {expires}"] + ["Content-Type: application/pidf+xml"] * bool(body)
        if operation != "create":
            lines.append(f"SIP-If-Match: {'nobody-s' if operation == 'wrong' else device.etag}")
        data = device.agent.build("PUBLISH", aor(device.user), *lines, body=body)
        sent_at = time.time()

        def answered(answer: Message) -> None:
            device.is_busy = False
            if operation == "wrong":
                self._expect(answer.status == 412, f"{device.name}: {answer.start} to an unknown entity-tag")
            elif self._expect(answer.status == 200, f"{device.name}: {answer.start} to {operation} {note}"):
                etag = answer.get("SIP-ETag")
                self._expect(etag not in self._tags, f"{device.name}: entity-tag {etag} was given out before")
                self._tags.add(etag)
                device.sent.append((time.time(), data, etag, operation))
                device.etag, device.note = ("", "") if operation == "remove" else (etag, note)
                device.certain_until, device.gone_after = sent_at + expires, time.time() + expires + SWEPT

        self.network.send(device.agent, data, copies, answered)

    def come_again(self, device: Device, data: bytes, etag: str, operation: str) -> None:
        """A copy of an earlier PUBLISH that was delayed: it changes nothing, whatever it is answered."""

        def answered(answer: Message) -> None:
            good = answer.status == 412 or (answer.status, answer.get("SIP-ETag")) == (200, etag)
            self._expect(good, f"{device.name}: {answer.start} to a late copy of {operation}")

        device.agent.branch = re.findall(rb"branch=([^;]+)", data)[0].decode()
        self.network.send(device.agent, data, 1, answered)

    # SUBSCRIBE

    def open(self, agent: UserAgent, resource: str, package: str, expires: int, copies: int) -> None:
        dialog = Dialog(agent, resource, package)
        self.dialogs.append(dialog)
        self.subscribe(dialog, expires, copies)

    def subscribe(self, dialog: Dialog, expires: int, copies: int = 1, condition: str = "") -> None:
        """The first one, or one in the dialog."""
        dialog.own_cseq += 1
        dialog.is_busy = True
        lines = [f"Event: {dialog.package}", f"Contact: <{dialog.agent.contact}>", f"Expires: {expires}"]
        lines += [f"Suppress-If-Match: {condition}"] * bool(condition)
        data = dialog.agent.build(
            "SUBSCRIBE", aor(dialog.resource), *lines, to_tag=dialog.to_tag, call_id=dialog.call_id, from_tag=dialog.from_tag,
            cseq=dialog.own_cseq,
        )  # fmt: skip
        told, decided, sent_at = dialog.cseq, self.decided, time.time()

        def answered(answer: Message) -> None:
            dialog.is_busy = False
            if answer.status in (200, 204):
                self._accepted(dialog, answer, expires, condition, sent_at)
                dialog.owes_notify = answer.status == 200 and dialog.cseq == told and dialog.phase != "over"
            else:
                if answer.status == 481 and expires == 0 and self.has_crashed_since(sent_at):
                    self._end(dialog)  # it had ended before the crash, and its last NOTIFY was answered
                self._refused(dialog, answer, decided == self.decided)

        self.network.send(dialog.agent, data, copies, answered)

    def old_number(self, dialog: Dialog) -> None:
        """A SUBSCRIBE with a CSeq that was before: refused, and the dialog stays as it is (RFC 3261 section 12.2.2)."""
        dialog.is_busy = True
        lines = (f"Event: {dialog.package}", "Contact: <sip:nowhere@192.0.2.1>", "Expires: 0")
        data = dialog.agent.build(
            "SUBSCRIBE", aor(dialog.resource), *lines, to_tag=dialog.to_tag, call_id=dialog.call_id, from_tag=dialog.from_tag,
            cseq=dialog.own_cseq - 1,
        )  # fmt: skip

        def answered(answer: Message) -> None:
            dialog.is_busy = False
            gone = dialog.phase == "over" or self.decision(dialog) == "block"
            self._expect(answer.status == 500 or gone, f"{dialog}: {answer.start} to an old CSeq")

        self.network.send(dialog.agent, data, 1, answered)

    def _accepted(self, dialog: Dialog, answer: Message, expires: int, condition: str, sent_at: float) -> None:
        self._expect(answer.get("Expires") == str(expires), f"{dialog}: Expires {answer.get('Expires')} for {expires}")
        self._expect(dialog.to_tag in ("", answer.to_tag), f"{dialog}: another tag {answer.to_tag}")
        self._expect(answer.status == 200 or condition != "", f"{dialog}: 204 without a condition")
        dialog.to_tag = answer.to_tag
        dialog.condition, dialog.left, dialog.not_compared = condition, UNTOLD, 1
        dialog.certain_until, dialog.gone_after = sent_at + expires, time.time() + expires + SWEPT
        if dialog.phase == "new":
            dialog.phase = "live"
        if answer.status == 204 and expires == 0:
            self._end(dialog)

    def _refused(self, dialog: Dialog, answer: Message, is_clear: bool) -> None:
        """Refused; it is clear why, unless something was decided meanwhile."""
        is_blocked = self.decision(dialog) == "block"
        if is_clear and dialog.phase != "over":
            self._expect(answer.status in (403, 481) and is_blocked, f"{dialog}: {answer.start} to SUBSCRIBE")
        if dialog.phase == "new":
            self._end(dialog)

    def _end(self, dialog: Dialog) -> None:
        dialog.phase, dialog.ended_at, dialog.owes_notify = "over", time.time(), False

    # NOTIFY

    def _notified(self, agent: UserAgent, message: Message) -> None:
        """A stranger's is meant for whoever had this port before."""
        dialog = next((each for each in self.dialogs if each.call_id == message.get("Call-ID")), None)
        via = message.get("Via")
        if dialog is None:
            agent.respond(message, 481)
        elif via in dialog.seen:
            self._respond(agent, message, dialog.seen[via])
        elif dialog.phase == "over":
            self._expect(self.has_crashed_since(dialog.ended_at), f"{dialog}: NOTIFY {message.cseq} after its end")
            dialog.seen[via] = 481
            agent.respond(message, 481)
        else:
            self._told(dialog, message)
            self._answer(dialog, agent, message)

    def _told(self, dialog: Dialog, message: Message) -> None:
        """Check it against what came before, and take it over."""
        has_crashed = self.has_crashed_since(dialog.last_at)
        follows = message.cseq == dialog.cseq + 1 or (has_crashed and message.cseq > dialog.cseq)
        self._expect(follows, f"{dialog}: CSeq {message.cseq} after {dialog.cseq}")
        self._expect(message.from_tag == (dialog.to_tag or message.from_tag), f"{dialog}: From-tag {message.from_tag}")
        word, _, left = message.get("Subscription-State").partition(";expires=")
        if word in ("active", "pending"):
            self._check_left(dialog, int(left))
        else:
            self._expect(word.startswith("terminated;reason="), f"{dialog}: {message.get('Subscription-State')}")
        self._expect(word != "pending" or not message.body, f"{dialog}: pending, with a document")
        self._remember(dialog, message)
        dialog.word, dialog.cseq, dialog.last_at, dialog.owes_notify = word, message.cseq, time.time(), False

    def _check_left(self, dialog: Dialog, left: int) -> None:
        """It never grows by itself. The first one after a SUBSCRIBE may have been sent before it."""
        if not dialog.is_busy and not dialog.not_compared:
            self._expect(left <= dialog.left, f"{dialog}: expires grows from {dialog.left} to {left}")
            dialog.left = left
        dialog.not_compared = 0

    def _remember(self, dialog: Dialog, message: Message) -> None:
        etag = message.get("SIP-ETag")
        if dialog.package == WINFO:
            if message.body:
                dialog.reader.take(message.body)
            return
        documents, key = self._documents, (dialog.resource, dialog.package, etag)
        if message.body:
            same = documents.setdefault(key, message.body) == message.body
            self._expect(same, f"{dialog}: entity-tag {etag} of two documents")
        dialog.body, dialog.etag = documents.get(key, b""), etag

    def _answer(self, dialog: Dialog, agent: UserAgent, message: Message) -> None:
        status, dialog.status = dialog.status, 200
        is_late, dialog.is_late = dialog.is_late, False
        if status == 481 and (dialog.is_busy or agent is not dialog.agent):
            status = 200  # what comes while it asks for something may have been sent to where it was
        dialog.seen[message.get("Via")] = 0 if is_late else status
        if dialog.word.startswith("terminated") or status == 481:
            self._end(dialog)
        if is_late:
            self.network.later.append((time.monotonic() + PUT_OFF, lambda: self._late(dialog, agent, message, status)))
        else:
            self._respond(agent, message, status)

    def _late(self, dialog: Dialog, agent: UserAgent, message: Message, status: int) -> None:
        dialog.seen[message.get("Via")] = status
        self._respond(agent, message, status)

    def _respond(self, agent: UserAgent, message: Message, status: int) -> None:
        if status:
            agent.respond(message, status, "Retry-After: 1\r\n" if status == 503 else "")

    def _expect(self, holds: bool, problem: str) -> bool:
        if not holds:
            self.problems.append(problem)
        return holds

    # At rest

    def differences(self) -> Iterator[str]:
        """What is not as it has to be when nothing is under way any more; none: everything is."""
        yield from (f"{request.data[:60]!r} is not answered" for request in self.network.waiting.values())
        yield from (f"{device.name} is uncertain" for device in self.devices if not device.is_certain)
        for dialog in self.dialogs:
            if dialog.phase != "over":
                yield from self._difference(dialog)

    def _difference(self, dialog: Dialog) -> Iterator[str]:
        decision = self.decision(dialog)
        if decision == "block" or dialog.phase == "new" or dialog.owes_notify or time.time() + 1 > dialog.certain_until:
            yield f"{dialog} is not over yet, or was not told"
        elif dialog.word != ("pending" if decision == "confirm" else "active"):
            yield f"{dialog}: {decision}"
        elif dialog.package == WINFO:
            yield from self._difference_in_watchers(dialog)
        elif decision != "confirm" and dialog.condition != "*" and notes(dialog.body) != self._shown(dialog.resource, decision):
            yield f"{dialog} was told {sorted(notes(dialog.body))}"

    def _shown(self, user: str, decision: str) -> frozenset[str]:
        if decision == "polite-block":
            return frozenset()
        return frozenset(each.note for each in self.devices if each.user == user and each.is_published)

    def _difference_in_watchers(self, dialog: Dialog) -> Iterator[str]:
        live = [each for each in self.dialogs if each.resource == dialog.resource and each.package == "presence"]
        expected = sorted((aor(each.watcher), each.word) for each in live if each.phase == "live")
        told = sorted((uri, status) for uri, status, _ in dialog.reader.view.values() if status != "waiting")
        if told != expected:
            yield f"{dialog} was told of {told}, there are {expected}"
