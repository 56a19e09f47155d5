"""How many instances a service wants: decided by a pure function."""
