"""INSTALLING: the files of an installation as `hub init` writes them, and what it must never write twice."""
