"""Makes infra/postman.json, a Postman collection, out of infra/openapi.yaml:

    python3 infra/postman.py            # needs PyYAML, which infra/requirements.txt brings

Each operation is a request that can be sent: with the document's examples as bodies, signed where the API is deployed, and with variables for
what differs from place to place. (openapi-to-postmanv2 was tried: it makes bodies of "<string>" and of random text, another one each time.)
"""
import json
import pathlib
import sys

import yaml

HERE = pathlib.Path(__file__).parent

VARIABLES = {
    "hostUrl": ("http://127.0.0.1:9000", "The host's API. Deployed: the output HostUrl, without a slash at its end."),
    "webServiceUrl": ("http://127.0.0.1:9000", "What Pruvan calls. Deployed: the output WebServiceUrl."),
    "username": ("example", "The account."),
    "apiKey": ("", "Its API key, shown once, when it is made. It is the token that Pruvan sends."),
    "workOrderNumber": ("1001", "A work order."),
    "uuId": ("photo-1", "An item that a crew sent."),
    "id": ("", "An API key's id."),
    "awsAccessKeyId": ("", "Credentials that may call the deployed API of the host."),
    "awsSecretAccessKey": ("", ""),
    "awsSessionToken": ("", ""),
    "awsRegion": ("us-east-1", ""),
}

SIGNATURE = {
    "accessKey": "{{awsAccessKeyId}}", "secretKey": "{{awsSecretAccessKey}}", "sessionToken": "{{awsSessionToken}}",
    "region": "{{awsRegion}}", "service": "execute-api",
}

METHODS = ("get", "put", "post", "patch", "delete")


def main():
    document = yaml.safe_load((HERE / "openapi.yaml").read_text())

    def resolved(value):
        if isinstance(value, dict) and "$ref" in value:
            of = document
            for part in value["$ref"].removeprefix("#/").split("/"):
                of = of[part]
            return resolved(of)
        return value

    def examples(of):
        """Of a parameter or a body, with their names."""
        of = resolved(of)
        for name, example in of.get("examples", {}).items() if isinstance(of.get("examples"), dict) else []:
            yield name, resolved(example).get("value")
        if "example" in of:
            yield "example", of["example"]

    def text(value):
        return value if isinstance(value, str) else json.dumps(value, indent=2)

    def parameters(path_item, operation):
        given = [resolved(parameter) for parameter in path_item.get("parameters", []) + operation.get("parameters", [])]
        query, headers = [], []
        for parameter in given:
            value = next((value for _, value in examples(parameter)), None)
            value = ",".join(map(str, value)) if isinstance(value, list) else "" if value is None else str(value)
            entry = {"key": parameter["name"], "value": value, "description": parameter.get("description", ""), "disabled": True}
            {"query": query, "header": headers}.get(parameter["in"], []).append(entry)
        return query, headers

    def bodies(path, operation):
        """Name, content type and body of each way to send it."""
        content = resolved(operation.get("requestBody", {})).get("content", {})
        if not path.startswith("/accounts"):
            named = [(name, value) for name, value in examples(content["application/json"])]
            for name, payload in named:
                payload = {**payload, "username": "{{username}}", "token": "{{apiKey}}"}
                payload.pop("password", None)
                form = [{"key": "payload", "value": text(payload), "type": "text"}]
                if "file" in resolved(content["multipart/form-data"]["schema"]).get("properties", {}):
                    form.append({"key": "file", "type": "file", "src": []})
                yield name, None, {"mode": "formdata", "formdata": form}
            return
        for kind, of in content.items():
            for name, value in examples(of):
                yield name, kind, {"mode": "raw", "raw": text(value), "options": {"raw": {"language": "json" if "json" in kind else "text"}}}

    folders = {tag["name"]: {"name": tag["name"], "description": tag.get("description", ""), "item": []} for tag in document["tags"]}
    for path, path_item in document["paths"].items():
        for method in METHODS:
            operation = path_item.get(method)
            if operation is None:
                continue
            ours = path.startswith("/accounts")
            # Of Pruvan's services one extension is enough.
            if not ours and not path.endswith(".html"):
                continue
            query, headers = parameters(path_item, operation)
            parts = ["{{%s}}" % part[1:-1] if part.startswith("{") else part for part in path.strip("/").split("/")]
            base = "{{hostUrl}}" if ours else "{{webServiceUrl}}"
            sent = list(bodies(path, operation)) or [(None, None, None)]
            for name, kind, body in sent:
                request = {
                    "method": method.upper(),
                    "url": {"raw": "/".join([base, *parts]), "host": [base], "path": parts, "query": query},
                    "header": headers + ([{"key": "Content-Type", "value": kind}] if kind else []),
                    "description": operation.get("description", ""),
                }
                if body:
                    request["body"] = body
                if not ours:
                    request["auth"] = {"type": "noauth"}
                kinds = {kind for _, kind, _ in sent}
                told = [part for part in (name if len(sent) > 1 else None, kind if len(kinds) > 1 else None) if part]
                title = operation["summary"] + (f" ({', '.join(told)})" if told else "")
                folders[operation["tags"][0]]["item"].append({"name": title, "request": request})
    collection = {
        "info": {
            "name": document["info"]["title"],
            "description": document["info"]["description"],
            "schema": "https://schema.getpostman.com/json/collection/v2.1.0/collection.json",
        },
        "auth": {"type": "awsv4", "awsv4": [{"key": key, "value": value, "type": "string"} for key, value in SIGNATURE.items()]},
        "variable": [{"key": key, "value": value, "description": about} for key, (value, about) in VARIABLES.items()],
        "item": list(folders.values()),
    }
    target = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "postman.json"
    target.write_text(json.dumps(collection, indent=1) + "\n")


main()
