"""Whether infra/github-role.yaml grants what deploying the template takes, and nothing else: github_role.py EXPANDED

To be run by the Python of the SAM CLI's environment. What CloudFormation calls for each resource, in the name of who deploys, is said by the schemas
of the resource types, which cfn-lint brings along: another version of it (infra/requirements.txt) may bring other lists, and then this says so.
"""

import json
import re
import sys
import tomllib
from pathlib import Path

import cfnlint
from samcli.yamlhelper import yaml_parse

ROOT = Path(__file__).parents[2]
EXPANDED = json.loads(Path(sys.argv[1]).read_text())["Resources"]
SCHEMAS = {}
for file in (Path(cfnlint.__file__).parent / "data/schemas/resources").glob("*.json"):
    schema = json.loads(file.read_text())
    handlers = {name: handler["permissions"] for name, handler in schema.get("handlers", {}).items()}
    if handlers:
        handlers["tagging"] = schema.get("tagging", {}).get("permissions", [])
    SCHEMAS[schema["typeName"]] = handlers
ROLE = yaml_parse((ROOT / "infra/github-role.yaml").read_text())
SAMCONFIG = tomllib.loads((ROOT / "samconfig.toml").read_text())

# The longest of what differs from host to host, for the sizes.
REGION, ACCOUNT, DOMAIN, ZONE = "ap-southeast-1", "123456789012", "pruvan.example.com", "Z0123456789ABCDEFGHIJ"
IN_REGION = f"{REGION}:{ACCOUNT}"
CODE = "s3:::aws-sam-cli-managed-default-samclisourcebucket-0123456789ab"
GITHUB = "token.actions.githubusercontent.com"

# Where each type's calls go: {name} is what CloudFormation names the resource. An action must be granted on all of its service's.
APIS = [f"apigateway:{REGION}::/restapis", f"apigateway:{REGION}::/restapis/a1b2c3d4e5/stages/live"]
TAGS = f"apigateway:{REGION}::/tags/arn%3Aaws%3Aapigateway%3A{REGION}%3A%3A%2Frestapis%2Fa1b2c3d4e5"
DOMAINS = f"apigateway:{REGION}::/domainnames"
TOPIC = f"sns:{IN_REGION}:{{name}}"
PLACES = {
    "AWS::ApiGateway::BasePathMapping": [f"{DOMAINS}/{DOMAIN}/basepathmappings", f"{DOMAINS}/{DOMAIN}/basepathmappings/(none)"],
    "AWS::ApiGateway::Deployment": APIS,
    "AWS::ApiGateway::DomainName": [DOMAINS, f"{DOMAINS}/{DOMAIN}"],
    "AWS::ApiGateway::RestApi": [*APIS, TAGS],
    "AWS::ApiGateway::Stage": [*APIS, TAGS],
    "AWS::CloudWatch::Alarm": [f"cloudwatch:{IN_REGION}:alarm:{{name}}"],
    "AWS::CloudWatch::Dashboard": [f"cloudwatch::{ACCOUNT}:dashboard/{{stack}}"],
    "AWS::DynamoDB::Table": [f"dynamodb:{IN_REGION}:table/{{name}}"],
    "AWS::IAM::ManagedPolicy": [f"iam::{ACCOUNT}:policy/{{name}}"],
    "AWS::IAM::Role": [f"iam::{ACCOUNT}:role/{{name}}"],
    "AWS::Lambda::EventInvokeConfig": [f"lambda:{IN_REGION}:function:{{name}}:$LATEST"],
    "AWS::Lambda::Function": [f"lambda:{IN_REGION}:function:{{name}}", f"iam::{ACCOUNT}:role/{{name}}", f"{CODE}/0123456789abcdef"],
    "AWS::Lambda::Permission": [f"lambda:{IN_REGION}:function:{{name}}"],
    "AWS::Logs::LogGroup": [f"logs:{IN_REGION}:log-group:{{name}}", f"logs:{IN_REGION}:log-group:{{name}}:*"],
    "AWS::Route53::RecordSet": [f"route53:::hostedzone/{ZONE}"],
    "AWS::S3::Bucket": ["s3:::{name}", CODE],
    "AWS::S3::BucketPolicy": ["s3:::{name}", CODE],
    "AWS::SNS::Subscription": [TOPIC],
    "AWS::SNS::Topic": [TOPIC],
    "AWS::Scheduler::Schedule": [f"scheduler:{IN_REGION}:schedule/default/{{name}}", f"iam::{ACCOUNT}:role/{{name}}"],
}

# What conditions ask for.
CONTEXT = {
    "API Gateway": {"iam:AWSServiceName": "ops.apigateway.amazonaws.com"},
    "AWS::Lambda::Function": {"iam:PassedToService": "lambda.amazonaws.com"},
    "AWS::Scheduler::Schedule": {"iam:PassedToService": "scheduler.amazonaws.com"},
    "AWS::IAM::Role": {"iam:PolicyARN": "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"},
    "AWS::Route53::RecordSet": {
        "route53:ChangeResourceRecordSetsNormalizedRecordNames": DOMAIN,
        "route53:ChangeResourceRecordSetsRecordTypes": "A",
    },
}

# What no schema lists: type or who, why, actions, where.
STACK = f"cloudformation:{IN_REGION}:stack/{{stack}}/id"
BESIDES = [
    ("AWS::Route53::RecordSet", "until the change is everywhere", "route53:GetChange", ["route53:::change/C0123456789"]),
    ("sam deploy", "the stack, and the one of its bucket: looks, makes a change set and carries it out",
     "cloudformation:CreateChangeSet cloudformation:DescribeChangeSet cloudformation:DescribeStacks cloudformation:ExecuteChangeSet",
     [STACK, f"cloudformation:{IN_REGION}:stack/aws-sam-cli-managed-default/id"]),
    ("sam deploy", "follows the deployment, and keeps parameters", "cloudformation:DescribeStackEvents cloudformation:GetTemplateSummary", [STACK]),
    ("sam deploy", "uploads code and template, unless they are there", "s3:GetObject s3:PutObject", [f"{CODE}/0123456789abcdef"]),
    ("CloudFormation", "a change set of a template of SAM's", "cloudformation:CreateChangeSet",
     [f"cloudformation:{REGION}:aws:transform/Serverless-2016-10-31"]),
    ("API Gateway", "makes its own role with an account's first domain name", "iam:CreateServiceLinkedRole",
     [f"iam::{ACCOUNT}:role/aws-service-role/ops.apigateway.amazonaws.com/AWSServiceRoleForAPIGateway"]),
    ("pruvan-doctor", "reads the URLs", "cloudformation:DescribeStacks", [STACK]),
    ("pruvan-doctor", "works in an account of its own", "execute-api:Invoke",
     [f"execute-api:{IN_REGION}:a1b2c3d4e5/live/{call}" for call in ("PUT/accounts/doctor", "POST/accounts/doctor/keys")]),
]

# What AWS allows on all names or on none. No other action may have '*' for its resource.
EVERYWHERE = {
    "cloudwatch:DescribeAlarms": "asks for alarm:*, also when it looks for one",
    "logs:DescribeIndexPolicies": "has no resource",
    "logs:DescribeLogGroups": "asks for all log groups, also when it looks for one",
    "logs:DescribeResourcePolicies": "has no resource",
    "route53:ListHostedZones": "has no resource",
}

# The only resources without the stack's name.
OTHERS = {
    f"apigateway:{REGION}::/restapis": "paths of API Gateway have ids",
    f"apigateway:{REGION}::/restapis/*": "as above",
    f"apigateway:{REGION}::/tags/*": "as above",
    DOMAINS: "where a domain name is made",
    f"{DOMAINS}/{DOMAIN}": "the stack's",
    f"{DOMAINS}/{DOMAIN}/basepathmappings*": "the stack's",
    f"cloudformation:{REGION}:aws:transform/Serverless-2016-10-31": "SAM's",
    f"cloudformation:{IN_REGION}:stack/aws-sam-cli-managed-default/*": "the stack of SAM's bucket",
    f"execute-api:{IN_REGION}:*/live/*/accounts/doctor": "an API's id is known only once it is there",
    f"execute-api:{IN_REGION}:*/live/*/accounts/doctor/*": "as above",
    f"iam::{ACCOUNT}:role/aws-service-role/ops.apigateway.amazonaws.com/AWSServiceRoleForAPIGateway": "API Gateway's",
    f"route53:::hostedzone/{ZONE}": "the stack's",
    "route53:::change/*": "changes have ids",
    "s3:::aws-sam-cli-managed-default-*": "SAM's bucket",
    "s3:::aws-sam-cli-managed-default-*/*": "what is in it",
}

# What schemas list and the role has not, since the template doesn't need it. That goes for the handler `list` as a whole: it is for the
# inventory of an account, and no deployment calls it.
NO_KEY = "no key of one's own"
NOT_IAMS = "no action of IAM's"
EXCEPTIONS = {
    "AWS::ApiGateway::RestApi": {
        "no resource policy": "apigateway:UpdateRestApiPolicy",
        "no role for integrations": "iam:PassRole",
        "the definition is in the template": "s3:GetObject",
    },
    "AWS::DynamoDB::Table": {
        "the key of TableKeyArn allows it itself": "kms:CreateGrant kms:Decrypt kms:DescribeKey kms:Encrypt kms:ListAliases kms:RevokeGrant",
        "no contributor insights": "dynamodb:UpdateContributorInsights",
        "no resource policy": "dynamodb:DeleteResourcePolicy dynamodb:PutResourcePolicy",
        "no streaming to Kinesis": "dynamodb:DisableKinesisStreamingDestination dynamodb:EnableKinesisStreamingDestination"
        " dynamodb:UpdateKinesisStreamingDestination kinesis:DescribeStream kinesis:PutRecords",
        "no time to live": "dynamodb:UpdateTimeToLive",
        "no replicas": "dynamodb:AssociateTableReplica dynamodb:BatchWriteItem dynamodb:CreateTableReplica dynamodb:DeleteItem"
        " dynamodb:GetItem dynamodb:PutItem dynamodb:Query dynamodb:Scan dynamodb:UpdateItem iam:CreateServiceLinkedRole",
        "nothing is imported": "dynamodb:DescribeImport dynamodb:ImportTable logs:CreateLogGroup logs:CreateLogStream logs:DescribeLogGroups"
        " logs:DescribeLogStreams logs:PutLogEvents logs:PutRetentionPolicy s3:GetObject s3:ListBucket",
        "retained, and protected against deletion": "dynamodb:DeleteTable",
        NOT_IAMS: "s3:GetObjectMetadata",
    },
    "AWS::IAM::ManagedPolicy": {
        "HostPolicy is attached to nothing": "iam:AttachGroupPolicy iam:AttachRolePolicy iam:AttachUserPolicy iam:DetachGroupPolicy"
        " iam:DetachRolePolicy iam:DetachUserPolicy",
    },
    "AWS::IAM::Role": {
        "no permissions boundary": "iam:DeleteRolePermissionsBoundary iam:PutRolePermissionsBoundary",
    },
    "AWS::Lambda::Function": {
        NO_KEY: "kms:CreateGrant kms:Decrypt kms:DescribeKey kms:Encrypt kms:GenerateDataKey",
        "no VPC": "ec2:DescribeNetworkInterfaces ec2:DescribeSecurityGroups ec2:DescribeSubnets ec2:DescribeVpcs",
        "no file system": "elasticfilesystem:DescribeMountTargets s3files:ListMountTargets",
        "no layers": "lambda:GetLayerVersion",
        "no code signing": "lambda:DeleteFunctionCodeSigningConfig lambda:GetCodeSigningConfig lambda:PutFunctionCodeSigningConfig",
        "no reserved concurrency": "lambda:DeleteFunctionConcurrency lambda:PutFunctionConcurrency",
        "no capacity provider": "lambda:PassCapacityProvider lambda:PutFunctionScalingConfig",
        "no settings of the runtime's updates and of recursion": "lambda:AssociateRuntimeAlias"
        " lambda:PutFunctionRecursionConfig lambda:PutRuntimeManagementConfig",
        "no versions": "lambda:PublishVersion",
        "code is named by its key alone": "s3:GetObjectVersion",
    },
    "AWS::Logs::LogGroup": {
        NO_KEY: "logs:AssociateKmsKey logs:DisassociateKmsKey",
        "always a retention": "logs:DeleteRetentionPolicy",
        "no data protection": "logs:DeleteDataProtectionPolicy logs:PutDataProtectionPolicy",
        "no delivery": "firehose:TagDeliveryStream logs:CreateLogDelivery",
        "no policies of resources and indexes": "logs:DeleteIndexPolicy logs:DeleteResourcePolicy logs:PutIndexPolicy logs:PutResourcePolicy",
        "no tokens": "logs:PutBearerTokenAuthentication",
        "no protection against deletion": "logs:PutLogGroupDeletionProtection",
        NOT_IAMS: "s3:REST.PUT.OBJECT",
    },
    "AWS::S3::Bucket": {
        "retained": "s3:DeleteBucket s3:DeleteObject",
        "no access control lists": "s3:PutBucketAcl s3:PutObjectAcl",
        "no analytics, inventory and metrics": "s3:PutAnalyticsConfiguration s3:PutInventoryConfiguration s3:PutMetricsConfiguration",
        "no acceleration and tiers": "s3:PutAccelerateConfiguration s3:PutIntelligentTieringConfiguration",
        "no CORS, website, log and notifications": "s3:DeleteBucketWebsite s3:PutBucketCORS s3:PutBucketLogging s3:PutBucketNotification"
        " s3:PutBucketWebsite",
        "no object lock": "s3:PutBucketObjectLockConfiguration",
        "no replication": "iam:PassRole s3:PutReplicationConfiguration",
        "no access by tags": "s3:PutBucketAbac",
        "no tables of metadata": "s3:CreateBucketMetadataTableConfiguration s3:DeleteBucketMetadataTableConfiguration"
        " s3:UpdateBucketMetadataAnnotationTableConfiguration s3:UpdateBucketMetadataInventoryTableConfiguration"
        " s3:UpdateBucketMetadataJournalTableConfiguration s3tables:CreateNamespace s3tables:CreateTable s3tables:CreateTableBucket"
        " s3tables:GetTable s3tables:GetTableMetadataLocation s3tables:PutTableBucketPolicy s3tables:PutTableEncryption"
        " s3tables:PutTablePolicy s3tables:UpdateTableMetadataLocation",
        NOT_IAMS: "s3:DeleteBucketAnalyticsConfiguration s3:DeleteBucketCors s3:DeleteBucketEncryption s3:DeleteBucketLifecycle"
        " s3:DeleteBucketMetricsConfiguration s3:DeleteBucketReplication s3:DeleteBucketTagging s3:PutBucketReplication"
        " s3:PutObjectLockConfiguration",
    },
    "AWS::Route53::RecordSet": {"of a change and not of a zone, see BESIDES": "route53:GetChange"},
    "AWS::SNS::Subscription": {"no queue for what is left over": "iam:GetRole iam:PassRole"},
    "AWS::SNS::Topic": {
        "no log of deliveries": "iam:GetRole iam:PassRole",
        "no data protection": "sns:PutDataProtectionPolicy",
    },
}

faults = []


def hold(condition, fault):
    if not condition:
        faults.append(fault)


def resolve(node, values):
    """What CloudFormation makes of a node, as far as the role's template goes."""
    if isinstance(node, list):
        return [item for item in (resolve(item, values) for item in node) if item is not None]
    if not isinstance(node, dict):
        return node
    match list(node.items()):
        case [("Ref", name)]:
            return values[name]
        case [("Condition", str(name))]:
            return resolve(ROLE["Conditions"][name], values)
        case [("Fn::Sub", text)]:
            return re.sub(r"\$\{([^}]+)\}", lambda found: values[found[1]], text)
        case [("Fn::If", [name, then, otherwise])]:
            return resolve(then if resolve(ROLE["Conditions"][name], values) else otherwise, values)
        case [("Fn::Equals", [one, other])]:
            return resolve(one, values) == resolve(other, values)
        case [("Fn::Not", [one])]:
            return not resolve(one, values)
        case [("Fn::And", all_of)]:
            return all(resolve(one, values) for one in all_of)
    return {key: resolve(value, values) for key, value in node.items()}


def listed(value):
    return value if isinstance(value, list) else [value]


def matches(pattern, text):
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), text) is not None


def satisfied(conditions, context):
    """Whether the context has a value of those that each condition names. The operators differ in what they take for a pattern."""
    return all(
        key in context and any(matches(value, context[key]) if "Like" in operator else value == context[key] for value in listed(allowed))
        for operator, keys in conditions.items()
        for key, allowed in keys.items()
    )


def physical_name(stack, logical, longest=64):
    """As CloudFormation names a resource: if stack and resource together are too long, each of them keeps at least its half."""
    room = longest - 14
    of_stack = min(len(stack), max(room // 2, room - len(logical)))
    return f"{stack[:of_stack]}-{logical[: room - of_stack]}-0123456789AB"


class Role:
    def __init__(self, **given):
        parameters = {name: parameter.get("Default") for name, parameter in ROLE["Parameters"].items()} | given
        provider = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{GITHUB}"
        pseudo = {"AWS::Partition": "aws", "AWS::Region": REGION, "AWS::AccountId": ACCOUNT, "AWS::NoValue": None, "Provider": provider}
        properties = resolve(ROLE["Resources"]["Role"]["Properties"], parameters | pseudo)
        self.stack = f"pruvan-bridge-{given['Environment']}"
        self.name, self.trust = properties["RoleName"], properties["AssumeRolePolicyDocument"]
        self.policies = {policy["PolicyName"]: policy["PolicyDocument"] for policy in properties["Policies"]}
        self.grants = [
            (action, resource, statement.get("Condition", {}))
            for policy in self.policies.values()
            for statement in policy["Statement"]
            for action in listed(statement["Action"])
            for resource in listed(statement["Resource"])
        ]
        self.used = set()

    def allows(self, action, arn, context):
        found = [
            (granted, resource)
            for granted, resource, conditions in self.grants
            if matches(granted.lower(), action.lower()) and matches(resource, arn) and satisfied(conditions, context)
        ]
        self.used.update(found)
        return bool(found)


def places(kind, logical, stack):
    name = physical_name(stack, logical, 63).lower() if kind.startswith("AWS::S3::") else physical_name(stack, logical)
    return ["arn:aws:" + place.format(name=name, stack=stack) for place in PLACES[kind]]


def of_service(action, arns):
    return [arn for arn in arns if arn.split(":")[2] == action.split(":")[0].lower()]


def check_types():
    kinds = {resource["Type"] for resource in EXPANDED.values()}
    for kind in sorted(kinds):
        hold(kind in SCHEMAS, f"{kind} is in the template, and cfn-lint has no schema of it")
        hold(kind in PLACES, f"{kind}: PLACES says nothing of where its calls go")
        if not SCHEMAS.get(kind):
            hold(any(who == kind for who, *_ in BESIDES), f"{kind}: its schema lists no handlers, and BESIDES has nothing for it")
    for kind in sorted(PLACES.keys() - kinds):
        faults.append(f"{kind} is in PLACES, and not in the template")
    return kinds & SCHEMAS.keys() & PLACES.keys()


def check_exceptions():
    """The exceptions by type, all of which are listed by the type's schema."""
    by_kind = {}
    for kind, reasons in EXCEPTIONS.items():
        by_kind[kind] = {action for actions in reasons.values() for action in actions.split()}
        handlers = SCHEMAS.get(kind, {})
        known = {action for handler, actions in handlers.items() if handler != "list" for action in actions}
        for action in sorted(by_kind[kind] - known):
            faults.append(f"{kind}: {action} is an exception, and no handler lists it any more")
    return by_kind


def check_grants(role, kinds, exceptions, told):
    """All that is needed is granted, and nothing else."""
    for logical, resource in EXPANDED.items():
        kind = resource["Type"]
        if kind not in kinds:
            continue
        arns, context = places(kind, logical, role.stack), CONTEXT.get(kind, {})
        for handler, actions in SCHEMAS[kind].items():
            for action in actions:
                if handler == "list" or (kind, handler, action) in told:
                    continue
                where = of_service(action, arns)
                refused = [arn for arn in where if not role.allows(action, arn, context)]
                if action in exceptions.get(kind, ()):
                    fault = "is granted, and an exception" if len(refused) < len(where) else None
                elif not where:
                    fault = "isn't granted: PLACES says nothing of where"
                else:
                    fault = f"isn't granted on {refused[0]}" if refused else None
                if fault:
                    # Once for all resources of the type.
                    told.add((kind, handler, action))
                    faults.append(f"{role.stack}: {kind} ({logical}), {handler}: {action} {fault}")
    for who, why, actions, where in BESIDES:
        for action in actions.split():
            for place in where:
                arn = "arn:aws:" + place.format(stack=role.stack)
                hold(role.allows(action, arn, CONTEXT.get(who, {})), f"{role.stack}: {who} ({why}): {action} isn't granted on {arn}")
    for action, resource, _ in role.grants:
        hold((action, resource) in role.used, f"{role.stack}: {action} on {resource} is granted, and nothing needs it")


def check_resources(role):
    """Nothing is wider than it must be."""
    others = {f"arn:aws:{other}" for other in OTHERS}
    for action, resource, _ in role.grants:
        hold("*" not in action and "?" not in action, f"{role.stack}: {action} on {resource} has a wildcard for an action")
        if resource == "*":
            hold(action in EVERYWHERE, f"{role.stack}: {action} is granted on '*'")
            continue
        named = re.search(rf"[:/]{role.stack}(-\*|/\*|$)", resource)
        hold(named or resource in others, f"{role.stack}: {action} is granted on {resource}, which doesn't have the stack's name")
        hold(not matches(resource, f"arn:aws:iam::{ACCOUNT}:role/{role.name}"), f"{role.stack}: the role has {action} on itself")
    everywhere = {action for action, resource, _ in role.grants if resource == "*"}
    for action in sorted(EVERYWHERE.keys() - everywhere):
        faults.append(f"{role.stack}: {action} is in EVERYWHERE, and not granted on '*'")
    for other in sorted(others - {resource for _, resource, _ in role.grants}):
        faults.append(f"{role.stack}: {other} is in OTHERS, and nothing is granted on it")


def check_sizes(role):
    """IAM's limits, without white space and with a tenth to spare: 10,240 for all inline policies of a role, 2,048 for the trust policy."""
    size = lambda document: len(re.sub(r"\s", "", json.dumps(document)))
    sizes = {name: size(policy) for name, policy in role.policies.items()}
    hold(sum(sizes.values()) <= 9216, f"{role.stack}: the policies have {sum(sizes.values())} characters, of 10,240: {sizes}")
    hold(size(role.trust) <= 1843, f"{role.stack}: the trust policy has {size(role.trust)} characters, of 2,048")
    hold(len(role.name) <= 64, f"{role.name} is too long for a role")
    return sizes


def check_trust(role, subject):
    [statement] = role.trust["Statement"]
    expected = {"StringEquals": {f"{GITHUB}:aud": "sts.amazonaws.com", f"{GITHUB}:sub": subject}}
    hold(statement["Condition"] == expected, f"{role.stack}: the trust policy has {statement['Condition']}, and not {expected}")
    hold("*" not in json.dumps(role.trust), f"{role.stack}: the trust policy has a wildcard")
    hold(statement["Action"] == "sts:AssumeRoleWithWebIdentity", f"{role.stack}: the trust policy allows {statement['Action']}")
    provider = {"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/{GITHUB}"}
    hold(statement["Principal"] == provider, f"{role.stack}: the trust policy trusts {statement['Principal']}")


kinds, exceptions, told = check_types(), check_exceptions(), set()
repository = {"Owner": "an-owner", "Repository": "pruvan-bridge"}
for environment in ROLE["Parameters"]["Environment"]["AllowedValues"]:
    numbers = {"OwnerId": "123456", "RepositoryId": "456789"}
    whole = Role(Environment=environment, **repository, **numbers, DomainName=DOMAIN, HostedZoneId=ZONE)
    hold(whole.stack == SAMCONFIG[environment]["deploy"]["parameters"]["stack_name"], f"samconfig.toml calls the stack of {environment} otherwise")
    check_trust(whole, f"repo:an-owner@123456/pruvan-bridge@456789:environment:{environment}")
    check_grants(whole, kinds, exceptions, told)
    check_resources(whole)
    sizes = check_sizes(whole)
    nameless = Role(Environment=environment, **repository, **numbers)
    more = sorted(whole.policies.keys() - nameless.policies.keys())
    hold(more == ["dns", "domain"], f"{whole.stack}: a name of one's own adds {more}, and not domain and dns")
    # A repository without numbers, in an account that has the provider.
    older = Role(Environment=environment, **repository, ProviderArn=f"arn:aws:iam::{ACCOUNT}:oidc-provider/{GITHUB}")
    check_trust(older, f"repo:an-owner/pruvan-bridge:environment:{environment}")

# The command that makes the role gives the provider as an existing one when it runs again: the stack lets go of it, and must not delete it.
hold(ROLE["Resources"]["Provider"].get("DeletionPolicy") == "Retain", "the identity provider isn't retained")

if faults:
    sys.exit("\n".join(faults))
print(f"{len(EXPANDED)} resources of {len(kinds)} types; policies of {sum(sizes.values())} characters, of 10,240: {sizes}")
