"""What the house writes down about itself: JSON events of listed fields, with no secret in them."""

import json
import logging
import re
import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from decimal import Decimal
from enum import Enum
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from traceback import extract_tb
from typing import Any, TextIO
from uuid import UUID

import structlog
from structlog.contextvars import bound_contextvars, get_contextvars, merge_contextvars
from structlog.stdlib import ProcessorFormatter
from structlog.typing import EventDict, Processor

from core import phone

PACKAGES = ("core", "ussd", "sms", "mpesa", "admin", "wsgi")
HANDLER = "house"

# A field that is not listed is withheld: what nobody thought of cannot leak. There is no place
# here for what a customer typed, a PIN, a code, a token or a name of a person.
FIELDS = frozenset(
    {
        "event", "level", "timestamp", "logger", "trace", "span", "exception", "withheld",
        "environment", "version",
        "phone", "customer_id", "market_id", "bet_id", "deposit_id", "order_id", "payout_id",
        "promise_id", "callback_id", "claim_id", "code_claim_id", "query_id", "refund_id",
        "receipt", "proposal_id", "settlement_id", "transfer_id", "staff_id", "message_id",
        "session", "effect", "ids",
        "channel", "verb", "verdict", "reason", "screen", "hop", "kind", "queue", "state",
        "status", "door", "product", "job", "tick",
        "attempt", "attempts", "again", "left", "times", "amount", "balance", "count", "total",
        "owed", "seconds", "segments",
        "audit_lines", "audit_hash",
        "result_code", "error_code", "sqlstate", "error", "address", "method", "route",
    }
)  # fmt: skip
# Fit as they are.
OPAQUE = frozenset({"trace", "span", "session", "message_id", "exception", "audit_hash"})

PHONE = re.compile(r"(?<!\d)(?:\+|00)?(?:254 ?|0)[17]\d{2} ?\d{3} ?\d{3}(?!\d)")
TOKEN = re.compile(r"[0-9a-fA-F]{32,}|[A-Za-z0-9+/_-]{40,}={0,2}")
SHORT_NUMBER = re.compile(r"(?<!\d)\d{4,6}(?![\d*])")  # it may be a PIN or a one-time code
HIDDEN = "****"

TRACEPARENT = re.compile(r"00-(?P<trace>[0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
FRAMES = 12  # of a traceback, the innermost


def configure(level: str = "INFO", stream: TextIO | None = None) -> None:
    """Write every log of this process to `stream` (stdout), a line of JSON for each event.

    Libraries are heard from WARNING on: their chatter holds addresses and parameters.
    """
    handler = logging.StreamHandler(stream or sys.stdout)
    handler.set_name(HANDLER)
    handler.setFormatter(
        ProcessorFormatter(
            processors=[ProcessorFormatter.remove_processors_meta, _line],
            foreign_pre_chain=[*COMMON, _hush, _redact],
        )
    )
    root = logging.getLogger()
    root.handlers = [h for h in root.handlers if h.get_name() != HANDLER] + [handler]
    root.setLevel(logging.WARNING)
    for package in PACKAGES:
        logging.getLogger(package).setLevel(level)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *COMMON,
            _redact,  # here already, so that no other handler sees more
            ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )


def kept() -> Callable[[], None]:
    """How logs are written now: calling it has them written so again."""
    root, written = logging.getLogger(), structlog.get_config()
    handlers, level = list(root.handlers), root.level
    levels = {package: logging.getLogger(package).level for package in PACKAGES}

    def again() -> None:
        root.handlers = handlers
        root.setLevel(level)
        for package, was in levels.items():
            logging.getLogger(package).setLevel(was)
        structlog.configure(**written)

    return again


@contextmanager
def traced(parent: str | None = None, **fields: Any) -> Iterator[str]:
    """Give every event of this request or job one trace id, and `fields`; yields the id.

    `parent` is what `traceparent()` said where the work was promised; anything else starts anew.
    """
    found = TRACEPARENT.fullmatch(parent or "")
    trace = found["trace"] if found else secrets.token_hex(16)
    with bound_contextvars(trace=trace, span=secrets.token_hex(8), **fields):
        yield trace


def traceparent() -> str | None:
    """The present trace in the W3C form, to be carried by a promise, a job or a request."""
    bound = get_contextvars()
    return f"00-{bound['trace']}-{bound['span']}-01" if "trace" in bound else None


def scrub(text: str) -> str:
    """The text with phone numbers masked and whatever looks like a key or a token hidden."""
    masked = PHONE.sub(lambda found: phone.mask(found[0]), text)
    return TOKEN.sub(HIDDEN, masked)


def _redact(logger: Any, method: str, event: EventDict) -> EventDict:
    """Keep the listed fields, each made fit for whoever may read logs; name the others."""
    kept: EventDict = {}
    withheld: list[str] = []
    for name, value in event.items():
        if name.startswith("_") or name in OPAQUE:
            kept[name] = value
        elif name in FIELDS:
            kept[name] = _plain(name, value)
        else:
            withheld.append(name)
    if withheld:
        kept["withheld"] = sorted(withheld)
    return kept


def _hush(logger: Any, method: str, event: EventDict) -> EventDict:
    """A library's sentence has its facts inside: hide every number that may be a PIN or a code."""
    event["event"] = SHORT_NUMBER.sub(HIDDEN, scrub(str(event["event"])))
    return event


def _plain(name: str, value: Any) -> Any:
    """A value as JSON has it; of an object only its type is told."""
    if name == "phone":
        return phone.mask(str(value))
    if isinstance(value, Enum):
        return value.name.lower()
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return scrub(value)
    if isinstance(value, list | tuple):
        return [_plain(name, one) for one in value]
    if isinstance(value, UUID | Decimal | date | timedelta | IPv4Address | IPv6Address):
        return str(value)
    return f"<{type(value).__name__}>"


def _explain(logger: Any, method: str, event: EventDict) -> EventDict:
    """Turn an exception into its types, its scrubbed first lines and where it passed.

    No local variables and no further lines: there a driver prints the parameters of a statement.
    """
    raised = event.pop("exc_info", None)
    if raised is True:
        raised = sys.exc_info()
    error = raised[1] if isinstance(raised, tuple) else raised
    if isinstance(error, BaseException):
        event["exception"] = [_account(one) for one in _chain(error)]
    return event


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _account(error: BaseException) -> dict[str, Any]:
    first_line = str(error).partition("\n")[0]
    return {
        "type": type(error).__name__,
        "message": SHORT_NUMBER.sub(HIDDEN, scrub(first_line)),
        "frames": [
            f"{Path(frame.filename).name}:{frame.lineno} {frame.name}"
            for frame in extract_tb(error.__traceback__)[-FRAMES:]
        ],
    }


def _line(logger: Any, method: str, event: EventDict) -> str:
    return json.dumps(event, ensure_ascii=False, separators=(",", ":"))


COMMON: list[Processor] = [
    merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    _explain,
]
