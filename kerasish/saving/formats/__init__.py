"""File formats: HDF5, legacy HDF5, safetensors, shards, zip archives."""
