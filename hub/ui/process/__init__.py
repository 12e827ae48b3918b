"""PROCESS: what a process of ours sees to before it works: memory, logs, a broker that is a toy."""
