"""The command line of the house: `flask --app wsgi <command>`."""

from flask import Flask

from admin.commands import (
    adjust,
    api_keys,
    audit,
    claims,
    clock,
    customer,
    demo,
    environment,
    fixtures,
    ledger,
    levy,
    limits,
    market,
    market_lists,
    migrate,
    mpesa_settings,
    payments,
    payouts,
    reconcile,
    refunds,
    sandbox,
    settlement,
    simulator,
    staff,
    suspense,
    treasury,
    worker,
)

COMMANDS = (
    migrate.migrate,
    worker.worker,
    clock.clock,
    staff.staff,
    audit.audit,
    market.market,
    customer.customer,
    limits.play,
    payments.payments,
    claims.claim,
    reconcile.mpesa,
    suspense.suspense,
    refunds.refunds,
    sandbox.sandbox,
    environment.environment,
    ledger.ledger,
    levy.levy,
    treasury.house,
    adjust.adjust,
    demo.demo,
    simulator.simulator,
)

# More commands of a noun that one file cannot hold: importing them has added them to its group.
MORE = (api_keys, market_lists, settlement, fixtures, payouts, mpesa_settings)


def add_to(app: Flask) -> None:
    """Give the application its commands."""
    for command in COMMANDS:
        app.cli.add_command(command)
