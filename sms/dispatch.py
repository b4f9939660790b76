"""Which command answers a meaning, and who may ask for it."""

from collections.abc import Callable, Mapping
from typing import Any

from core.errors import Refusal
from sms import meanings as m
from sms.commands import account, betting, games, joining, ordering, wallet, words
from sms.visit import Reply, Visit

Command = Callable[[Visit, Any], Reply]

# What anybody may ask, and what one may who has begun to sign up.
ANYBODY: Mapping[type, Command] = {
    m.Join: joining.join,
    m.Games: games.games,
    m.Odds: games.odds,
    m.Result: games.result,
    m.Stop: account.stop,
    m.Start: account.start,
    m.Cancel: words.cancel,
    m.Help: words.help_,
}
JOINING: Mapping[type, Command] = {
    m.Accept: joining.accept,
    m.Pin: joining.pin,
    m.Verify: joining.verify,
    m.Language: account.language,
    m.Balance: wallet.balance,
    m.Usage: words.usage,
    m.DidYouMean: words.did_you_mean,
}
MEMBERS: Mapping[type, Command] = {
    m.Deposit: wallet.deposit,
    m.Withdraw: wallet.withdraw,
    m.Status: wallet.status,
    m.Paybill: wallet.paybill,
    m.Claim: wallet.claim,
    m.Yes: ordering.yes,
    m.Statement: wallet.statement,
    m.Bets: betting.bets,
    m.StakeMissing: betting.stake_missing,
    m.Combined: betting.combined,
    m.StakeOrPin: betting.stake_or_pin,
    m.MyBets: betting.my_bets,
    m.Reset: account.reset,
    m.AutoCashout: account.auto_cashout,
    m.NotUnderstood: words.not_understood,
    m.AmountUnreadable: words.amount_unreadable,
}


def answer(visit: Visit, meaning: m.Meaning) -> Reply:
    """Do what the text asks and say what came of it. A Refusal undoes what had been begun."""
    if visit.proof is not None and visit.proof.denied is not None:
        return visit.proof.denied
    try:
        with visit.tx.begin_nested():
            return _command(visit, meaning)(visit, meaning)
    except Refusal as refusal:
        return Reply(refusal.reason, refusal.facts)


def _command(visit: Visit, meaning: m.Meaning) -> Command:
    kind = type(meaning)
    if kind in ANYBODY:
        return ANYBODY[kind]
    if visit.customer is None:
        return words.welcome
    if kind in JOINING:
        return JOINING[kind]
    return MEMBERS[kind] if joining.is_member(visit.customer) else joining.next_step
