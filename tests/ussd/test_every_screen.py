"""Every screen of the house, with the worst there is to show, fits a phone in both languages."""

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from sqlalchemy import text

from core import gsm7, say
from core import statement as core_statement
from core.customers import Customer
from core.effects import Recalled
from core.payments import DepositState
from core.reasons import PUSH
from core.runtime import Runtime
from core.staff import Staff
from core.statement import Kind, Period, State
from tests.ussd import worst
from tests.ussd.handset import CODE
from ussd import redial
from ussd.calls import Call, Hop, placed
from ussd.desk import Desk
from ussd.pages import CUT, LIMIT
from ussd.screens import (
    account,
    bets,
    betting,
    entry,
    home,
    joining,
    money,
    ordering,
    statement,
    verdicts,
)
from ussd.visit import (
    EFFECTS,
    STEPS,
    Ask,
    Effect,
    End,
    Link,
    Menu,
    Page,
    Screen,
    Visit,
    link,
    name_of,
)

LATE = datetime(2026, 12, 31, 23, 59, tzinfo=UTC)
MOST = worst.WORST.rich
STRANGER_SCREENS = {joining.language, joining.terms, joining.declined}
ROOTS = {entry.entry, home.home, joining.language, joining.name, joining.birth, joining.code}


@dataclass(frozen=True)
class Sight:
    """A screen as one caller sees it in one language."""

    screen: Screen
    lang: str
    page: Page
    shown: list[str]


def screens() -> dict[str, Screen]:
    """Every screen of the house, found by what the registry holds and what it takes."""
    return {
        name: cast(Screen, step)
        for name, step in STEPS.items()
        if name.startswith("ussd.") and not isinstance(step, Effect)
        if next(iter(inspect.signature(step).parameters.values())).annotation is Visit
    }


REFUSALS = [
    ("betting.market_closed", {}),
    ("betting.market_suspended", {}),
    ("betting.market_not_yet", {"until": LATE}),
    ("betting.no_such_outcome", {}),
    ("betting.stake_low", {"min": MOST}),
    ("betting.stake_high", {"max": MOST}),
    ("betting.not_verified", {}),
    ("betting.of_the_house", {}),
    ("betting.excluded", {"until": LATE}),
    ("betting.pin_needed", {"limit": MOST}),
    ("money.deposit_waiting", {}),
    ("money.why_same_amount", {}),
    ("money.deposit_high", {"max": MOST}),
    ("money.whole_shillings", {}),
    ("money.withdraw_short", {"amount": MOST, "balance": MOST}),
    ("money.withdraw_after_reset", {"until": LATE}),
    ("money.withdraw_unconfirmed", {"waiting": MOST, "free": MOST}),
    ("customers.excluded", {"until": LATE}),
]
PLACE = {"stack": [placed(link(money.deposit))], "keys": []}
RECEIPT = {"receipt": "WWWWWWWWWW"}
CLAIMED = RECEIPT | {"amount": MOST, "at": LATE}
CLAIM_ANSWERS = (
    "money.claim_asking", "money.claim_booked", "money.claim_with_us", "money.claim_not_theirs",
)  # fmt: skip
TOLD = {"imprint": "f" * 64, "name": worst.NAME, "pin": True, "pin_hash": "$argon2id$"}


def samples(world: worst.World) -> dict[Screen, list[dict[str, Any]]]:
    """The arguments each screen can be given; none at all for those that are not named."""
    rich, pick = world.size.rich, {"market": world.game.id, "outcome": 1}
    choice = pick | {"stake": world.size.stake}
    reset = [account.next_pin, account.next_pin_again, account.reset_pin, account.reset_code]
    given: dict[Screen, list[dict[str, Any]]] = {
        redial.offer: [{"session": "ATUid_before"}],
        redial.resume: [PLACE],
        joining.turned_away: [{"facts": {"age": 18, "until": LATE.isoformat()}}],
        joining.pin_again: [TOLD],
        betting.games: [
            {"order": "closing"},
            {"order": "pool"},
            {"order": "closing", "category": "Football"},
        ],
        betting.game_page: [{"code": world.code}],
        betting.stake: [pick | {"outcome": number} for number in range(1, 9)],
        betting.confirm: [choice, choice | {"pin": True}],
        betting.placed: [{"bet": world.bets["open"], "balance": rich}],
        betting.short: [
            {"balance": rich, "stake": rich, "short": rich},
            {"balance": rich, "stake": rich, "short": rich, **pick, "pin": False},
        ],
        bets.bets: [{"open": True}, {"open": False}],
        bets.detail: [{"bet": bet} for bet in world.bets.values()],
        account.reset_pin_again: [TOLD],
        account.auto_pin: [{"on": False}],
        verdicts.refused: [{"reason": reason, "facts": facts} for reason, facts in REFUSALS],
    }
    given |= {screen: [TOLD] for screen in reset}
    given |= money_samples(world) | statement_samples(world)
    return {screen: given.get(screen, [{}]) for screen in screens().values()}


def money_samples(world: worst.World) -> dict[Screen, list[dict[str, Any]]]:
    """Payments of every sort, on their way in and out."""
    rich = world.size.rich
    choice = {"market": world.game.id, "outcome": 1, "stake": world.size.stake}
    return {
        ordering.sure: [choice, choice | {"pin": True}, choice | {"stake": 2 * rich, "pin": True}],
        money.sure: [{"amount": rich}],
        money.prompted: [
            {"amount": rich, "ref": "DWWWWWW"},
            {"amount": rich, "ref": "DWWWWWW", "order": True},
        ],
        money.back_again: [{"amount": rich, "balance": rich}],
        money.paybill: [{}, {"account": "DWWWWWW", "amount": rich}],
        money.claimed: [
            {
                "sentence": sentence,
                "facts": CLAIMED if sentence == "money.claim_booked" else RECEIPT,
            }
            for sentence in CLAIM_ANSWERS
        ],
        money.pin: [{"amount": rich}],
        money.confirm: [{"amount": rich, "pin": True}],
        money.on_its_way: [{"amount": rich, "balance": rich, "parts": parts} for parts in (1, 99)],
    }


def statement_samples(world: worst.World) -> dict[Screen, list[dict[str, Any]]]:
    """Lists by every filter, and every line in detail."""
    narrow = [{"kind": kind} for kind in Kind] + [{"state": state} for state in State]
    all_three = {"kind": Kind.PAYOUT, "state": State.WAITING, "period": Period.MONTH}
    with world.rt.transaction() as tx:
        found = core_statement.page(tx, world.customer.id, limit=100).lines
    return {
        statement.menu: [{}, *narrow],
        statement.lines: [{}, *narrow, all_three],
        statement.move: [{"seq": line.seq} for line in found if line.seq],
        statement.deposit: [{"deposit": line.ref} for line in found if not line.seq],
    }


@pytest.fixture(params=[worst.BAD, worst.WORST], ids=["bad", "worst"])
def world(request: pytest.FixtureRequest, rt: Runtime, wanjiku: Staff, kamau: Staff) -> worst.World:
    """What can be met, and the worst there is."""
    return worst.world(rt, wanjiku, kamau, request.param)


def seen(world: worst.World, screen: Screen, args: Mapping[str, Any], lang: str) -> Sight | Link:
    """Look at a screen, in a transaction that may not write: a screen never does."""
    stranger = screen in STRANGER_SCREENS
    hop = Hop("ATUid_worst", CODE, world.customer.phone, "63902", "")
    desk = Desk(
        world.rt, entry.entry, hop, Call("ATUid_worst", hop.phone, CODE, started=0, lang=lang)
    )
    under = [] if screen in ROOTS else [placed(link(entry.entry))]
    desk.call.stack = [*under, placed(Link(screen, args))]
    with world.rt.transaction() as tx:
        tx.execute(text("SET TRANSACTION READ ONLY"))
        visit = Visit(
            tx=tx,
            config=world.rt.config,
            now=world.rt.now(),
            session="ATUid_worst",
            phone=hop.phone,
            customer=None if stranger else tx.get_one(Customer, world.customer.id),
            lang=lang,
            args=args,
            entry=entry.entry,
        )
        page = screen(visit)
    if isinstance(page, Link):
        return page
    desk.show(page)
    desk.finish("")
    pages = desk.call.shown.pages
    shown = []
    for number in range(pages):
        desk.call.shown.page = number
        desk.finish("")
        shown.append(desk.call.reply)
    return Sight(screen, lang, page, shown)


def sights(world: worst.World) -> Iterator[Sight]:
    """Every screen, whatever it is told, in both languages."""
    for lang in say.languages:
        for screen, told in samples(world).items():
            for args in told:
                sight = seen(world, screen, args, lang)
                if isinstance(sight, Sight):
                    yield sight


def test_every_screen_fits_with_its_navigation(world: worst.World) -> None:
    many = []
    for sight in sights(world):
        words = say.say("ussd.nav", sight.lang), say.say("ussd.more", sight.lang)
        for number, shown in enumerate(sight.shown):
            assert gsm7.fits(shown, LIMIT), f"{gsm7.septets(shown)} septets: {shown}"
            foot = shown.rpartition("\n")[2]
            if number + 1 < len(sight.shown):
                assert words[1] in foot
            if sight.screen not in ROOTS and not isinstance(sight.page, End):
                assert words[0] in foot
        if len(sight.shown) > 1:
            many.append((name_of(sight.screen), sight.lang, len(sight.shown)))
        _nothing_is_lost(sight)
    # Lists are long by nature. Whatever else does not fit one screen makes callers press 98.
    long = (betting.kinds, betting.games, betting.game_page, bets.bets, bets.detail,
            money.last_payment, statement.lines, statement.deposit)  # fmt: skip
    lists = {name_of(step) for step in long}
    if world.size is worst.BAD:
        assert not [one for one in many if one[0] not in lists]


def _nothing_is_lost(sight: Sight) -> None:
    """Every word of the text and every choice is on one of the pages, and none is cut off."""
    shown = " ".join(" ".join(sight.shown).split())
    assert gsm7.fold(sight.page.text).split()[-1] in shown
    if not isinstance(sight.page, Ask):
        assert CUT not in sight.page.text or isinstance(sight.page, Menu)
    choices = [] if isinstance(sight.page, End) else _choices(sight.page)
    for choice in choices:
        assert choice in "\n".join(sight.shown)


def _choices(page: Menu | Ask) -> list[str]:
    return [choice.label for choice in (page.choices if isinstance(page, Menu) else page.keys)]


@pytest.mark.parametrize("lang", say.languages)
def test_a_payment_in_any_state_fits(world: worst.World, lang: str) -> None:
    for state in DepositState:
        reasons = {reason.sentence for reason in PUSH.values()} if state == 6 else {None}
        for reason in reasons:
            worst.payment(world.rt, world.customer, state, reason)
            for screen in (money.deposit, money.last_payment):
                sight = seen(world, screen, {}, lang)
                assert isinstance(sight, Sight)
                assert all(gsm7.fits(shown, LIMIT) for shown in sight.shown)
                if screen is money.deposit:
                    assert sight.page.text in sight.shown[0]


def test_every_note_above_a_question_leaves_room_for_the_navigation() -> None:
    """Whatever can be wrong with an answer is told whole, if need be in place of the question."""
    facts = {
        "min": MOST, "max": MOST, "amount": MOST, "balance": MOST, "code": 999999, "left": 2,
        "until": LATE, "at": LATE, "seconds": 120, "most": 40, "age": 18, "free": MOST,
        "waiting": MOST, "stake": MOST, "short": MOST, "limit": MOST,
    }  # fmt: skip
    asked = ("customers.", "betting.s", "money.amount", "money.deposit_l", "money.deposit_h",
             "money.withdraw_", "ussd.wrong", "ussd.no_such")  # fmt: skip
    for key in sorted(key for key in say.keys() if key.startswith(asked)):  # noqa: SIM118
        for lang in say.languages:
            needed = {name: facts[name] for name in say.placeholders(key, lang) if name in facts}
            if needed.keys() != say.placeholders(key, lang):
                continue  # told by SMS only
            foot = f"01 {say.say('ussd.send_again', lang)}\n{say.say('ussd.nav', lang)}"
            told = f"{say.say(key, lang, **needed)}\n{foot}"
            assert gsm7.fits(told, LIMIT), f"{key} {lang} {gsm7.septets(told)}: {told}"


def verdicts_of(world: worst.World) -> dict[str, list[Recalled]]:
    """What each effect can come to."""
    done: dict[str, dict[str, Any]] = {
        "bet": {"bet_id": world.bets["open"], "balance": 0},
        "deposit": {"amount": 100, "ref": "DWWWWWW"},
        "order": {"amount": 100, "ref": "DWWWWWW"},
        "cancel": {"amount": 100, "balance": 0},
        "claim": {"sentence": "money.claim_asking", "facts": RECEIPT},
        "withdraw": {"amount": 100, "balance": 0},
    }
    refused = {
        "bet": ["betting.short_of_funds", "betting.market_closed"],
        "give_birth": ["customers.under_age"],
    }
    short = {"balance": 0, "stake": 1, "short": 1, "age": 18, "until": LATE.isoformat()}
    return {
        verb: [Recalled(verb, "done", None, done.get(verb, {}))]
        + [Recalled(verb, "refused", why, short) for why in refused.get(verb, ["money.x"])]
        for verb in EFFECTS
        if not verb.startswith("toy")
    }


def test_every_screen_can_be_reached_from_the_entry(world: worst.World) -> None:
    links: dict[str, set[str]] = {name_of(entry.entry): set()}
    for step in entry.STILL_ASKED.values():
        links[name_of(entry.entry)].add(name_of(step))
    links[name_of(entry.entry)].add(name_of(redial.offer))
    for screen, told in samples(world).items():
        for args in told:
            sight = seen(world, screen, args, "en")
            page = sight if isinstance(sight, Link) else sight.page
            links.setdefault(name_of(screen), set()).update(_leads_to(page))
    # Without enough money, a confirmation points to what is missing.
    links[name_of(betting.confirm)].add(name_of(betting.short))
    # And what has not left yet can be taken back.
    links[name_of(money.last_payout)].add(name_of(money.take_back))
    for verb, came in verdicts_of(world).items():
        ends = [end for verdict in came if (end := EFFECTS[verb].then(verdict))]
        links[name_of(EFFECTS[verb])] = {name_of(end.to) for end in ends}

    reached, front = set[str](), {name_of(entry.entry)}
    while front:
        reached |= front
        front = {to for name in front for to in links.get(name, ())} - reached
    missing = set(screens()) - reached
    assert not missing, "nothing leads there"
    assert not {name_of(e) for v, e in EFFECTS.items() if not v.startswith("toy")} - reached


def _leads_to(page: Page | Link) -> set[str]:
    if isinstance(page, Link):
        return {name_of(page.to)}
    if isinstance(page, End):
        return set()
    choices = page.choices if isinstance(page, Menu) else page.keys
    found = {name_of(choice.link.to) for choice in choices}
    return found | ({name_of(page.then.to)} if isinstance(page, Ask) else set())
