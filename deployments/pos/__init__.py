"""The till over HTTP: registers, sales, returns, gift cards, card payments, reports."""
