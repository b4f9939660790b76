"""The four things that can go wrong, each asking for a different act."""

from datetime import timedelta
from typing import Any


class Refusal(Exception):
    """A rule says no and nothing was written: tell the customer.

    `reason` names a sentence (`refusal.<reason>` in the catalogues), `facts` fill it.
    Whoever catches one owns a savepoint.
    """

    def __init__(self, reason: str, **facts: Any) -> None:
        super().__init__(reason)
        self.reason = reason
        self.facts = facts

    def __str__(self) -> str:
        return f"{self.reason} {self.facts}" if self.facts else self.reason


class PartnerError(Exception):
    """What came of a request to a partner that did not simply succeed.

    `code` is the partner's own code or HTTP status where there is one; `detail` is for staff and
    holds no secret.
    """

    def __init__(self, detail: str, *, code: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code


class NotSent(PartnerError):
    """The request surely never took effect: it may be tried again, unchanged.

    `retry_after` says how long to wait with that, where it is known.
    """

    def __init__(
        self, detail: str, *, code: str | None = None, retry_after: timedelta | None = None
    ) -> None:
        super().__init__(detail, code=code)
        self.retry_after = retry_after


class Rejected(PartnerError):
    """The partner understood and refused: stop, and tell."""


class Unknown(PartnerError):
    """It may have taken effect: ask, and never repeat it."""
