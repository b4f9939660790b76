"""Answers to texts that ask nothing of the house, or not clearly enough."""

from core.say import say
from sms import meanings as m
from sms.commands import joining
from sms.visit import Reply, Visit
from sms.words import COMMAND_OF

MEMBERS_ONLY = frozenset(
    ("deposit", "withdraw", "status", "statement", "bet", "bets", "reset", "auto", "yes", "claim")
)


def welcome(visit: Visit, _: object) -> Reply:
    """To a number that is nobody's, whatever it asked."""
    return Reply("sms.welcome", {"age": visit.config.min_age})


def help_(visit: Visit, asked: m.Help) -> Reply:
    """`HELP`, or `HELP DEP` about one word. Words of what is not open yet get the whole list."""
    return Reply(f"sms.help_{asked.command}" if asked.command else "sms.help")


def usage(visit: Visit, asked: m.Usage) -> Reply:
    """The keyword was right, what follows it does not fit: how it goes."""
    if asked.command == "verify" and joining.awaits_code(visit):
        return joining.new_code(visit)
    if asked.command == "verify" and joining.is_member(visit.who):
        return Reply("customers.already_verified")
    if asked.command in MEMBERS_ONLY and not joining.is_member(visit.who):
        return joining.next_step(visit, asked)
    return Reply(f"sms.help_{asked.command}")


def did_you_mean(visit: Visit, asked: m.DidYouMean) -> Reply:
    """Ask, and show how it goes; the text is not sent back, for it may hold a PIN."""
    if len(asked.words) > 1:
        first, second = asked.words
        return Reply("sms.did_you_mean_either", {"first": first, "second": second})
    (word,) = asked.words
    how = say(f"sms.help_{COMMAND_OF[word]}", visit.lang)
    return Reply("sms.did_you_mean", {"word": word, "how": how})


def not_understood(visit: Visit, _: object) -> Reply:
    """Nothing that we know."""
    return Reply("sms.not_understood")


def amount_unreadable(visit: Visit, _: object) -> Reply:
    """Something else stands where an amount belongs."""
    return Reply("sms.amount_unreadable")


def cancel(visit: Visit, _: m.Cancel) -> Reply:
    """Bets stand once placed."""
    return Reply("sms.cancel")
