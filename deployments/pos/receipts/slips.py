"""Receipts on paper: one layout, as text, as HTML, and as PDF."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from hashlib import sha256
from html import escape
from importlib.resources import files
from zoneinfo import ZoneInfo

from core.money import exponent, from_minor, line_minor, to_minor
from core.quantities import steps_of
from deployments.pos.receipts.columns import COLUMNS, centred, columns, row, wrapped
from deployments.pos.returns.schemas import ReturnedLineOut, ReturnOut
from deployments.pos.sales.schemas import SaleLineOut, SaleOut
from store.business.profile import TillTerms

_PAPER_MM, _MARGIN_MM, _LINE_MM = 80.0, 4.0, 4.2
_FONT_POINTS = 8
# What the fonts that every PDF reader has can show.
_ENCODING = "cp1252"


@dataclass(frozen=True, slots=True)
class Slip:
    """`rows` are pairs of what stands on the left and on the right; an empty pair is a rule."""

    head: Sequence[str]
    rows: Sequence[tuple[str, str]]
    foot: Sequence[str] = field(default=())


def sale_slip(sale: SaleOut, terms: TillTerms) -> Slip:
    """The receipt of a sale, with times in the location's zone."""

    def money(amount: Decimal) -> str:
        return _money(amount, sale.currency)

    rows = [*_line_rows(sale.lines, sale.currency), ("", "")]
    if spared := _spared(sale):
        rows.append(("Without tax", f"-{money(spared)}"))
    if sale.tips:
        rows.append(("Tips", money(sale.tips)))
    rows.append((f"Total {sale.currency}", money(sale.total)))
    if sale.cash_rounding:
        rows.append(("Cash rounding", money(sale.cash_rounding)))
        rows.append((f"To pay {sale.currency}", money(sale.total + sale.cash_rounding)))
    for tax in sale.taxes:
        if tax.tax_percent:
            words = "incl." if sale.prices_include_tax else "plus"
            rows.append(
                (f"  {words} tax {_percent(tax.tax_percent)} of {money(tax.net)}", money(tax.tax))
            )
    if sale.tax_exemption is not None:
        rows.append((f"  tax exempt {sale.tax_exemption}".rstrip(), money(Decimal(0))))
    rows.append(("", ""))
    change = sale.change
    cards = [paid.number for paid in sale.payments if paid.method == "card"]
    for paid in sale.payments:
        # As it was handed over: what is handed back has its own line.
        handed = paid.amount + (change if paid.method == "cash" else Decimal(0))
        change = Decimal(0) if paid.method == "cash" else change
        name = _METHODS[paid.method]
        if len(cards) > 1 and paid.number in cards:
            name += f" {cards.index(paid.number) + 1}"
        rows.append((name, money(handed)))
    if change:
        # All the cash that was handed over went back.
        rows.append((_METHODS["cash"], money(change)))
    if sale.change:
        rows.append(("Change given", money(sale.change)))
    if sale.refunded:
        rows.append(("Refunded since", money(sale.refunded)))
    title = f"Receipt {sale.receipt_number}"
    if sale.offline and sale.offline.offline_number:
        title += f" (offline {sale.offline.offline_number})"
    head = _head(terms, title, sale.created_at)
    return Slip(head, rows, _foot(terms, str(sale.id)))


def _spared(sale: SaleOut) -> Decimal:
    """The tax that an exempt customer did not pay of prices that include it."""
    if sale.tax_exemption is None or not sale.prices_include_tax:
        return Decimal(0)
    listed = (line.unit_price * line.quantity - line.discount - line.total for line in sale.lines)
    return sum(listed, Decimal(0))


def return_slip(made: ReturnOut, terms: TillTerms) -> Slip:
    """The receipt of a return."""

    def money(amount: Decimal) -> str:
        return _money(amount, made.currency)

    rows = [(_came_back(line), f"-{money(line.total)}") for line in made.lines]
    rows.append(("", ""))
    if made.tips:
        rows.append(("Tips", f"-{money(made.tips)}"))
    rows.append((f"Returned {made.currency}", f"-{money(made.total)}"))
    rows.append(("  tax in it", f"-{money(made.tax)}"))
    if made.cash_rounding:
        rows.append(("Cash rounding", money(-made.cash_rounding)))
        rows.append((f"Paid back {made.currency}", f"-{money(made.total + made.cash_rounding)}"))
    rows.append(("", ""))
    rows += [(_METHODS[refund.method], money(refund.amount)) for refund in made.refunds]
    title = "Void" if made.void else "Return"
    head = _head(terms, f"{title}, receipt {made.receipt_number}", made.created_at)
    return Slip(head, rows, _foot(terms, str(made.id)))


_STYLE = (
    "body{font:14px monospace;max-width:22em;margin:1em auto}header,footer{text-align:center}"
    "table{width:100%}td{vertical-align:top;white-space:pre-wrap}td+td{text-align:right}"
)
# Of the page that `as_html` makes: its style, known by its digest, and nothing else.
HTML_POLICY = (
    "default-src 'none'; style-src 'sha256-"
    f"{b64encode(sha256(_STYLE.encode()).digest()).decode()}'; frame-ancestors 'none'"
)


def as_text(slip: Slip) -> str:
    """Plain text, COLUMNS wide."""
    lines = [centred(part) for line in slip.head for part in wrapped(line, COLUMNS)]
    lines.append("")
    for left, right in slip.rows:
        lines += row(left, right) if left else ["-" * COLUMNS]
    lines.append("")
    lines += [centred(part) for line in slip.foot for part in wrapped(line, COLUMNS)]
    return "\n".join(lines) + "\n"


def as_html(slip: Slip) -> str:
    """A page that prints well and loads nothing."""
    rows = "".join(
        f"<tr><td>{escape(left)}</td><td>{escape(right)}</td></tr>"
        if left
        else '<tr><td colspan="2"><hr></td></tr>'
        for left, right in slip.rows
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>'
        f"{escape(slip.head[0])}</title><style>{_STYLE}</style></head><body><header>"
        f"{_paragraphs(slip.head)}</header><table>{rows}</table><footer>{_paragraphs(slip.foot)}"
        "</footer></body></html>\n"
    )


def as_pdf(slip: Slip) -> bytes:
    """One page as wide as a till's paper and as long as it needs to be. Scripts that our font has
    no letters of, as Chinese, are printed as question marks. Takes milliseconds of the processor,
    with letters beyond the western ones a hundred: call it outside the event loop."""
    # Here, because it is large and most processes never print.
    from fpdf import FPDF

    lines = as_text(slip).splitlines()
    pdf = FPDF(unit="mm", format=(_PAPER_MM, 2 * _MARGIN_MM + _LINE_MM * (len(lines) + 1)))
    pdf.set_auto_page_break(False)
    pdf.set_margins(_MARGIN_MM, _MARGIN_MM)
    pdf.core_fonts_encoding = _ENCODING
    pdf.set_title(slip.head[0])
    pdf.add_page()
    if _is_western(lines):
        pdf.set_font("Courier", size=_FONT_POINTS)
    else:
        # As wide as Courier, and carried along: only the letters in use.
        pdf.add_font("DejaVu", fname=str(files("barcode") / "fonts" / "DejaVuSansMono.ttf"))
        pdf.set_font("DejaVu", size=_FONT_POINTS)
        glyphs: Container[int] = getattr(pdf.fonts["dejavu"], "cmap", ())
        lines = [_with_glyphs(line, glyphs) for line in lines]
    for line in lines:
        pdf.cell(0, _LINE_MM, line, new_x="LMARGIN", new_y="NEXT")
    return bytes(pdf.output())


_METHODS = {
    "cash": "Cash",
    "card": "Card",
    "gift_card": "Gift card",
    "external": "Other",
    "store_credit": "Store credit",
}


def _head(terms: TillTerms, title: str, at: datetime) -> list[str]:
    local = at.astimezone(ZoneInfo(terms.time_zone))
    header = [line for line in terms.receipt_header.splitlines() if line.strip()]
    names = [terms.business_name, terms.location_name]
    return [*names, *header, "", title, f"{local:%Y-%m-%d %H:%M}"]


def _foot(terms: TillTerms, number: str) -> list[str]:
    return [*(line for line in terms.receipt_footer.splitlines() if line.strip()), number]


def _line_rows(lines: Iterable[SaleLineOut], currency: str) -> list[tuple[str, str]]:
    rows = []
    for line in lines:
        price = _money(line.unit_price, currency)
        if line.unit is None:
            listed = _money(line.unit_price * line.quantity, currency)
            each = f" at {price}" if line.quantity > 1 else ""
            rows.append((f"{line.quantity} x {line.name}{each}", listed))
        else:
            listed = _money(listed_of(line, currency), currency)
            rows.append((line.name, ""))
            rows.append((f"  {line.quantity} {line.unit} x {price} / {line.unit}", listed))
        if line.discount:
            rows.append(("  discount", f"-{_money(line.discount, currency)}"))
    return rows


def _came_back(line: ReturnedLineOut) -> str:
    if line.unit is None:
        return f"{line.quantity} x {line.name}"
    return f"{line.quantity} {line.unit} {line.name}"


def listed_of(line: SaleLineOut, currency: str) -> Decimal:
    """What a measured line costs without discounts: rounded once, as it was when it was sold."""
    steps, decimals = steps_of(line.quantity)
    price_minor = to_minor(line.unit_price, currency)
    return from_minor(line_minor(price_minor, steps, decimals), currency)


def _money(amount: Decimal, currency: str) -> str:
    return f"{amount:.{exponent(currency)}f}"


def _percent(percent: float) -> str:
    return f"{percent:.4f}".rstrip("0").rstrip(".") + "%"


def _paragraphs(lines: Iterable[str]) -> str:
    return "".join(f"<p>{escape(line)}</p>" for line in lines if line)


def _is_western(lines: Iterable[str]) -> bool:
    try:
        "".join(lines).encode(_ENCODING)
    except UnicodeEncodeError:
        return False
    return True


def _with_glyphs(text: str, glyphs: Container[int]) -> str:
    return "".join(letter if ord(letter) in glyphs else "?" * columns(letter) for letter in text)
