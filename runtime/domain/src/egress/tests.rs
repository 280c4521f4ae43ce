#![expect(clippy::unwrap_used, reason = "tests")]
use super::*;
use proptest::prelude::*;

fn refused(text: &str) -> bool {
    refusal(text.parse().unwrap()).is_some()
}

#[test]
fn every_special_address_is_refused_in_every_notation() {
    let special = "0.0.0.0 0.1.2.3 10.0.0.0 10.255.255.255 100.64.0.0 100.127.255.255 127.0.0.1 \
         127.255.255.254 168.63.129.16 169.254.0.1 169.254.169.254 172.16.0.1 172.31.255.255 192.0.0.1 \
         192.0.0.170 192.0.2.1 192.88.99.1 192.168.0.1 192.168.255.255 198.18.0.1 198.19.255.255 \
         198.51.100.7 203.0.113.9 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255 \
         :: ::1 ::7f00:1 ::ffff:127.0.0.1 ::ffff:8.8.8.8 ::ffff:169.254.169.254 64:ff9b::7f00:1 \
         64:ff9b::a9fe:a9fe 64:ff9b::808:808 64:ff9b:1::1 100::1 100:0:0:1::1 2001::1 2001:0:53aa:64c::1 2001:2::1 \
         2001:10::1 2001:20::1 2001:db8::1 2002:7f00:1::1 2002:a9fe:a9fe::1 2002:808:808::1 3fff::1 5f00::1 \
         fc00::1 fd00:ec2::254 fd12:3456::1 fe80::1 febf::1 fec0::1 ff02::1 ff0e::1 1::1 4000::1 e000::1";
    for address in special.split_whitespace() {
        assert!(refused(address), "{address} was let through");
    }
}

#[test]
fn addresses_beside_the_blocks_are_global() {
    let global = "1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 \
         128.0.0.1 168.63.129.15 169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0 192.0.1.1 192.0.3.1 \
         192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0 203.0.114.1 223.255.255.255 \
         2001:200::1 2001:4860:4860::8888 2003::1 2606:4700::1111 2a00:1450::1 3ffe::1";
    for address in global.split_whitespace() {
        assert!(!refused(address), "{address} was refused");
    }
}

/// The standard library's own classes, which overlap with the table.
fn plainly_special(v4: Ipv4Addr) -> bool {
    v4.is_private()
        || v4.is_loopback()
        || v4.is_link_local()
        || v4.is_broadcast()
        || v4.is_documentation()
        || v4.is_multicast()
        || v4.is_unspecified()
}

proptest! {
    #[test]
    fn no_class_of_the_standard_library_passes(bits: u32) {
        let v4 = Ipv4Addr::from(bits);
        prop_assert!(!plainly_special(v4) || refusal(v4.into()).is_some());
    }

    #[test]
    fn no_ipv4_address_passes_inside_an_ipv6_one(bits: u32, low: u64) {
        let v4 = u128::from(bits);
        let hidden = [
            v4,
            0xFFFF << 32 | v4,
            0x0064_ff9b << 96 | v4,
            0x0064_ff9b_0001 << 80 | v4,
            0x2002 << 112 | v4 << 80 | u128::from(low),
            0x2001_0000 << 96 | u128::from(low),
        ];
        for address in hidden {
            prop_assert!(refusal(Ipv6Addr::from(address).into()).is_some());
        }
    }

    #[test]
    fn only_global_unicast_passes_in_ipv6(bits: u128) {
        let passed = refusal(Ipv6Addr::from(bits).into()).is_none();
        prop_assert!(!passed || bits >> 125 == 1);
    }
}
