"""The two shelves a call may lie on between hops: Redis, and Postgres while Redis is down."""

import json
import uuid
from dataclasses import dataclass
from typing import Any, Protocol, cast

from sqlalchemy import text
from sqlalchemy.orm import Session

from core.runtime import Runtime
from ussd import transcripts
from ussd.calls import Call, Reply


@dataclass(frozen=True)
class Held:
    """A hop's hold on its call. `previous` names the phone's last session where this one is new."""

    session: str
    phone: str
    token: str
    call: Call | None
    previous: str | None
    shelf: "Shelf"


class Shelf(Protocol):
    """A hold dies by itself, so a process that is killed at work leaves nobody locked out."""

    def take(self, session: str, phone: str, token: str, seconds: float) -> Held | None:
        """Hold the call; None while another hop does."""

    def put(self, held: Held, call: Call, entry: dict[str, Any]) -> bool:
        """Keep the call, its reply and its transcript, and let go; False if the hold was lost."""

    def let_go(self, held: Held) -> None:
        """Leave the call as it is."""

    def earlier(self, session: str, digest: str) -> Reply | None:
        """What was replied to an earlier hop, found by the digest of its text."""

    def peek(self, session: str) -> Call | None:
        """A call as it lies there, without holding it."""


# One trip to begin a hop and one to end it.
TAKE = """
if not redis.call('SET', KEYS[2], ARGV[1], 'NX', 'PX', ARGV[2]) then return {0} end
local call = redis.call('GET', KEYS[1])
if call then return {1, call} end
return {1, false, redis.call('GET', KEYS[3])}
"""
PUT = """
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
redis.call('HSET', KEYS[4], ARGV[4], ARGV[5])
redis.call('EXPIRE', KEYS[4], ARGV[3])
redis.call('SET', KEYS[3], ARGV[6], 'EX', ARGV[3])
redis.call('XADD', KEYS[5], 'MAXLEN', '~', ARGV[8], '*', 'hop', ARGV[7])
redis.call('DEL', KEYS[2])
return 1
"""
LET_GO = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end"


class RedisShelf:
    """Calls in Redis, each with the replies to all its hops beside it."""

    def __init__(self, rt: Runtime) -> None:
        self.redis = rt.redis
        # Long enough for a redial to find where a call that lasted its longest was dropped.
        kept = rt.config.ussd_session + rt.config.ussd_resume
        self.kept = int(kept.total_seconds()) + 1
        self.scripts = {name: self.redis.register_script(name) for name in (TAKE, PUT, LET_GO)}

    def take(self, session: str, phone: str, token: str, seconds: float) -> Held | None:
        keys = [_call(session), _hold(session), _phone(phone)]
        found = self.scripts[TAKE](keys=keys, args=[token, int(seconds * 1000)])
        taken, state, previous = [*cast(list[Any], found), None, None][:3]
        if not taken:
            return None
        call = Call.loads(state) if state else None
        return Held(session, phone, token, call, previous and previous.decode(), self)

    def put(self, held: Held, call: Call, entry: dict[str, Any]) -> bool:
        session = held.session
        keys = [_call(session), _hold(session), _phone(call.phone), _replies(session)]
        reply = json.dumps([call.more, call.reply])
        args: list[str | int] = [held.token, call.dumps(), self.kept, call.digest, reply, session]
        args += [json.dumps(entry), transcripts.STREAM_LONGEST]
        return bool(self.scripts[PUT](keys=[*keys, transcripts.STREAM], args=args))

    def let_go(self, held: Held) -> None:
        self.scripts[LET_GO](keys=[_hold(held.session)], args=[held.token])

    def earlier(self, session: str, digest: str) -> Reply | None:
        found = cast(bytes | None, self.redis.hget(_replies(session), digest))
        return Reply(*json.loads(found)) if found else None

    def peek(self, session: str) -> Call | None:
        state = cast(bytes | None, self.redis.get(_call(session)))
        return Call.loads(state) if state else None


CLAIM = text("""
    INSERT INTO ussd_session AS s (session, phone, token, held_until, at)
    VALUES (:session, :phone, :token, clock_timestamp() + :seconds * interval '1 second', app_now())
    ON CONFLICT (session) DO UPDATE SET token = excluded.token, held_until = excluded.held_until
     WHERE s.token IS NULL OR s.held_until < clock_timestamp()
    RETURNING s.state
""")
PREVIOUS = text("""
    SELECT session FROM ussd_session
     WHERE phone = :phone AND session <> :session AND state IS NOT NULL ORDER BY at DESC LIMIT 1
""")
KEEP = text("""
    INSERT INTO ussd_session AS s (session, phone, state, replies, at)
    VALUES (:session, :phone, :state, CAST(:replies AS jsonb), app_now())
    ON CONFLICT (session) DO UPDATE SET
      state = excluded.state, replies = s.replies || excluded.replies, at = excluded.at,
      token = NULL, held_until = NULL
     WHERE s.token = :token OR :begun_elsewhere
    RETURNING true
""")
RELEASE = text("""
    UPDATE ussd_session SET token = NULL, held_until = NULL
     WHERE session = :session AND token = :token
""")
REPLY = text("SELECT replies -> :digest FROM ussd_session WHERE session = :session")
STATE = text("SELECT state FROM ussd_session WHERE session = :session")


class PostgresShelf:
    """The same in a table, a few short transactions to a hop: slower, and always there."""

    def __init__(self, rt: Runtime) -> None:
        self.rt = rt

    def take(self, session: str, phone: str, token: str, seconds: float) -> Held | None:
        names = {"session": session, "phone": phone}

        def claim(tx: Session) -> Held | None:
            row = tx.execute(CLAIM, names | {"token": uuid.UUID(token), "seconds": seconds}).first()
            if row is None:
                return None
            call = Call.loads(row.state) if row.state else None
            previous = None if call else tx.scalar(PREVIOUS, names)
            return Held(session, phone, token, call, previous, self)

        return self.rt.attempt(claim)

    def put(self, held: Held, call: Call, entry: dict[str, Any]) -> bool:
        values = {
            "session": held.session,
            "phone": call.phone,
            "state": call.dumps(),
            "replies": json.dumps({call.digest: [call.more, call.reply]}),
            "token": uuid.UUID(held.token),
            "begun_elsewhere": held.shelf is not self,
        }

        def keep(tx: Session) -> bool:
            kept = bool(tx.scalar(KEEP, values))
            if kept:
                transcripts.keep(tx, [{"stream_id": None, **entry}])
            return kept

        return self.rt.attempt(keep)

    def let_go(self, held: Held) -> None:
        names = {"session": held.session, "token": uuid.UUID(held.token)}
        self.rt.attempt(lambda tx: tx.execute(RELEASE, names))

    def earlier(self, session: str, digest: str) -> Reply | None:
        names = {"session": session, "digest": digest}
        found = self.rt.attempt(lambda tx: tx.scalar(REPLY, names))
        return Reply(*found) if found else None

    def peek(self, session: str) -> Call | None:
        state = self.rt.attempt(lambda tx: tx.scalar(STATE, {"session": session}))
        return Call.loads(state) if state else None


def _call(session: str) -> str:
    return f"ussd:call:{session}"


def _hold(session: str) -> str:
    return f"ussd:hold:{session}"


def _replies(session: str) -> str:
    return f"ussd:replies:{session}"


def _phone(phone: str) -> str:
    return f"ussd:phone:{phone}"
