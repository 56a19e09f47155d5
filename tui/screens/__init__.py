"""The screens, one a file: the dashboard and the dialogs over it."""
