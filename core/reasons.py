"""What M-PESA's codes mean: for the customer, for staff, and for what the house does next."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto


@dataclass(frozen=True)
class PushReason:
    """Why an STK push brought no money. `alert` marks what is our fault or M-PESA's, not theirs.

    `by_hand` marks what does not keep the customer from paying the same by paybill.
    """

    sentence: str
    meaning: str
    advice: str
    alert: bool = False
    by_hand: bool = False

    @property
    def effect(self) -> str:
        """What it does to the house, for staff."""
        return "Alerts: deposits may be failing for everybody." if self.alert else "None."


class Act(Enum):
    """What a failed payout asks of the house."""

    RELEASE = auto()  # it was not paid: give the money back
    RELEASE_AND_PAUSE = auto()  # and no other will be paid either, until somebody mends it
    TOP_UP = auto()  # our float is empty: keep it reserved, pause, try again with a new id
    DOUBT = auto()  # it may still be paid: ask


EFFECTS: Mapping[Act, str] = {
    Act.RELEASE: "The money goes back to the wallet.",
    Act.RELEASE_AND_PAUSE: "The money goes back to the wallet, and all payouts are paused.",
    Act.TOP_UP: "The money stays reserved, and all payouts are paused until we have topped up.",
    Act.DOUBT: "The money stays reserved until M-PESA says what became of it.",
}


@dataclass(frozen=True)
class PayoutReason:
    """Why a payout was not paid, as its result said."""

    act: Act
    sentence: str
    meaning: str
    advice: str

    @property
    def effect(self) -> str:
        """What it does to the house, for staff."""
        return EFFECTS[self.act]


OURS = (
    "Check shortcode, transaction type and product with M-PESA; deposits fail until it is mended."
)
NOTHING = "Nothing to do: the customer was told and may try again."
BUSY = "money.why_mpesa_busy"
DOWN = "money.why_deposits_down"
NO_PROMPT = PushReason(
    "money.why_no_prompt",
    "The prompt could not be sent to the phone.",
    "Frequent? Shorten the prompt.",
    alert=True,
    by_hand=True,
)

PUSH: Mapping[str, PushReason] = {
    "1": PushReason("money.why_low_balance", "Not enough money on M-PESA.", NOTHING),
    "2": PushReason("money.why_too_little", "Below M-PESA's minimum.", OURS, alert=True),
    "3": PushReason("money.why_too_much", "Above M-PESA's limit of one transaction.", NOTHING),
    "4": PushReason("money.why_day_limit", "Over the customer's M-PESA limit of a day.", NOTHING),
    "8": PushReason(
        DOWN,
        "Our M-PESA account is full.",
        "Move money from the utility account to the bank at once.",
        alert=True,
    ),
    "17": PushReason(
        "money.why_same_amount", "Same customer and amount within two minutes.", NOTHING
    ),
    "26": PushReason(BUSY, "M-PESA is overloaded.", NOTHING, by_hand=True),
    "1001": PushReason(
        "money.why_locked", "Another M-PESA or USSD session was open.", NOTHING, by_hand=True
    ),
    "1019": PushReason("money.why_expired", "M-PESA did not process it in time.", NOTHING),
    "1025": NO_PROMPT,
    "1032": PushReason("money.why_cancelled", "The customer cancelled.", NOTHING),
    "1037": PushReason(
        "money.why_unreachable", "Phone off, busy, or an old SIM card.", NOTHING, by_hand=True
    ),
    "2001": PushReason("money.why_wrong_mpesa_pin", "Wrong M-PESA PIN.", NOTHING),
    "2028": PushReason(DOWN, "Our shortcode may not do this.", OURS, alert=True),
    "8006": PushReason(
        "money.why_mpesa_pin_locked", "The customer's M-PESA PIN is locked.", NOTHING
    ),
    "9999": NO_PROMPT,
    "SFC_IC0003": PushReason(DOWN, "Our shortcode or transaction type is wrong.", OURS, alert=True),
    # Not result codes but names of answers to the push itself, and ends of our own making.
    "locked": PushReason(
        "money.why_locked", "Another M-PESA session was open.", NOTHING, by_hand=True
    ),
    "field": PushReason(DOWN, "M-PESA refused a field of our request.", OURS, alert=True),
    "refused": PushReason(DOWN, "M-PESA refused our request.", OURS, alert=True),
    "merchant": PushReason(DOWN, "M-PESA does not know our shortcode.", OURS, alert=True),
    "credentials": PushReason(
        DOWN, "Passkey, password and timestamp do not fit.", "Check the passkey.", alert=True
    ),
    "never_sent": PushReason(BUSY, "No worker sent it in time.", NOTHING, by_hand=True),
    "may_not_play": PushReason(
        "money.why_may_not_play", "Excluded or closed between asking and sending.", NOTHING
    ),
    "expired": PushReason("money.why_expired", "M-PESA told no end within the limit.", NOTHING),
    "denied": PushReason(
        "money.why_denied", "M-PESA does not confirm the payment.", "Look at the claim.", alert=True
    ),
}

QUERY_ENDS = frozenset(
    ("1", "2", "3", "4", "8", "17", "1019", "1025", "1032", "1037", "2001", "2028", "8006", "9999")
)
"""Codes of an STK query that end a push; with any other it may still be under way."""

NOT_SENT = PushReason(
    BUSY, "M-PESA could not be reached; nothing was sent.", NOTHING, alert=True, by_hand=True
)
"""For every NotSent of a push: the prompt never left, and a late one would only confuse."""

KEEP = "Nothing to do: the status query decides."
MEND = "Payouts are paused. Mend it with M-PESA, then resume."
FAILED = "money.why_payout_failed"


def _open(meaning: str) -> PayoutReason:
    """A code that proves neither that it was paid nor that it was not."""
    return PayoutReason(Act.DOUBT, FAILED, meaning, KEEP)


PAYOUT: Mapping[str, PayoutReason] = {
    "1": PayoutReason(
        Act.TOP_UP, FAILED, "Our utility account is short.", "Top up, then resume payouts."
    ),
    "2": PayoutReason(Act.RELEASE, FAILED, "Below M-PESA's minimum.", "Check the limits."),
    "3": PayoutReason(Act.RELEASE, FAILED, "Above M-PESA's maximum.", "Check the limits."),
    "4": PayoutReason(
        Act.RELEASE, "money.why_receiver_day_limit", "The customer's limit of a day.", NOTHING
    ),
    "8": PayoutReason(
        Act.RELEASE, "money.why_receiver_full", "The customer's M-PESA would be over full.", NOTHING
    ),
    "11": PayoutReason(Act.RELEASE_AND_PAUSE, FAILED, "Our account is not active.", MEND),
    "21": PayoutReason(Act.RELEASE_AND_PAUSE, FAILED, "The operator lacks the role.", MEND),
    "2001": PayoutReason(
        Act.RELEASE_AND_PAUSE,
        FAILED,
        "Operator name, password or encryption is wrong (ours, not the customer's PIN).",
        "Payouts are paused: more tries would lock the operator. Mend the credential, then resume.",
    ),
    "2006": PayoutReason(Act.RELEASE_AND_PAUSE, FAILED, "Our account is not active.", MEND),
    "2028": PayoutReason(Act.RELEASE_AND_PAUSE, FAILED, "Our shortcode may not pay out.", MEND),
    "2040": PayoutReason(
        Act.RELEASE, "money.why_not_on_mpesa", "The customer is not registered.", NOTHING
    ),
    "8006": PayoutReason(
        Act.RELEASE_AND_PAUSE,
        FAILED,
        "The operator's password is locked.",
        "Payouts are paused. The business administrator unlocks it in the portal; then resume.",
    ),
    "SFC_IC0003": PayoutReason(
        Act.RELEASE, "money.why_not_on_mpesa", "The number is not on M-PESA.", NOTHING
    ),
    # Of M-PESA's general list: what they mean for a payout is nowhere said.
    "15": _open("M-PESA took it for a duplicate of another payment."),
    "17": _open("M-PESA failed inside."),
    "18": _open("M-PESA did not accept the operator's credential."),
    "20": _open("M-PESA does not know the operator."),
    "22": _open("The operator may not act for our shortcode."),
    "24": _open("M-PESA missed a field of the request."),
    "25": _open("M-PESA found a field of the request invalid."),
    "26": _open("M-PESA is overloaded."),
    # Names of answers to the payment request itself: refused before anything was paid.
    "field": PayoutReason(
        Act.RELEASE,
        FAILED,
        "M-PESA refused a field of our request.",
        "Look at the promise's error.",
    ),
    "merchant": PayoutReason(Act.RELEASE_AND_PAUSE, FAILED, "Our shortcode is unknown.", MEND),
    "credentials": PayoutReason(Act.RELEASE_AND_PAUSE, FAILED, "Wrong credentials.", MEND),
    # Two people found that no statement has it.
    "proved_dead": PayoutReason(
        Act.RELEASE, FAILED, "It is not in the organisation statement.", NOTHING
    ),
    # What a status query found.
    "not_paid": PayoutReason(
        Act.RELEASE, FAILED, "M-PESA says it was cancelled, declined or expired.", NOTHING
    ),
}

DOUBT = _open("M-PESA's answer leaves it open.")

GATEWAY_TROUBLE = frozenset({"no_product", "gateway", "path"})
"""Answers that would refuse every payout alike: nothing was sent, and nothing can be."""


def of_payout(code: str) -> PayoutReason:
    """What a payout's code means; a code that is not in the table proves nothing."""
    return PAYOUT.get(code, DOUBT)
