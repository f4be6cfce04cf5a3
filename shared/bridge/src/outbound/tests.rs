//! Links that are called, and links that are not.

use super::*;

fn check(outbound: &Outbound, url: &str) -> Result<Url, Refused> {
    outbound.check(&SecretString::from(url), &["pruvan.com".to_owned()])
}

#[test]
fn only_allowed_hosts_over_https() {
    let public = Outbound::public();
    for url in [
        "https://direct.pruvan.com/api/?apiKey=x",
        "https://pruvan.com/",
        "HTTPS://Direct.Pruvan.COM/",
        " https://direct.pruvan.com./ ",
    ] {
        assert!(check(&public, url).is_ok(), "{url}");
    }
    for (url, refused) in [
        ("http://direct.pruvan.com/", Refused::NotHttps),
        ("ftp://direct.pruvan.com/", Refused::NotHttps),
        ("direct.pruvan.com", Refused::NotAUrl),
        ("https://direct.pruvan.com:8443/", Refused::Port),
        ("https://user@direct.pruvan.com/", Refused::UserInfo),
        ("https://direct.pruvan.com@evil.example/", Refused::UserInfo),
        ("https://evil.example/", Refused::Host),
        ("https://evilpruvan.com/", Refused::Host),
        ("https://pruvan.com.evil.example/", Refused::Host),
        ("https://localhost/", Refused::Host),
        ("https://127.0.0.1/", Refused::Address),
        ("https://0177.0.0.1/", Refused::Address),
        ("https://2130706433/", Refused::Address),
        ("https://0x7f.1/", Refused::Address),
        ("https://[::1]/", Refused::Address),
        ("https://[::ffff:127.0.0.1]/", Refused::Address),
        ("http://127.0.0.1:9000/", Refused::NotHttps),
    ] {
        assert_eq!(check(&public, url).unwrap_err(), refused, "{url}");
    }
}

#[test]
fn loopback_is_allowed_where_it_was_asked_for_and_only_as_it_is_written() {
    let local = Outbound::with_loopback();
    assert!(check(&local, "http://127.0.0.1:9000/push").is_ok());
    assert!(check(&local, "https://direct.pruvan.com/").is_ok());
    for url in
        ["http://localhost:9000/", "http://127.0.0.2/", "http://[::1]/", "http://10.0.0.1/", "http://evil.example/"]
    {
        assert!(check(&local, url).is_err(), "{url}");
    }
}

#[test]
fn of_its_own_ports_the_runner_calls_only_what_plays_pruvan() {
    let local = Outbound::with_loopback().with_own_port(9000, &["/api/", "/video/"]).with_own_port(9002, &[]);
    for url in [
        "http://127.0.0.1:9000/api/?apiKey=x",
        "http://127.0.0.1:9000/video/v",
        "http://127.0.0.1:9000/x/../api/",
        "http://127.0.0.1:9001/accounts/other/keys",
        "http://127.0.0.1/accounts/other/keys",
    ] {
        assert!(check(&local, url).is_ok(), "{url}");
    }
    for url in [
        "http://127.0.0.1:9000/accounts/other/keys",
        "http://127.0.0.1:9000/",
        "http://127.0.0.1:9000",
        "http://127.0.0.1:9000/console/do/validate",
        "http://127.0.0.1:9000/api",
        "http://127.0.0.1:9000//api/",
        "http://127.0.0.1:9000/API/",
        "http://127.0.0.1:9000/api/../accounts/other/keys",
        "http://127.0.0.1:9000/api/%2e%2e/accounts/other/keys",
        "http://127.0.0.1:9000/api/.%2E/accounts",
        "http://127.0.0.1:9000/video/x/../../accounts",
        "http://127.0.0.1:9000\\accounts\\other\\keys",
        "http://2130706433:9000/accounts/other/keys",
        "http://0x7f.1:9000/accounts/other/keys",
        "http://127.1:09000/accounts/other/keys",
        "HTTP://127.0.0.1:9000/accounts/other/keys?/api/",
        "http://127.0.0.1:9000/accounts/other/keys#/api/",
        "http://127.0.0.1:9002/api/?apiKey=x",
        "http://127.0.0.1:9002/",
    ] {
        assert_eq!(check(&local, url), Err(Refused::Own), "{url}");
    }
    // Without a port it is 80.
    let local = Outbound::with_loopback().with_own_port(80, &[]);
    assert_eq!(check(&local, "http://127.0.0.1/accounts"), Err(Refused::Own));
    for url in ["http://localhost:9000/accounts", "http://0.0.0.0:9000/accounts", "http://[::1]:9000/accounts"] {
        assert!(check(&local, url).is_err(), "{url}");
    }
}

/// No part of the public internet, or a way back out of it.
const NOT_PUBLIC: [&str; 44] = [
    "127.0.0.1",
    "127.255.255.254",
    "10.0.0.0",
    "10.1.2.3",
    "10.255.255.255",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.0.1",
    "192.168.255.255",
    "169.254.0.1",
    "169.254.169.254", // metadata
    "169.254.170.2",   // credentials of containers
    "100.64.0.1",      // carrier-grade NAT
    "100.127.255.255",
    "0.0.0.0",
    "0.1.2.3",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "192.0.0.1",
    "192.0.2.1",
    "192.88.99.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::7f00:1", // translated from IPv4
    "64:ff9b:1::a00:1",
    "fe80::1",
    "fec0::1",
    "fc00::1",
    "fd00:ec2::254", // metadata over IPv6
    "ff02::1",
    "2001::1",       // Teredo
    "2001:db8::1",   // documentation
    "2002:7f00:1::", // 6to4
    "3fff::1",
];

const PUBLIC: [&str; 8] = [
    "8.8.8.8",
    "52.1.2.3",
    "100.128.0.1",
    "172.32.0.1",
    "192.169.0.1",
    "198.20.0.1",
    "2600:1f18::1",
    "2a00:1450:4001::1",
];

#[test]
fn addresses_that_are_not_public() {
    for address in NOT_PUBLIC {
        assert!(!is_public(address.parse().unwrap()), "{address}");
    }
    for address in PUBLIC {
        assert!(is_public(address.parse().unwrap()), "{address}");
    }
}

/// What the client says when it is to call a name that leads to these addresses.
async fn connect(addresses: &[&str]) -> String {
    let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
    let names = BTreeMap::from([("push.pruvan.com".to_owned(), addresses)]);
    let outbound = Outbound::public().with_names(names);
    let url = check(&outbound, "https://push.pruvan.com/api/").unwrap();
    let client = outbound.builder().timeout(Duration::from_millis(200)).build().unwrap();
    assert!(matches!(post_form(&client, url.clone(), "workOrders", "{}").await, Called::NotSent | Called::NoReply));
    let error = client.post(url).send().await.unwrap_err();
    let mut said = String::new();
    let mut cause: Option<&dyn std::error::Error> = Some(&error);
    while let Some(error) = cause {
        said.push_str(&format!("{error}; "));
        cause = error.source();
    }
    said
}

#[tokio::test]
async fn no_connection_is_made_to_an_address_that_is_not_public() {
    const REFUSED: &str = "the name leads to an address that is not public";
    for address in NOT_PUBLIC {
        let said = connect(&[address]).await;
        assert!(said.contains(REFUSED), "{address}: {said}");
        // One among others is one too many.
        let said = connect(&["192.0.78.1", address]).await;
        assert!(said.contains(REFUSED), "{address} with another: {said}");
    }
    assert!(connect(&[]).await.contains(REFUSED));
}

#[test]
fn no_form_of_an_address_or_of_this_machine_is_a_host() {
    let local = ["localhost", "localhost.", "LOCALHOST", "ip6-localhost", "metadata.google.internal", "instance-data"];
    let forms = [
        "127.0.0.1",
        "127.0.0.1.",
        "127.1",
        "0177.0.0.1",
        "0x7f.0.0.1",
        "0x7f000001",
        "017700000001",
        "2130706433",
        "0",
        "1",
        "10.1",
        "169.254.169.254",
        "0xa9fea9fe",
        "2852039166",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::a9fe:a9fe]",
        "[fe80::1]",
        "\u{ff11}\u{ff12}\u{ff17}.0.0.1",
        "127\u{3002}0\u{3002}0\u{3002}1",
        "pruvan.com.localhost",
        "127.0.0.1.pruvan.com.evil.example",
        "pruvan.com%2eevil.example",
        "evil.example#pruvan.com",
        "evil.example?pruvan.com",
        "evil.example\\pruvan.com",
        "xn--pruvan-.com",
        "pruvan.com:0",
    ];
    for host in local.into_iter().chain(forms) {
        for url in [format!("https://{host}/"), format!("https://x@{host}/"), format!("http://{host}/")] {
            assert!(check(&Outbound::public(), &url).is_err(), "{url}");
        }
    }
    // Lists with a star, a blank or nothing in them allow no more than they say.
    for (hosts, allowed) in
        [("*.pruvan.com", true), (" pruvan.com ", true), ("", false), ("*", false), (".", false), ("com", true)]
    {
        let url = SecretString::from("https://direct.pruvan.com/");
        assert_eq!(Outbound::public().check(&url, &[hosts.to_owned()]).is_ok(), allowed, "{hosts:?}");
    }
}
