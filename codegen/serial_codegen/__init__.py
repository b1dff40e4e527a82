"""Build-time tools of serial_runtime: they generate code and import nothing of the runtime."""
