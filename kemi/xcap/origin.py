"""How fast one server is asked for documents (pure).

state    | left by                                        | documents at a time
---------|------------------------------------------------|---------------------------------
heard    | silence                                        | as many as `most` in a second lets
silent   | the end of the pause                           | none
probing  | an answer of any kind: heard; silence: silent  | one

Each pause is twice as long as the one before. Meanwhile documents stay due: all of them are fetched as soon as one was answered.
"""

from typing import NamedTuple

from kemi.xcap.fetched_document import LONGEST_SILENCE


class Origin(NamedTuple):
    """What is known of the server.

    Args:
        silences: pauses in a row.
        silent_until: end of the pause, seconds since the epoch.
        second: the one that `begun` counts the fetches of.
    """

    silences: int = 0
    silent_until: float = 0.0
    second: int = 0
    begun: int = 0

    def allows(self, running: int, at_once: int, most: int, now: float) -> int:
        """How many fetches may begin.

        Args:
            running: fetches that have not ended.
            at_once: how many may go on at a time.
            most: how many may begin in a second.
        """
        if now < self.silent_until:
            return 0
        left = most - (self.begun if self.second == int(now) else 0)
        return max(0, min(left, (1 if self.silences else at_once) - running))

    def asked(self, number: int, now: float) -> "Origin":
        """So many fetches begin."""
        begun = self.begun if self.second == int(now) else 0
        return self._replace(second=int(now), begun=begun + number)

    def heard(self) -> "Origin":
        """The server has answered."""
        return self._replace(silences=0, silent_until=0.0)

    def silent(self, now: float, chance: float) -> "Origin":
        """The server did not answer. What began before the pause and ends in it says nothing new.

        Args:
            chance: 0 to 1.
        """
        if now < self.silent_until:
            return self
        silences = self.silences + 1
        pause = min(2.0 ** min(silences - 1, 10), LONGEST_SILENCE)
        return self._replace(silences=silences, silent_until=now + pause * (1 + chance) / 2)
