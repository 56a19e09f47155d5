"""The control plane: what each action does, one module a noun, behind the one door. Decisions are plain functions."""
