"""`homerun demo`: a throw-away home with sample applications and gentle traffic, all offline."""
