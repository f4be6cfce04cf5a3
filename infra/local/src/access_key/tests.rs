//! Requests that are signed as the stores want it, and those that aren't.

use axum::body::Body;
use axum::http::Request;

use super::*;

const BODY: &[u8] = b"{}";

fn key() -> AccessKey {
    AccessKey { id: "LOCAL1".to_owned(), secret: "swordfish".into() }
}

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_435_200 + seconds)
}

/// A request as an SDK sends it: signed with this key, at this time, with these headers signed beside its own.
fn signed(key: &AccessKey, service: &str, seconds: u64, more: &[(&'static str, &str)]) -> Request<Body> {
    let mut request = Request::post("http://127.0.0.1:8000/").body(Body::empty()).unwrap();
    let headers = request.headers_mut();
    headers.insert("host", "127.0.0.1:8000".parse().unwrap());
    headers.insert("x-amz-target", "DynamoDB_20120810.ListTables".parse().unwrap());
    for (name, value) in more {
        headers.insert(*name, value.parse().unwrap());
    }
    let identity = Credentials::new(&key.id, key.secret.expose_secret(), None, None, "test").into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region("eu-central-1")
        .name(service)
        .time(at(seconds))
        .settings(SigningSettings::default())
        .build()
        .unwrap()
        .into();
    let headers = request.headers().iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap()));
    let signable = SignableRequest::new("POST", "http://127.0.0.1:8000/", headers, SignableBody::Bytes(BODY)).unwrap();
    sign(signable, &parameters).unwrap().into_parts().0.apply_to_request_http1x(&mut request);
    *request.uri_mut() = "/".parse().unwrap();
    request
}

fn verify(request: Request<Body>, body: &[u8], seconds: u64) -> Result<(), NotSigned> {
    key().verify(&request.into_parts().0, body, at(seconds))
}

/// A request as the SDK signs it, with another value of a header.
fn altered(name: &'static str, value: &str) -> Request<Body> {
    let mut request = signed(&key(), "dynamodb", 0, &[]);
    request.headers_mut().insert(name, value.parse().unwrap());
    request
}

#[test]
fn what_an_sdk_signs_with_the_runners_key_is_taken() {
    for more in [&[][..], &[("content-type", "application/x-amz-json-1.0"), ("amz-sdk-request", "attempt=1;  max=3")]] {
        for seconds in [0, 1, 899, 900] {
            assert_eq!(verify(signed(&key(), "dynamodb", seconds, more), BODY, 0), Ok(()));
            assert_eq!(verify(signed(&key(), "dynamodb", 0, more), BODY, seconds), Ok(()));
        }
    }
    // A proxy's headers are nobody's business, as long as they aren't signed.
    assert_eq!(verify(altered("x-amzn-trace-id", "1"), BODY, 0), Ok(()));
}

#[test]
fn what_is_signed_otherwise_is_refused_with_its_reason() {
    let other_id = AccessKey { id: "local".to_owned(), ..key() };
    let other_secret = AccessKey { secret: "localsecret".into(), ..key() };
    assert_eq!(verify(signed(&other_id, "dynamodb", 0, &[]), BODY, 0), Err(NotSigned::OtherKey));
    assert_eq!(verify(signed(&other_secret, "dynamodb", 0, &[]), BODY, 0), Err(NotSigned::Mismatch));
    assert_eq!(verify(signed(&key(), "s3", 0, &[]), BODY, 0), Err(NotSigned::Missing));
    assert_eq!(verify(signed(&key(), "dynamodb", 0, &[]), b"{ }", 0), Err(NotSigned::Mismatch));
    assert_eq!(verify(signed(&key(), "dynamodb", 0, &[]), BODY, 901), Err(NotSigned::Expired));
    assert_eq!(verify(signed(&key(), "dynamodb", 901, &[]), BODY, 0), Err(NotSigned::Expired));
    for (name, value) in [
        ("x-amz-target", "DynamoDB_20120810.DeleteTable"),
        ("host", "127.0.0.1:8001"),
        ("x-amz-date", "20261123T120001Z"),
        ("x-amz-date", "20261124T120000Z"),
        ("x-amz-date", "20261123T250000Z"),
        ("x-amz-date", "20261123"),
        ("x-amz-date", "Mon, 23 Nov 2026 12:00:00 GMT"),
    ] {
        assert_eq!(verify(altered(name, value), BODY, 0), Err(NotSigned::Mismatch), "{name}: {value}");
    }
    let mut request = signed(&key(), "dynamodb", 0, &[]);
    *request.uri_mut() = "/?x=1".parse().unwrap();
    assert_eq!(verify(request, BODY, 0), Err(NotSigned::Mismatch));
    for name in ["authorization", "x-amz-date"] {
        let mut request = signed(&key(), "dynamodb", 0, &[]);
        request.headers_mut().remove(name);
        assert_eq!(verify(request, BODY, 0), Err(NotSigned::Missing), "{name}");
    }
}

#[test]
fn an_authorization_that_is_none_or_covers_too_little_is_refused() {
    let mine = signed(&key(), "dynamodb", 0, &[]).headers()["authorization"].to_str().unwrap().to_owned();
    assert!(mine.contains("SignedHeaders=host;x-amz-date;x-amz-target, "), "{mine}");
    for (authorization, why) in [
        (String::new(), NotSigned::Missing),
        ("Basic TE9DQUwxOnN3b3JkZmlzaA==".to_owned(), NotSigned::Missing),
        ("AWS4-HMAC-SHA256".to_owned(), NotSigned::Missing),
        (mine.replace("AWS4-HMAC", "AWS4-HMAC-X"), NotSigned::Missing),
        (mine.replace("aws4_request", "aws4"), NotSigned::Missing),
        (mine.replace("LOCAL1", "LOCAL1/x"), NotSigned::Missing),
        (mine.replace("LOCAL1", "local1"), NotSigned::OtherKey),
        (mine.replace("eu-central-1", "us-east-1"), NotSigned::Mismatch),
        (mine.replace(";x-amz-target", ""), NotSigned::Mismatch),
        (mine.replace("host;", ""), NotSigned::Mismatch),
        (mine.replace("host;", "host;not-there;"), NotSigned::Mismatch),
        (mine.split("Signature=").next().unwrap().to_owned(), NotSigned::Missing),
        (format!("{}Signature=", mine.split("Signature=").next().unwrap()), NotSigned::Mismatch),
        (mine.to_uppercase(), NotSigned::Missing),
    ] {
        assert_eq!(verify(altered("authorization", &authorization), BODY, 0), Err(why), "{authorization}");
    }
}

fn asked(method: &str, uri: &str, headers: &[(&'static str, &str)]) -> Option<&'static str> {
    let mut request = Request::builder().method(method).uri(uri).body(()).unwrap();
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    why_not(request.method(), request.uri(), request.headers())
}

#[test]
fn the_stores_know_themselves_by_names_that_nobody_else_can_give() {
    for host in [
        "127.0.0.1:8000",
        "localhost:8000",
        "LOCALHOST:8000",
        "localhost.:8000",
        "host.docker.internal:8000",
        "host.containers.internal:8000",
        "172.17.0.1:8000",
        "192.168.65.254:8000",
        "10.0.2.2",
        "[::1]:8000",
    ] {
        assert_eq!(asked("POST", "/", &[("host", host)]), None, "{host}");
    }
    for host in [
        "rebound.example:8000",
        "127.0.0.1.rebound.example:8000",
        "localhost.rebound.example",
        "host.docker.internal.rebound.example",
        "0.0.0.0:8000",
        "[::]:8000",
        "8.8.8.8:8000",
        "2130706433:8000",
        "0x7f000001:8000",
        "127.1:8000",
        "rebound.example@127.0.0.1:8000",
        "",
    ] {
        assert!(asked("POST", "/", &[("host", host)]).is_some(), "{host}");
    }
    assert!(asked("POST", "/", &[]).is_some());
}

#[test]
fn no_page_is_answered_but_a_link_is_that_is_signed_as_a_whole() {
    let host = ("host", "127.0.0.1:8000");
    for header in [
        ("origin", "http://other.example"),
        ("origin", "null"),
        ("origin", "http://127.0.0.1:9000"),
        ("origin", "http://127.0.0.1:8000"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("sec-fetch-site", "same-origin"),
    ] {
        for method in ["POST", "GET", "OPTIONS", "PUT"] {
            assert!(asked(method, "/", &[host, header]).is_some(), "{method} {header:?}");
        }
    }
    let link = "/FilesBucket/a.jpg?X-Amz-Date=x&X-Amz-Signature=y";
    for site in ["cross-site", "same-site", "none"] {
        assert_eq!(asked("GET", link, &[host, ("sec-fetch-site", site)]), None, "{site}");
    }
    assert!(asked("PUT", link, &[host, ("sec-fetch-site", "cross-site")]).is_some());
    assert!(asked("GET", link, &[host, ("origin", "http://other.example")]).is_some());
    assert!(asked("GET", link, &[("host", "rebound.example")]).is_some());
}

#[test]
fn a_key_is_kept_and_one_that_cannot_be_read_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("stores-key.json");
    let keep = || {
        let key = AccessKey::kept(&file, &Random::system()).unwrap();
        (key.id.clone(), key.secret.expose_secret().to_owned())
    };
    let made = keep();
    assert_eq!((made.0.len(), made.1.len(), keep()), (21, 40, made.clone()));
    for broken in ["", "{", "{}", r#"{"accessKeyId":"a","secretAccessKey":""}"#] {
        std::fs::write(&file, broken).unwrap();
        let anew = keep();
        assert!(anew != made && anew == keep(), "{broken}");
    }
    let key = AccessKey::kept(&file, &Random::system()).unwrap();
    assert!(!format!("{key:?}").contains(key.secret.expose_secret()));
}
