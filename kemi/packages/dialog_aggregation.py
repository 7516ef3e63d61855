"""Several reports of dialogs become one, and what of it is shown (pure; RFC 4235 section 3.7).

A dialog moves forward only: trying, proceeding, early, confirmed, terminated (section 3.7.1). Several sources may tell of the same
one, a phone and the proxy before it, and some are late. So, of reports that may be of one dialog

1. the most advanced state is believed: who says early, wherever and whenever, does not bring back what somebody said is terminated;
2. of equally advanced ones, the one that names more tags;
3. of those with the same tags, the one that was published last.

Two reports may be of one dialog when Call-ID and the tags that both name are equal: before its first answer a dialog has one tag
only. A report that gives way to another has no say any more, but for terminated. One without Call-ID is of nobody else's dialog. An
id alone says nothing: sources count from 1. The rules look at values, never at the order in which reports come. A terminated dialog
is shown, and believed, as long as its publication lives.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import blake2b
from itertools import product
from typing import NamedTuple

from kemi.packages.dialog_info import Dialog, DialogInfo, DialogState


class DialogReport(NamedTuple):
    """One publication. Times: seconds since the epoch."""

    publication_id: str
    created_at: float
    published_at: float
    document: DialogInfo


# Several documents


class _Claim(NamedTuple):
    """What one publication says of one dialog."""

    report: DialogReport
    dialog: Dialog

    @property
    def strength(self) -> tuple[int, int]:
        """Rules 1 and 2: the higher is believed."""
        return self.dialog.rank, bool(self.dialog.local_tag) + bool(self.dialog.remote_tag)

    @property
    def key(self) -> tuple[str, ...]:
        """What its dialog is known by."""
        dialog = self.dialog
        if dialog.call_id:
            return dialog.call_id, dialog.local_tag, dialog.remote_tag
        return self.report.publication_id, dialog.id


def aggregate(reports: Iterable[DialogReport]) -> DialogInfo:
    """All dialogs of all publications, each once, those of the oldest publication first."""
    ordered = sorted(reports, key=lambda report: (report.created_at, report.publication_id))
    claims = [_Claim(report, dialog) for report in ordered for dialog in report.document.dialogs]
    believed: dict[tuple[str, ...], _Claim] = {}
    for claim in _strongest(claims):
        known = believed.setdefault(claim.key, claim)
        if (claim.strength, claim.report.published_at) > (known.strength, known.report.published_at):
            believed[claim.key] = claim
    extensions = tuple(extension for report in ordered for extension in report.document.extensions)
    return DialogInfo(tuple(_with_own_ids(believed.values())), extensions)


def _strongest(claims: Sequence[_Claim]) -> list[_Claim]:
    """Those that no stronger one stands against; it is one that stays itself, or says terminated."""
    strongest: dict[_Place, tuple[int, int]] = {}
    staying = set()
    for index in sorted(range(len(claims)), key=lambda index: claims[index].strength, reverse=True):
        dialog, strength = claims[index].dialog, claims[index].strength
        stays = all(strongest.get(place, strength) <= strength for place in _places(dialog, _equal_or_unknown))
        if stays:
            staying.add(index)
        for place in _places(dialog, _itself_or_any) if stays or dialog.state is DialogState.TERMINATED else ():
            strongest.setdefault(place, strength)
    return [claim for index, claim in enumerate(claims) if index in staying]


_Place = tuple[str, str | None, str | None]


def _places(dialog: Dialog, tags: Callable[[str], tuple[str | None, ...]]) -> list[_Place]:
    """Where claims about a call are written down, or looked for; None stands for any tag."""
    if not dialog.call_id:
        return []
    return [(dialog.call_id, local, remote) for local, remote in product(tags(dialog.local_tag), tags(dialog.remote_tag))]


def _itself_or_any(tag: str) -> tuple[str | None, ...]:
    return tag, None


def _equal_or_unknown(tag: str) -> tuple[str | None, ...]:
    return (tag, "") if tag else (None,)


def _with_own_ids(claims: Iterable[_Claim]) -> Iterator[Dialog]:
    """Ids as published, with a suffix that is the publication's own: nothing that comes or goes beside it changes them."""
    named = [(claim, f"{claim.dialog.id}.{_token(claim.report.publication_id)}") for claim in claims]
    count = Counter(name for _, name in named)
    for claim, name in named:
        yield claim.dialog._replace(id=name if count[name] == 1 else f"{name}.{_token(repr(claim.key))}")


def _token(text: str) -> str:
    """Tells one from another and does not show it: a publication's own id is no business of watchers."""
    return blake2b(text.encode(), digest_size=6).hexdigest()


# What is shown of it


def narrowed(document: DialogInfo, call_id: str, local_tag: str, remote_tag: str) -> DialogInfo:
    """Only the dialogs that were asked for; "" leaves open (section 3.2)."""
    asked = (call_id, local_tag, remote_tag)
    shown = [
        dialog
        for dialog in document.dialogs
        if all(value in ("", own) for value, own in zip(asked, (dialog.call_id, dialog.local_tag, dialog.remote_tag), strict=True))
    ]
    return document._replace(dialogs=tuple(shown))


def virtual(document: DialogInfo) -> DialogInfo:
    """What is told to third parties: one dialog that stands for all, and that says nothing but its state (section 3.7.2).

    No dialog stands for none.
    """
    return DialogInfo(tuple(_nameless("virtual", dialog.state) for dialog in single(document).dialogs))


def single(document: DialogInfo) -> DialogInfo:
    """Only the most advanced dialog; one that goes on counts before all that are over."""
    going_on = [dialog for dialog in document.dialogs if dialog.state is not DialogState.TERMINATED]
    foremost = max(going_on or document.dialogs, key=lambda dialog: dialog.rank, default=None)
    return document._replace(dialogs=(foremost,) if foremost else ())


def never_empty(document: DialogInfo) -> DialogInfo:
    """The document, with a dialog that is over where there is none."""
    return document if document.dialogs else document._replace(dialogs=(_nameless("idle", DialogState.TERMINATED),))


def _nameless(name: str, state: DialogState) -> Dialog:
    return Dialog(name, "", "", "", "", state, f"<state>{state.value}</state>")
