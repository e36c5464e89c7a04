"""Where cases come from: one file per class, each fed by the registries of the language.

What they are made with, for all classes alike, is in `making`.
"""
