"""Every index costs each row that is written: none is there for what another one does as well."""

from __future__ import annotations

import asyncpg

from core.settings import Settings

# Pairs on one table in which the first has no key and no row that the second lacks. A unique one
# is there for more than finding.
_SPARE = """
SELECT a.indexrelid::regclass::text, b.indexrelid::regclass::text
FROM pg_index a JOIN pg_index b
  ON a.indrelid = b.indrelid AND a.indexrelid <> b.indexrelid
JOIN pg_class ac ON ac.oid = a.indexrelid
JOIN pg_class bc ON bc.oid = b.indexrelid AND bc.relam = ac.relam
WHERE NOT a.indisunique AND ac.relnamespace = 'public'::regnamespace
  AND a.indexprs IS NULL AND b.indexprs IS NULL
  AND pg_get_expr(a.indpred, a.indrelid) IS NOT DISTINCT FROM pg_get_expr(b.indpred, b.indrelid)
  AND a.indnatts <= b.indnkeyatts
  AND NOT EXISTS (SELECT FROM generate_series(0, a.indnatts - 1) AS n
    WHERE a.indkey[n] <> b.indkey[n] OR a.indclass[n] <> b.indclass[n]
      OR a.indoption[n] <> b.indoption[n])
"""


# Options may be long; what looks for a product's variants reads less.
_MEANT = {("ix_product_variants_product", "uq_product_variants_options")}


async def test_no_index_is_the_beginning_of_another(embedded: Settings) -> None:
    connection = await asyncpg.connect(embedded.owner_database_url)
    try:
        found = {tuple(row) for row in await connection.fetch(_SPARE)}
        assert found == _MEANT
    finally:
        await connection.close()
