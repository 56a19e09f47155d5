"""What can be asked of the engine: one request and one response shape for each action, by noun; `table` lists them."""
