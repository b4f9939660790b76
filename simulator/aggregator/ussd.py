"""The USSD network: a dial, its hops, and the notice when it is over."""

import re
import time
from dataclasses import replace
from functools import partial
from http.client import HTTPException

from simulator import exchange, ids, wire
from simulator.clock import nairobi_now
from simulator.faults import NOTHING, Plan
from simulator.handsets import Handset, Session
from simulator.world import Parcel, World

TELCO_ERROR = "Connection problem or invalid MMI code."
ASKS_A_SECRET = re.compile(r"\bPIN\b|\bsiri\b", re.IGNORECASE)
COST_OF_A_HOP = 0.10


class Busy(Exception):
    """The network is still waiting for the house's answer to this phone."""


class NoSession(Exception):
    """There is no open session to type into."""


def dial(world: World, phone: Handset, code: str, *, copies: int = 1) -> None:
    """`*384*7*3*100#` reaches `*384*7#` with `3*100` typed; `copies` start the session twice."""
    with world.lock:
        if phone.busy:
            raise Busy
        if phone.session is not None:
            _end(world, phone, "Incomplete")
        service, typed = _resolve(world, code)
        phone.note = ""
        if service is None or not phone.reachable:
            phone.screen, phone.reply = TELCO_ERROR, ""
            world.stir()
            return
        now = time.monotonic()
        phone.session = Session(ids.ussd_session(), service, now, now)
        if typed:
            phone.session.typed.append(typed)
            phone.session.safe.append(wire.without_pins(typed))
    _hop(world, phone, copies=copies)


def press(world: World, phone: Handset, typed: str) -> None:
    with world.lock:
        if phone.busy:
            raise Busy
        if phone.session is None:
            raise NoSession
        phone.session.typed.append(typed)
        secret = ASKS_A_SECRET.search(phone.screen)
        phone.session.safe.append(wire.MASK if secret else wire.without_codes(typed))
    _hop(world, phone)


def hang_up(world: World, phone: Handset) -> None:
    with world.lock:
        if phone.session is not None:
            _end(world, phone, "Incomplete")
        phone.screen = ""
        world.stir()


def repeat_hop(world: World, phone: Handset, *, copies: int, back: int = 0) -> list[str]:
    """The network sends a hop again, all copies at the same instant; what the house answers.

    `back` goes that many hops back. The screen does not change: nobody is shown these answers.
    """
    with world.lock:
        session = phone.session or phone.last_session
        if session is None:
            raise NoSession
        kept = max(0, len(session.typed) - back)
        session = replace(session, typed=session.typed[:kept], safe=session.safe[:kept])
    return _at_once(world, phone, session, copies)


def expire(world: World) -> None:
    """Ends the sessions of customers who think too long."""
    with world.lock:
        now = time.monotonic()
        told = world.settings
        for phone in list(world.handsets.values()):
            session = phone.session
            if session is None or phone.busy:
                continue
            if (
                now - session.last > told.handset_timeout
                or now - session.started > told.session_limit
            ):
                _end(world, phone, "Incomplete")
                phone.screen = "Session timed out."
                world.stir()


# -- one hop


def _hop(world: World, phone: Handset, copies: int = 1) -> None:
    with world.lock:
        session = phone.session
        assert session is not None
        phone.busy = True
        session.hops += 1
        plan = world.faults.take("ussd", phone=phone.number)
        world.stir()
    try:
        if plan.has("slow"):
            time.sleep(float(plan.param("slow", "seconds", 2)))
        if plan.has("duplicatesHop"):
            copies = max(copies, plan.number("duplicatesHop", "count", 2))
        reply = _at_once(world, phone, session, copies)[0]
    finally:
        with world.lock:
            phone.busy = False
    _show(world, phone, session, "" if plan.has("losesReply") else reply)


def _at_once(world: World, phone: Handset, session: Session, copies: int) -> list[str]:
    """Each copy from a thread of its own; the answers in the order they were sent."""
    answers = [""] * copies
    done = [copies - 1]

    def ask(place: int) -> None:
        answers[place] = _ask(world, phone, session)
        with world.lock:
            done[0] -= 1
            world.stir()

    for place in range(1, copies):
        world.courier.later(0, partial(ask, place))
    answers[0] = _ask(world, phone, session)
    world.wait_until(lambda: done[0] == 0, world.settings.app_timeout * 2)
    return answers


def _ask(world: World, phone: Handset, session: Session) -> str:
    """The house's raw answer; empty when there is none the network can use."""
    told = world.settings
    asked = {
        "sessionId": session.id,
        "phoneNumber": phone.e164,
        "networkCode": phone.network_code,
        "serviceCode": session.code,
        "text": session.text,
    }
    started = time.monotonic()
    try:
        answer = exchange.send(
            "POST", told.ussd_callback, wire.form(asked),
            content_type="application/x-www-form-urlencoded", timeout=told.app_timeout,
        )  # fmt: skip
        status, text = answer.status, answer.text
    except (OSError, HTTPException) as error:
        status, text = 0, f"{type(error).__name__}: {error}"
    millis = int((time.monotonic() - started) * 1000)
    with world.lock:
        world.wire.add(
            sender="aggregator", receiver="house", kind="ussd", url=told.ussd_callback,
            request=wire.safe_form(asked | {"text": "*".join(session.safe)}),
            status=status, response=text, millis=millis,
        )  # fmt: skip
        world.stir()
    return text if status == 200 and text[:4] in {"CON ", "END "} else ""


def _show(world: World, phone: Handset, session: Session, reply: str) -> None:
    with world.lock:
        if phone.session is not session:
            return  # hung up meanwhile
        session.reply = phone.reply = reply
        session.last = time.monotonic()
        phone.screen = reply[4:] if reply else TELCO_ERROR
        if not reply:
            _end(world, phone, "Failed")
        elif reply.startswith("END"):
            _end(world, phone, "Success")
        world.stir()


# -- the end


def _end(world: World, phone: Handset, status: str) -> None:
    """Closes the session and tells the house in its own time. Call with the lock held."""
    session = phone.session
    assert session is not None
    phone.session, phone.last_session = None, session
    notice = {
        "date": f"{nairobi_now():%Y-%m-%d %H:%M:%S}",
        "sessionId": session.id,
        "serviceCode": session.code,
        "networkCode": phone.network_code,
        "phoneNumber": phone.e164,
        "status": status,
        "cost": f"KES {session.hops * COST_OF_A_HOP:.2f}",
        "durationInMillis": str(int((time.monotonic() - session.started) * 1000)),
        "hopsCount": str(session.hops),
        "input": session.text,
        "lastAppResponse": session.reply,
    }
    if status == "Failed":
        notice["errorMessage"] = "The application did not respond correctly"
    plan = world.faults.take("ussd_end", phone=phone.number)
    shown = wire.safe_form(notice | {"input": "*".join(session.safe)})
    tell(world, "ussd_end", world.settings.ussd_end_callback, notice, shown, plan)


def tell(
    world: World,
    kind: str,
    url: str,
    fields: dict[str, str],
    shown: str,
    plan: Plan = NOTHING,
    *,
    wait: float | None = None,
) -> None:
    """One form to the house, tried again until it is answered with a 2xx."""
    parcel = Parcel(
        kind, "aggregator", url, wire.form(fields), "application/x-www-form-urlencoded", shown
    )
    delay = world.settings.answer_delay if wait is None else wait
    world.courier.later(delay, lambda: world.post(parcel, plan, retries=True))


def _resolve(world: World, code: str) -> tuple[str | None, str]:
    """The service code that was dialled, and what was typed behind it."""
    for service in sorted(world.settings.codes, key=len, reverse=True):
        stem = service.removesuffix("#")
        if code == service:
            return service, ""
        if code.startswith(f"{stem}*") and code.endswith("#"):
            return service, code[len(stem) + 1 : -1]
    return None, ""
