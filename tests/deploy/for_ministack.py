"""Makes ministack.yaml of a template that `sam build` built, without what ministack can't do and AWS does: for_ministack.py FOLDER

It doesn't decode ~1 in BinaryMediaTypes, doesn't know the URI of a streamed integration, and has no alarms on sums. To be run by the Python of the
SAM CLI's environment.
"""

import sys
from pathlib import Path

from samcli.yamlhelper import yaml_dump, yaml_parse

folder = Path(sys.argv[1])
template = yaml_parse((folder / "template.yaml").read_text())
resources = template["Resources"]
assert resources["PruvanApi"]["Properties"]["BinaryMediaTypes"] == ["*~1*"]
resources["PruvanApi"]["Properties"]["BinaryMediaTypes"] = ["*/*"]
pulls = resources["GetWorkOrdersFunction"]["Properties"]
assert pulls["Environment"]["Variables"]["BUFFERED_REPLIES"] == ""
pulls["Environment"]["Variables"]["BUFFERED_REPLIES"] = "true"
for event in pulls["Events"].values():
    assert event["Properties"].pop("ResponseTransferMode") == "RESPONSE_STREAM"
board = resources["Dashboard"]["Properties"]
for name in [name for name, of in resources.items() if of["Type"] == "AWS::CloudWatch::Alarm" and "Metrics" in of["Properties"]]:
    del resources[name]
    body = board["DashboardBody"]["Fn::Sub"]
    board["DashboardBody"]["Fn::Sub"] = body.replace('"${%s.Arn}", ' % name, "")
(folder / "ministack.yaml").write_text(yaml_dump(template))
