"""What the till refuses."""

from __future__ import annotations

from core.errors import Conflict, Forbidden, HoldfastError


class NoShift(Conflict):
    code, title = "shift_closed", "No open shift"
    default_detail = "The register has no open shift."


class ShiftIsOpen(Conflict):
    code, title = "shift_open", "Shift is open"
    default_detail = "The register's shift must be closed first."


class NotYourShift(Forbidden):
    code, title = "not_your_shift", "Not your shift"
    default_detail = "Only who opened the shift may do this, or a manager."


class ManagerNeeded(Forbidden):
    code, title = "manager_needed", "Manager needed"
    default_detail = "This needs a manager."


class DiscountTooHigh(Forbidden):
    code, title = "discount_limit", "Discount too high"
    default_detail = "A discount above the register's limit needs a manager."


class DrawerShort(Conflict):
    code, title = "drawer_short", "Not enough cash"
    default_detail = "There is less cash in the drawer than should be taken out."


class AmountLimit(Conflict):
    code, title = "amount_limit", "Amount too large"
    default_detail = "The drawer's sums would become too large."


class WrongLocation(Conflict):
    code, title = "wrong_location", "Wrong location"
    default_detail = "The register or the hold belongs to another location."


class CurrencyMismatch(Conflict):
    code, title = "currency_mismatch", "Currencies differ"
    default_detail = "The currencies of goods, shift and payment must be the same."


class PaymentShort(Conflict):
    code, title = "payment_short", "Not fully paid"
    default_detail = "The payments do not cover what is due."


class CashNotInCoins(Conflict):
    code, title = "cash_not_in_coins", "No such coins"
    default_detail = "There are no coins for this amount of cash; `step` is what it goes by."


class ChangeNotCash(Conflict):
    code, title = "change_not_cash", "Change only from cash"
    default_detail = "More was tendered than is due, and not in cash."


class ClientSaleIdReused(Conflict):
    code, title = "client_sale_id_reused", "Another sale has this id"
    default_detail = "Something else was uploaded under this clientSaleId before."


class TotalChanged(Conflict):
    code, title = "total_changed", "Total differs"
    default_detail = "The total is not the expected one; ask for a new quote."


class ReservationNotFound(Conflict):
    code, title = "reservation_not_found", "No such reservation"
    default_detail = "There is no such reservation in this business."


class ReservationDiffers(Conflict):
    code, title = "reservation_differs", "Reservation differs"
    default_detail = "The reservation holds goods that are not in the sale."


class GiftCardNotFound(Conflict):
    code, title = "gift_card_not_found", "No such gift card"
    default_detail = "There is no gift card with this code."


class GiftCardDisabled(Conflict):
    code, title = "gift_card_disabled", "Gift card disabled"
    default_detail = "The gift card has been disabled."


class GiftCardExpired(Conflict):
    code, title = "gift_card_expired", "Gift card expired"
    default_detail = "The gift card has expired."


class GiftCardExpiresSoon(Conflict):
    code, title = "gift_card_expires_soon", "Gift card expires soon"
    default_detail = (
        "The gift card expires within a day; refund as store_credit, or a manager in cash."
    )


class RefundToReturnedCard(Conflict):
    code, title = "refund_to_returned_card", "Refund to a returned card"
    default_detail = "What the return takes back cannot receive its refund."


class RestockUnclear(Conflict):
    code, title = "restock_unclear", "Several goods in one line"
    default_detail = "restockAs is for a line of one product; a bundle has several."


class GiftCardShort(Conflict):
    code, title = "gift_card_short", "Not enough on the gift card"
    default_detail = "There is less on the gift card than it should pay."


class GiftCardExists(Conflict):
    code, title = "gift_card_exists", "Gift card exists"
    default_detail = "There is a gift card with this code already."


class GiftCardByGiftCard(Conflict):
    code, title = "gift_card_by_gift_card", "Gift card for a gift card"
    default_detail = "Gift cards pay for goods and tips, not for gift cards."


class GiftCardUsed(Conflict):
    code, title = "gift_card_used", "Gift card used"
    default_detail = "A gift card that was used or disabled cannot be returned."


class LineNotFound(Conflict):
    code, title = "line_not_found", "No such line"
    default_detail = "The sale has no such line."


class MoreThanSold(Conflict):
    code, title = "more_than_sold", "More than was sold"
    default_detail = "More would come back than is left of the line."


class MoreThanPaid(Conflict):
    code, title = "more_than_paid", "More than was paid"
    default_detail = "More would be refunded than was paid."


class AlreadyReturned(Conflict):
    code, title = "already_returned", "Already returned"
    default_detail = "Something of the sale has come back already."


class VoidTooLate(Conflict):
    code, title = "void_too_late", "Too late to void"
    default_detail = "A sale is voided in its own shift; afterwards its goods are returned."


class TooManyParked(Conflict):
    code, title = "too_many_parked", "Too many parked sales"
    default_detail = "Take up or delete a parked sale first."


class CardDeclined(HoldfastError):
    status, code, title = 402, "card_declined", "Card declined"
    default_detail = "The card was declined; nothing was sold or charged."


class CardsOff(Conflict):
    code, title = "cards_off", "No card payments"
    default_detail = "No payment provider is set up; take the card with a device of its own."


class SaleNotCompleted(Conflict):
    code, title = "sale_not_completed", "Sale not completed"
    default_detail = "The card could not be turned into a sale; no money of it is kept."


class SaleTooLate(Conflict):
    code, title = "sale_too_late", "Too late for this sale"
    default_detail = "The goods were held for the card only so long; no money of it is kept."


class CardPaymentCompleted(Conflict):
    code, title = "card_payment_completed", "The sale was made"
    default_detail = "The card was charged and the sale made; its goods may be returned."


class RefundNotDead(Conflict):
    code, title = "refund_not_dead", "Not given up"
    default_detail = "The provider has made the refund, or is still being asked for it."
