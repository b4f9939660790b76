"""Staff of the tests who have enrolled: each with a password and an authenticator."""

import functools
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pyotp

from core import jobs, outbox, sign_in, staff_access
from core.runtime import Runtime
from core.sign_in import SignedIn
from core.staff import Role, Staff
from tests import people

PASSWORD = "purple giraffe eats 17 lemons"
CODE = re.compile(r"[A-Z2-7]{4}(?:-[A-Z2-7]{4}){3}")
ADDRESS, AGENT = "203.0.113.7", "Firefox"


@dataclass
class Person:
    """Somebody who can sign in, and patient: `code` gives each TOTP code once."""

    rt: Runtime
    staff: Staff
    secret: str
    recovery: tuple[str, ...]
    step: int

    @property
    def name(self) -> str:
        """What they are called."""
        return self.staff.name

    def code(self) -> str:
        """The next code that the authenticator shows and that was not used yet.

        Where it is not shown yet, the house's clock goes on until it is.
        """
        self.step = max(self.step + 1, self._now())
        if self.step > self._now() + 1:
            ahead = timedelta(seconds=(self.step - self._now()) * staff_access.STEP)
            self.rt.clock = functools.partial(_ahead, self.rt.clock, ahead)
        return pyotp.TOTP(self.secret).generate_otp(self.step)

    def wrong_code(self) -> str:
        """A code that the authenticator shows at no time near this one."""
        near = {pyotp.TOTP(self.secret).generate_otp(self._now() + n) for n in range(-3, 4)}
        return next(code for n in range(10) if (code := f"{n:06}") not in near)

    def sign_in(self, password: str = PASSWORD, code: str | None = None) -> SignedIn:
        """Through the door, with both factors unless others are given."""
        shown = self.code() if code is None else code
        return sign_in.sign_in(self.rt, self.name, password, shown, address=ADDRESS, agent=AGENT)

    def _now(self) -> int:
        return int(self.rt.now().timestamp()) // staff_access.STEP


def enrolled(rt: Runtime, name: str, role: Role = Role.ADMIN) -> Person:
    """Somebody who works for the house and has enrolled, the way everybody does."""
    return enrol(rt, people.member(rt, name, role))


def enrol(rt: Runtime, member: Staff) -> Person:
    """Invite `member` and have them enrol."""
    now, config = rt.now(), rt.config
    with rt.transaction() as tx:
        code = staff_access.invite(tx, member, now=now, config=config)
    with rt.transaction() as tx:
        seed = staff_access.begin_enrolment(tx, member.name, code, now=now, config=config)
    step = int(now.timestamp()) // staff_access.STEP
    shown = pyotp.TOTP(seed.secret).generate_otp(step)
    with rt.transaction() as tx:
        codes = staff_access.enrol(
            tx, member.name, code, password=PASSWORD, totp=shown, now=now, config=config
        )
    return Person(rt, member, seed.secret, tuple(codes), step)


def texts(rt: Runtime) -> Sequence[Mapping[str, str]]:
    """The texts that were promised and had not left yet, as the gateway gets them now."""
    sent: list[Mapping[str, str]] = []

    def gateway(request: Mapping[str, Any]) -> Mapping[str, Any]:
        sent.append(request)
        return {"receipt": f"ATXid_{uuid.uuid4()}"}

    rt.senders = {**rt.senders, "sms": gateway}
    with rt.transaction() as tx:
        due = outbox.due(tx, outbox.MESSAGES, now=rt.now(), limit=100)
    jobs.deliver(*due)
    return sent


def texted(rt: Runtime, phone: str) -> str:
    """The code to enrol with that a text brings to this phone, and to no other."""
    (text,) = texts(rt)
    assert text["to"] == phone, text
    return code_in(text["text"])


def code_in(words: str) -> str:
    """The code to enrol with, as it is read."""
    found = CODE.search(words)
    assert found, words
    return found[0]


def _ahead(clock, ahead: timedelta):
    return clock() + ahead
