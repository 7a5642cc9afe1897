"""Sales that are paid by card: hold, write down what is meant, charge, complete.

Each ends as exactly one of a sale, or no sale and no money kept. The cards are charged one after
another, in the order of the payments, and what becomes of each is written down before the next.
Which of the two it is, is decided by the hold: a sale consumes it, giving up (`Abandon`) ends it
permanently, and the owner of the stock does one of the two, whichever process asks, however often.
Nothing else is locked while the provider is asked.

status: charging -> charged (every card) -> completed; charging or charged -> refunding ->
declined (a card was) or refunded. Requests and the worker may drive the same payment at once.

A payment lasts as long as its hold, and no longer than the shift in which it began: the command
that makes the sale says so itself, and its owner refuses it afterwards. So what a provider says
days later ends as a refund. A till that does not want to wait calls it off.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import NamedTuple, TypeVar
from uuid import UUID, uuid5

import msgspec

from actors.families import commerce, encode_command
from actors.messages import Command, Refused, Reply
from actors.runtime.bus import CommandBus
from actors.till.messages import Abandon, Abandoned, SaleHeld, SaleKnown, SaleMade, Sell
from core import telemetry
from core.clock import Clock
from core.errors import IdempotencyMismatch
from core.request import RequestKey
from core.telemetry import get_logger
from deployments.kit import desk
from deployments.kit.receipts import Ordered
from deployments.kit.resources import Part
from deployments.pos.card_payments.provider import (
    CardProvider,
    Charge,
    RefundRefused,
    Sandbox,
    Verdict,
)
from store.kit.engine import Database, Scope, Transaction
from store.pos import card_refunds, cards, reading
from store.pos.cards import CardCharge, CardPayment

CHARGE_TIMEOUT_SECONDS = 5.0
CLAIM_SECONDS = 30.0
HOLD_MS = 900_000
COMMAND_TIMEOUT_MS = 10_000
PAUSE_SECONDS = 2.0
# Over some forty minutes: each comes twice as long after the one before.
MAX_REFUND_ATTEMPTS = 8
DECLINED, ABANDONED = "card_declined", "abandoned"

T = TypeVar("T")
R = TypeVar("R", bound=Reply)
Note = Callable[[Transaction], Awaitable[None]]
Ask = Callable[[CardPayment, CardCharge], Awaitable[Charge | None]]

log = get_logger("pos.cards")


class Driven(NamedTuple):
    """A payment as far as it has come, and the sale that came of it, as its owner answered it."""

    payment: CardPayment
    made: Ordered[SaleMade] | None = None


def made_now(reply: SaleMade | SaleKnown) -> SaleMade:
    """Of a sale that was not made offline: no such one is known before it is made."""
    if type(reply) is not SaleMade:
        raise TypeError("only what was sold offline is recorded twice")
    return reply


class CardSales:
    """The saga. `resolve` and `drive` may be repeated at any time, by anyone. `is_on`: whether new
    payments are taken; those that are on their way are ended in any case."""

    def __init__(
        self,
        db: Database,
        bus: CommandBus,
        provider: CardProvider,
        clock: Clock,
        *,
        is_on: bool = True,
        charge_timeout_seconds: float = CHARGE_TIMEOUT_SECONDS,
    ) -> None:
        self.is_on = is_on
        self._db = db
        self._bus = bus
        self._provider = provider
        self._clock = clock
        self._charge_timeout_seconds = charge_timeout_seconds

    async def begun(self, tenant_id: UUID, key: RequestKey) -> CardPayment | None:
        """What an earlier try of the same request began. Raises IdempotencyMismatch."""
        found = await self.get(tenant_id, payment_id(key))
        if found is not None and found.fingerprint != key.fingerprint:
            raise IdempotencyMismatch
        return found

    async def get(self, tenant_id: UUID, intent_id: UUID) -> CardPayment | None:
        async with self._db.transaction(Scope(tenant_id)) as tx:
            return await cards.get(tx, intent_id)

    async def begin(
        self,
        tenant_id: UUID,
        principal: str,
        key: RequestKey,
        held: SaleHeld,
        tokens: Mapping[int, str],
    ) -> CardPayment:
        """Writes down what is meant, once the goods are held; gives what was written before.
        Nothing is charged yet. `tokens` are by the place of their tender."""
        intent_id, draft = payment_id(key), held.sale
        intent = {
            "id": intent_id,
            "tenant_id": tenant_id,
            "fingerprint": key.fingerprint,
            "sale_id": draft.sale_id,
            "reservation_id": draft.reservation_id,
            "currency": draft.currency,
            "sale": encode_command(draft),
            "created_by": principal,
        }
        charges = [
            {
                # The first is the payment's own, so that a single card has one id.
                "id": uuid5(intent_id, f"card {number}") if nth else intent_id,
                "payment_id": intent_id,
                "tenant_id": tenant_id,
                "number": number,
                "token": tokens[number],
                "amount_minor": draft.tenders[number].amount_minor,
            }
            for nth, number in enumerate(sorted(tokens))
        ]
        async with self._db.transaction(Scope(tenant_id)) as tx:
            payment = await cards.begin(tx, intent, charges, CLAIM_SECONDS)
        if payment.fingerprint != key.fingerprint:
            raise IdempotencyMismatch
        return payment

    async def drive(self, payment: CardPayment) -> Driven:
        """Takes a payment as far as it can be taken now: to its end, or to where the provider is
        silent."""
        if payment.status == "charging":
            payment = await self._ask_of_each(payment, self._charge)
        if payment.status == "charging":
            await self._let_go(payment)
            return Driven(payment)
        if payment.status == "completed":
            return Driven(payment, await self._made(payment))
        return await self._finish(payment)

    async def resolve(self, tenant_id: UUID, intent_id: UUID) -> CardPayment | None:
        """Ends a payment that was left half done. A charge that the provider has not heard of is
        called off rather than made, and with it those before: the caller has long gone."""
        payment = await self.get(tenant_id, intent_id)
        if payment is None:
            return None
        if payment.status == "charging":
            payment = await self._ask_of_each(payment, self._find)
        if payment.status == "charging":
            payment = await self._advance(payment, "refunding", "card_silent")
        return (await self._finish(payment)).payment

    async def abandon(self, payment: CardPayment, note: Note) -> CardPayment:
        """Calls off a payment that has not ended: from then on there is no sale, unless there is
        one already, and what the provider may say later is given back. `note` writes beside the
        first step, in its transaction. Raises Unavailable while that is not certain yet."""
        while payment.status in ("charging", "charged"):
            async with self._db.transaction(Scope(payment.tenant_id)) as tx:
                await cards.advance(tx, payment, payment.status, "refunding", ABANDONED)
                payment = await cards.standing(tx, payment.id)
                if payment.status == "refunding":
                    await note(tx)
        if payment.status != "refunding":
            return payment
        if payment.problem != DECLINED and await self._is_sold_after_all(payment):
            return await self._advance(payment, "completed")
        with suppress(Exception):
            # No sale can come into being any more. The rest is the worker's, if need be.
            return await self._give_up(payment)
        return payment

    async def refund(self, tenant_id: UUID, return_id: UUID, number: int) -> None:
        """Has the provider give back what a return owes to a card. One that it refuses time and
        again is given up, and waits for somebody who acts; one that is silent is asked on."""
        async with self._db.transaction(Scope(tenant_id)) as tx:
            owed = await card_refunds.owed(tx, return_id, number)
        if owed is None:
            return
        key = f"{return_id}:{number}"
        charge_id, amount_minor = owed["charge_id"], owed["amount_minor"]
        outcome, problem = "made", ""
        try:
            await self._bounded(self._provider.refund(key, charge_id, amount_minor))
        except RefundRefused:
            is_last = owed["attempts"] >= MAX_REFUND_ATTEMPTS
            outcome, problem = "dead" if is_last else "refused", "refused"
        except Exception as error:
            log.warning("refund unknown", refund=key, reason=repr(error))
            outcome, problem = "unknown", "silent"
        telemetry.CARD_REFUNDS.labels(outcome).inc()
        async with self._db.transaction(Scope(tenant_id)) as tx:
            if outcome == "made":
                await card_refunds.made(tx, return_id, number)
            else:
                await card_refunds.failed(tx, return_id, number, problem, is_dead=outcome == "dead")

    # --- the steps ---------------------------------------------------------------------------

    async def _ask_of_each(self, payment: CardPayment, ask: Ask) -> CardPayment:
        """Asks the provider of one charge after another, and writes down what it says before the
        next. Still `charging` if it was silent about one."""
        for charge in payment.charges:
            if charge.status != "due":
                continue
            said = await ask(payment, charge)
            if said is None:
                break
            payment = await self._noted(payment, charge, said)
            if payment.status != "charging":
                break
        return payment

    async def _charge(self, payment: CardPayment, charge: CardCharge) -> Charge | None:
        """What the provider says in time; None when it does not."""
        key = str(charge.id)
        try:
            return await self._bounded(
                self._provider.charge(key, charge.token, charge.amount_minor, payment.currency)
            )
        except Exception as error:
            # Whatever went wrong on the way: the card may have been charged.
            log.warning("charge unknown", payment=key, reason=repr(error))
            return None

    async def _find(self, _: CardPayment, charge: CardCharge) -> Charge | None:
        return await self._bounded(self._provider.find(str(charge.id)))

    async def _let_go(self, payment: CardPayment) -> None:
        """The worker may have it soon."""
        async with self._db.transaction(Scope(payment.tenant_id)) as tx:
            await cards.hold(tx, payment.id, PAUSE_SECONDS)

    async def _noted(self, payment: CardPayment, charge: CardCharge, said: Charge) -> CardPayment:
        approved = said.verdict is Verdict.APPROVED
        async with self._db.transaction(Scope(payment.tenant_id)) as tx:
            status = "approved" if approved else "declined"
            noted = await cards.note(tx, payment, charge, status, said.id)
            if not approved:
                return await cards.advance(tx, noted, "charging", "refunding", DECLINED)
            if all(card.status == "approved" for card in noted.charges):
                return await cards.advance(tx, noted, "charging", "charged")
            # The next card takes its time, too; unless somebody has called it off meanwhile.
            await cards.hold(tx, payment.id, CLAIM_SECONDS)
            return await cards.standing(tx, payment.id)

    async def _finish(self, payment: CardPayment) -> Driven:
        made = None
        if payment.status == "charged":
            reply, receipts = await self._sell(payment)
            if isinstance(reply, Refused):
                payment = await self._advance(payment, "refunding", reply.code)
            else:
                payment = await self._advance(payment, "completed")
                made = Ordered(made_now(reply), receipts)
        if payment.status == "refunding":
            payment = await self._give_up(payment)
        return Driven(payment, made)

    async def _made(self, payment: CardPayment) -> Ordered[SaleMade] | None:
        """What the owner answered when the sale was made; None once it has forgotten that."""
        reply, receipts = await self._sell(payment)
        return None if isinstance(reply, Refused) else Ordered(made_now(reply), receipts)

    async def _sell(self, payment: CardPayment) -> Ordered[SaleMade | SaleKnown | Refused]:
        """Asks for the sale. Its owner makes it once, and not after the hold is gone."""
        draft: Sell = commerce.decode(payment.sale)
        tenders = list(draft.tenders)
        for charge in payment.charges:
            tenders[charge.number] = msgspec.structs.replace(
                tenders[charge.number], reference=charge.charge_id
            )
        sale = msgspec.structs.replace(draft, tenders=tuple(tenders))
        return await self._command(payment, "sell", sale)

    async def _give_up(self, payment: CardPayment) -> CardPayment:
        """No sale, unless there is one after all. Then the money of each card goes back."""
        if payment.problem == DECLINED:
            # No sale was ever asked for, so nothing is left to decide.
            await self._free(payment)
        elif await self._is_sold_after_all(payment):
            return await self._advance(payment, "completed")
        for charge in payment.charges:
            # One that was not made yet, too: it may be on its way.
            if charge.status != "declined":
                await self._bounded(self._provider.cancel(str(charge.id)))
        ended = "declined" if payment.problem == DECLINED else "refunded"
        async with self._db.transaction(Scope(payment.tenant_id)) as tx:
            await cards.give_back(tx, payment.id)
            await cards.advance(tx, payment, "refunding", ended)
            return await cards.standing(tx, payment.id)

    async def _free(self, payment: CardPayment) -> None:
        """Ends our own hold, which would expire in any case. One that the caller brought stays."""
        if payment.reservation_id == _hold_of(payment.id):
            await self._abandon(payment)

    async def _is_sold_after_all(self, payment: CardPayment) -> bool:
        """Once the hold is ended, or was consumed by something else, no sale can come into
        being."""
        reply = await self._abandon(payment)
        return isinstance(reply, Refused) and await self._is_sold(payment)

    async def _abandon(self, payment: CardPayment) -> Abandoned | Refused:
        wanted = Abandon(payment.reservation_id)
        return (await self._command(payment, "abandon", wanted)).reply

    async def _is_sold(self, payment: CardPayment) -> bool:
        async with self._db.transaction(Scope(payment.tenant_id)) as tx:
            return await reading.sale(tx, payment.sale_id) is not None

    async def _advance(
        self, payment: CardPayment, status: str, problem: str | None = None
    ) -> CardPayment:
        """The payment as it then stands, also when somebody else has moved it."""
        async with self._db.transaction(Scope(payment.tenant_id)) as tx:
            return await cards.advance(tx, payment, payment.status, status, problem)

    async def _command(
        self, payment: CardPayment, step: str, wanted: Command[R]
    ) -> Ordered[R | Refused]:
        """A command under an id of its own in this payment, the same at each try."""
        now_ms = self._clock.now_ms()
        fingerprint = hashlib.sha256(payment.id.bytes + step.encode()).digest()
        key = RequestKey(
            uuid5(payment.id, step), fingerprint, True, now_ms, now_ms + COMMAND_TIMEOUT_MS
        )
        return await desk.decide(self._bus, payment.created_by, payment.tenant_id, key, wanted)

    async def _bounded(self, work: Awaitable[T]) -> T:
        async with asyncio.timeout(self._charge_timeout_seconds):
            return await work


def payment_id(key: RequestKey) -> UUID:
    """Of what a request has charged to cards: the same at each repeat."""
    return key.step("card payment").command_id


def hold_id(key: RequestKey) -> UUID:
    """Of the goods that are held meanwhile."""
    return _hold_of(payment_id(key))


def _hold_of(intent_id: UUID) -> UUID:
    return uuid5(intent_id, "hold")


# With the sandbox a caller who knows its tokens pays nothing.
CARDS = Part(
    lambda shared: CardSales(
        shared.db,
        shared.bus,
        Sandbox(shared.db),
        shared.clock,
        is_on=shared.settings.environment == "development",
    )
)
