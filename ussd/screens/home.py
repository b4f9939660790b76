"""Home: the balance, and a way to everything."""

from core import ledger
from core.customers import Standing
from ussd.screens import account, bets, betting, money, statement
from ussd.visit import Choice, Menu, Visit, link, screen


@screen
def home(visit: Visit) -> Menu:
    """Numbers are learnt by heart, so each keeps its own: 5 is tips and 6 is the statement."""
    customer = visit.known
    if customer.standing == Standing.CLOSED:
        withdraw = Choice(visit.say("ussd.withdraw"), link(money.withdraw), digit="4")
        return Menu(visit.say("customers.closed"), [withdraw])
    balance = ledger.balance(visit.tx, customer.id)
    greeting = visit.say("ussd.home", name=_first(customer.name), balance=balance)
    return Menu(
        money.with_doubt(visit, greeting),
        [
            Choice(visit.say("ussd.bet"), link(betting.menu), digit="1"),
            Choice(visit.say("ussd.my_bets"), link(bets.menu), digit="2"),
            Choice(visit.say("ussd.deposit"), link(money.deposit), digit="3"),
            Choice(visit.say("ussd.withdraw"), link(money.withdraw), digit="4"),
            Choice(visit.say("ussd.statement"), link(statement.menu), digit="6"),
            Choice(visit.say("ussd.account"), link(account.menu), digit="7"),
        ],
    )


def _first(name: str | None) -> str:
    return (name or "").partition(" ")[0]
