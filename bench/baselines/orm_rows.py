"""The tables of the baselines as classes of SQLAlchemy's ORM."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, DateTime
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    type_annotation_map = {datetime: DateTime(timezone=True), int: BigInteger}


class Stock(Base):
    __tablename__ = "stock"

    product_id: Mapped[UUID] = mapped_column(primary_key=True)
    tenant_id: Mapped[UUID]
    on_hand: Mapped[int]
    reserved: Mapped[int]


class HoldRow(Base):
    __tablename__ = "holds"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    tenant_id: Mapped[UUID]
    product_id: Mapped[UUID]
    quantity: Mapped[int]
    status: Mapped[str]
    reference: Mapped[str | None]
    created_by: Mapped[str]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]


class Product(Base):
    __tablename__ = "products"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    tenant_id: Mapped[UUID]
    name: Mapped[str]
    sku: Mapped[str]
    price_minor: Mapped[int]
    tax_rate_ppm: Mapped[int]


class Register(Base):
    __tablename__ = "registers"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    tenant_id: Mapped[UUID]
    shift_id: Mapped[UUID | None]
    next_receipt_number: Mapped[int]
    drawer_minor: Mapped[int]


class SaleRow(Base):
    __tablename__ = "sales"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    tenant_id: Mapped[UUID]
    register_id: Mapped[UUID]
    shift_id: Mapped[UUID]
    receipt_number: Mapped[int]
    status: Mapped[str]
    currency: Mapped[str]
    total_minor: Mapped[int]
    tax_minor: Mapped[int]
    tendered_minor: Mapped[int]
    change_minor: Mapped[int]
    created_by: Mapped[str]
    created_at: Mapped[datetime]


class SaleLineRow(Base):
    __tablename__ = "sale_lines"

    sale_id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    tenant_id: Mapped[UUID]
    product_id: Mapped[UUID]
    name: Mapped[str]
    sku: Mapped[str]
    quantity: Mapped[int]
    unit_price_minor: Mapped[int]
    tax_rate_ppm: Mapped[int]
    tax_minor: Mapped[int]
    total_minor: Mapped[int]


class PaymentRow(Base):
    __tablename__ = "payments"

    sale_id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    tenant_id: Mapped[UUID]
    method: Mapped[str]
    amount_minor: Mapped[int]


class DrawerMovementRow(Base):
    __tablename__ = "drawer_movements"

    sale_id: Mapped[UUID] = mapped_column(primary_key=True)
    tenant_id: Mapped[UUID]
    shift_id: Mapped[UUID]
    amount_minor: Mapped[int]
    occurred_at: Mapped[datetime]
