//! Addresses that must not be reached, in every form that can hide one: written in the
//! manifest, given by a name server, and named by a redirect. The oracle is the
//! listener that all of them would end at.

use crate::fixture::{API, Fixture, LOGIN, at, call, endpoint, fault, fetch, get};
use crate::names::NameServer;
use crate::server::{Server, reply, with};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tidegate_broker::{
    Broker, FetchFault, PolicyMode, Request, Rule, Session, Target, dial::Dialer,
};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// One of each special block.
const SPECIAL_V4: &str = "127.0.0.1 127.255.255.254 0.0.0.0 0.1.2.3 10.0.0.1 100.64.0.1 \
     169.254.169.254 168.63.129.16 172.16.0.1 192.0.0.8 192.0.2.1 192.168.1.1 198.18.0.1 \
     203.0.113.9 224.0.0.1 240.0.0.1 255.255.255.255";
const SPECIAL_V6: &str = "::1 :: fe80::1 fc00::1 fd00:ec2::254 ff02::1 fec0::1 100::1 2001:db8::1 \
     3fff::1 5f00::1 4000::1 64:ff9b:1::7f00:1";

/// Counts what connects, on every address of this machine.
struct Trap {
    port: u16,
    connections: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Trap {
    async fn set() -> Self {
        let listener = match TcpListener::bind(("::", 0)).await {
            Ok(both) => both,
            Err(_) => TcpListener::bind(("0.0.0.0", 0)).await.unwrap(),
        };
        let port = listener.local_addr().unwrap().port();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            loop {
                let _gone = listener.accept().await.unwrap();
                count.fetch_add(1, Ordering::SeqCst);
            }
        });
        // It does see what connects.
        let probe = tokio::net::TcpStream::connect(("127.0.0.1", port)).await;
        drop(probe.unwrap());
        while connections.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        connections.store(0, Ordering::SeqCst);
        Self {
            port,
            connections,
            _tasks: tasks,
        }
    }

    async fn connections(&self) -> usize {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        self.connections.load(Ordering::SeqCst)
    }
}

fn hidden_in_v6(v4: Ipv4Addr) -> Vec<Ipv6Addr> {
    let bits = u128::from(u32::from(v4));
    [
        bits,
        0xFFFF << 32 | bits,
        0xFFFF_0000 << 32 | bits,
        0x0064_ff9b << 96 | bits,
        0x0064_ff9b_0001 << 80 | bits,
        0x2002 << 112 | bits << 80 | 1,
        0x2001_0000 << 96 | !bits & 0xFFFF_FFFF,
    ]
    .map(Ipv6Addr::from)
    .to_vec()
}

/// How people write one IPv4 address.
fn written(v4: Ipv4Addr) -> Vec<String> {
    let [a, b, c, d] = v4.octets();
    let whole = u32::from(v4);
    let low = whole & 0xFF_FFFF;
    let wide: String = v4
        .to_string()
        .chars()
        .map(|digit| match digit.to_digit(10) {
            Some(value) => char::from_u32(0xFF10 + value).unwrap(),
            None => '\u{3002}',
        })
        .collect();
    let encoded: String = v4
        .to_string()
        .bytes()
        .map(|byte| format!("%{byte:02x}"))
        .collect();
    let mut forms = vec![
        v4.to_string(),
        format!("{v4}."),
        whole.to_string(),
        format!("0x{whole:x}"),
        format!("0X{whole:X}."),
        format!("0{whole:o}"),
        format!("{a}.{low}"),
        format!("{a}.{b}.{}", u32::from(c) << 8 | u32::from(d)),
        format!("0x{a:x}.0x{b:x}.0x{c:x}.0x{d:x}"),
        format!("0{a:o}.0{b:o}.0{c:o}.0{d:o}"),
        format!("0{a:o}.{b}.0x{c:x}.{d}"),
        format!("0x{a:x}.{low}"),
        wide,
        encoded,
        format!("user@{v4}"),
        format!("user:password@{v4}"),
    ];
    forms.extend(hidden_in_v6(v4).iter().map(|v6| format!("[{v6}]")));
    forms.push(format!("[::ffff:{v4}]"));
    forms.push(format!("[::{v4}]"));
    forms.push(format!("[64:ff9b::{v4}]"));
    forms
}

fn forms() -> Vec<String> {
    let v4 = SPECIAL_V4.split_whitespace();
    let mut forms: Vec<String> = v4.flat_map(|text| written(text.parse().unwrap())).collect();
    forms.extend(
        SPECIAL_V6
            .split_whitespace()
            .map(|text| format!("[{text}]")),
    );
    forms.extend(["localhost", "LOCALHOST", "localhost.", "[fe80::1%25lo]"].map(str::to_owned));
    let one_each: BTreeSet<_> = forms.into_iter().collect();
    one_each.into_iter().collect()
}

/// What an address policy answers; anything else means that something was dialled, or
/// that the form passed as another host.
fn is_refusal(fault: &FetchFault) -> bool {
    match fault {
        FetchFault::Denied(denial) => {
            matches!(
                denial.rule,
                Rule::Address | Rule::Own | Rule::User | Rule::Host
            )
        }
        // No URL at all (a user, or a zone), or a name that nobody knows.
        FetchFault::Invalid(_) | FetchFault::Host(_) | FetchFault::Dns(_) => true,
        _ => false,
    }
}

#[tokio::test]
async fn three_hundred_forms_of_private_addresses_connect_to_nothing() {
    let trap = Trap::set().await;
    let forms = forms();
    assert!(forms.len() >= 300, "{} forms", forms.len());
    let links: Vec<String> = forms
        .iter()
        .map(|form| format!("https://{form}:{}/x", trap.port))
        .collect();
    let redirects = links.clone();
    let server = Server::start(move |seen| {
        let at: usize = seen.path.rsplit('/').next().unwrap().parse().unwrap();
        let ascii: String = redirects[at].chars().filter(char::is_ascii).collect();
        async move { Ok(with(reply(302, ""), "location", &ascii)) }
    })
    .await;
    let fixture = Fixture::with(&server, |config, manifest| {
        config.retries_max = 0;
        config.policy = PolicyMode::Report;
        let named = forms.iter().enumerate();
        manifest.endpoints.extend(named.map(|(at, form)| {
            endpoint(
                &format!("form-{at}"),
                &format!("https://{form}:{}", trap.port),
                &[],
            )
        }));
    });
    let session = fixture.session();
    for (at_form, form) in forms.iter().enumerate() {
        let refusal = fault(&session, at(&format!("form-{at_form}"))).await;
        assert!(is_refusal(&refusal), "{form}: {refusal:?}");

        let answer = fetch(&session, get(&format!("/v1/{at_form}")))
            .await
            .ok()
            .unwrap();
        let (_, location) = answer
            .headers
            .iter()
            .find(|(name, _)| name == "location")
            .unwrap();
        let follow = Request {
            target: Target::Absolute(location.clone()),
            ..get("")
        };
        let refusal = fault(&session, follow).await;
        assert!(is_refusal(&refusal), "redirect to {form}: {refusal:?}");
    }
    assert_eq!(trap.connections().await, 0);
}

async fn resolving(
    names: Arc<NameServer>,
    trap: &Trap,
    connect_timeout_ms: u64,
) -> (Server, Fixture, Session) {
    let server = Server::start(|_| async { Ok(reply(200, "{}")) }).await;
    let fixture = Fixture::with(&server, |config, manifest| {
        config.retries_max = 0;
        config.connect_timeout_ms = connect_timeout_ms;
        for at in 0..400 {
            let base = format!("https://a{at}.rebind.test:{}", trap.port);
            manifest
                .endpoints
                .push(endpoint(&format!("name-{at}"), &base, &[]));
        }
    });
    let dialer = Dialer::new(&fixture.config).unwrap().resolving(names);
    let broker = Broker::dialing(
        dialer,
        fixture.config.clone(),
        Arc::clone(&fixture.grants),
        fixture.limits(),
        Arc::clone(&fixture.keyring),
    );
    let session = broker.unwrap().session(fixture.connection());
    (server, fixture, session)
}

#[tokio::test]
async fn names_that_lead_to_private_addresses_connect_to_nothing() {
    let trap = Trap::set().await;
    let v4: Vec<Ipv4Addr> = SPECIAL_V4
        .split_whitespace()
        .map(|text| text.parse().unwrap())
        .collect();
    let mut addresses: BTreeSet<IpAddr> = v4.iter().copied().map(IpAddr::V4).collect();
    addresses.extend(v4.iter().flat_map(|&v4| hidden_in_v6(v4)).map(IpAddr::V6));
    addresses.extend(
        SPECIAL_V6
            .split_whitespace()
            .map(|text| text.parse::<IpAddr>().unwrap()),
    );
    let addresses: Vec<IpAddr> = addresses.into_iter().collect();
    let count = addresses.len();
    let script = move |name: &str, _: usize| {
        let number = name[1..].split('.').next().unwrap();
        vec![addresses[number.parse::<usize>().unwrap()]]
    };
    let names = Arc::new(NameServer::start(script).await);
    let (_server, _fixture, session) = resolving(Arc::clone(&names), &trap, 10_000).await;
    for number in 0..count {
        let refusal = fault(&session, at(&format!("name-{number}"))).await;
        assert!(
            matches!(refusal, FetchFault::Denied(_)),
            "{number}: {refusal:?}"
        );
    }
    assert_eq!(names.asked(), count);
    assert_eq!(trap.connections().await, 0);
}

#[tokio::test]
async fn a_name_that_changes_its_address_between_lookups_is_dialled_where_it_was_checked() {
    let trap = Trap::set().await;
    // Global by the table, and a route to nowhere.
    let global: IpAddr = "2a0f:ffff:ffff:ffff::1".parse().unwrap();
    let inside = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let script = move |_: &str, before: usize| match before % 3 {
        0 => vec![global],
        1 => vec![inside],
        _ => vec![global, inside],
    };
    let names = Arc::new(NameServer::start(script).await);
    let (_server, _fixture, session) = resolving(Arc::clone(&names), &trap, 1_000).await;
    let mut denied = 0;
    for _ in 0..150 {
        match fault(&session, at("name-0")).await {
            FetchFault::Denied(_) => denied += 1,
            FetchFault::Connect(_) | FetchFault::Timeout(_) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(names.asked(), 150, "one lookup for each connection");
    assert_eq!(denied, 50);
    assert_eq!(trap.connections().await, 0);
}

#[tokio::test]
async fn what_listens_here_is_reached_by_no_private_host() {
    let trap = Trap::set().await;
    let server = Server::start(|_| async { Ok(reply(200, "{}")) }).await;
    let fixture = Fixture::with(&server, |config, manifest| {
        config.retries_max = 0;
        config.private_hosts = vec!["localhost".to_owned(), "127.0.0.9".to_owned()];
        for host in ["localhost", "127.0.0.9"] {
            let base = format!("https://{host}:{}", trap.port);
            manifest.endpoints.push(endpoint(host, &base, &[]));
        }
    });
    let session = fixture.session();
    fixture
        .broker
        .dialer()
        .keep_off(([0, 0, 0, 0], trap.port).into());
    for host in ["localhost", "127.0.0.9"] {
        let refusal = fault(&session, at(host)).await;
        let FetchFault::Denied(denial) = &refusal else {
            panic!("{host}: {refusal:?}")
        };
        assert_eq!(denial.rule, Rule::Own);
    }
    assert_eq!(trap.connections().await, 0);
}

#[tokio::test]
async fn a_policy_that_only_reports_lets_unlisted_paths_pass_and_still_no_private_address() {
    let server = Server::start(|_| async { Ok(reply(200, "{}")) }).await;
    let reporting = Fixture::with(&server, |config, _| config.policy = PolicyMode::Report);
    let session = reporting.session();
    let answer = fetch(&session, get("/v2/x")).await.ok().unwrap();
    assert_eq!(answer.endpoint, "api");
    let link = Request {
        target: Target::Absolute(format!("{API}/v3/next")),
        ..get("")
    };
    assert!(fetch(&session, link).await.is_ok());
    let login = Request {
        target: Target::Absolute(format!("{LOGIN}/anything")),
        ..get("")
    };
    assert!(fetch(&session, login.clone()).await.is_ok());
    let signed = Request {
        auth: Some("header_key".to_owned()),
        ..login.clone()
    };
    for refused in [signed, at("loopback"), at("named")] {
        let refusal = reporting
            .session()
            .fetch(refused, &call())
            .await
            .err()
            .unwrap();
        assert!(matches!(refusal, FetchFault::Denied(_)), "{refusal:?}");
    }
    let enforcing = Fixture::new(&server);
    let refusal = fault(&enforcing.session(), login).await;
    assert!(
        matches!(&refusal, FetchFault::Denied(denial) if denial.rule == Rule::Host),
        "{refusal:?}"
    );
    assert_eq!(server.count(), 3);
}
