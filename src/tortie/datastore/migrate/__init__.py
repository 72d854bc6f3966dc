"""A cluster's datastore from one backend to another: locked, exported, imported, compared.

What comes in: an open store, a file. What goes out: the other store with the same objects, or the
line and the object that stand against it. `stream` is the file, `content` what makes two objects
equal, `fitting`, `kubernetes` and `plan` decide (all pure); `locking`, `exporting`, `survey` and
`importing` act. It never writes to a store that holds something else, and never lets a node follow
half of one.
"""
