//! Which addresses may be reached: only those that are global, in every notation
//! that can hide one that is not.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Why an address is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal(&'static str);

impl std::fmt::Display for Refusal {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(self.0)
    }
}

/// The reason not to connect to this address; none where it is global.
pub fn refusal(address: IpAddr) -> Option<Refusal> {
    let class = match address {
        IpAddr::V4(v4) => v4_class(v4),
        IpAddr::V6(v6) => v6_class(v6),
    };
    class.map(Refusal)
}

struct V4Block(Ipv4Addr, u32, &'static str);
struct V6Block(u128, u32, &'static str);

/// Blocks of the IANA registry of special IPv4 addresses that are not global.
const V4_BLOCKS: &[V4Block] = &[
    V4Block(Ipv4Addr::new(0, 0, 0, 0), 8, "'this network'"),
    V4Block(Ipv4Addr::new(10, 0, 0, 0), 8, "private"),
    V4Block(Ipv4Addr::new(100, 64, 0, 0), 10, "carrier-grade NAT"),
    V4Block(Ipv4Addr::new(127, 0, 0, 0), 8, "loopback"),
    V4Block(Ipv4Addr::new(168, 63, 129, 16), 32, "metadata"),
    V4Block(Ipv4Addr::new(169, 254, 0, 0), 16, "link-local"),
    V4Block(Ipv4Addr::new(172, 16, 0, 0), 12, "private"),
    V4Block(Ipv4Addr::new(192, 0, 0, 0), 24, "protocol assignment"),
    V4Block(Ipv4Addr::new(192, 0, 2, 0), 24, "documentation"),
    V4Block(Ipv4Addr::new(192, 31, 196, 0), 24, "special purpose"),
    V4Block(Ipv4Addr::new(192, 52, 193, 0), 24, "special purpose"),
    V4Block(Ipv4Addr::new(192, 88, 99, 0), 24, "6to4 relay"),
    V4Block(Ipv4Addr::new(192, 168, 0, 0), 16, "private"),
    V4Block(Ipv4Addr::new(192, 175, 48, 0), 24, "special purpose"),
    V4Block(Ipv4Addr::new(198, 18, 0, 0), 15, "benchmarking"),
    V4Block(Ipv4Addr::new(198, 51, 100, 0), 24, "documentation"),
    V4Block(Ipv4Addr::new(203, 0, 113, 0), 24, "documentation"),
    V4Block(Ipv4Addr::new(224, 0, 0, 0), 4, "multicast"),
    V4Block(Ipv4Addr::new(240, 0, 0, 0), 4, "reserved"),
];

/// Parts of 2000::/3 that are not plainly global. All outside 2000::/3 is refused
/// as a whole: nothing else is assigned to hosts of the internet.
const V6_BLOCKS: &[V6Block] = &[
    V6Block(0x2001_0000 << 96, 23, "Teredo or protocol assignment"),
    V6Block(0x2001_0db8 << 96, 32, "documentation"),
    V6Block(0x2002 << 112, 16, "6to4"),
    V6Block(0x2620_004f_8000 << 80, 48, "special purpose"),
    V6Block(0x3fff << 112, 20, "documentation"),
];

fn v4_class(address: Ipv4Addr) -> Option<&'static str> {
    let bits = u32::from(address);
    V4_BLOCKS
        .iter()
        .find(|V4Block(base, length, _)| (bits ^ u32::from(*base)) >> (32 - length) == 0)
        .map(|V4Block(_, _, class)| *class)
}

fn v6_class(address: Ipv6Addr) -> Option<&'static str> {
    let bits = u128::from(address);
    if bits >> 125 != 0b001 {
        return Some(outside_unicast(bits));
    }
    V6_BLOCKS
        .iter()
        .find(|V6Block(base, length, _)| (bits ^ base) >> (128 - length) == 0)
        .map(|V6Block(_, _, class)| *class)
}

/// Names the class for the message; the answer is a refusal whatever it is.
fn outside_unicast(bits: u128) -> &'static str {
    if bits == 1 {
        "loopback"
    } else if bits >> 32 == 0xFFFF {
        "IPv4-mapped"
    } else if bits >> 96 == 0x0064_ff9b || bits >> 80 == 0x0064_ff9b_0001 {
        "NAT64"
    } else if bits >> 118 == 0b11_1111_1010 {
        "link-local"
    } else if bits >> 121 == 0b111_1110 {
        "unique local"
    } else if bits >> 120 == 0xFF {
        "multicast"
    } else {
        "special-purpose"
    }
}

#[cfg(test)]
mod tests;
