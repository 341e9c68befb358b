"""A token that must never appear in an answer or a log."""

SECRET = "hf_notForAnybodysEyes"
