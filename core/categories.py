"""Categories: the kinds of markets customers browse by, known in advance, in both languages."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from core import gsm7, market_words, rights
from core.base import Base, Small
from core.errors import Refusal
from core.markets import Market, open_now
from core.rights import Right
from core.staff import Staff

NAME_LONGEST = 16  # septets: with a count and a digit before it a dozen fill two screens
LOCKS = (4, 1)  # the advisory lock of those who add categories
OWN_PLACE = 500  # of categories that staff add: after the sports, before `Other`


class Category(Base):
    """One kind of market. Its English name is its key, and what markets keep."""

    __tablename__ = "category"

    name: Mapped[str] = mapped_column(primary_key=True)
    name_sw: Mapped[str]
    place: Mapped[int] = mapped_column(Small)  # in the order of menus

    def called(self, lang: str) -> str:
        """Its name in `lang`."""
        return self.name_sw if lang == "sw" else self.name


@dataclass(frozen=True)
class CategoryLine:
    """A category as a menu shows it, with how many markets of it can be bet on."""

    category: Category
    markets: int


def every(tx: Session) -> Sequence[Category]:
    """All that are known, in the order of menus."""
    return tx.scalars(select(Category).order_by(Category.place, Category.name)).all()


def with_markets(tx: Session, *, now: datetime) -> list[CategoryLine]:
    """Those with something to bet on now, in the order of menus."""
    counts = (
        select(Market.category, func.count().label("markets"))
        .where(*open_now(now))
        .group_by(Market.category)
        .subquery()
    )
    rows = tx.execute(
        select(Category, counts.c.markets)
        .join(counts, counts.c.category == Category.name)
        .order_by(Category.place, Category.name)
    )
    return [CategoryLine(category, count) for category, count in rows]


def named(among: Iterable[Category], typed: str) -> Category | None:
    """The one somebody means, by its name in either language and in any case."""
    wanted = _plain(typed)
    return next((one for one in among if wanted in (_plain(one.name), _plain(one.name_sw))), None)


def add(tx: Session, name: str, name_sw: str, *, by: Staff) -> Category:
    """A new category. Raises Refusal for names that are taken, too long, or not to be shown."""
    rights.require(by, Right.MARKETS)
    tx.execute(select(func.pg_advisory_xact_lock(*LOCKS)))
    names = [market_words.tidy(one) for one in (name, name_sw)]
    for one in names:
        if not 0 < gsm7.septets(gsm7.fold(one)) <= NAME_LONGEST:
            raise Refusal("staff.category_length", longest=NAME_LONGEST)
        for fault in market_words.unfit(one):
            raise fault
        if named(every(tx), one):
            raise Refusal("staff.category_taken", name=one)
    category = Category(name=names[0], name_sw=names[1], place=OWN_PLACE)
    tx.add(category)
    tx.flush()
    return category


def _plain(name: str) -> str:
    return " ".join(gsm7.fold(name).upper().split())
