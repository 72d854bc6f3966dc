"""An installation in a running cluster: applied in steps, waited for, removed again.

What decides is apart: `standing` reads how far an object has come, `steps` in which order things
are done, `others` who else connects pods. `server` asks the API server.
"""
