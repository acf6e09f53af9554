//! Addresses as the kernel writes them in `/proc/net`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The address and port of `0100007F:1F90` as `127.0.0.1:8080`; an IPv6 address in brackets, and an
/// IPv4 one inside IPv6 as IPv4. The kernel writes each 32-bit word in the byte order of the machine,
/// little-endian on everything that is supported.
pub(super) fn socket(text: &str) -> Option<String> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let words = words(address)?;
    Some(match *words.as_slice() {
        [word] => format!("{}:{port}", Ipv4Addr::from(word.swap_bytes())),
        [a, b, c, d] => {
            let bits = [a, b, c, d]
                .iter()
                .fold(0_u128, |bits, word| (bits << 32) | u128::from(word.swap_bytes()));
            match Ipv6Addr::from(bits).to_canonical() {
                IpAddr::V4(address) => format!("{address}:{port}"),
                IpAddr::V6(address) => format!("[{address}]:{port}"),
            }
        }
        _ => return None,
    })
}

/// The address of `/proc/net/if_inet6`: 32 hex digits in the order in which they are read.
pub(super) fn interface(text: &str) -> Option<String> {
    if text.len() != 32 {
        return None;
    }
    let bits = u128::from_str_radix(text, 16).ok()?;
    Some(Ipv6Addr::from(bits).to_string())
}

fn words(hex: &str) -> Option<Vec<u32>> {
    let word = |part: &[u8]| u32::from_str_radix(std::str::from_utf8(part).ok()?, 16).ok();
    if !hex.len().is_multiple_of(8) || hex.len() > 32 {
        return None;
    }
    hex.as_bytes().chunks(8).map(word).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_words_become_addresses() {
        assert_eq!(socket("0100007F:1F90").as_deref(), Some("127.0.0.1:8080"));
        assert_eq!(
            socket("0000000000000000FFFF00000100007F:0050").as_deref(),
            Some("127.0.0.1:80")
        );
        assert_eq!(
            socket("B80D0120000000000000000001000000:0050").as_deref(),
            Some("[2001:db8::1]:80")
        );
        assert_eq!(socket("zz:1"), None);
        assert_eq!(
            interface("00000000000000000000000000000001").as_deref(),
            Some("::1")
        );
    }
}
