"""PROFILES: what people see of device profiles: all of them with their mistakes, and a payload byte by byte."""
