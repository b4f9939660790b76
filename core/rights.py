"""Who may do what: one table, right by right, for pages, API and commands alike."""

from collections.abc import Mapping
from enum import StrEnum

from core.errors import Refusal
from core.staff import Role, Staff


class Right(StrEnum):
    """One thing that somebody of the staff may be allowed to do, in the words of a sentence."""

    READ = "read"
    READ_PHONE = "read a phone number"
    READ_AUDIT = "read the audit"
    AUDIT_VERIFY = "verify the audit"
    EXPORT = "export"
    PLAY_LIMITS = "set limits and exclusions"
    CLAIMS = "work on customers' claims"
    MARKETS = "draft, open and close markets"
    RESULT_PROPOSE = "propose a result"
    RESULT_APPROVE = "approve a result"
    SETTLEMENT_PAUSE = "pause a settlement"
    PAYOUT_HOLD = "hold a payout and let it go"
    PAYOUT_RETRY = "try a payout again"
    PAYOUT_PROPOSE = "propose the end of a payout"
    PAYOUT_APPROVE = "approve the end of a payout"
    PAYOUTS_RESUME = "let payouts go again"
    SUSPENSE_PROPOSE = "propose whose money it is"
    SUSPENSE_APPROVE = "approve whose money it is"
    TREASURY_PROPOSE = "propose a move of the house's money"
    TREASURY_APPROVE = "approve a move of the house's money"
    ADJUST_PROPOSE = "propose to adjust a customer's money"
    ADJUST_APPROVE = "approve an adjustment of a customer's money"
    LEVY_PROPOSE = "propose levies and tariffs"
    LEVY_APPROVE = "approve levies and tariffs"
    DAY_PROPOSE = "propose to close a day"
    DAY_APPROVE = "approve the close of a day"
    RECONCILE = "reconcile with M-PESA"
    STATEMENT_PROPOSE = "propose what a statement's line is"
    STATEMENT_APPROVE = "approve what a statement's line is"
    CALLBACKS_RETRY = "run stuck callbacks again"
    CREDENTIALS_PROPOSE = "propose credentials"
    CREDENTIALS_APPROVE = "approve credentials"
    ENVIRONMENT_PROPOSE = "propose a change of the environment"
    ENVIRONMENT_APPROVE = "approve a change of the environment"
    STAFF_PROPOSE = "propose a change of staff"
    STAFF_APPROVE = "approve a change of staff"
    STAFF_SESSIONS = "end somebody's sessions"
    API_KEYS = "make a key of one's own"
    OWN_SESSIONS = "see and end one's own sessions"
    OWN_FACTORS = "change one's own password and codes"


EVERYBODY = frozenset(Role)
SUPPORT = frozenset({Role.SUPPORT, Role.ADMIN})
TRADING = frozenset({Role.TRADER, Role.ADMIN})
MONEY = frozenset({Role.FINANCE, Role.ADMIN})
PEOPLE = frozenset({Role.ADMIN})
EYES = frozenset({Role.AUDITOR, Role.ADMIN})

ROLES: Mapping[Right, frozenset[Role]] = {
    Right.READ: EVERYBODY,
    # Whoever speaks with customers or pays them; traders have no use for it.
    Right.READ_PHONE: SUPPORT | MONEY | EYES,
    Right.READ_AUDIT: EYES,
    Right.AUDIT_VERIFY: EYES,
    Right.EXPORT: MONEY | EYES,
    Right.PLAY_LIMITS: SUPPORT,
    Right.CLAIMS: SUPPORT | MONEY,
    Right.MARKETS: TRADING,
    Right.RESULT_PROPOSE: TRADING,
    Right.RESULT_APPROVE: TRADING,
    Right.SETTLEMENT_PAUSE: TRADING | MONEY,  # whoever sees that something is wrong
    Right.PAYOUT_HOLD: MONEY,
    Right.PAYOUT_RETRY: MONEY,
    Right.PAYOUT_PROPOSE: MONEY,
    Right.PAYOUT_APPROVE: MONEY,
    Right.PAYOUTS_RESUME: MONEY,
    Right.SUSPENSE_PROPOSE: MONEY,
    Right.SUSPENSE_APPROVE: MONEY,
    Right.TREASURY_PROPOSE: MONEY,
    Right.TREASURY_APPROVE: MONEY,
    Right.ADJUST_PROPOSE: MONEY,
    Right.ADJUST_APPROVE: MONEY,
    Right.LEVY_PROPOSE: MONEY,
    Right.LEVY_APPROVE: MONEY,
    Right.DAY_PROPOSE: MONEY,
    Right.DAY_APPROVE: MONEY,
    Right.RECONCILE: MONEY,
    Right.STATEMENT_PROPOSE: MONEY,
    Right.STATEMENT_APPROVE: MONEY,
    Right.CALLBACKS_RETRY: MONEY,
    Right.CREDENTIALS_PROPOSE: MONEY,
    Right.CREDENTIALS_APPROVE: PEOPLE,
    Right.ENVIRONMENT_PROPOSE: PEOPLE,
    Right.ENVIRONMENT_APPROVE: PEOPLE,
    Right.STAFF_PROPOSE: PEOPLE,
    Right.STAFF_APPROVE: PEOPLE,
    Right.STAFF_SESSIONS: PEOPLE,
    Right.API_KEYS: EVERYBODY,
    Right.OWN_SESSIONS: EVERYBODY,
    Right.OWN_FACTORS: EVERYBODY,
}

# Money that moves, and whatever could give somebody more rights: the second factor is asked again.
# Holding and pausing are not among them, so that nobody who sees a mistake has to look for a phone.
FRESH = frozenset(
    {right for right in Right if right.name.endswith(("_PROPOSE", "_APPROVE"))}
    | {Right.PAYOUT_RETRY, Right.PAYOUTS_RESUME, Right.CALLBACKS_RETRY, Right.API_KEYS}
    | {Right.OWN_FACTORS}
)
# What it takes to propose each act of two people, asked again when it is approved.
PROPOSES: Mapping[str, Right] = {
    "market.result": Right.RESULT_PROPOSE,
    "market.void": Right.RESULT_PROPOSE,
    "market.correction": Right.RESULT_PROPOSE,
    "market.withdrawal": Right.RESULT_PROPOSE,
    "payout end": Right.PAYOUT_PROPOSE,
    "payout release": Right.PAYOUT_PROPOSE,
    "payout incident": Right.PAYOUT_PROPOSE,
    "refund": Right.PAYOUT_PROPOSE,
    "receipt": Right.SUSPENSE_PROPOSE,
    "treasury": Right.TREASURY_PROPOSE,
    "adjustment": Right.ADJUST_PROPOSE,
    "day.close": Right.DAY_PROPOSE,
    "levy.rates": Right.LEVY_PROPOSE,
    "tariff": Right.LEVY_PROPOSE,
    "statement.close": Right.STATEMENT_PROPOSE,
    "mpesa settings": Right.CREDENTIALS_PROPOSE,
    "environment": Right.ENVIRONMENT_PROPOSE,
    "staff new": Right.STAFF_PROPOSE,
    "staff role": Right.STAFF_PROPOSE,
    "staff reset": Right.STAFF_PROPOSE,
    "staff phone": Right.STAFF_PROPOSE,
    "staff leave": Right.STAFF_PROPOSE,
}
READS = frozenset(
    {Right.READ, Right.READ_PHONE, Right.READ_AUDIT, Right.AUDIT_VERIFY, Right.EXPORT}
)


def second(first: Right) -> Right:
    """What it takes to say the second yes to what `first` may propose."""
    return Right[first.name.replace("_PROPOSE", "_APPROVE")]


def may(role: Role | str, right: Right) -> bool:
    """Whether somebody of this role has the right."""
    return role in ROLES[right]


def require(member: Staff, right: Right) -> None:
    """Refuse whoever has not the right."""
    if not may(member.role, right):
        raise Refusal(
            "staff.not_your_role",
            name=member.name,
            role=member.role,
            roles=", ".join(role for role in Role if role in ROLES[right]),
        )
