"""What a person who looked at a pair says of it."""

from typing import Literal

from .base import Record, Text

Word = Literal["accept", "reject", ""]


class ReviewMark(Record):
    """A review of one pair; `mark` is "" where it was taken back, or only a note is left.

    `content_hash` is that of the pair that was looked at: made anew with other lines, it is another pair, and the mark
    is not about it. `at` is the time in UTC, ISO 8601.
    """

    pair_id: str
    content_hash: str
    mark: Word
    note: Text = ""
    at: str = ""
