"""The till: registers with their shifts, sales with their returns, gift cards. Pure."""
