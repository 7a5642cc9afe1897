"""`holdfast demo`: a real shop's invoices against a running Holdfast, and a proof that the stock
came out exact. `cli.demo.run.run_demo` is the whole of it."""
