"""SCENES: what a site has of each pack of rules, what switching one would change, and what is missing there."""
