"""Paying by hand: what to enter in the M-PESA menu where no prompt comes to the phone."""

from core.config import Config
from core.payments import Deposit
from core.reasons import PushReason
from core.say import say


def account_of(phone: str) -> str:
    """The account that a payment without a reference names: the number as its owner writes it."""
    return phone.replace("+254", "0", 1)


def how(config: Config, account: str, lang: str) -> str:
    """Paybill and account, or the till, which has no accounts."""
    if config.mpesa_till_number:
        return say("money.by_till", lang, till=config.mpesa_till_number)
    return say("money.by_paybill", lang, paybill=config.mpesa_shortcode, account=account)


def why_not(deposit: Deposit, reason: PushReason, config: Config, lang: str) -> str:
    """Why a deposit was not made, and how else it can be, under its own reference."""
    why = say(reason.sentence, lang)
    if not reason.by_hand:
        return why
    return f"{why} {say('money.or_else', lang, how=how(config, deposit.ref, lang))}"
