"""What SAM makes of the template, beside what checkov looks at: expanded.py EXPANDED

Each API has one stage, `live`, which is throttled; every route of getWorkOrders is streamed, and no other; what has a length stays within AWS's
limits, also under the longest name that a stack can have. Without OpenApiVersion SAM gives each deployment a second stage, named `Stage`.
"""

import json
import sys
from pathlib import Path

template = json.loads(Path(sys.argv[1]).read_text())
resources = template["Resources"]
LONGEST_STACK_NAME = "s" * 128

# Type, property, and the most characters that AWS takes.
LENGTHS = [
    ("AWS::ApiGateway::RestApi", "Name", 255),
    ("AWS::CloudWatch::Alarm", "AlarmDescription", 1024),
    ("AWS::CloudWatch::Alarm", "Namespace", 255),
    ("AWS::CloudWatch::Dashboard", "DashboardName", 255),
    ("AWS::IAM::ManagedPolicy", "Description", 1000),
    ("AWS::Lambda::Function", "Description", 256),
]


def of_type(kind):
    return {name: resource.get("Properties", {}) for name, resource in resources.items() if resource["Type"] == kind}


def text(value):
    if isinstance(value, dict):
        value = value.get("Fn::Sub") or "${%s}" % value["Ref"]
    return value.replace("${AWS::StackName}", LONGEST_STACK_NAME)


apis, stages = of_type("AWS::ApiGateway::RestApi"), of_type("AWS::ApiGateway::Stage")
assert len(apis) == 2, f"{len(apis)} APIs"
for name, deployment in of_type("AWS::ApiGateway::Deployment").items():
    assert "StageName" not in deployment, f"{name} makes a stage of its own, {deployment['StageName']}"
for api in apis:
    of_api = [stage for stage in stages.values() if stage["RestApiId"]["Ref"] == api]
    assert [stage["StageName"] for stage in of_api] == ["live"], f"{api}: {[stage['StageName'] for stage in of_api]}"
    settings = of_api[0]["MethodSettings"]
    assert any(all(setting.get(limit) for limit in ("ThrottlingRateLimit", "ThrottlingBurstLimit")) for setting in settings), api

routes = 0
for api, properties in apis.items():
    for path, methods in properties["Body"]["paths"].items():
        for method, route in methods.items():
            integration = route["x-amazon-apigateway-integration"]
            pull = path.split(".")[0] == "/getWorkOrders"
            streamed = integration.get("responseTransferMode") == "STREAM"
            uri = integration["uri"]["Fn::Sub"].rsplit("/", 1)[-1]
            assert streamed == pull, f"{method} {path} is {'' if streamed else 'not '}streamed"
            assert uri == ("response-streaming-invocations" if pull else "invocations"), f"{method} {path} calls {uri}"
            routes += 1
assert routes == 41, f"{routes} routes"

for kind, property, most in LENGTHS:
    of_kind = of_type(kind)
    assert of_kind, f"there is no {kind}"
    for name, properties in of_kind.items():
        if property in properties:
            length = len(text(properties[property]))
            assert length <= most, f"{name}: {property} has {length} characters, and AWS takes {most}"
for name, properties in of_type("AWS::Lambda::Function").items():
    variables = properties["Environment"]["Variables"]
    length = sum(len(variable) + len(text(value)) for variable, value in variables.items())
    assert length <= 4096, f"{name}: its environment has {length} characters, and Lambda takes 4,096"
for name, properties in of_type("AWS::IAM::Role").items():
    length = sum(len(json.dumps(policy["PolicyDocument"], separators=(",", ":"))) for policy in properties.get("Policies", []))
    assert length <= 10240, f"{name}: its policies have {length} characters, and IAM takes 10,240"
for name, parameter in template["Parameters"].items():
    assert len(parameter.get("Description", "")) <= 4000, name
assert len(resources) <= 500, f"{len(resources)} resources"
