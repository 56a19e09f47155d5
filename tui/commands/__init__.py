"""One module for each of the `homerun` command's verbs."""
