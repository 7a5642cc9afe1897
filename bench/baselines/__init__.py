"""The same job done in other ways, each as well as a good engineer would do it.

All of them serve `POST /api/inventory/reserve` with FastAPI, check the same tokens with the same
code, and answer yes only once the hold is durable in Postgres. They write less than Holdfast does:
no ledger, no command log, no outbox; and they ignore `Idempotency-Key`, so that a repeat reserves
twice.
"""
