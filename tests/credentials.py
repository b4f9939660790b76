"""M-PESA credentials for the tests: new ones, agreed on by two people, and a search for them."""

from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import create_engine, text

from core import mpesa_settings
from core.staff import Role
from tests import daraja, people

KEY, SECRET = "demo-new-consumer-key-7Qx2", "demo-new-consumer-secret-Lk93"
PASSKEY, PASSWORD = "demo-new-passkey-aa81Zp", "demo-new-operator-pw-55Tr"
PLANTED = (KEY, SECRET, PASSKEY, PASSWORD)
NEW = {"mpesa_consumer_key": KEY, "mpesa_consumer_secret": SECRET}


def admins(rt):
    """Two admins and one of finance."""
    return [
        people.member(rt, "asha", Role.ADMIN),
        people.member(rt, "baraka", Role.ADMIN),
        people.member(rt, "fatuma", Role.FINANCE),
    ]


def propose(rt, who, values, *, note="rotation"):
    """The proposal's hash."""
    with rt.transaction() as tx:
        proposal = mpesa_settings.propose(
            tx, values, note=note, by=who, now=rt.now(), config=rt.config
        )
        return proposal.content_hash


def approve(rt, who, seen):
    with rt.transaction() as tx:
        return mpesa_settings.approve(tx, seen_hash=seen, by=who, now=rt.now(), config=rt.config)


def agree(rt, proposer, approver, values):
    """In force, and taken by this house."""
    approve(rt, approver, propose(rt, proposer, values))
    rt.refresh()


def pem():
    """A certificate that reads, until tomorrow."""
    return daraja.certificate().public_bytes(Encoding.PEM).decode()


def owner_says(rt, statement):
    owner = create_engine(rt.config.migration_database_url)
    with owner.begin() as connection:
        connection.execute(text(statement))
    owner.dispose()


def found_in_database(rt, secrets):
    """Tables in any of whose rows a secret can be read, as a dump would show them."""
    found = []
    with rt.transaction() as tx:
        names = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
        for table in tx.scalars(text(names)).all():
            for secret in secrets:
                holds = f"SELECT count(*) FROM {table} t WHERE t::text LIKE '%' || :secret || '%'"
                if tx.scalar(text(holds), {"secret": secret}):
                    found.append((table, secret))
    return found
