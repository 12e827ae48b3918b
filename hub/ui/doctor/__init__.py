"""DOCTOR: looks at servers, machine and files, and names every setting that loses data without a word."""
