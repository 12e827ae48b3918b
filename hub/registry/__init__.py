"""What exists: sites, places, devices, their credentials, and the brokers that know them."""
