//! Asks a service of the same container whether it is ready, for a container's health check: an image without a
//! shell has nothing else to ask with.
//!
//! `wardstream-probe [readyz|healthz]` reads the address from `WARDSTREAM_TELEMETRY__LISTEN`, as the service does.
//! Exit status 0 for an answer of 200, 1 for any other or none, 64 for wrong usage.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(3);
const DEFAULT: &str = "127.0.0.1:9464";
/// More than a report of any service holds.
const MAX_ANSWER_BYTES: u64 = 64 * 1024;

fn main() -> ExitCode {
    let page = std::env::args().nth(1).unwrap_or_else(|| "readyz".to_owned());
    let listen = std::env::var("WARDSTREAM_TELEMETRY__LISTEN").unwrap_or_else(|_| DEFAULT.to_owned());
    let Ok(address) = listen.parse::<SocketAddr>() else {
        return say("WARDSTREAM_TELEMETRY__LISTEN is no address", 64);
    };
    if !matches!(page.as_str(), "readyz" | "healthz") {
        return say("usage: wardstream-probe [readyz|healthz]", 64);
    }
    match ask(reachable(address), &page) {
        Ok(answer) if answer.starts_with("HTTP/1.1 200 ") || answer.starts_with("HTTP/1.0 200 ") => {
            ExitCode::SUCCESS
        }
        // The body says what is not ready; `docker inspect` shows it.
        Ok(answer) => say(answer.rsplit("\r\n\r\n").next().unwrap_or_default(), 1),
        Err(error) => say(&error.to_string(), 1),
    }
}

/// A service that listens on every address is asked on the loopback.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

fn ask(address: SocketAddr, page: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    write!(stream, "GET /{page} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(MAX_ANSWER_BYTES).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn say(text: &str, status: u8) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "{text}");
    ExitCode::from(status)
}
