"""Running generated C: on the host, in an emulator, and what it costs there in flash, RAM, instructions and cycles."""
