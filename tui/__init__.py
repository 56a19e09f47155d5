"""What people see: the screen and the `homerun` command."""
