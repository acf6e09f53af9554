//! Free TCP ports. They lie below the range from which the kernel takes the ports of outgoing
//! connections, so that no connection can take one before its application listens.

use std::net::{Ipv4Addr, TcpListener};
use std::ops::RangeInclusive;

use rand::RngExt as _;

/// Where to look: Linux gives outgoing connections 32768 and above.
pub(super) const RANGE: RangeInclusive<u16> = 20_000..=32_000;

/// How many ports are tried before giving up.
const TRIES: usize = 1000;

/// That many ports on which nobody listens.
pub(super) fn free(count: usize) -> Option<Vec<u16>> {
    let mut random = rand::rng();
    // Held until all are found: otherwise one could be found twice.
    let mut held: Vec<TcpListener> = Vec::new();
    for _ in 0..TRIES {
        if held.len() == count {
            break;
        }
        let port = random.random_range(RANGE);
        held.extend(TcpListener::bind((Ipv4Addr::LOCALHOST, port)));
    }
    let ports: Vec<u16> = held
        .iter()
        .filter_map(|listener| Some(listener.local_addr().ok()?.port()))
        .collect();
    (ports.len() == count).then_some(ports)
}
