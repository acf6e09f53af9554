//! The parameters of timers, and of the program that sleeps.

use std::net::IpAddr;

use super::Assignments;
use crate::remote::command::{Command, Place, SetTimer};
use crate::remote::quote::{base64, milliseconds};
use crate::remote::render;

/// The assignments that the timer's program starts with.
pub(in crate::remote) fn of_timer(place: &Place, timer: &SetTimer) -> Vec<(&'static str, String)> {
    let health = &timer.health;
    let port = timer.successor.port;
    let mut list = Assignments::of_place(place);
    list.set("TIMER_RUN", &timer.run)
        .set("TIMER_EPOCH", timer.fence.epoch.0)
        .set("TIMER_NUMBER", timer.fence.sequence)
        .set("LOCK_HELD_BY", &timer.fence.run)
        .set("SLOT", &timer.slot)
        .set("OLD_PORT", timer.port)
        .victim(Some(&timer.identity))
        .set("GRACE_MS", milliseconds(timer.grace))
        .successor(Some(&timer.successor))
        .set("SUCCESSOR_SLOT", &timer.successor_slot)
        .unit(place.units.get(&timer.slot))
        .set(
            "NGINX_ADDRESSES",
            timer.nginx.iter().flat_map(kernels).collect::<Vec<_>>().join(" "),
        )
        .set("QUIET_MS", milliseconds(timer.quiet))
        .set("QUIET_LIMIT_MS", milliseconds(timer.quiet_limit))
        .set("ADDRESS", &health.address)
        .set("PORT", port)
        .set("REQUEST_PATH", &health.path)
        .set("HOST_HEADER", format!("{}:{port}", health.address))
        .set("TIMEOUT_MS", milliseconds(health.timeout))
        .set("HEALTH_STATUS", health.status)
        .set("HEALTH_BODY", health.body_contains.as_deref().unwrap_or_default());
    list.0
}

/// An address as `/proc/net` has it: each 32-bit word in the byte order of the machine, little-endian on everything
/// that is supported, and an IPv4 address within an IPv6 one as well.
fn kernels(address: &IpAddr) -> Vec<String> {
    let word = |bytes: &[u8]| {
        let bytes = bytes.iter().rev().map(|byte| format!("{byte:02X}"));
        bytes.collect::<Vec<_>>().concat()
    };
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let word = word(&address.octets());
            let within = format!("0000000000000000FFFF0000{word}");
            vec![word, within]
        }
        IpAddr::V6(address) => vec![address.octets().chunks(4).map(word).collect()],
    }
}

impl Assignments {
    pub(super) fn of_timers(&mut self, place: &Place, command: &Command) {
        match command {
            Command::SetTimer(timer) => {
                self.fence(&timer.fence)
                    .set("TIMER_RUN", &timer.run)
                    .set("SLOT", &timer.slot)
                    .set("TIMER_MS", milliseconds(timer.after))
                    .word("PROGRAM", base64(&render::timer(place, timer)));
            }
            Command::CancelTimer(cancel) => {
                self.fence(&cancel.fence).set("TIMER_RUN", &cancel.run);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn addresses_become_the_kernels_words() {
        let kernels = |text: &str| super::kernels(&text.parse().unwrap());
        assert_eq!(
            kernels("127.0.0.1"),
            ["0100007F", "0000000000000000FFFF00000100007F"]
        );
        assert_eq!(kernels("::ffff:127.0.0.1"), kernels("127.0.0.1"));
        assert_eq!(kernels("2001:db8::1"), ["B80D0120000000000000000001000000"]);
    }
}
