"""Manual adjustments of one customer: two people, a reason, and never more than there is."""

import pytest

from core import adjustments, customers, explain, ledger, staff, statement
from core.errors import Refusal
from core.ledger import AccountKind
from core.money import Cents
from core.proposals import ProposalState
from core.staff import Role
from tests import games, mpesa, paybill, people, teller
from tests.core.test_money_page import PAGE, cents, rows
from tests.people import AMINA, BRIAN, STRANGER

TABLE = [tuple(row[1:]) for row in rows(PAGE[PAGE.index("## Adjustments") :])[1:4]]

JOINING = "+254712000008"


@pytest.fixture
def two(rt):
    return [people.member(rt, name, Role.FINANCE) for name in ("ann", "ben")]


@pytest.fixture
def fresh(rt, amina, wanjiku):
    """Amina owes 50.00 since a moment ago, and has nothing."""
    mpesa.Daraja(rt)
    paybill.pay(rt, AMINA)
    games.placed(rt, amina, games.derby(rt, wanjiku), 1, 1_050)
    assert paybill.decide(rt, "never") == "reversed"
    assert stands(rt, amina) == (0, 50_00, 0)


@pytest.fixture
def owing(fresh, wait):
    """And nobody will prove any more that it is not so."""
    wait(days=31)


def test_a_credit_repays_first_and_its_line_says_why(rt, amina, two, owing):
    assert decide(rt, two, "credit", 80_00) == 50_00

    assert stands(rt, amina) == (30_00, 0, -80_00)
    assert moves(rt)[-2:] == TABLE[:2]
    assert mpesa.texts(rt, amina)[-1] == "money.credited_owed"
    with rt.transaction() as tx:
        *_, given, repaid = explain.Explanation(tx, amina.id).lines()
        newest = statement.page(tx, amina.id).lines[1]
    told = given.origin
    assert (told["note"], told["proposed_by"], told["approved_by"]) == ("an outage", "ann", "ben")
    assert (given.problems, repaid.kind, repaid.problems) == ((), "repayment", ())
    assert (newest.word, newest.amount) == ("adjustment", 80_00)
    assert teller.clean(rt)


def test_who_owes_nothing_has_it_whole(rt, amina, two):
    assert decide(rt, two, "credit", 80_00) == 0
    assert stands(rt, amina) == (1_080_00, 0, -80_00)
    assert mpesa.texts(rt, amina) == ["money.credited"]
    assert teller.clean(rt)


def test_a_write_off_takes_from_what_is_owed_and_from_no_wallet(rt, amina, two, owing):
    decide(rt, two, "write off", 30_00)

    assert stands(rt, amina) == (0, 20_00, -30_00)
    assert moves(rt)[-1:] == TABLE[2:]
    assert mpesa.texts(rt, amina)[-1] == "money.written_off"
    with pytest.raises(Refusal, match="adjust_owed"):
        propose(rt, two[0], "write off", 20_01)
    assert teller.clean(rt)


def test_a_debt_that_may_yet_be_untrue_is_not_written_off(rt, amina, two, fresh, wait):
    with pytest.raises(Refusal, match="adjust_open"):
        propose(rt, two[0], "write off", 50_00)
    wait(days=31)
    decide(rt, two, "write off", 50_00)
    assert stands(rt, amina) == (0, 0, -50_00)


def test_what_was_repaid_between_the_two_is_not_written_off(rt, amina, two, owing):
    seen = propose(rt, two[0], "write off", 50_00)
    people.fund(rt, amina, 10_00)
    with rt.transaction() as tx:
        tx.execute(teller.text("SELECT receivable_collect(gen_random_uuid(), :who, 1000, now())"),
                   {"who": amina.id})  # fmt: skip
    with pytest.raises(Refusal, match="adjust_owed"):
        approve(rt, two[1], seen)
    assert stands(rt, amina) == (0, 40_00, 0)


@pytest.mark.parametrize(
    ("refusal", "wishes"),
    [
        ("adjust_way", {"way": "debit"}),
        ("treasury_amount", {"amount": 0}),
        ("treasury_amount", {"amount": -5}),
        ("reason_missing", {"note": " "}),
        ("receipt_no_customer", {"phone": STRANGER}),
        ("adjust_owed", {"way": "write off"}),
        ("adjust_most", {"amount": 10_000_01}),
        ("adjust_staff", {"phone": BRIAN}),
        ("adjust_joining", {"phone": JOINING}),
    ],
)
def test_what_cannot_be_proposed(rt, amina, brian, two, refusal, wishes):
    with rt.transaction() as tx:
        staff.add(tx, "otieno", Role.VIEWER, now=rt.now(), number=BRIAN)
        customers.join(tx, JOINING, lang="sw", now=rt.now())
    with pytest.raises(Refusal, match=refusal):
        propose(rt, two[0], **{"way": "credit", "amount": 100_00} | wishes)


@pytest.mark.parametrize(
    ("refusal", "meanwhile", "most"),
    [
        ("adjust_staff", "UPDATE staff SET phone = :phone WHERE name = 'ann'", 10_000_00),
        ("adjust_joining", "UPDATE customer SET standing = 1, kyc_verified_at = NULL", 10_000_00),
        ("adjust_most", "SELECT 1", 9_999_99),
    ],
)
def test_what_cannot_be_approved_any_more(rt, amina, two, refusal, meanwhile, most):
    seen = propose(rt, two[0], "credit", 10_000_00)
    with rt.transaction() as tx:
        tx.execute(teller.text(meanwhile), {"phone": AMINA} if ":phone" in meanwhile else {})
    rt.config = rt.config.model_copy(update={"adjust_most": most})
    with pytest.raises(Refusal, match=refusal):
        approve(rt, two[1], seen)
    assert stands(rt, amina) == (1_000_00, 0, 0)


def test_nobody_alone_and_nothing_unseen(rt, amina, two):
    seen = propose(rt, two[0], "credit", 80_00)
    with pytest.raises(Refusal, match="already_proposed"):
        propose(rt, two[1], "credit", 80_00)
    with pytest.raises(Refusal, match="own_proposal"):
        approve(rt, two[0], seen)
    with pytest.raises(Refusal, match="content_changed"):
        approve(rt, two[1], "0" * 64)
    approve(rt, two[1], seen)
    with pytest.raises(Refusal, match="adjust_none"):
        approve(rt, two[1], seen)
    assert stands(rt, amina)[0] == 1_080_00


@pytest.mark.race
def test_the_second_yes_of_many_is_posted_once(rt, amina, two):
    seen = propose(rt, two[0], "credit", 80_00)

    def say_yes(_):
        try:
            return rt.attempt(lambda tx: adjustments.approve(
                tx, AMINA, seen_hash=seen, by=two[1], now=rt.now(), config=rt.config))  # fmt: skip
        except Refusal as refusal:
            return refusal.reason

    said = teller.at_once(6, say_yes)

    assert sorted(map(str, said)) == ["0", *["staff.adjust_none"] * 5]
    assert stands(rt, amina)[0] == 1_080_00
    with rt.transaction() as tx:
        assert adjustments.waiting(tx) == []


def moves(rt):
    """(debit, credit, amount) of every transfer, in the page's words and order."""
    with rt.transaction() as tx:
        rows = tx.execute(
            teller.text(
                "SELECT d.kind AS debit, c.kind AS credit, t.amount FROM transfer t"
                " JOIN account d ON d.id = t.debit_account"
                " JOIN account c ON c.id = t.credit_account ORDER BY t.id"
            )
        ).all()
    return [(named(row.debit), named(row.credit), cents(row.amount)) for row in rows]


def named(kind):
    name = AccountKind(kind).name.lower()
    return f"{name}:amina" if name in ("wallet", "receivable") else name


def propose(rt, by, way, amount, *, phone=AMINA, note="an outage"):
    with rt.transaction() as tx:
        put = adjustments.propose(
            tx, phone, way, amount=Cents(amount), note=note, by=by, now=rt.now(), config=rt.config
        )
        assert put.state == ProposalState.PENDING
        return put.content_hash


def approve(rt, by, seen):
    with rt.transaction() as tx:
        return adjustments.approve(tx, AMINA, seen_hash=seen, by=by, now=rt.now(), config=rt.config)


def decide(rt, two, way, amount):
    return approve(rt, two[1], propose(rt, two[0], way, amount))


def stands(rt, customer):
    """What the wallet has, what is owed, and what the house has earned by adjustments."""
    with rt.transaction() as tx:
        house = ledger.account_balance(tx, AccountKind.ADJUSTMENTS)
        return ledger.balance(tx, customer.id), ledger.owed(tx, customer.id), house
