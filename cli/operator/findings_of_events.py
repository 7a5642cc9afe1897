"""What the doctor says of events: whether they are kept no longer than they should be, and whether
those who read them keep up."""

from __future__ import annotations

from cli.operator.finding import Finding
from store.doctor import health
from store.hosts.trimming import MAX_KEPT_DAYS

# Between an event and its effect; a transaction that is open for long delays all of them.
MAX_UNREAD_SECONDS = 300
_DAY_SECONDS = 86_400


def of_outbox(oldest_seconds: float) -> Finding:
    days = oldest_seconds / _DAY_SECONDS
    said = f"The oldest event that is kept is {days:.0f} days old."
    if days > MAX_KEPT_DAYS + 1:
        advice = "The keeper deletes them: see whether it is at work, and what it logs."
        return Finding("outbox", "wrong", said, advice)
    return Finding("outbox", "well", said)


def of_consumers(seen: list[health.Consumer]) -> list[Finding]:
    if not seen:
        return [Finding("consumers", "well", "Nobody reads events.")]
    return [_of_consumer(consumer) for consumer in seen]


def _of_consumer(seen: health.Consumer) -> Finding:
    subject, unread = f"consumer {seen.name}", seen.unread
    forget = (
        f"DELETE FROM consumers WHERE name = '{seen.name}';"  # noqa: S608 - for people
        f" DELETE FROM consumer_backlog WHERE consumer = '{seen.name}'"
    )
    if seen.missed_seconds is not None:
        days = seen.missed_seconds / _DAY_SECONDS
        return Finding(
            subject,
            "wrong",
            f"{days:.0f} days ago events were deleted that it had not read after {MAX_KEPT_DAYS}"
            " days: what it makes of them may lack something.",
            "Once that is put right, set its missed_at in the table consumers to NULL; if its code"
            f" is gone: {forget}.",
        )
    more = " or more" if unread.number >= health.MAX_COUNTED else ""
    waiting = f"{unread.number}{more} events wait for it, the oldest for"
    if unread.number and unread.oldest_seconds > MAX_UNREAD_SECONDS:
        return Finding(
            subject,
            "wrong",
            f"{waiting} {unread.oldest_seconds:.0f} s. They are kept for it, {MAX_KEPT_DAYS} days"
            " at most.",
            "See whether its capability is served, what replicas log as `consumers`, and the open"
            f" transactions; if its code is gone: {forget}.",
        )
    if seen.set_aside:
        return Finding(
            subject,
            "wrong",
            f"It gave up {seen.set_aside} events; {seen.in_backlog} wait to be tried again.",
            "`holdfast outbox` lists them. Once the cause is mended, `holdfast outbox --retry"
            f" {seen.name}` has them tried again.",
        )
    said = f"{unread.number} events wait for it, and {seen.in_backlog} to be tried again."
    return Finding(subject, "well", said)
