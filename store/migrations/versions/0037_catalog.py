"""The tree of categories, products with their variants and bundles, prices and costs."""

from __future__ import annotations

from alembic import op
from sqlalchemy import (
    CHAR,
    BigInteger,
    CheckConstraint,
    Column,
    Computed,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    SmallInteger,
    String,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, TSVECTOR

from store.kit.schema import PUBLIC, create_table, moment, of_tenant

revision = "0037_catalog"
down_revision = "0036_people"
branch_labels = None
depends_on = None

_LIVE = text("deleted_at IS NULL")

# The planner takes a comparison with a setting for true of one row in 200, and then sorts a whole
# table rather than walk 10,000 rows of an index; inside coalesce it takes it for an even chance.
_FOR_ALL = f"coalesce({PUBLIC}, false)"


def upgrade() -> None:
    _categories()
    _products()
    _product_variants()
    _bundle_components()
    _item_codes()
    _item_prices()
    _item_costs()
    _first_variants()
    # Not valid: of a database that was older, what was deleted while it was in use stays as it is.
    for table in ("products", "product_variants"):
        op.create_foreign_key(
            None,
            table,
            "tax_classes",
            ["used_tax_class_id"],
            ["live_id"],
            postgresql_not_valid=True,
        )


def _categories() -> None:
    create_table(
        op,
        "categories",
        Column("id", Uuid, primary_key=True),
        Column("tenant_id", Uuid, ForeignKey("businesses.id"), nullable=False),
        Column("parent_id", Uuid),
        Column("parent_depth", SmallInteger),
        Column(
            "depth",
            SmallInteger,
            Computed("coalesce(parent_depth, 0::smallint) + 1::smallint", persisted=True),
            nullable=False,
        ),
        Column("name", String(100), nullable=False),
        Column("slug", String(120), nullable=False),
        Column("path", String(512, collation="C"), nullable=False),
        Column("position", Integer, nullable=False),
        moment("created_at"),
        moment("updated_at"),
        Column("products", Integer, nullable=False, server_default="0"),
        CheckConstraint("depth <= 5", name="depth_bounded"),
        CheckConstraint("(parent_id IS NULL) = (parent_depth IS NULL)", name="parent_whole"),
        CheckConstraint("name <> '' AND slug <> ''", name="named"),
        ForeignKeyConstraint(
            ["tenant_id", "parent_id", "parent_depth"],
            ["categories.tenant_id", "categories.id", "categories.depth"],
            name="fk_categories_parent",
            onupdate="CASCADE",
        ),
        UniqueConstraint("tenant_id", "path", name="uq_categories_path"),
        UniqueConstraint("tenant_id", "slug", name="uq_categories_slug"),
        UniqueConstraint("tenant_id", "id", "depth", name="uq_categories_depth"),
        Index("ix_categories_parent", "tenant_id", "parent_id", "parent_depth"),
        Index("ix_categories_path", "path"),
        info=of_tenant(public=PUBLIC),
    )


def _products() -> None:
    create_table(
        op,
        "products",
        Column("id", Uuid, primary_key=True),
        Column("tenant_id", Uuid, ForeignKey("businesses.id"), nullable=False),
        Column("created_by", Uuid, nullable=False),
        Column("name", String(255), nullable=False),
        Column("description", Text, nullable=False),
        Column("price_minor", BigInteger, nullable=False),
        Column("price_e4", BigInteger, nullable=False),
        Column("currency", CHAR(3), nullable=False),
        Column("category", String(512)),
        Column("images", JSONB, nullable=False),
        Column("sku", String(64), nullable=False),
        Column("barcode", String(64)),
        Column("version", Integer, nullable=False),
        moment("created_at"),
        moment("updated_at"),
        moment("deleted_at", nullable=True),
        Column("image_alts", JSONB, nullable=False, server_default="{}"),
        Column("kind", Text, nullable=False, server_default="simple"),
        Column("tax_class_id", Uuid),
        Column("backorder_limit", BigInteger, nullable=False, server_default=text("0")),
        Column(
            "search",
            TSVECTOR,
            Computed(
                "to_tsvector('simple', name || ' ' || sku || ' ' || coalesce(category, ''))",
                persisted=True,
            ),
            nullable=False,
        ),
        Column(
            "used_tax_class_id",
            Uuid,
            Computed("CASE WHEN deleted_at IS NULL THEN tax_class_id END", persisted=True),
        ),
        CheckConstraint("price_minor >= 0", name="price_not_negative"),
        CheckConstraint("currency ~ '^[A-Z]{3}$'", name="currency"),
        CheckConstraint("char_length(description) <= 10000", name="description_bounded"),
        CheckConstraint("jsonb_array_length(images) <= 20", name="images_bounded"),
        CheckConstraint("sku <> '' AND name <> ''", name="named"),
        CheckConstraint("kind IN ('simple', 'bundle')", name="kind_known"),
        CheckConstraint("backorder_limit >= 0", name="backorder_limit_not_negative"),
        ForeignKeyConstraint(
            ["tenant_id", "tax_class_id"], ["tax_classes.tenant_id", "tax_classes.id"]
        ),
        ForeignKeyConstraint(
            ["tenant_id", "category"],
            ["categories.tenant_id", "categories.path"],
            name="fk_products_category",
            onupdate="CASCADE",
        ),
        Index(
            "ix_products_category_newest", "category", "created_at", "id", postgresql_where=_LIVE
        ),
        Index("ix_products_currency_price", "currency", "price_e4", "id", postgresql_where=_LIVE),
        Index("ix_products_name", "name", "id", postgresql_where=_LIVE),
        Index("ix_products_newest", "created_at", "id", postgresql_where=_LIVE),
        Index("ix_products_price", "price_e4", "id", postgresql_where=_LIVE),
        Index("ix_products_search", "search", postgresql_using="gin", postgresql_where=_LIVE),
        Index("ix_products_tenant_category", "tenant_id", "category"),
        Index("ix_products_tenant_newest", "tenant_id", "created_at", "id", postgresql_where=_LIVE),
        Index(
            "ix_products_used_tax_class_id",
            "used_tax_class_id",
            postgresql_where=text("used_tax_class_id IS NOT NULL"),
        ),
        Index("uq_products_barcode", "barcode", "tenant_id", unique=True, postgresql_where=_LIVE),
        Index("uq_products_sku", "sku", "tenant_id", unique=True, postgresql_where=_LIVE),
        info=of_tenant(
            app="SELECT, INSERT, UPDATE",
            public=f"{_FOR_ALL} AND deleted_at IS NULL",
            owner="SELECT",
        ),
    )


def _product_variants() -> None:
    create_table(
        op,
        "product_variants",
        Column("id", Uuid, primary_key=True),
        Column("tenant_id", Uuid, ForeignKey("businesses.id"), nullable=False),
        Column("product_id", Uuid, ForeignKey("products.id"), nullable=False),
        Column("options", JSONB, nullable=False),
        Column("sku", String(64), nullable=False),
        Column("barcode", String(64)),
        Column("price_minor", BigInteger, comment="null: the product's price"),
        Column("tax_class_id", Uuid, comment="null: the product's class"),
        Column("images", JSONB, nullable=False, server_default="[]"),
        Column("image_alts", JSONB, nullable=False, server_default="{}"),
        Column("position", Integer, nullable=False, server_default="0"),
        Column("version", Integer, nullable=False, server_default="1"),
        moment("created_at"),
        moment("updated_at"),
        moment("deleted_at", nullable=True),
        Column(
            "search",
            TSVECTOR,
            Computed(
                "to_tsvector('simple', sku) || to_tsvector('simple', options)", persisted=True
            ),
            nullable=False,
        ),
        Column(
            "used_tax_class_id",
            Uuid,
            Computed("CASE WHEN deleted_at IS NULL THEN tax_class_id END", persisted=True),
        ),
        CheckConstraint("price_minor >= 0", name="price_not_negative"),
        CheckConstraint("jsonb_typeof(options) = 'object'", name="options_object"),
        CheckConstraint("sku <> ''", name="named"),
        ForeignKeyConstraint(
            ["tenant_id", "tax_class_id"], ["tax_classes.tenant_id", "tax_classes.id"]
        ),
        Index("ix_product_variants_barcode", "barcode", "tenant_id", postgresql_where=_LIVE),
        Index("ix_product_variants_product", "product_id", postgresql_where=_LIVE),
        Index(
            "ix_product_variants_search", "search", postgresql_using="gin", postgresql_where=_LIVE
        ),
        Index("ix_product_variants_sku", "sku", "tenant_id", postgresql_where=_LIVE),
        Index(
            "ix_product_variants_used_tax_class_id",
            "used_tax_class_id",
            postgresql_where=text("used_tax_class_id IS NOT NULL"),
        ),
        Index(
            "uq_product_variants_options",
            "product_id",
            "options",
            unique=True,
            postgresql_where=_LIVE,
        ),
        info=of_tenant(
            app="SELECT, INSERT, UPDATE", public=f"{PUBLIC} AND deleted_at IS NULL", owner="SELECT"
        ),
    )


def _bundle_components() -> None:
    create_table(
        op,
        "bundle_components",
        Column("bundle_id", Uuid, ForeignKey("products.id"), primary_key=True),
        Column("component_id", Uuid, primary_key=True),
        Column("tenant_id", Uuid, ForeignKey("businesses.id"), nullable=False),
        Column("quantity", BigInteger, nullable=False),
        Column("position", SmallInteger, nullable=False),
        CheckConstraint("quantity BETWEEN 1 AND 1000", name="quantity_within_bounds"),
        CheckConstraint("bundle_id <> component_id", name="not_itself"),
        Index("ix_bundle_components_component", "component_id"),
        info=of_tenant(app="SELECT, INSERT, DELETE", public=PUBLIC),
    )


def _item_codes() -> None:
    create_table(
        op,
        "item_codes",
        Column("item_id", Uuid, primary_key=True),
        Column("kind", Text, primary_key=True),
        Column("tenant_id", Uuid, ForeignKey("businesses.id"), nullable=False),
        Column("code", String(64), nullable=False),
        CheckConstraint("kind IN ('sku', 'barcode')", name="kind_known"),
        Index(
            "uq_item_codes_barcode",
            "code",
            "tenant_id",
            unique=True,
            postgresql_where=text("kind = 'barcode'"),
        ),
        Index(
            "uq_item_codes_sku",
            "code",
            "tenant_id",
            unique=True,
            postgresql_where=text("kind = 'sku'"),
        ),
        info=of_tenant(app="SELECT, INSERT, DELETE"),
    )


def _item_prices() -> None:
    create_table(
        op,
        "item_prices",
        Column("item_id", Uuid, primary_key=True),
        Column("currency", CHAR(3), primary_key=True),
        Column("tenant_id", Uuid, ForeignKey("businesses.id"), nullable=False),
        Column("price_minor", BigInteger, nullable=False),
        Column("price_e4", BigInteger, nullable=False),
        CheckConstraint("price_minor >= 0", name="price_not_negative"),
        CheckConstraint("currency ~ '^[A-Z]{3}$'", name="currency"),
        Index("ix_item_prices_price", "currency", "price_e4", "item_id"),
        info=of_tenant(app="SELECT, INSERT, DELETE", public=_FOR_ALL),
    )


def _item_costs() -> None:
    create_table(
        op,
        "item_costs",
        Column("item_id", Uuid, primary_key=True),
        Column("tenant_id", Uuid, ForeignKey("businesses.id"), nullable=False),
        Column("cost_minor", BigInteger, nullable=False),
        CheckConstraint("cost_minor >= 0", name="cost_not_negative"),
        info=of_tenant(app="SELECT, INSERT, DELETE"),
    )


def _first_variants() -> None:
    create_table(
        op,
        "first_variants",
        Column("product_id", Uuid, primary_key=True),
        Column("writer_id", Uuid, primary_key=True, comment="One per request that writes"),
        Column("tenant_id", Uuid, nullable=False),
        moment("until"),
        info=of_tenant(app="SELECT, INSERT, DELETE"),
    )
