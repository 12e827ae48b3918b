"""One file a step; a step that was published never changes. `test_migrations.py` holds them to `schema.py`."""
