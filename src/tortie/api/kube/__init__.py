"""The kinds of Kubernetes that Tortie reads, one a module.

Fields that networking has no use for are accepted and kept, so that a manifest written for
Kubernetes is read unchanged, while a misspelt field is still an error.
"""
