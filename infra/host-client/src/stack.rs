//! The outputs of a deployed stack, by CloudFormation's `DescribeStacks`: one signed call, which needs no SDK.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use crate::client::cause;
use crate::signer::{SetupError, Signer, variable};

/// Where CloudFormation is: in the region, or what `AWS_ENDPOINT_URL_CLOUDFORMATION` or `AWS_ENDPOINT_URL` name.
pub fn endpoint(region: &str) -> String {
    let named = variable("AWS_ENDPOINT_URL_CLOUDFORMATION").or_else(|| variable("AWS_ENDPOINT_URL"));
    named.unwrap_or_else(|| {
        let suffix = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        format!("https://cloudformation.{region}.{suffix}")
    })
}

/// The outputs of a stack, by name.
pub async fn outputs(
    endpoint: &str,
    signer: &Signer,
    region: &str,
    stack: &str,
) -> Result<BTreeMap<String, String>, SetupError> {
    let failed =
        |what: &dyn std::fmt::Display| SetupError(format!("the outputs of stack {stack:?} can't be read: {what}"));
    let query = form_urlencoded::Serializer::new(String::new())
        .extend_pairs([("Action", "DescribeStacks"), ("Version", "2010-05-15"), ("StackName", stack)])
        .finish();
    let mut request = http::Request::post(format!("{}/", endpoint.trim_end_matches('/')))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(query.into_bytes())
        .map_err(|error| failed(&error))?;
    signer.sign("cloudformation", &mut request).map_err(|error| failed(&error))?;
    let request = reqwest::Request::try_from(request).map_err(|error| failed(&error))?;
    let client = reqwest::Client::builder().timeout(Duration::from_secs(30)).build();
    let reply = client.map_err(|error| failed(&error))?.execute(request).await;
    let reply = reply.map_err(|error| failed(&cause(&error)))?;
    let status = reply.status();
    let body = reply.text().await.map_err(|error| failed(&cause(&error)))?;
    if status.is_success() {
        return read_outputs(&body)
            .ok_or_else(|| failed(&"the reply is none of CloudFormation's: check AWS_ENDPOINT_URL"));
    }
    let error = read_error(&body);
    Err(match error.code.as_str() {
        "ValidationError" if error.message.contains("does not exist") => SetupError(format!(
            "there is no stack {stack:?} in {region}: aws cloudformation list-stacks --region {region} names those there are; give --stack and --region"
        )),
        "AccessDenied" | "AccessDeniedException" => SetupError(format!(
            "these AWS credentials may not look at stack {stack:?} (cloudformation:DescribeStacks): use others, or give --url and --host-url"
        )),
        "" => failed(&format_args!("{status}: give --url and --host-url instead")),
        code => failed(&format_args!(
            "{code}: {}: see that the AWS credentials in the environment are current",
            error.message
        )),
    })
}

/// The outputs `WebServiceUrl` and `HostUrl` of a deployed stack.
pub async fn urls_of(stack: &str, region: Option<&str>) -> Result<(String, String), SetupError> {
    let region = region.map(str::to_owned).or_else(|| variable("AWS_REGION"));
    let region = region.or_else(|| variable("AWS_DEFAULT_REGION")).unwrap_or_else(|| "us-east-1".to_owned());
    let signer = Signer::from_environment(Some(region.clone()))?;
    let mut found = outputs(&endpoint(&region), &signer, &region, stack).await?;
    let mut output = |name: &str| {
        found.remove(name).ok_or_else(|| {
            SetupError(format!(
                "stack {stack:?} has no output {name}: it is another system's, or still being made; aws cloudformation describe-stacks --stack-name {stack} --region {region} tells"
            ))
        })
    };
    Ok((output("WebServiceUrl")?, output("HostUrl")?))
}

/// `<DescribeStacksResponse>`, as far as it matters here.
#[derive(Deserialize)]
struct DescribeStacks {
    #[serde(rename = "DescribeStacksResult")]
    result: DescribeStacksResult,
}

#[derive(Deserialize)]
struct DescribeStacksResult {
    #[serde(rename = "Stacks")]
    stacks: Members<Stack>,
}

#[derive(Deserialize)]
struct Members<T> {
    #[serde(default = "Vec::new")]
    member: Vec<T>,
}

#[derive(Deserialize)]
struct Stack {
    #[serde(rename = "Outputs")]
    outputs: Option<Members<Output>>,
}

#[derive(Deserialize)]
struct Output {
    #[serde(rename = "OutputKey")]
    key: String,
    #[serde(rename = "OutputValue", default)]
    value: String,
}

/// `<ErrorResponse>`: what CloudFormation answers to a call that it refuses.
#[derive(Deserialize)]
struct ErrorResponse {
    #[serde(rename = "Error")]
    error: ServiceError,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct ServiceError {
    code: String,
    message: String,
}

fn read_outputs(xml: &str) -> Option<BTreeMap<String, String>> {
    let reply: DescribeStacks = quick_xml::de::from_str(xml).ok()?;
    let stack = reply.result.stacks.member.into_iter().next()?;
    let outputs = stack.outputs.map(|outputs| outputs.member).unwrap_or_default();
    Some(outputs.into_iter().map(|output| (output.key, output.value)).collect())
}

fn read_error(xml: &str) -> ServiceError {
    quick_xml::de::from_str(xml).map(|reply: ErrorResponse| reply.error).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_read_whatever_stands_around_them() {
        let xml = r#"<?xml version="1.0"?>
            <DescribeStacksResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/">
              <DescribeStacksResult>
                <Stacks>
                  <member>
                    <Parameters><member><ParameterKey>OutputKey</ParameterKey><ParameterValue/></member></Parameters>
                    <StackName>pruvan-bridge</StackName>
                    <Outputs>
                      <member>
                        <Description>To type into Pruvan &lt;here&gt;</Description>
                        <OutputKey>WebServiceUrl</OutputKey>
                        <!-- with an entity, a character reference and a name for imports -->
                        <OutputValue>https://a.example.com/live?x=1&amp;y=&#50;</OutputValue>
                        <ExportName>x</ExportName>
                      </member>
                      <member><OutputValue><![CDATA[https://b.example.com/live]]></OutputValue><OutputKey>HostUrl</OutputKey></member>
                      <member><OutputKey>Empty</OutputKey><OutputValue/></member>
                    </Outputs>
                    <Tags/>
                  </member>
                </Stacks>
              </DescribeStacksResult>
              <ResponseMetadata><RequestId>b9b4b068</RequestId></ResponseMetadata>
            </DescribeStacksResponse>"#;
        let outputs = read_outputs(xml).unwrap();
        assert_eq!(outputs["WebServiceUrl"], "https://a.example.com/live?x=1&y=2");
        assert_eq!(outputs["HostUrl"], "https://b.example.com/live");
        assert_eq!(outputs["Empty"], "");
    }

    #[test]
    fn a_stack_without_outputs_and_what_is_no_reply() {
        let stack =
            |inner: &str| format!("<R><DescribeStacksResult><Stacks>{inner}</Stacks></DescribeStacksResult></R>");
        assert_eq!(read_outputs(&stack("<member><StackName>x</StackName></member>")), Some(BTreeMap::new()));
        assert_eq!(read_outputs(&stack("<member><Outputs/></member>")), Some(BTreeMap::new()));
        assert_eq!(read_outputs(&stack("")), None);
        assert_eq!(read_outputs("<html><body>hello</body></html>"), None);
        assert_eq!(read_outputs("no XML <"), None);
    }

    #[test]
    fn errors_are_read() {
        let xml = r#"<ErrorResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/"><Error><Type>Sender</Type>
            <Code>ValidationError</Code><Message>Stack with id x does not exist</Message></Error><RequestId>1</RequestId></ErrorResponse>"#;
        let error = read_error(xml);
        assert_eq!(
            (error.code.as_str(), error.message.as_str()),
            ("ValidationError", "Stack with id x does not exist")
        );
        assert_eq!(read_error("<html/>").code, "");
    }
}
