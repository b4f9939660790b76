"""A handset that texts the house through its door, and reads what is promised in return."""

import itertools
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

import sms.web
from core import codes, gsm7, messages, runtime
from core.inbound import InboundText
from core.messages import Message
from core.runtime import Runtime
from core.say import say

_ids = itertools.count(1)


AT_ONCE = 6  # requests: as many as a web process would take up with its few connections


def at_once(rt: Runtime, number: str, texts: Iterable[str], *, id: str | None = None) -> None:
    """Send texts from one number, so many at the same instant."""
    with ThreadPoolExecutor(AT_ONCE) as crowd:
        sent = [crowd.submit(Phone(rt, number).text, words, id=id) for words in texts]
    for one in sent:
        one.result()


def door(rt: Runtime) -> FlaskClient:
    """The SMS doors alone, on a runtime."""
    runtime.install(rt)
    app = Flask("door")
    app.register_blueprint(sms.web.bp)
    return app.test_client()


def path(rt: Runtime, end: str = "sms") -> str:
    """The path of a door, token and all."""
    token = rt.config.aggregator_hook_token[0].get_secret_value()
    return f"/hooks/{token}/{end}"


@dataclass
class Phone:
    """`phone.text("BAL")` answers with the reply; what is longer than two texts fails by itself."""

    rt: Runtime
    number: str
    client: FlaskClient = field(init=False)
    ids: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.client = door(self.rt)

    def text(self, words: str, *, id: str | None = None) -> str:
        """Send a text, as the aggregator forwards it; "" if nothing answered it."""
        self.ids.append(id or f"ATXid_{next(_ids):08}")
        form = {
            "id": self.ids[-1],
            "from": self.number,
            "to": "22384",
            "text": words,
            "date": "2026-11-20 06:04:45",
            "networkCode": "63902",
        }
        response = self.client.post(path(self.rt), data=form)
        assert (response.status_code, response.data) == (200, b"")
        with self.rt.transaction() as tx:
            kept = tx.scalars(
                select(InboundText).where(InboundText.message_id == self.ids[-1])
            ).one()
            reply = tx.get(Message, kept.answer_id) if kept.answer_id else None
        if reply is None:
            return ""
        assert reply.body is not None
        assert gsm7.is_gsm7(reply.body)
        assert reply.segments <= 2, reply.body
        return reply.body

    def inbox(self) -> list[str]:
        """Every text promised to this number, oldest first; codes as their sender derives them."""
        with self.rt.transaction() as tx:
            mine = select(Message).where(Message.phone == self.number).order_by(Message.id)
            return [one.body or self._code(one) for one in tx.scalars(mine)]

    def kept(self) -> list[InboundText]:
        """What the house kept of the texts of this number."""
        with self.rt.transaction() as tx:
            mine = select(InboundText).where(InboundText.phone == self.number)
            return list(tx.scalars(mine.order_by(InboundText.id)))

    def code(self) -> str:
        """The digits of the newest code that was sent."""
        with self.rt.transaction() as tx:
            newest = select(Message).where(
                Message.phone == self.number, Message.code_id.is_not(None)
            )
            sent = tx.scalars(newest.order_by(Message.id.desc()).limit(1)).one()
        return self._digits(sent)

    def _digits(self, message: Message) -> str:
        assert message.code_id is not None
        assert message.purpose is not None
        return codes.derive(self.rt.config, message.code_id, self.number, message.purpose)

    def _code(self, message: Message) -> str:
        return say(message.sentence, "en", **messages.code_facts(self._digits(message)))
