"""The four panes of the dashboard, one a file. They render the values they are given and post what the user wants."""
