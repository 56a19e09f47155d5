"""The audit trail: every call through the door becomes a record in CloudTrail's shape, without its secrets."""
