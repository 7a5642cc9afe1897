"""Cash that can be paid: prices may be finer than the smallest coin.

An amount that is due in cash is rounded to the nearest multiple of a step, half away from zero;
what is paid otherwise is not. The steps are what central banks say of the coins that are left: the
Swiss National Bank (5 centimes), Sveriges Riksbank and Norges Bank (1 krona, krone), Danmarks
Nationalbank (50 øre), Ceska narodni banka (1 koruna), Magyar Nemzeti Bank (5 forint), the Royal
Canadian Mint (5 cents), the Reserve Banks of Australia (5 cents) and New Zealand (10 cents), Bank
Negara Malaysia (5 sen), the Bank of Israel (10 agorot). Wikipedia's "Cash rounding" gathers them,
and the Unicode CLDR has most of them as `cashRounding` and `cashDigits` in `supplementalData.xml`.
Where a country in the euro area rounds, its businesses say so.
"""

from __future__ import annotations

from collections.abc import Mapping

# Minor units of ISO 4217, by currency; others have coins for every unit that there are prices in.
_CUSTOM: Mapping[str, int] = {
    "AUD": 5,
    "CAD": 5,
    "CHF": 5,
    "CZK": 100,
    "DKK": 50,
    "HUF": 500,
    "ILS": 10,
    "MYR": 5,
    "NOK": 100,
    "NZD": 10,
    "SEK": 100,
}
NO_ROUNDING = 1


def custom_step_minor(currency: str) -> int:
    """What is usual for a currency; 1 where cash is not rounded."""
    return _CUSTOM.get(currency, NO_ROUNDING)


def cash_step_minor(currency: str, own_minor: int | None, own_currency: str) -> int:
    """The step at a till in `currency`, of a business that has said `own_minor` of its own currency
    (None: as is usual; 0: it rounds nowhere)."""
    if own_minor == 0:
        return NO_ROUNDING
    if own_minor is None or currency != own_currency:
        return custom_step_minor(currency)
    return own_minor


def payable(amount_minor: int, step_minor: int) -> int:
    """The nearest amount that coins can pay, half away from zero; amounts are not negative."""
    return (2 * amount_minor + step_minor) // (2 * step_minor) * step_minor
