"""`holdfast demo`: a real shop's day against a running Holdfast, and a proof that goods, receipts
and money came out exact. `cli.demo.run.run_demo` is the whole of it."""
