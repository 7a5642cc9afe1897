"""A shop at the API, and how it opens: its owner, its taxes, its registers and who works there."""

from __future__ import annotations

import secrets
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID

from cli.api.client import ApiError, Client, open_http
from cli.demo.books import Books, TillBook
from cli.demo.documents import Units
from cli.demo.mailbox import Mailbox, open_mailbox
from cli.demo.meter import Meter, Phase
from cli.demo.retail import in_units
from cli.demo.sellers import Page, Till
from cli.demo.sending import Answers, Sender
from cli.demo.tenders import VAT_PERCENT
from core.settings import Settings

FLOAT_MINOR = 20_000
_FIRST_ANSWER_SECONDS = 15.0
_OWNER_CONNECTIONS = 16
_ATTEMPTS = 10


@dataclass
class Shop:
    """A business of this run alone. `products` is product id by SKU, `prices_minor` by product
    id; `pages` are customers of the web, each with connections of their own."""

    url: str
    run: str
    email: str
    password: str
    owner: Client
    answers: Answers
    books: Books = field(default_factory=Books)
    products: dict[str, str] = field(default_factory=dict)
    prices_minor: dict[str, int] = field(default_factory=dict)
    tills: list[Till] = field(default_factory=list)
    pages: list[Page] = field(default_factory=list)
    _reported: Counter[str] = field(default_factory=Counter)

    def units(self, units: Mapping[str, int]) -> dict[str, Units]:
        """By product id what the file counts by SKU."""
        return {self.products[sku]: in_units(sku, count) for sku, count in units.items()}

    async def put_back(self, units: Mapping[str, Units], reference: str) -> None:
        """Goods come back that were never sold, units by product id. The owner's to say."""
        body = {
            "lines": [
                {"productId": product_id, "delta": count} for product_id, count in units.items()
            ],
            "reason": "returned",
            "reference": reference,
        }
        await self.owner.post("/api/inventory/adjustments", body, key=f"{self.run}-{reference}")
        self.books.adjusted(units)

    def note(self, meter: Meter) -> str:
        """The stage so far, for people."""
        return f"{meter.note}, {self._unreported(self._counted())[0]} repeated"

    def phase(self, meter: Meter) -> Phase:
        """The stage's figures; of what was sent again, what was not reported before."""
        now = self._counted()
        repeated, errors, waited = self._unreported(now)
        self._reported = now
        return meter.phase(repeated, errors, waited)

    def _counted(self) -> Counter[str]:
        senders = [till.sender for till in self.tills] + [page.sender for page in self.pages]
        repeats = self.owner.repeats + sum(sender.client.repeats for sender in senders)
        return Counter(repeats=repeats, waited=self.answers.waited, errors=self.answers.errors)

    def _unreported(self, counted: Counter[str]) -> tuple[int, int, int]:
        new = counted - self._reported
        # A rate limit asks for patience; it leaves no outcome unknown.
        repeated = max(0, new["repeats"] - new["waited"])
        return repeated, min(new["errors"], repeated), new["waited"]


@asynccontextmanager
async def open_shop(
    url: str,
    run: str,
    clients: int,
    registers: int,
    patience_seconds: float,
    settings: Settings,
) -> AsyncIterator[Shop]:
    """Registers a business in pounds, whose prices include VAT, hires a cashier for each register
    and opens their shifts. Cashiers are invited by mail, which is read where `settings` say.
    Raises ApiError or Unreachable."""
    async with AsyncExitStack() as stack:
        tls = ssl.create_default_context()
        answers = Answers()

        async def client(connections: int, token: str | None = None) -> Client:
            http = await stack.enter_async_context(open_http(connections, tls=tls))
            http.event_hooks = {"response": [answers.count]}
            return Client(url, token=token, http=http, patience_seconds=patience_seconds)

        await _look_for(url)
        owner = await client(_OWNER_CONNECTIONS)
        email, password = f"demo-{run}@holdfast.test", secrets.token_urlsafe(9)
        mailbox = await stack.enter_async_context(open_mailbox(settings, patience_seconds))
        shop = Shop(url, run, email, password, owner, answers)
        await _register(shop)
        await _tax(shop)
        secret = await _service_key(shop)
        for number in range(max(1, clients // 2)):
            sender = Sender(await client(2, secret), shop.books, run, f"page-{number}")
            shop.pages.append(Page(sender, shop.books))
        for number in range(1, registers + 1):
            # Each customer at a till may send a request twice.
            cashier = await client(2 * -(-clients // registers))
            shop.tills.append(await _till(shop, number, cashier, mailbox))
        yield shop


async def _look_for(url: str) -> None:
    async with Client(url, patience_seconds=_FIRST_ANSWER_SECONDS) as nobody:
        await nobody.get("/ready")


async def _register(shop: Shop) -> None:
    body = {
        "name": "Demo",
        "email": shop.email,
        "password": shop.password,
        "role": "vendor",
        "businessName": f"Gift shop {shop.run}",
        "currency": "GBP",
    }
    reply = await shop.owner.request("POST", "/api/auth/register", body=body)
    # Registering has no memory of keys: when it was sent again, "taken" means that it was us.
    if not reply.ok and not (reply.status == 409 and shop.owner.repeats):
        raise ApiError(reply)
    await shop.owner.login(shop.email, shop.password)


async def _tax(shop: Shop) -> None:
    owner, run = shop.owner, shop.run
    included = {"pricesIncludeTax": True}
    changed = await owner.request("PUT", "/api/business", body=included, key=f"{run}-business")
    if not changed.ok:
        raise ApiError(changed)
    standard = {"name": "Standard", "isDefault": True}
    made = await owner.post("/api/business/tax-classes", standard, key=f"{run}-tax-class")
    rate = {"taxClassId": made["data"]["id"], "name": "VAT 20%", "taxPercent": VAT_PERCENT}
    await owner.post("/api/business/tax-rates", rate, key=f"{run}-tax-rate")


async def _service_key(shop: Shop) -> str:
    """A key for the page in the web, which may also look at the tills. Its secret is in one
    answer only, so if that was lost, another key."""
    body = {"name": "Web", "scopes": ["inventory:write", "pos:read"]}
    for attempt in range(_ATTEMPTS):
        key = f"{shop.run}-web-{attempt}"
        reply = await shop.owner.post("/api/auth/service-keys", body, key=key)
        if secret := reply["data"]["secret"]:
            return str(secret)
    raise RuntimeError("no answer with the service key's secret arrived")


async def _till(shop: Shop, number: int, cashier: Client, mailbox: Mailbox) -> Till:
    """A new register with a cashier of its own, who opens the shift."""
    name = f"Till {number}"
    made = await shop.owner.post(
        "/api/pos/registers", {"name": name}, key=f"{shop.run}-register-{number}"
    )
    register_id: str = made["data"]["id"]
    shop.books.tills[register_id] = TillBook(name, register_id)
    await _hire(shop, f"cashier-{number}-{shop.run}@holdfast.test", cashier, mailbox)
    sender = Sender(cashier, shop.books, shop.run, f"till-{number}")
    till = Till(sender, shop.books, register_id)
    await till.open(FLOAT_MINOR)
    return till


async def _hire(shop: Shop, email: str, cashier: Client, mailbox: Mailbox) -> None:
    """Invites somebody, who finds the mail, accepts and signs in."""
    password = secrets.token_urlsafe(9)
    invited = await shop.owner.post(
        "/api/auth/invitations", {"email": email, "role": "cashier"}, key=f"{shop.run}-{email}"
    )
    me = await shop.owner.get("/api/auth/me")
    token = await mailbox.invitation(UUID(me["data"]["tenantId"]), UUID(invited["data"]["id"]))
    if token is not None:
        body = {"token": token, "password": password, "name": "Cashier"}
        reply = await cashier.request("POST", "/api/auth/invitations/accept", body=body)
        # The link is good for one use: when it was sent again, "used" means that it was us.
        if not reply.ok and not cashier.repeats:
            raise ApiError(reply)
    await cashier.login(email, password)
