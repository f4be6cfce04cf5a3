"""What schemathesis doesn't know by itself."""
import json

import schemathesis


@schemathesis.serializer("application/x-ndjson")
def ndjson(ctx, value):
    """A text as it is, a list as an element a line."""
    if isinstance(value, (str, bytes)):
        return value if isinstance(value, bytes) else value.encode("utf-8", "surrogatepass")
    return "\n".join(json.dumps(line) for line in (value if isinstance(value, list) else [value])).encode()
