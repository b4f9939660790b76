"""What a text can mean: one value for each thing a customer can ask."""

from dataclasses import dataclass

from core.money import Cents


@dataclass(frozen=True)
class Join:
    name: str


@dataclass(frozen=True)
class Accept:
    birth: str  # as typed, digits only


@dataclass(frozen=True)
class Verify:
    code: str


@dataclass(frozen=True)
class Balance:
    pass


@dataclass(frozen=True)
class Deposit:
    amount: Cents


@dataclass(frozen=True)
class Withdraw:
    amount: Cents
    pin: str | None


@dataclass(frozen=True)
class Status:
    """How a deposit stands, the last or the one of that reference; or the last `payout`."""

    ref: str | None
    payout: bool = False


@dataclass(frozen=True)
class Games:
    category: str | None
    biggest: bool = False  # those with the most in the pool first


@dataclass(frozen=True)
class Odds:
    code: int


@dataclass(frozen=True)
class Result:
    code: int


@dataclass(frozen=True)
class Slip:
    """One bet as it stands in the text; `pick` is a number, 1 X 2, YES, NDIO or a name."""

    code: int
    pick: str
    stake: Cents


@dataclass(frozen=True)
class Bets:
    slips: tuple[Slip, ...]
    pin: str | None = None
    again: bool = False


@dataclass(frozen=True)
class StakeMissing:
    """`101#1`: everything of one or more bets but what they cost."""

    pairs: tuple[tuple[int, str], ...]


@dataclass(frozen=True)
class Combined:
    """`1234#1#2234#2#100`: one stake for all, which other firms take and this house does not."""

    pairs: tuple[tuple[int, str], ...]
    stake: Cents


@dataclass(frozen=True)
class StakeOrPin:
    """`101#1#102#2#4826`: bets without a stake, and at the end what may be one or a PIN."""

    pairs: tuple[tuple[int, str], ...]


@dataclass(frozen=True)
class Yes:
    """To the open offer."""


@dataclass(frozen=True)
class Claim:
    """A payment that was not credited, by its M-PESA code."""

    code: str


@dataclass(frozen=True)
class Paybill:
    """How to pay without a prompt."""


@dataclass(frozen=True)
class AmountUnreadable:
    """Where an amount belongs stands something else."""


@dataclass(frozen=True)
class MyBets:
    pass


@dataclass(frozen=True)
class Statement:
    pass


@dataclass(frozen=True)
class Pin:
    """Two PINs: new and again for who has none, old and new for who has one."""

    first: str
    second: str


@dataclass(frozen=True)
class Reset:
    """A forgotten PIN: `RESET` asks for a code; with code, new PIN and name it is replaced."""

    code: str | None = None
    pin: str | None = None
    name: str | None = None


@dataclass(frozen=True)
class Language:
    lang: str


@dataclass(frozen=True)
class AutoCashout:
    on: bool
    pin: str | None


@dataclass(frozen=True)
class Stop:
    pass


@dataclass(frozen=True)
class Start:
    pass


@dataclass(frozen=True)
class Cancel:
    pass


@dataclass(frozen=True)
class Help:
    command: str | None


@dataclass(frozen=True)
class Usage:
    """The keyword of `command` with arguments that do not fit it."""

    command: str


@dataclass(frozen=True)
class DidYouMean:
    """Nearly the keywords of these commands. It never acts."""

    words: tuple[str, ...]


@dataclass(frozen=True)
class NotUnderstood:
    pass


Meaning = (
    Join
    | Accept
    | Verify
    | Balance
    | Deposit
    | Withdraw
    | Status
    | Games
    | Odds
    | Result
    | Bets
    | StakeMissing
    | Combined
    | StakeOrPin
    | Yes
    | Claim
    | Paybill
    | AmountUnreadable
    | MyBets
    | Statement
    | Pin
    | Reset
    | Language
    | AutoCashout
    | Stop
    | Start
    | Cancel
    | Help
    | Usage
    | DidYouMean
    | NotUnderstood
)
