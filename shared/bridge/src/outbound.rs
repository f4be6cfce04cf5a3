//! The way out: push keys come from outside and are hostile until shown otherwise.
//!
//! https and port 443 only, allow-listed hosts, names and no IP literals, no user info, no proxy, each redirect checked
//! anew, and a resolver that fails if any address of a name is not public, so that the address checked is the one
//! connected to.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Client, ClientBuilder, Response, Url};
use secrecy::{ExposeSecret, SecretString};

/// A call's deadline. A lease outlives it.
pub const CALL_DEADLINE: Duration = Duration::from_secs(30);

/// Redirects of a video's link that are followed.
const MAX_REDIRECTS: usize = 3;

/// Replies are read up to here; no push reply is near it.
const MAX_REPLY: usize = 64 * 1024;

/// Which hosts may be called.
#[derive(Debug, Clone)]
pub struct Outbound {
    loopback: bool,
    /// The runner's own ports on this machine, and below which paths of each calls may lead.
    own: BTreeMap<u16, &'static [&'static str]>,
    /// What names lead to, instead of asking; for tests.
    names: Option<Arc<BTreeMap<String, Vec<IpAddr>>>>,
}

/// Why a URL is not called. None of the messages repeats the URL, which is a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The text can't be read as a URL.
    #[error("it is not a URL")]
    NotAUrl,
    /// Neither https, nor allowed as http on this machine.
    #[error("it must begin with https://")]
    NotHttps,
    /// A user name or password stands in it.
    #[error("it must not carry a user name")]
    UserInfo,
    /// Another port than https has.
    #[error("it must not name a port")]
    Port,
    /// An address instead of a name.
    #[error("it must name a host and not an IP address")]
    Address,
    /// A host that is not on the list.
    #[error("its host is not on the list of allowed hosts (PushHosts, VideoHosts)")]
    Host,
    /// A port of the local runner's own.
    #[error("it must not lead back to this system")]
    Own,
}

/// How a call that was made ended.
#[derive(Debug)]
pub enum Called {
    /// There was a reply, of this status and body; `retry_after` in seconds, if it said so.
    Answered {
        /// The reply's HTTP status.
        status: u16,
        /// The body, cut at 64 KB.
        body: Vec<u8>,
        /// What the reply asks to wait.
        retry_after: Option<u64>,
    },
    /// No connection was made, so nothing was sent.
    NotSent,
    /// Sent, and no whole reply came: it may have taken effect.
    NoReply,
}

impl Outbound {
    /// Public hosts only: what every deployment uses.
    pub fn public() -> Outbound {
        Outbound { loopback: false, own: BTreeMap::new(), names: None }
    }

    /// Also `http://127.0.0.1:PORT`. Only the local runner, which binds nothing else, makes this.
    pub fn with_loopback() -> Outbound {
        Outbound { loopback: true, own: BTreeMap::new(), names: None }
    }

    /// The same, but of `port`, which is the runner's own, only what is below one of `paths`: whatever else answers
    /// there asks for no signature, or takes that of this process for its own.
    pub fn with_own_port(mut self, port: u16, paths: &'static [&'static str]) -> Outbound {
        self.own.insert(port, paths);
        self
    }

    /// The same, where names lead to these addresses and to no others: for tests of what is done with an answer.
    pub fn with_names(self, names: BTreeMap<String, Vec<IpAddr>>) -> Outbound {
        Outbound { names: Some(Arc::new(names)), ..self }
    }

    /// Checks a URL against `hosts`: suffixes on a dot boundary, such as `pruvan.com`.
    pub fn check(&self, url: &SecretString, hosts: &[String]) -> Result<Url, Refused> {
        let url = Url::parse(url.expose_secret().trim()).map_err(|_| Refused::NotAUrl)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refused::UserInfo);
        }
        if self.loopback && url.scheme() == "http" && url.host_str() == Some("127.0.0.1") {
            // The parser has taken dots out of the path before this sees it.
            let own = url.port_or_known_default().and_then(|port| self.own.get(&port));
            let open = own.is_none_or(|paths| paths.iter().any(|path| url.path().starts_with(path)));
            return if open { Ok(url) } else { Err(Refused::Own) };
        }
        if url.scheme() != "https" {
            return Err(Refused::NotHttps);
        }
        // The parser turns octal, hexadecimal and short forms of IPv4 into an address before this sees them.
        let host = match url.domain() {
            Some(host) => host.trim_end_matches('.').to_ascii_lowercase(),
            None => return Err(Refused::Address),
        };
        if url.port().is_some() {
            return Err(Refused::Port);
        }
        let allowed = hosts.iter().any(|suffix| {
            let suffix = suffix.trim().trim_start_matches("*.").to_ascii_lowercase();
            !suffix.is_empty() && (host == suffix || host.strip_suffix(&suffix).is_some_and(|rest| rest.ends_with('.')))
        });
        if allowed { Ok(url) } else { Err(Refused::Host) }
    }

    /// A client that keeps to the rules, for short calls. The idle pool is off: a frozen function wakes with dead
    /// connections.
    pub fn client(&self) -> Result<Client, reqwest::Error> {
        self.builder().timeout(CALL_DEADLINE).build()
    }

    /// The same for long replies: nothing may come for [`CALL_DEADLINE`], and the caller limits the whole.
    pub fn streaming_client(&self) -> Result<Client, reqwest::Error> {
        self.builder().read_timeout(CALL_DEADLINE).build()
    }

    fn builder(&self) -> ClientBuilder {
        Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .pool_max_idle_per_host(0)
            .connect_timeout(Duration::from_secs(10))
            .user_agent(concat!("pruvan-bridge/", env!("CARGO_PKG_VERSION")))
            .dns_resolver(Arc::new(PublicOnly { names: self.names.clone() }))
            .https_only(!self.loopback)
    }

    /// Gets what a link leads to, over at most [`MAX_REDIRECTS`] redirects, each checked as the link was.
    pub async fn get(&self, client: &Client, link: &SecretString, hosts: &[String]) -> Result<Response, GetError> {
        let mut url = self.check(link, hosts)?;
        for _ in 0..=MAX_REDIRECTS {
            let reply = client.get(url.clone()).send().await.map_err(|_| GetError::NoReply)?;
            match reply.status().as_u16() {
                200 => return Ok(reply),
                301 | 302 | 303 | 307 | 308 => {
                    let to = reply.headers().get("location").and_then(|location| location.to_str().ok());
                    let to = to.and_then(|location| url.join(location).ok()).ok_or(GetError::Status(302))?;
                    url = self.check(&SecretString::from(to.as_str()), hosts)?;
                }
                status => return Err(GetError::Status(status)),
            }
        }
        Err(GetError::Redirects)
    }
}

/// Why a link gave nothing. None of the messages repeats it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GetError {
    /// It, or what it redirects to, is not called.
    #[error("the link is not called: {0}")]
    Refused(#[from] Refused),
    /// No connection, or no reply in time.
    #[error("the link's host gave no reply")]
    NoReply,
    /// A reply that is not 200.
    #[error("the link's host answered with HTTP status {0}")]
    Status(u16),
    /// More redirects than are followed.
    #[error("the link redirects too often")]
    Redirects,
}

/// Posts a form field and reads the reply.
pub async fn post_form(client: &Client, url: Url, field: &str, value: &str) -> Called {
    let mut reply = match client.post(url).form(&[(field, value)]).send().await {
        Ok(reply) => reply,
        Err(error) if error.is_connect() => return Called::NotSent,
        Err(_) => return Called::NoReply,
    };
    let status = reply.status().as_u16();
    let retry_after =
        reply.headers().get("retry-after").and_then(|value| seconds_from_now(value.to_str().ok()?.trim()));
    let mut body = Vec::new();
    loop {
        match reply.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() <= MAX_REPLY => body.extend_from_slice(&chunk),
            Ok(Some(_)) | Ok(None) => return Called::Answered { status, body, retry_after },
            Err(_) => return Called::NoReply,
        }
    }
}

/// `Retry-After`: seconds, or a date.
fn seconds_from_now(value: &str) -> Option<u64> {
    let until = || {
        jiff::fmt::rfc2822::parse(value).ok().map(|at| at.timestamp().as_second() - jiff::Timestamp::now().as_second())
    };
    value.parse().ok().or_else(|| until().map(|seconds| u64::try_from(seconds).unwrap_or(0)))
}

/// Resolves names to public addresses only.
struct PublicOnly {
    names: Option<Arc<BTreeMap<String, Vec<IpAddr>>>>,
}

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        let told = self.names.as_ref().map(|names| names.get(name.as_str()).cloned().unwrap_or_default());
        Box::pin(async move {
            let addresses: Vec<SocketAddr> = match told {
                Some(told) => told.into_iter().map(|address| SocketAddr::new(address, 0)).collect(),
                None => tokio::net::lookup_host((name.as_str(), 0)).await?.collect(),
            };
            if addresses.is_empty() || !addresses.iter().all(|address| is_public(address.ip())) {
                return Err("the name leads to an address that is not public".into());
            }
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// Whether an address is one of the public internet.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => public_v4(address),
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(mapped) => public_v4(mapped),
            None => public_v6(address),
        },
    }
}

fn public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_broadcast()
        || address.is_documentation()
        || address.is_multicast()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b)) // carrier-grade NAT
        || (a == 192 && b == 0 && c == 0) // protocol assignments
        || (a == 192 && b == 88 && c == 99) // 6to4 relays
        || (a == 198 && (18..20).contains(&b))) // benchmarking
}

fn public_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    // Only 2000::/3 is handed out; of that, these lead back to IPv4 or nowhere.
    (0x2000..0x4000).contains(&a)
        && !(a == 0x2002 // 6to4
            || (a == 0x2001 && b < 0x200) // Teredo, benchmarking, ORCHID
            || (a == 0x2001 && b == 0xdb8) // documentation
            || (a == 0x3fff && b < 0x1000)) // documentation
}

#[cfg(test)]
mod tests;
