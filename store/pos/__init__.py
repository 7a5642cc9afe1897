"""The till: sales, returns, shifts, gift cards, card payments."""
