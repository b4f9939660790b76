"""The staff's pages as the application mounts them: the frame, with every view in it."""

from admin import frame, layout
from admin.pages import (
    account,
    approvals,
    audit,
    door,
    drafts,
    home,
    incidents,
    markets,
    payouts,
    results,
    search,
    staff,
)

# Importing them has put them behind the guard.
VIEWS = (
    account, approvals, audit, door, drafts, home, incidents, markets, payouts, results, search,
    staff,
)  # fmt: skip

bp, install, is_page = frame.bp, layout.install, layout.is_page
of_http, of_bug = frame.fault, frame.bug
