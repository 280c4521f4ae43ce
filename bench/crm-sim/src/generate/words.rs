//! Vocabulary of generated values: non-ASCII text, quotes, backslashes, line
//! breaks and control characters on purpose.

pub(super) const FIRST_NAMES: &[&str] = &[
    "Ada", "Zoë", "Łukasz", "Ólafur", "Mina", "José", "Søren", "Aiko", "Priya", "Chinedu",
    "Élodie", "Jürgen", "Marta", "Tomás", "Ingrid", "Yusuf", "Noor", "Siobhán", "Dmitri", "美咲",
    "Grace", "Ewa", "Kofi", "Renée", "Hugo", "Lea", "Anaïs", "Björn", "Wei", "Olga", "Sam",
    "Thandiwe",
];

pub(super) const LAST_NAMES: &[&str] = &[
    "O'Brien",
    "Müller",
    "Nowak",
    "Nguyễn",
    "García",
    "Smith",
    "Jónsdóttir",
    "Okafor",
    "Tanaka",
    "Ferreira",
    "Lindqvist",
    "Dvořák",
    "Haddad",
    "Kowalczyk",
    "Rossi",
    "van der Berg",
    "Çelik",
    "Popescu",
    "Ivanova",
    "Larsen",
    "Dubois",
    "Silva",
    "Horvat",
    "Mwangi",
    "Castro",
    "Weiß",
    "Byrne",
    "Papadopoulos",
    "Johansson",
    "Sato",
    "Costa",
    "Fischer",
];

pub(super) const CITIES: &[&str] = &[
    "São Paulo",
    "Zürich",
    "東京",
    "Kraków",
    "Reykjavík",
    "Lagos",
    "München",
    "Montréal",
    "Oslo",
    "Łódź",
    "Santiago",
    "Porto",
    "København",
    "Nairobi",
    "Galway",
    "Bengaluru",
];

pub(super) const COUNTRIES: &[&str] = &[
    "Brasil",
    "Switzerland",
    "日本",
    "Poland",
    "Ísland",
    "Nigeria",
    "Germany",
    "Canada",
    "Norway",
    "Côte d'Ivoire",
    "Chile",
    "Portugal",
    "Denmark",
    "Kenya",
    "Ireland",
    "India",
];

pub(super) const COMPANIES: &[&str] = &[
    "Acme \"Rocket\" Works",
    "Blå & Sønner",
    "Fjord Ltd",
    "Café Größe",
    "C:\\Systems",
    "Northwind",
    "Initech",
    "Ünïted Söcks",
    "Globex",
    "Hooli",
    "Vandelay Imports",
    "Stark/Wayne",
    "O\u{2019}Hara Oil",
    "Umbrella <Labs>",
    "Soylent",
    "天空 Holdings",
];

pub(super) const JOB_TITLES: &[&str] = &[
    "Head of Growth",
    "Ingénieure",
    "CEO",
    "Account Executive",
    "VP, R&D",
    "Buyer",
    "Geschäftsführer",
    "Data Analyst",
    "Chief \"Fun\" Officer",
    "Marketing Lead",
    "CTO",
    "Consultant",
];

pub(super) const NOTE_OPENINGS: &[&str] = &[
    "Met at the fair;",
    "Said \"call me\"\nnext week.",
    "Prefers e-mail 📧 over phone.",
    "Path is C:\\exports\\crm\t(old).",
    "Wants a quote for Größe L.",
    "Renewal talk went well 🚀",
    "Asked about SSO\u{2028}and audit logs.",
    "Do not call before 10:00",
];

pub(super) const NOTE_CLOSINGS: &[&str] = &[
    "Follow up in May.",
    "Owner informed.\n\n-- imported",
    "Budget is tight this quarter, ask again.",
    "Très intéressé par la démo.",
    "See ticket #4711 / contract 12-B.",
    "No objections so far.",
    "Second contact: Zoë.",
    "Sent the deck & the price list.",
];

pub(super) const DEAL_SUBJECTS: &[&str] = &[
    "Renewal",
    "Pilot",
    "Expansion",
    "New business",
    "Migration \"Blue\"",
    "Förlängning",
    "Upsell",
    "Proof of concept",
];

pub(super) const STREETS: &[&str] = &[
    "Rua Augusta",
    "Bahnhofstraße",
    "Main St",
    "ul. Długa",
    "Laugavegur",
    "Rue de l'Église",
    "Elm Avenue",
    "Calle Mayor",
];
