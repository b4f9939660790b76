"""A text on its way through the house: who sent it, in which transaction, and what answers it."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from core import keys
from core.config import Config
from core.customers import Customer

NO_FACTS: Mapping[str, Any] = {}


@dataclass(frozen=True)
class Reply:
    """A sentence and what fills it. `secret` asks the customer to delete the text they sent."""

    sentence: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    secret: bool = False
    bets_digest: uuid.UUID | None = None  # of bets that were placed, to know a double by


@dataclass(frozen=True)
class Proof:
    """What came of a PIN or a code in the text, looked at before the transaction began.

    `denied` is the answer to one that was wrong; nothing else is done then.
    """

    denied: Reply | None = None


@dataclass(frozen=True)
class Visit:
    """One text being answered. `customer` is None for a number that is nobody's."""

    tx: Session
    config: Config
    now: datetime
    phone: str
    message_id: str
    lang: str
    customer: Customer | None
    proof: Proof | None = None

    @property
    def who(self) -> Customer:
        """The customer, in commands that no stranger gets to."""
        assert self.customer is not None, "a stranger got through to a customer's command"
        return self.customer

    @property
    def proven(self) -> bool:
        """Whether the PIN or code in the text was right."""
        return self.proof is not None and self.proof.denied is None

    def key(self, part: object) -> uuid.UUID:
        """The key of one decision in this text: the number of a bet, or a word."""
        return keys.derive(self.config.key_key, "sms", self.message_id, part)
