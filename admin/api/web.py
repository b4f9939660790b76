"""The API as the application mounts it: its door, with every view behind it."""

from admin.api import approvals, customers, door, markets, payments, payouts, problems

PREFIX = f"{door.bp.url_prefix}/"
# Importing them has put them behind the door.
VIEWS = (approvals, customers, markets, payments, payouts)

bp, of_http = door.bp, problems.of_http
