"""The resources: types, defaults, validation, YAML and JSON.

What comes in: manifests from people, bytes from datastores. What goes out: frozen typed values, or
errors that name the file, the document, the path to the field, what was found and the nearest valid
name. A person's unknown field is an error; a datastore's is ignored. It never performs I/O.
"""

from tortie.api.meta import Key, ObjectMeta, Resource

__all__ = ["Key", "ObjectMeta", "Resource"]
