"""What every layer is built on."""
