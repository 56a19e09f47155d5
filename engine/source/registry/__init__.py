"""Images in registries: what a reference means, who may read it, what its tag points to now, why a pull failed."""
