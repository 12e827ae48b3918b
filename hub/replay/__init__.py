"""AGAIN: what was heard, applied to other engines: to prove, to compare, to plan. It changes nothing."""
