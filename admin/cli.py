"""The command line of the house: `flask --app wsgi <command>`."""

from flask import Flask

from admin.commands import (
    clock,
    customer,
    demo,
    ledger,
    market,
    migrate,
    payments,
    staff,
    worker,
)

COMMANDS = (
    migrate.migrate,
    worker.worker,
    clock.clock,
    staff.staff,
    market.market,
    customer.customer,
    payments.payments,
    ledger.ledger,
    demo.demo,
)


def add_to(app: Flask) -> None:
    """Give the application its commands."""
    for command in COMMANDS:
        app.cli.add_command(command)
