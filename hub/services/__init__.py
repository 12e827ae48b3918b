"""The embedded defaults: Valkey and an MQTT broker as child processes."""
