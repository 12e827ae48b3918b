"""SOUTH: everything that speaks MQTT; messages in, acks out, commands out."""
