"""The statement in the house: every line once, in one bucket, and never a credit of its own."""

import itertools
import uuid
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, text

from core import fates, ledger, reconciliation, statement_items
from core.errors import Refusal
from core.ledger import AccountKind
from core.staff import Role
from core.statement_lines import Bucket, LineState, StatementFile, StatementLine
from demo.settings import B2C_SHORTCODE, PAYBILL, TILL
from tests import mpesa, people, portal, teller
from tests.counts import chosen
from tests.finance import bring_in, keep, post, sweep_lines
from tests.portal import CHARGED, SENT, Move, statement


@pytest.fixture
def daraja(rt):
    return mpesa.Daraja(rt)


@pytest.fixture
def finance(rt):
    return [people.member(rt, name, Role.FINANCE) for name in ("fatuma", "otieno")]


@pytest.fixture
def noon(rt):
    """A moment of yesterday, whole seconds."""
    return rt.now().replace(microsecond=0) - timedelta(hours=24)


def refused(rt, finance, content, **more):
    with pytest.raises(Refusal) as refusal:
        bring_in(rt, finance, content, **more)
    return refusal.value.reason.removeprefix("staff.")


def lines(rt):
    """(receipt, bucket, state, why) of every line, as they were read."""
    with rt.transaction() as tx:
        return [
            (one.receipt, Bucket(one.bucket).name, LineState(one.state).name, one.why)
            for one in tx.scalars(select(StatementLine).order_by(StatementLine.id))
        ]


def test_each_line_finds_its_bucket(rt, amina, finance, noon):
    keep(rt, "SKA1000001", 500_00, noon)
    keep(rt, "SKA1000002", -300_00, noon)
    post(rt, finance, "owner in", 5_000, "B1")
    post(rt, finance, "top up", 2_000, "SKA1000004")
    keep(rt, "SKA1000007", 70_00, noon)
    moves = [
        Move("SKA1000001", 500_00, noon, account="0712000001"),
        Move("SKA1000002", -300_00, noon, SENT),
        Move("SKA1000002", -9_00, noon, CHARGED),
        Move("SKA1000003", 40_00, noon, "Pay Bill"),
        Move("SKA1000004", 2_000_00, noon, "Organization Settlement"),
        Move("SKA1000005", -900_00, noon, "Withdraw Funds to Bank"),
        Move("SKA1000006", -60_00, noon, "Customer Payment Reversal", linked="SKA1000009"),
        Move("SKA1000007", 71_00, noon, "Pay Bill"),
        Move("SKA1000008", -30_00, noon, "Business Payment to Customer via API"),
    ]

    found = bring_in(rt, finance, statement(moves, opening=10_000_00))

    assert lines(rt) == [
        ("SKA1000001", "MATCHED", "SETTLED", None),
        ("SKA1000002", "MATCHED", "SETTLED", None),
        ("SKA1000002", "CHARGE", "SETTLED", None),
        ("SKA1000003", "SUSPENSE", "OPEN", "unknown"),
        ("SKA1000004", "TREASURY", "SETTLED", None),
        ("SKA1000005", "TREASURY", "OPEN", "unposted"),
        ("SKA1000006", "REVERSAL", "OPEN", "unbooked"),
        ("SKA1000007", "SUSPENSE", "OPEN", "amount"),
        ("SKA1000008", "SUSPENSE", "OPEN", "unknown"),
    ]
    assert found.buckets == {
        Bucket.MATCHED: 2, Bucket.CHARGE: 1, Bucket.TREASURY: 2, Bucket.REVERSAL: 1,
        Bucket.SUSPENSE: 3,
    }  # fmt: skip
    assert (found.open, found.file.opening, found.file.closing) == (5, 10_000_00, 11_312_00)
    assert teller.clean(rt)


def test_read_twice_or_in_files_that_overlap_nothing_changes(rt, amina, finance, noon):
    keep(rt, "SKA1000001", 500_00, noon)
    moves = [
        Move("SKA1000001", 500_00, noon),
        Move("SKA1000002", 200_00, noon + timedelta(minutes=1)),
        Move("SKA1000003", -50_00, noon + timedelta(minutes=2), SENT),
    ]
    bring_in(rt, finance, statement(moves[:2], opening=100_00))
    before = lines(rt)

    again = bring_in(rt, finance, statement(moves[:2], opening=100_00))
    assert again.again
    assert lines(rt) == before
    more = bring_in(rt, finance, statement(moves[1:], opening=600_00))
    assert (more.file.lines, more.file.fresh, more.again) == (2, 1, False)
    whole = bring_in(rt, finance, statement(moves, opening=100_00, period=False))
    assert (whole.file.lines, whole.file.fresh) == (3, 0)

    assert lines(rt)[:2] == before
    assert len(lines(rt)) == 3


@pytest.mark.race
def test_a_file_that_two_people_read_at_once_is_read_once(rt, finance, noon):
    content = statement([Move(f"SKA100{n:04}", 5_00, noon) for n in range(40)])

    def act(number):
        try:
            return bring_in(rt, finance, content).again
        except Refusal as refusal:
            return refusal.reason

    came = teller.at_once(4, act)
    assert came.count(False) == 1
    assert set(came) <= {False, True, "staff.statement_busy"}
    assert len(lines(rt)) == 40


def test_one_receipt_is_on_one_line_and_goes_one_way(rt, amina, finance, noon):
    keep(rt, "SKA1000001", 500_00, noon)
    keep(rt, "SKA1000002", 300_00, noon)
    first = Move("SKA1000001", 500_00, noon)
    bring_in(rt, finance, statement([first]))
    more = [
        first,
        Move("SKA1000001", 500_00, noon + timedelta(seconds=1), "Pay Bill"),
        Move("SKA1000002", -300_00, noon + timedelta(seconds=2), SENT),
    ]
    bring_in(rt, finance, statement(more))
    assert lines(rt) == [
        ("SKA1000001", "MATCHED", "SETTLED", None),
        ("SKA1000001", "SUSPENSE", "OPEN", "second"),
        ("SKA1000002", "SUSPENSE", "OPEN", "amount"),
    ]


def test_a_broken_file_leaves_nothing_behind(rt, finance, noon):
    moves = [
        Move("SKA1000001", 500_00, noon),
        portal.later(Move("SKA1000002", 9_00, noon), hours=1),
    ]
    broken = statement(moves).replace(b"509.00", b"510.00")
    assert refused(rt, finance, broken) == "statement_balance"
    with rt.transaction() as tx:
        assert tx.scalar(select(func.count()).select_from(StatementFile)) == 0
    assert lines(rt) == []


def test_a_past_that_has_changed_is_refused(rt, finance, noon):
    moves = [Move("SKA1000001", 500_00, noon)]
    bring_in(rt, finance, statement(moves))
    assert refused(rt, finance, statement(moves, opening=1_00)) == "statement_changed"
    moved = [portal.later(moves[0], seconds=1)]
    assert refused(rt, finance, statement(moved)) == "statement_changed"


def test_whose_statement_it_is(rt, finance, wanjiku, noon):
    moves = [Move("SKA1000001", 500_00, noon)]
    nameless = statement(moves, shortcode="")
    assert refused(rt, finance, nameless) == "statement_whose"
    assert refused(rt, finance, statement(moves, shortcode="999999")) == "statement_other"
    assert refused(rt, finance, statement(moves), shortcode=B2C_SHORTCODE) == "statement_other"
    assert refused(rt, finance, statement(moves), account="working") == "statement_other"
    assert refused(rt, finance, nameless, shortcode=PAYBILL, account="x") == "statement_account"
    assert refused(rt, [wanjiku], statement(moves)) == "not_your_role"
    found = bring_in(rt, finance, nameless, shortcode=PAYBILL)
    assert (found.file.shortcode, found.file.account) == (PAYBILL, "utility")


def test_a_tills_statement_is_its_paybills(rt, finance, noon):
    rt.config = rt.config.model_copy(update={"mpesa_till_number": TILL})
    moves = [Move("SKA1000001", 500_00, noon, "Customer Buy Goods Online")]
    assert bring_in(rt, finance, statement(moves, shortcode=TILL)).file.shortcode == PAYBILL


def test_money_nobody_knew_of_is_credited_on_m_pesas_word_alone(rt, amina, daraja, finance, noon):
    moves = [Move("SKL7RT61SV", 100_00, noon, "Pay Bill", account="0712000001")]
    bring_in(rt, finance, statement(moves))
    assert mpesa.balance(rt, amina) == 1_000_00
    sweep(rt)
    sweep(rt)  # it is asked about once

    assert [one["receipt"] for one in daraja.requests("status_query")] == ["SKL7RT61SV"]
    assert lines(rt) == [("SKL7RT61SV", "SUSPENSE", "OPEN", "unknown")]
    assert mpesa.balance(rt, amina) == 1_000_00
    mpesa.post(rt, "status_result", mpesa.status_result("AG_1"))
    assert mpesa.balance(rt, amina) == 1_100_00
    sweep(rt)
    assert lines(rt) == [("SKL7RT61SV", "MATCHED", "SETTLED", None)]
    assert teller.clean(rt)


@pytest.mark.parametrize("status", ["Declined", "Authorized"])
def test_a_line_that_m_pesa_does_not_confirm_stays_open(rt, amina, daraja, finance, noon, status):
    bring_in(rt, finance, statement([Move("SKL7RT61SV", 100_00, noon, account="0712000001")]))
    sweep(rt)
    mpesa.post(rt, "status_result", mpesa.status_result("AG_1", status))
    sweep(rt)
    assert lines(rt) == [("SKL7RT61SV", "SUSPENSE", "OPEN", "unknown")]
    assert mpesa.balance(rt, amina) == 1_000_00


def test_a_credit_that_comes_late_finds_its_line(rt, amina, daraja, finance, noon, wait):
    teller.ask(rt, amina, 100)
    teller.push(rt, wait)
    bring_in(rt, finance, statement([Move("SKL7RT61SV", 100_00, noon)]))
    mpesa.post(rt, "stk", mpesa.push_result("ws_CO_1"))
    sweep(rt)
    assert lines(rt) == [("SKL7RT61SV", "MATCHED", "SETTLED", None)]
    assert mpesa.balance(rt, amina) == 1_100_00


def test_two_people_close_what_needs_no_booking(rt, finance, noon):
    bring_in(rt, finance, statement([Move("SKA1000005", -900_00, noon, "Withdraw Funds to Bank")]))
    number = open_line(rt)

    def propose(by, note="a test of the bank"):
        with rt.transaction() as tx:
            return statement_items.propose(
                tx, number, note=note, by=by, now=rt.now(), config=rt.config
            ).content_hash

    def approve(by, seen):
        with rt.transaction() as tx:
            return statement_items.approve(tx, number, seen_hash=seen, by=by, now=rt.now())

    with pytest.raises(Refusal, match=r"staff\.statement_note"):
        propose(finance[0], " ")
    seen = propose(finance[0])
    with pytest.raises(Refusal, match=r"staff\.own_proposal"):
        approve(finance[0], seen)
    with pytest.raises(Refusal, match=r"staff\.content_changed"):
        approve(finance[1], "0" * 64)
    approve(finance[1], seen)
    assert lines(rt) == [("SKA1000005", "TREASURY", "CLOSED", "unposted")]
    with pytest.raises(Refusal, match=r"staff\.statement_not_open"):
        propose(finance[0])
    with pytest.raises(Refusal, match=r"staff\.statement_none"), rt.transaction() as tx:
        statement_items.refuse(tx, number, by=finance[1], now=rt.now())
    with rt.transaction() as tx:
        assert reconciliation.gaps(tx, now=rt.now()) == []


def test_a_line_that_found_its_place_meanwhile_is_not_closed(rt, amina, finance, noon):
    bring_in(rt, finance, statement([Move("SKA1000001", 500_00, noon)]))
    number = open_line(rt)
    with rt.transaction() as tx:
        seen = statement_items.propose(
            tx, number, note="not ours", by=finance[0], now=rt.now(), config=rt.config
        ).content_hash
    keep(rt, "SKA1000001", 500_00, noon)
    sweep(rt)
    with pytest.raises(Refusal, match=r"staff\.statement_not_open"), rt.transaction() as tx:
        statement_items.approve(tx, number, seen_hash=seen, by=finance[1], now=rt.now())


def test_a_reversal_of_ours_finds_its_line(rt, amina, daraja, finance, noon):
    keep(rt, "SKA1000001", 500_00, noon)
    moves = [
        Move("SKA1000001", 500_00, noon, account="x"),
        Move("SKA1000002", -500_00, noon, "Customer Payment Reversal", linked="SKA1000001"),
    ]
    bring_in(rt, finance, statement(moves))
    assert lines(rt)[1] == ("SKA1000002", "REVERSAL", "OPEN", "unbooked")
    with rt.transaction() as tx:
        tx.execute(
            text("SELECT receipt_reverse('SKA1000001', 'SKA1000002', 6::smallint, :at)"),
            {"at": noon},
        )
    sweep(rt)
    assert lines(rt)[1] == ("SKA1000002", "REVERSAL", "SETTLED", None)


REASONS = (
    "Pay Bill", "Pay Bill Online", SENT, CHARGED, "Customer Payment Reversal",
    "Withdraw Funds to Bank", "Organization Settlement", "Something New",
)  # fmt: skip
NAMES = st.integers(1, 6)
AMOUNTS = st.sampled_from([100_00, 250_00, -100_00, -250_00])


def model(found, ours, entries):
    """Where each line belongs, by the rules alone: the oldest first."""
    matched, posted, buckets = set(), set(), {}
    for move in found:
        reason = move.reason.lower()
        if "charge" in reason:
            bucket = (Bucket.CHARGE, LineState.SETTLED)
        elif "revers" in reason:
            known = ours.get(move.receipt) == move.amount
            bucket = (Bucket.REVERSAL, LineState.SETTLED if known else LineState.OPEN)
        elif ours.get(move.receipt) == move.amount and move.receipt not in matched:
            matched.add(move.receipt)
            bucket = (Bucket.MATCHED, LineState.SETTLED)
        elif entries.get(move.receipt) == move.amount and move.receipt not in posted:
            posted.add(move.receipt)
            bucket = (Bucket.TREASURY, LineState.SETTLED)
        elif "funds" in reason or "settlement" in reason:
            bucket = (Bucket.TREASURY, LineState.OPEN)
        else:
            bucket = (Bucket.SUSPENSE, LineState.OPEN)
        buckets[move.receipt, move.reason, move.amount] = bucket
    return buckets


@settings(
    deadline=None,
    max_examples=chosen().schedules // 4,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.lists(st.tuples(NAMES, st.sampled_from(REASONS), AMOUNTS), min_size=1, max_size=14),
    st.dictionaries(NAMES, AMOUNTS, max_size=4),
    st.dictionaries(NAMES, st.sampled_from([100_00, 250_00]), max_size=1),
    st.lists(st.integers(1, 13), max_size=3),
)
def test_the_buckets_are_those_of_the_rules(rt, amina, world, steps, ours, entries, cuts):
    finance, noon = world
    tag = uuid.uuid4().hex[:8].upper()
    seen, moves, at = set(), [], noon
    for name, reason, amount in steps:
        if (name, reason, amount) not in seen:
            seen.add((name, reason, amount))
            at += timedelta(seconds=1)
            moves.append(Move(f"S{tag}{name}", amount, at, reason))
    booked = {f"S{tag}{name}": amount for name, amount in ours.items()}
    posted = {f"S{tag}{name}": amount for name, amount in entries.items() if name not in ours}
    for receipt, amount in booked.items():
        keep(rt, receipt, amount, noon)
    for receipt, amount in posted.items():
        post(rt, finance, "top up", amount // 100, receipt)
    money = balances(rt)

    # In files that overlap by a line, and then whole.
    edges = sorted({0, len(moves), *(cut for cut in cuts if cut < len(moves))})
    parts = [(max(0, a - 1), b) for a, b in itertools.pairwise(edges)]
    for start, end in [*parts, (0, len(moves))]:
        opening = sum(move.amount for move in moves[:start])
        bring_in(rt, finance, statement(moves[start:end], opening=opening))
    sweep_lines(rt)

    assert found_of(rt, tag) == model(moves, booked, posted)
    assert balances(rt) == money
    noon_after(world)


@pytest.fixture
def world(rt, amina, finance, noon):
    """Someone to act, a house with money in the bank, and time that goes on between examples."""
    post(rt, finance, "owner in", 1_000_000, "BANK")
    people.fund(rt, amina, 1_000_000_00)
    return [finance, noon]


def noon_after(world):
    world[1] += timedelta(minutes=1)


def balances(rt):
    with rt.transaction() as tx:
        return [ledger.total(tx, kind) for kind in AccountKind]


def found_of(rt, tag):
    with rt.transaction() as tx:
        mine = select(StatementLine).where(StatementLine.receipt.like(f"S{tag}%"))
        return {
            (one.receipt, one.reason, one.amount): (one.bucket, one.state)
            for one in tx.scalars(mine)
        }


def open_line(rt):
    with rt.transaction() as tx:
        waiting = select(StatementLine.id).where(StatementLine.state == LineState.OPEN)
        return tx.scalars(waiting).one()


def sweep(rt):
    """A minute of the clock, and what it promised."""
    sweep_lines(rt)
    with rt.transaction() as tx:
        fates.sweep(tx, rt.now(), rt.config)
    mpesa.work(rt)
