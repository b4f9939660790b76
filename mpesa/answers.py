"""What Daraja's immediate answers mean: code and message together, sorted by the act they ask."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from urllib3.exceptions import ConnectTimeoutError, MaxRetryError, NewConnectionError

from core.errors import NotSent, PartnerError, Rejected, Unknown
from core.log import scrub

# By the names of the promises that ask for them, where there are such promises.
OAUTH, STK, STK_QUERY, B2C, STATUS = "oauth", "stk", "stk_query", "b2c", "status_query"
REVERSAL, BALANCE, PULL = "reversal", "balance", "pull"
PULL_REGISTER, C2B_REGISTER = "pull_register", "c2b_register"
EVERY = frozenset(
    {OAUTH, STK, STK_QUERY, B2C, STATUS, REVERSAL, BALANCE, PULL, PULL_REGISTER, C2B_REGISTER}
)
DETAIL = 160  # characters of a partner's message that staff get to see

THROTTLED = "throttled"
# No request would fare better now; after some of these in a row a product is left alone.
ILL = frozenset(
    {
        "connection", "no_answer", "unavailable", "unreadable", "internal", "busy", "maintenance",
        "credentials", "merchant", "no_product", "gateway", "path",
    }
)  # fmt: skip
HOPELESS = frozenset({"no_product", "gateway", "path"})  # nor would any other request


class StaleToken(NotSent):
    """The gateway no longer takes our token, so M-PESA never saw the request."""


@dataclass(frozen=True)
class Row:
    """One line of the table: an empty field matches anything, the first line that matches decides.

    `name` is what the house calls it (`PartnerError.code`), `says` a part of the message in lower
    case, `code` the errorCode or, ending in a star, how it begins.
    """

    verdict: type[PartnerError]
    name: str
    code: str = ""
    says: str = ""
    status: int = 0
    products: frozenset[str] = EVERY

    def fits(self, product: str, status: int, code: str, message: str) -> bool:
        """Whether an answer is of this kind."""
        begins = self.code.endswith("*") and code.startswith(self.code[:-1])
        return (
            product in self.products
            and (not self.status or status == self.status)
            and (not self.code or begins or code == self.code)
            and self.says in message.lower()
        )


# One code has many meanings (500.001.1001 has four), so most lines name the message too.
# What would release a payout (Rejected) has to be named; what is not named is Unknown.
TABLE = (
    # The gateway turned us away before M-PESA saw anything.
    Row(NotSent, "no_product", says="no apiproduct match found"),
    Row(StaleToken, "token", code="404.001.03", says="access token"),
    Row(StaleToken, "token", code="401.002.01", says="access token"),
    Row(StaleToken, "token", code="400.003.01", says="access token"),
    Row(StaleToken, "token", code="401.001", says="access token"),
    Row(StaleToken, "token", status=401, says="invalid access token"),
    Row(StaleToken, "token", status=401, says="access token expired"),
    Row(NotSent, THROTTLED, says="spike arrest"),
    Row(NotSent, THROTTLED, says="quota violation"),
    Row(NotSent, THROTTLED, status=429),
    Row(NotSent, "gateway", code="403.002.1001"),
    Row(NotSent, "gateway", code="404.001.04"),
    Row(NotSent, "path", code="404.001.01"),
    Row(NotSent, "path", code="405.001"),
    # OAuth turned our key away, or how we showed it.
    Row(Rejected, "credentials", code="400.008.*", products=frozenset({OAUTH})),
    Row(Rejected, "credentials", status=400, products=frozenset({OAUTH})),
    Row(Rejected, "credentials", status=401, products=frozenset({OAUTH})),
    # The addresses of the paybill stand already, here or on Safaricom's old platform.
    Row(Rejected, "registered", says="already registered", products=frozenset({C2B_REGISTER})),
    Row(Rejected, "registered", says="duplicate notification", products=frozenset({C2B_REGISTER})),
    # An STK query asked before M-PESA knows the end is no answer.
    Row(Unknown, "in_flight", says="being processed", products=frozenset({STK_QUERY})),
    Row(Unknown, "in_flight", says="invalid checkoutrequestid", products=frozenset({STK_QUERY})),
    # M-PESA read the request and refused it.
    Row(Rejected, "field", code="400.002.02"),
    Row(Rejected, "field", code="400.*", says="invalid"),
    Row(
        Rejected,
        "locked",
        code="500.001.1001",
        says="unable to lock subscriber",
        products=frozenset({STK}),
    ),
    Row(Rejected, "merchant", code="500.001.1001", says="merchant does not exist"),
    Row(Rejected, "credentials", code="500.001.1001", says="wrong credentials"),
    # It may have been done.
    Row(Unknown, "duplicate", code="500.002.1001", says="duplicate originatorconversationid"),
    Row(Unknown, "maintenance", code="500.002.1001", says="maintenance"),
    Row(Unknown, "internal", code="500.002.1001"),
    Row(Unknown, "busy", code="500.003.02"),
    Row(Unknown, "internal", code="500.003.1001"),
    Row(Unknown, "unavailable", status=502),
    Row(Unknown, "unavailable", status=503),
    Row(Unknown, "unavailable", status=504),
    # A push that any other 4xx in Daraja's own form refused was not made; a late success is booked
    # all the same. A payout has no such second chance, and stays Unknown.
    Row(Rejected, "refused", code="4*", products=frozenset({STK})),
)


def read(product: str, status: int, body: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """The accepted answer of `product`; raises what any other answer means.

    `body` is None where the answer was no JSON object. A yes without the one field that we need
    of it is as unclear as no answer.
    """
    if status == 200 and body is not None and _is_yes(product, body):
        needed = NEEDED.get(product)
        if needed is None or (body.get(needed) is not None and str(body[needed]).strip()):
            return body
        raise Unknown(f"accepted without {needed}", code="unreadable")
    raise _meaning(product, status, body)


def of_failure(error: Exception) -> PartnerError:
    """What a request that brought no answer means.

    Surely unsent only where no connection came about: name resolution, refused, connect time-out,
    TLS handshake. A request received whole and then dropped raises the same class of `requests`,
    so the cause inside decides.
    """
    cause = error.args[0] if error.args else None
    reason = cause.reason if isinstance(cause, MaxRetryError) else None
    if isinstance(reason, NewConnectionError | ConnectTimeoutError):
        return NotSent(f"no connection: {type(reason).__name__}", code="connection")
    return Unknown(f"no answer: {type(error).__name__}", code="no_answer")


NEEDED: Mapping[str, str] = {
    OAUTH: "access_token",
    STK: "CheckoutRequestID",
    STK_QUERY: "ResultCode",
    B2C: "ConversationID",
    STATUS: "ConversationID",
    REVERSAL: "ConversationID",
    BALANCE: "ConversationID",
}
"""By what a later result is recognised, or what was asked for."""

YES: Mapping[str, frozenset[str]] = {
    PULL: frozenset({"1000", "1001"}),  # 1001: nothing happened in that time
    PULL_REGISTER: frozenset({"1000", "1001"}),  # 1001: registered before
}
"""The response codes that mean yes, where they are not just 0."""


def _is_yes(product: str, body: Mapping[str, Any]) -> bool:
    if product == OAUTH:
        return True  # it has no code: the token says it
    return _field(body, "responsecode", "responsestatus") in YES.get(product, {"0"})


def _field(body: Mapping[str, Any], *names: str) -> str:
    """The first of `names` that is there; the pull API cannot agree on how they are written."""
    told = {str(key).replace(" ", "").lower(): value for key, value in body.items()}
    return next((str(told[name]) for name in names if told.get(name) is not None), "")


def _meaning(product: str, status: int, body: Mapping[str, Any] | None) -> PartnerError:
    code, message = _envelope(body or {})
    for row in TABLE:
        if row.fits(product, status, code, message):
            # Daraja quotes a token it refuses, and details are kept and shown.
            told = "" if row.verdict is StaleToken else message
            return row.verdict(_detail(status, code, told), code=row.name)
    return Unknown(_detail(status, code, message), code="unreadable" if body is None else "unclear")


def _detail(status: int, code: str, message: str) -> str:
    return scrub(f"{status} {code} {message}".strip())[:DETAIL]


def _envelope(body: Mapping[str, Any]) -> tuple[str, str]:
    """Code and message of Daraja's envelope, or of the Apigee gateway's, which is another."""
    fault = body.get("fault")
    if isinstance(fault, Mapping):
        detail = fault.get("detail")
        code = detail.get("errorcode") if isinstance(detail, Mapping) else ""
        return str(code or ""), str(fault.get("faultstring") or "")
    message = _field(body, "errormessage", "responsedescription", "responsemessage")
    return _field(body, "errorcode"), message
