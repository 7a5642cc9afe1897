"""A whole sale through the ORM: levels locked in the order of their ids, with their products;
then the register, as late as can be; then all the rows are added and flushed together."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from bench.baselines.orm_rows import (
    DrawerMovementRow,
    PaymentRow,
    Product,
    Register,
    SaleLineRow,
    SaleRow,
    Stock,
)
from bench.baselines.selling import Basket, Goods, Priced, Sold, price
from bench.tills import CURRENCY


async def sell(session: AsyncSession, basket: Basket) -> Sold | None:
    """See `bench.baselines.selling.Till`. The session's transaction ends after it."""
    query = (
        select(Stock, Product)
        .join(Product, Product.id == Stock.product_id)
        .where(Stock.product_id.in_(list(basket.quantities)), Stock.tenant_id == basket.tenant_id)
        .order_by(Stock.product_id)
        .with_for_update(of=Stock)
    )
    found = (await session.execute(query)).all()
    goods = [
        Goods(product.id, product.name, product.sku, product.price_minor, product.tax_rate_ppm)
        for _, product in found
    ]
    priced = price(basket, goods)
    wanted = basket.quantities
    if (
        priced is None
        or len(found) < len(wanted)
        or any(stock.on_hand - stock.reserved < wanted[stock.product_id] for stock, _ in found)
    ):
        return None
    register = await session.get(Register, basket.register_id, with_for_update=True)
    if register is None or register.tenant_id != basket.tenant_id or register.shift_id is None:
        return None
    for stock, _ in found:
        stock.on_hand -= wanted[stock.product_id]
    sold = Sold(priced, register.next_receipt_number, register.shift_id)
    register.next_receipt_number += 1
    register.drawer_minor += priced.cash_minor
    session.add_all([_sale(basket, sold), *_lines(basket, priced), *_payments(basket, priced)])
    session.add(_movement(basket, sold.shift_id, priced.cash_minor))
    return sold


def _sale(basket: Basket, sold: Sold) -> SaleRow:
    priced = sold.priced
    return SaleRow(
        id=basket.id,
        tenant_id=basket.tenant_id,
        register_id=basket.register_id,
        shift_id=sold.shift_id,
        receipt_number=sold.receipt_number,
        status="completed",
        currency=CURRENCY,
        total_minor=priced.total_minor,
        tax_minor=priced.tax_minor,
        tendered_minor=priced.tendered_minor,
        change_minor=priced.change_minor,
        created_by=basket.created_by,
        created_at=basket.created_at,
    )


def _lines(basket: Basket, priced: Priced) -> list[SaleLineRow]:
    return [
        SaleLineRow(
            sale_id=basket.id,
            number=number,
            tenant_id=basket.tenant_id,
            product_id=line.goods.product_id,
            name=line.goods.name,
            sku=line.goods.sku,
            quantity=line.quantity,
            unit_price_minor=line.goods.price_minor,
            tax_rate_ppm=line.goods.tax_rate_ppm,
            tax_minor=line.tax_minor,
            total_minor=line.total_minor,
        )
        for number, line in enumerate(priced.lines, 1)
    ]


def _payments(basket: Basket, priced: Priced) -> list[PaymentRow]:
    return [
        PaymentRow(
            sale_id=basket.id,
            number=number,
            tenant_id=basket.tenant_id,
            method=payment.method,
            amount_minor=payment.amount_minor,
        )
        for number, payment in enumerate(priced.payments, 1)
    ]


def _movement(basket: Basket, shift_id: UUID, cash_minor: int) -> DrawerMovementRow:
    return DrawerMovementRow(
        sale_id=basket.id,
        tenant_id=basket.tenant_id,
        shift_id=shift_id,
        amount_minor=cash_minor,
        occurred_at=basket.created_at,
    )
