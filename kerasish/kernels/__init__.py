"""Everything specific to a platform: what XLA compiles badly, written so that it compiles well."""
