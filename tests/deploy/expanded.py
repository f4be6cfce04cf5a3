"""What SAM makes of the template, beside what checkov looks at: expanded.py EXPANDED

Each API has one stage, `live`, which is throttled. Without OpenApiVersion SAM gives each deployment a second one, named `Stage`.
"""

import json
import sys
from pathlib import Path

resources = json.loads(Path(sys.argv[1]).read_text())["Resources"]


def of_type(kind):
    return {name: resource["Properties"] for name, resource in resources.items() if resource["Type"] == kind}


apis, stages = of_type("AWS::ApiGateway::RestApi"), of_type("AWS::ApiGateway::Stage")
assert len(apis) == 2, f"{len(apis)} APIs"
for name, deployment in of_type("AWS::ApiGateway::Deployment").items():
    assert "StageName" not in deployment, f"{name} makes a stage of its own, {deployment['StageName']}"
for api in apis:
    of_api = [stage for stage in stages.values() if stage["RestApiId"]["Ref"] == api]
    assert [stage["StageName"] for stage in of_api] == ["live"], f"{api}: {[stage['StageName'] for stage in of_api]}"
    settings = of_api[0]["MethodSettings"]
    assert any(all(setting.get(limit) for limit in ("ThrottlingRateLimit", "ThrottlingBurstLimit")) for setting in settings), api
