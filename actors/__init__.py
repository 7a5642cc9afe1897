"""Hot state: what people fight over has one writer, which decides in memory."""
