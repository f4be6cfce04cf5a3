//! TLS before the stores, as AWS has it before its own: certificates of an authority of our own, and a proxy.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Where systems keep the authorities that they trust: Amazon Linux, of which Lambda's is one, and Debian.
const TRUSTED: [&str; 2] = ["/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/certs/ca-certificates.crt"];

/// Bytes that are handed on at a time.
const CHUNK: usize = 64 * 1024;

/// An authority, one between, and a certificate of `localhost`: RSA of 2,048 bits, as those of DynamoDB and S3 are.
pub struct Certificates {
    folder: tempfile::TempDir,
}

impl Certificates {
    pub fn make() -> Certificates {
        let folder = tempfile::tempdir().expect("a folder");
        let authority = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n";
        certify(folder.path(), "root", "root", authority);
        certify(folder.path(), "between", "root", authority);
        certify(folder.path(), "host", "between", "subjectAltName=DNS:localhost\nextendedKeyUsage=serverAuth\n");
        // All that a Lambda function reads and parses when it makes its client, and ours.
        let mut trusted = TRUSTED.iter().find_map(|file| std::fs::read(file).ok()).unwrap_or_default();
        trusted.extend(std::fs::read(folder.path().join("root.pem")).expect("a certificate"));
        std::fs::write(folder.path().join("trusted.pem"), trusted).expect("a file");
        Certificates { folder }
    }

    /// What `SSL_CERT_FILE` is to name.
    pub fn trusted(&self) -> PathBuf {
        self.folder.path().join("trusted.pem")
    }

    pub fn acceptor(&self) -> TlsAcceptor {
        let file = |name: &str| self.folder.path().join(name);
        let certificate = |name| CertificateDer::from_pem_file(file(name)).expect("a certificate");
        let key = PrivateKeyDer::from_pem_file(file("host.key")).expect("a key");
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions of TLS")
            .with_no_client_auth()
            .with_single_cert(vec![certificate("host.pem"), certificate("between.pem")], key);
        TlsAcceptor::from(Arc::new(config.expect("a certificate and its key")))
    }
}

/// Makes `name.key` and `name.pem`, which `issuer` signs.
fn certify(folder: &Path, name: &str, issuer: &str, extensions: &str) {
    let openssl = |arguments: &[&str]| {
        let mut command = Command::new("openssl");
        let ended = command.args(arguments).current_dir(folder).stderr(Stdio::null()).status();
        assert!(ended.expect("the program openssl").success(), "openssl {arguments:?}");
    };
    let of = |ending: &str| format!("{name}.{ending}");
    let (key, request, certificate, said) = (of("key"), of("csr"), of("pem"), of("ext"));
    std::fs::write(folder.join(&said), extensions).expect("a file");
    let subject = format!("/CN=Pruvan Bridge benchmark, {name}");
    openssl(&["req", "-newkey", "rsa:2048", "-nodes", "-keyout", &key, "-out", &request, "-subj", &subject]);
    let (by, with) = (format!("{issuer}.pem"), format!("{issuer}.key"));
    let signed = if name == issuer { vec!["-signkey", &key] } else { vec!["-CA", &by, "-CAkey", &with] };
    let sign = ["x509", "-req", "-in", &request, "-days", "2", "-extfile", &said, "-out", &certificate];
    openssl(&[&sign[..], &signed, if name == issuer { &[] } else { &["-CAcreateserial"] }].concat());
}

/// Ends TLS before a store, and gives the URL that leads there. What comes back arrives `round_trip` later.
pub async fn before(store: &str, certificates: &Certificates, round_trip: Duration) -> String {
    let (store, acceptor) = (store.trim_start_matches("http://").to_owned(), certificates.acceptor());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("a port").port();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let (store, acceptor) = (store.clone(), acceptor.clone());
            tokio::spawn(async move {
                // A function that is killed ends its connections in the middle.
                let _ = connection(socket, &store, &acceptor, round_trip).await;
            });
        }
    });
    format!("https://localhost:{port}")
}

async fn connection(
    socket: TcpStream,
    store: &str,
    acceptor: &TlsAcceptor,
    round_trip: Duration,
) -> std::io::Result<()> {
    socket.set_nodelay(true)?;
    if round_trip.is_zero() {
        return through(socket, store, acceptor).await;
    }
    let (near, far) = tokio::io::duplex(CHUNK);
    tokio::join!(late(socket, near, round_trip), through(far, store, acceptor)).1
}

async fn through(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    store: &str,
    acceptor: &TlsAcceptor,
) -> std::io::Result<()> {
    let mut stream = acceptor.accept(stream).await?;
    let mut store = TcpStream::connect(store).await?;
    store.set_nodelay(true)?;
    tokio::io::copy_bidirectional_with_sizes(&mut stream, &mut store, CHUNK, CHUNK).await?;
    Ok(())
}

/// Hands on at once what comes from the socket, and what goes to it after `round_trip`.
async fn late(socket: TcpStream, stream: impl AsyncRead + AsyncWrite, round_trip: Duration) {
    let (mut sent, mut socket) = socket.into_split();
    let (mut replies, mut stream) = tokio::io::split(stream);
    let (sender, mut waiting) = mpsc::unbounded_channel();
    let there = async {
        let _ = tokio::io::copy(&mut sent, &mut stream).await;
        let _ = stream.shutdown().await;
    };
    let back = async move {
        let mut bytes = vec![0; CHUNK];
        while let Ok(length @ 1..) = replies.read(&mut bytes).await {
            let _ = sender.send((Instant::now() + round_trip, bytes[..length].to_vec()));
        }
    };
    let later = async {
        while let Some((at, bytes)) = waiting.recv().await {
            tokio::time::sleep_until(at).await;
            let _ = socket.write_all(&bytes).await;
        }
    };
    tokio::join!(there, back, later);
}
