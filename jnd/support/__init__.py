"""Support for long runs and outside files: the GPU, interrupted work, files checked by hash."""
