"""Where cases come from: one file per class, each fed by the registries of the language."""
