//! Streets, cities, zip codes, and names of facilities, schools and employers.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, MatchKind};

use super::patterns::{Contains, Needs, Pattern, any, pattern, tail};
use super::{Candidate, Layer, vocabulary};
use crate::Kind;
use crate::lexicon::{
    self, ACTION, AMBIGUOUS, GIVEN, PERSON_VERB, PLACE, PROPER, RELATION, STOP, SURNAME, WARD, WORD,
};

const SUFFIX: &str = "Street|St|Avenue|Ave|Av|Road|Rd|Drive|Dr|Lane|Ln|Boulevard|Blvd|Court|Ct|Circle|Cir|Place|Pl|Way|Terrace|Ter|Terr|Parkway|Pkwy|Highway|Hwy|Trail|Trl|Square|Sq|Loop|Alley|Plaza|Crossing|Xing|Run|Path|Pike|Turnpike|Tpke|Row|Point|Pt|Ridge|Rdg|Heights|Hts|Hill|Hills|Hollow|Grove|Glen|Green|Gardens?|Estates?|Extension|Expressway|Expy|Freeway|Falls|Ferry|Fields?|Flats?|Fords?|Forest|Forge|Fork|Fort|Gateway|Harbors?|Haven|Inlet|Islands?|Isle|Junctions?|Keys?|Knolls?|Lakes?|Landing|Lodge|Manors?|Meadows?|Mews|Mills?|Mission|Motorway|Mount|Mountains?|Neck|Orchard|Oval|Overpass|Parks?|Parkways?|Pass|Passage|Pines?|Plains?|Port|Ports|Prairie|Radial|Ramp|Ranch|Rapids?|Rest|River|Route|Rue|Shoals?|Shores?|Skyway|Springs?|Spurs?|Station|Stravenue|Stream|Summit|Throughway|Trace|Track|Trafficway|Tunnel|Underpass|Unions?|Valleys?|Via|Viaduct|Views?|Villages?|Ville|Vista|Walks?|Wall|Wells?|Brook|Brooks|Burgs?|Bypass|Camp|Canyon|Cape|Causeway|Centers?|Cliffs?|Club|Common|Commons|Corners?|Course|Coves?|Creek|Crescent|Cres|Crest|Curve|Dale|Dam|Divide|Bend|Bluffs?|Bottom|Branch|Bridge|Beach|Bayou|Annex|Arcade|Mall|Locks?|Light|Lights|Loaf|Land|Hollow|Squares|Streets|Roads|Drives|Courts|Circles|Trailer|Close|Crossroads?";

/// Abbreviations of states that are no word, credential or clinical abbreviation.
const SAFE_STATES: &str = "AK|AZ|CA|FL|GA|IA|IL|KS|KY|MI|MN|MO|NC|NE|NH|NJ|NM|NV|NY|OH|RI|SC|TN|TX|UT|VT|WA|WI|WV|WY|DC|CT|AR|VA|ND";
const STATES: &str = "A[KLRZ]|C[AOT]|D[CE]|FL|GA|HI|I[ADLN]|K[SY]|LA|M[ADEINOST]|N[CDEHJMVY]|O[HKR]|P[AR]|RI|S[CD]|T[NX]|UT|V[AIT]|W[AIVY]|A[AEP]|GU|AS|MP|MH|FM|PW";
pub(super) const STATE_NAMES: &str = "Alabama|Alaska|Arizona|Arkansas|California|Colorado|Connecticut|Delaware|Florida|Georgia|Hawaii|Idaho|Illinois|Indiana|Iowa|Kansas|Kentucky|Louisiana|Maine|Maryland|Massachusetts|Michigan|Minnesota|Mississippi|Missouri|Montana|Nebraska|Nevada|New Hampshire|New Jersey|New Mexico|New York|North Carolina|North Dakota|Ohio|Oklahoma|Oregon|Pennsylvania|Rhode Island|South Carolina|South Dakota|Tennessee|Texas|Utah|Vermont|Virginia|Washington|West Virginia|Wisconsin|Wyoming|District of Columbia|Puerto Rico";
/// A capitalised word of a place or facility.
const W: &str = r"(?:(?:St|Ste|Mt|Ft)\.|\p{Lu}[\p{L}'’.-]*\p{L}|\p{Lu}\.?)";

static PATTERNS: LazyLock<Vec<Pattern>> = LazyLock::new(|| {
    use Needs::{Digit, Upper};
    let p = pattern;
    let unit = r"(?:,?\s+(?:Apt|Apartment|Suite|Ste|Unit|Floor|Fl|Bldg|Building|Room|Rm|Lot|APT|SUITE|STE|UNIT|#)\.?\s?#?\s?[A-Za-z0-9-]{1,6}|,?\s#\s?\d+\w?)?";
    let tail_place = format!(
        r"(?:(?:,|\n|,\n|\s+in|\s+-)?\s{{1,3}}{W}(?:[ -]{W}){{0,3}},?\s+(?:{STATES}|{STATE_NAMES})\b\.?(?:,?\s+\d{{5}}(?:-\d{{4}})?\b)?|(?:,|\n)\s?{W}(?:[ -]{W}){{0,2}}(?:,?\s+\d{{5}}(?:-\d{{4}})?)\b|,\s{W}(?:[ -]{W}){{0,2}}(?:,\s[A-Z]{{1,2}}\d[A-Z\d]? \d[A-Z]{{2}}\b)?)?"
    );
    vec![
        p(
            Kind::Location,
            0.93,
            Digit,
            &format!(
                r"\b\d{{1,6}}(?:-\d{{1,4}})?[A-Za-z]?\s+(?:(?:[NSEW]|North|South|East|West|NE|NW|SE|SW|N\.E|N\.W|S\.E|S\.W)\.?\s+)?(?:(?:{W}|\d{{1,3}}(?:st|nd|rd|th|ST|ND|RD|TH))\s+){{1,4}}(?:{SUFFIX})s?\b\.?(?:\s+(?:N|S|E|W|NE|NW|SE|SW|North|South|East|West)\b\.?)?{unit}{tail_place}"
            ),
            street,
        ),
        p(
            Kind::Location,
            0.9,
            Digit,
            r"\b\d{1,6}\s+(?:[NSEW]\.?\s+)?(?:[A-Z0-9][A-Z0-9'.-]*\s+){1,4}(?:STREET|ST|AVENUE|AVE|ROAD|RD|DRIVE|DR|LANE|LN|BOULEVARD|BLVD|COURT|CT|CIRCLE|CIR|PLACE|PL|WAY|TERRACE|TER|PARKWAY|PKWY|HIGHWAY|HWY|TRAIL|SQUARE|LOOP|PIKE)\b\.?(?:,?\s+(?:APT|SUITE|STE|UNIT|#)\.?\s?#?\s?[A-Z0-9-]{1,6})?(?:,?\s+[A-Z][A-Z ]{2,25},?\s+[A-Z]{2}\s+\d{5}(?:-\d{4})?)?",
            street,
        ),
        // Street names in lower case need a house number, a suffix spelt out and no unit of measure.
        p(
            Kind::Location,
            0.8,
            Digit,
            r"\b\d{1,5}\s+(?:(?:north|south|east|west|[nsew])\.?\s+)?[a-z]{3,}(?:\s[a-z]{3,})?\s(?:street|avenue|road|boulevard|parkway|highway)\b",
            any,
        ),
        p(
            Kind::Location,
            0.8,
            Upper,
            &format!(
                r"\b(?:on|at|off|along|near)\s(?:the\s)?(?P<id>(?:\d{{1,3}}(?:st|nd|rd|th)|{W})(?:\s{W}){{0,2}}\s(?:Street|Avenue|Road|Boulevard|Parkway|Highway|Lane|Drive|Turnpike|Blvd|Ave|St|Rd)\b\.?)"
            ),
            any,
        ),
        p(
            Kind::Location,
            0.95,
            Digit,
            &format!(r"(?i)\bp\.?\s?o\.?\s?box\s*#?\s*\d+(?-i:{tail_place})"),
            any,
        ),
        p(
            Kind::Location,
            0.93,
            Digit,
            r"\b(?:US[A-Z]{1,4}|Unit|PSC|CMR)\s[A-Za-z0-9 ]{1,24},?\s*(?:Box \d+,?\s*)?(?:FPO|APO|DPO)\s(?:AA|AE|AP)\s\d{5}(?:-\d{4})?",
            any,
        ),
        p(
            Kind::Location,
            0.9,
            Digit,
            &format!(
                r"(?:{W}(?:[ -]{W}){{0,3}},?\s+)?\b(?:{STATES}|{STATE_NAMES})\b\.?,?\s+\d{{5}}(?:-\d{{4}})?\b"
            ),
            zip,
        ),
        p(Kind::Location, 0.85, Upper, &format!(r"\b{W}(?:[ -]{W}){{0,3}},\s(?:{SAFE_STATES})\b"), city),
        p(Kind::Location, 0.85, Upper, &format!(r"\b{W}(?:[ -]{W}){{0,3}},\s(?:{STATE_NAMES})\b"), city),
        p(
            Kind::Location,
            0.8,
            Upper,
            &format!(
                r"(?i:\b(?:lives?|living|lived|resid(?:es?|ing|ed)|resident|born|raised|native|grew up|relocated|moved|traveled|travelled|visiting|visited|farms?|originally|comes?|came|drove (?:him|her|them)|flew(?: in)?|vacation(?:ed|ing)?|hometown)\s(?:(?:with|near|alone|at|currently|here|back|and|was|is|recently|of|in|to|from|just|outside|by|around|the|him|her|over|city|town|area)\s){{1,4}})(?P<id>{W}(?:[ -]{W}){{0,3}}(?:,\s{W}(?:\s{W})?)?)"
            ),
            residence,
        ),
        p(
            Kind::Location,
            0.85,
            Upper,
            &format!(r"\b{W}(?:\s{W})?\s(?:County|Township|Parish|Borough)\b"),
            proper,
        ),
        // "Flat 3, Cross Rest, Wardborough", "Studio 57E\nPeter Inlet".
        p(
            Kind::Location,
            0.85,
            Digit,
            &format!(
                r"\b(?:Flat|Studio)\s\d{{1,4}}[A-Za-z]?(?:,|\n|,\n)\s?{W}(?:[ -]{W}){{0,3}}(?:,\s?{W}(?:[ -]{W}){{0,2}}(?:,\s[A-Z]{{1,2}}\d[A-Z\d]? \d[A-Z]{{2}}\b)?)?"
            ),
            any,
        ),
        // A house number and a street without a known suffix at the end of a line, before a town.
        p(
            Kind::Location,
            0.8,
            Digit,
            &format!(
                r"\b\d{{1,6}}[A-Za-z]?\s{W}(?:\s{W}){{1,3}}{unit},?\s{{1,2}}{W}(?:[ -]{W}){{0,3}},?\s(?:{STATES}|{STATE_NAMES})\b(?:\s\d{{5}}(?:-\d{{4}})?)?"
            ),
            street,
        ),
        // "Harris, Young and Li", "Moreno-Cole Ltd"
        p(Kind::Organization, 0.8, Upper, &format!(r"\b{W},\s{{1,2}}{W} and {W}\b"), surnames),
        p(
            Kind::Organization,
            0.85,
            Upper,
            &format!(
                r"\b(?:{W} ){{0,3}}(?:University|College|Institute)(?: of (?:the )?{W}(?: {W}){{0,2}})?(?:,? (?:at )?{W}(?: {W})?)?(?: \([A-Z][^()\n]{{1,30}}\))"
            ),
            any,
        ),
        p(
            Kind::Organization,
            0.85,
            Upper,
            &format!(r"\b(?:University|College) of (?:the )?{W}(?: {W})?(?:,? (?:at )?{W}(?: {W})?)?"),
            any,
        ),
        // Facilities, schools, companies by their last word.
        p(
            Kind::Organization,
            0.9,
            Upper,
            &format!(
                r"\b(?:{W}(?:,? (?:of|the|and|&|for|de|del|la) (?:the )?|, | |-)){{1,6}}(?:Hospitals?|Medical (?:Cent(?:er|re)|Group|Associates|Clinic|Office|Plaza|Park|College|Foundation|Institute)|Med(?:ical)? Ctr|Clinics?|Health ?(?:System|Center|Centre|Care|Services|Network|Partners|Plan)|Healthcare|Infirmary|Nursing (?:Home|Facility|Center)|(?:Skilled )?Nursing (?:&|and) Rehab(?:ilitation)?(?: Center)?|Rehab(?:ilitation)?(?: (?:Center|Hospital|Institute|Facility))?|Care Home|Children['’]s Hospital|Veterans Hospital|Hospice|Surgery Center|Surgical (?:Center|Associates)|Surgicenter|Cancer (?:Center|Institute)|Heart (?:Center|Institute)|Eye (?:Center|Institute)|Pharmacy|Laborator(?:y|ies)|Labs?|Diagnostics|Imaging Center|Dialysis Center|Urgent Care|Family (?:Practice|Medicine|Physicians)|Physicians Group|Pediatrics|Orthop(?:a)?edics|Associates|Institute|Foundation|University|College|(?:High|Middle|Elementary|Primary|Public|Grammar|Day) School|(?:Technical|Community|State) College|Prep|School|Academy|Church|Cathedral|Senior Living|Assisted Living|Retirement (?:Home|Community|Village|Center)|Manor|Care Center|Convalescent (?:Home|Center|Hospital)|Inc|LLC|Ltd|Corp|Corporation|Company|GmbH|PLC|Group|and Sons|Bank|Airlines?|Insurance|Penitentiary|Prison|Correctional (?:Facility|Center|Institution)|Police Department|Fire Department)\b"
            ),
            facility,
        ),
        p(
            Kind::Organization,
            0.85,
            Upper,
            r"\b(?:St\.?|Saint|Mount|Mt\.?|Our Lady of(?: the)?|Sacred Heart|Good Samaritan|Cedars|Mayo Clinic|Cleveland Clinic|Johns Hopkins|Kaiser Permanente|Mass(?:achusetts)? General|Brigham(?: and Women'?s)?|Walter Reed|VA Hospital|VA Medical Center)(?:\s\p{Lu}[\p{L}'’]+){0,2}(?:'s)?(?:\s(?:Hospital|Medical Center|Clinic|Health|ER|ED|ICU))\b",
            any,
        ),
        p(
            Kind::Organization,
            0.85,
            Upper,
            r"\b(?:Mayo Clinic|Cleveland Clinic|Johns Hopkins|Kaiser Permanente|Massachusetts General|Mass General|Walter Reed|MD Anderson|Memorial Sloan[- ]Kettering|Cedars[- ]Sinai|Mount Sinai|Mt\. Sinai|Quest Diagnostics|LabCorp|Walgreens|CVS|Rite Aid|Walmart|Costco|Blue Cross(?:\s?/?\s?(?:and )?Blue Shield)?|Aetna|Cigna|Humana|UnitedHealthcare|United Healthcare)\b",
            any,
        ),
        p(
            Kind::Organization,
            0.8,
            Upper,
            &format!(
                r"(?i:\b(?:works?|worked|working|employed|retired|employment|employee|job|career|volunteers?|intern)\s(?:(?:as|an?|the|in|full[- ]time|part[- ]time|currently|\w+)\s){{0,4}}?(?:at|for|by|with|from)\s(?-i:the\s)?)(?P<id>(?:The )?{W}(?:(?: |-| & | and | of | the |, ){W}){{0,4}}(?:(?:, {W}){{0,2}},? and {W}(?: {W})?)?)"
            ),
            employer,
        ),
        p(
            Kind::Organization,
            0.8,
            Needs::Colon,
            &format!(
                r"(?i:\b(?:employer|facility|hospital|institution|school|pharmacy|company|practice|clinic|organization|insurance|insurer|payer|carrier)(?: name)?\s?:\s*)(?P<id>{W}(?:(?: |-| & | and | of |, ){W}){{0,4}})"
            ),
            employer,
        ),
    ]
});

/// Words before the last one that make no name of a facility: departments and adjectives.
const GENERIC: [&str; 74] = [
    "the",
    "our",
    "your",
    "this",
    "pain",
    "wound",
    "diabetes",
    "outpatient",
    "inpatient",
    "day",
    "eye",
    "walk-in",
    "community",
    "local",
    "children",
    "children's",
    "women's",
    "free",
    "sleep",
    "heart",
    "failure",
    "memory",
    "anticoagulation",
    "coumadin",
    "primary",
    "care",
    "specialty",
    "speciality",
    "psychiatric",
    "mental",
    "behavioral",
    "rehab",
    "hearing",
    "travel",
    "std",
    "hiv",
    "ob",
    "gyn",
    "ob/gyn",
    "obgyn",
    "dental",
    "foot",
    "stroke",
    "transplant",
    "cancer",
    "infusion",
    "urgent",
    "emergency",
    "acute",
    "long-term",
    "long",
    "term",
    "skilled",
    "tertiary",
    "teaching",
    "home",
    "sports",
    "medicine",
    "family",
    "internal",
    "physical",
    "therapy",
    "occupational",
    "speech",
    "hospital",
    "clinic",
    "lab",
    "vascular",
    "outside",
    "referring",
    "high",
    "middle",
    "elementary",
    "public",
];

fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_alphanumeric() && !matches!(c, '\'' | '-' | '/' | '’'))
        .filter(|word| !word.is_empty())
        .map(|word| word.to_lowercase().replace('’', "'"))
}

fn proper_word(word: &str) -> bool {
    let bare = word.trim_end_matches("'s");
    let flags = lexicon::flags(bare);
    !GENERIC.contains(&word)
        && !GENERIC.contains(&bare)
        && (flags & (STOP | WARD) == 0 || flags & (GIVEN | SURNAME | AMBIGUOUS) != 0)
        && !matches!(
            bare,
            "of" | "and" | "at" | "for" | "de" | "del" | "la" | "ii" | "in" | "on" | "to" | "with"
        )
}

/// The name of the place has a word of its own besides the kind of facility.
fn facility(found: &str, _: &str, _: &str) -> bool {
    // A list with commas is not one name.
    let all: Vec<String> = words(found).collect();
    let last = all.last().map(String::as_str).unwrap_or("");
    let own = all.iter().take(all.len().saturating_sub(1)).filter(|word| proper_word(word)).count();
    let kind_words = [
        "health",
        "medical",
        "center",
        "system",
        "group",
        "nursing",
        "surgery",
        "surgical",
        "healthcare",
        "services",
    ];
    let own = own
        - all
            .iter()
            .take(all.len().saturating_sub(1))
            .filter(|w| proper_word(w) && kind_words.contains(&w.as_str()))
            .count();
    if matches!(
        last,
        "labs"
            | "lab"
            | "laboratory"
            | "group"
            | "bank"
            | "pediatrics"
            | "orthopedics"
            | "orthopaedics"
            | "insurance"
    ) {
        return own > 0 && all.len() <= 4 && !found.contains(',') && !found.contains('.');
    }
    own > 0
}

fn proper(found: &str, _: &str, _: &str) -> bool {
    words(found).next().is_some_and(|word| proper_word(&word) || found.split(' ').count() > 2)
}

/// Three surnames: a firm.
fn surnames(found: &str, _: &str, _: &str) -> bool {
    let flags: Vec<u32> =
        words(found).filter(|word| word != "and").map(|word| lexicon::flags(&word)).collect();
    let names = flags.iter().filter(|flags| **flags & SURNAME != 0 && **flags & (STOP | WORD) == 0).count();
    names * 2 > flags.len()
        && flags.iter().all(|flags| *flags == 0 || flags & (SURNAME | GIVEN | AMBIGUOUS) != 0)
}

fn street(found: &str, before: &str, _: &str) -> bool {
    let first: Vec<String> = words(found).take(4).collect();
    // A town behind it, or a word for where one lives before it, leaves no doubt.
    let placed = found.contains([',', '\n']) && found.bytes().filter(u8::is_ascii_digit).count() >= 5
        || [
            "lives at ",
            "lives on ",
            "over on ",
            "living at ",
            "living on ",
            "resides at ",
            "address: ",
            "address ",
            "home: ",
            "residence: ",
            "residence ",
        ]
        .iter()
        .any(|word| tail(before, 14).to_lowercase().ends_with(word));
    if placed && !before.ends_with(['.', '/', '-']) {
        return true;
    }
    let lower = tail(before, 12).to_lowercase();
    // "Day 2 Left Knee", "stage 3 Kidney": a measure, not a house number.
    !["stage ", "grade ", "type ", "day ", "level ", "phase ", "class ", "age ", "l", "c", "t", "."]
        .iter()
        .any(|word| lower.ends_with(word) && (word.len() > 1))
        && !before.ends_with(['.', '/', '-', ','])
        && first.get(1).is_some_and(|word| {
            let flags = lexicon::flags(word);
            flags & STOP == 0
                || flags & (GIVEN | AMBIGUOUS) != 0
                || matches!(
                    word.as_str(),
                    "first"
                        | "second"
                        | "third"
                        | "north"
                        | "south"
                        | "east"
                        | "west"
                        | "n"
                        | "s"
                        | "e"
                        | "w"
                        | "main"
                        | "high"
                        | "center"
                        | "central"
                        | "old"
                        | "new"
                        | "upper"
                        | "lower"
                        | "county"
                        | "state"
                        | "us"
                        | "port"
                        | "lake"
                        | "park"
                )
        })
}

fn zip(found: &str, before: &str, _: &str) -> bool {
    !before.ends_with(['-', '#']) && found.len() >= 8
}

fn city(found: &str, _: &str, _: &str) -> bool {
    words(found).next().is_some_and(|word| {
        proper_word(&word)
            || word.len() > 3 && lexicon::flags(&word) & STOP == 0
            || matches!(word.as_str(), "new" | "st" | "saint" | "long" | "high" | "port" | "san" | "little")
    }) && !found.starts_with("New York Heart")
}

/// A country is larger than a state and stays.
fn residence(found: &str, _: &str, _: &str) -> bool {
    const COUNTRIES: [&str; 37] = [
        "mexico",
        "canada",
        "china",
        "india",
        "vietnam",
        "philippines",
        "japan",
        "england",
        "uk",
        "ireland",
        "germany",
        "france",
        "italy",
        "spain",
        "russia",
        "poland",
        "brazil",
        "cuba",
        "haiti",
        "jamaica",
        "puerto",
        "guatemala",
        "honduras",
        "nigeria",
        "kenya",
        "ghana",
        "ethiopia",
        "somalia",
        "egypt",
        "iran",
        "iraq",
        "africa",
        "europe",
        "asia",
        "america",
        "usa",
        "united",
    ];
    /// Where a patient lives without a place being named.
    const CARE: [&str; 24] = [
        "nursing",
        "assisted",
        "group",
        "hospital",
        "skilled",
        "her",
        "his",
        "their",
        "foster",
        "independent",
        "senior",
        "long",
        "acute",
        "intensive",
        "emergency",
        "physical",
        "pain",
        "general",
        "internal",
        "rehab",
        "hospice",
        "home",
        "memory",
        "ccu",
    ];
    let compound = [
        "South Korea",
        "North Korea",
        "South Africa",
        "South America",
        "Saudi Arabia",
        "El Salvador",
        "New Zealand",
    ];
    if compound.iter().any(|country| found.starts_with(country)) {
        return false;
    }
    words(found).next().is_some_and(|word| {
        !COUNTRIES.contains(&word.as_str())
            && (proper_word(&word)
                || matches!(word.as_str(), "new" | "st" | "los" | "the")
                || found.contains(' ') && !CARE.contains(&word.as_str()))
    })
}

fn employer(found: &str, _: &str, _: &str) -> bool {
    let mut all = words(found);
    let article = found.starts_with("The ") && all.next().is_some();
    all.next().is_some_and(|word| {
        proper_word(&word) || found.contains(' ') && (article || lexicon::flags(&word) & STOP == 0)
    })
}

struct Names {
    automaton: AhoCorasick,
}

/// Cities and states by name. A state is no identifier by itself, but a note that names one names where its patient comes from; i2b2-2014
/// counts it as one.
static NAMES: LazyLock<Names> = LazyLock::new(|| {
    let capital = |lower: &str| {
        lower
            .split(' ')
            .map(|word| match word {
                "of" => word.to_owned(),
                _ => word
                    .split('-')
                    .map(|part| {
                        let mut chars = part.chars();
                        chars
                            .next()
                            .map(|c| c.to_uppercase().chain(chars).collect::<String>())
                            .unwrap_or_default()
                    })
                    .collect::<Vec<_>>()
                    .join("-"),
            })
            .collect::<Vec<_>>()
            .join(" ")
    };
    let mut patterns: Vec<String> = lexicon::cities().collect();
    patterns.extend(lexicon::states().map(|(name, _)| name.to_owned()));
    let mut written: Vec<String> = patterns.iter().map(|name| capital(name)).collect();
    written.extend(patterns.iter().map(|name| name.to_uppercase()));
    match AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(&written) {
        Ok(automaton) => Names { automaton },
        Err(error) => unreachable!("built-in places: {error}"),
    }
});

/// Words after a place's name that make it something else: "New York Heart Association", "California encephalitis", "Tyler Smith".
const NOT_PLACES: [&str; 20] = [
    "Heart Association",
    "tick",
    "Multiphasic",
    "pouch",
    "catheter",
    "encephalitis",
    "stain",
    "protocol",
    "criteria",
    "score",
    "virus",
    "syndrome",
    "Scale",
    "scale",
    "cough",
    "fever",
    "disease",
    "sign",
    "Coma",
    "health assessment",
];

fn by_name(text: &str, out: &mut Vec<Candidate>) {
    for found in NAMES.automaton.find_iter(text) {
        let (before, after) = (&text[..found.start()], &text[found.end()..]);
        let inside = before.ends_with(|c: char| c.is_alphanumeric() || c == '-')
            || after.starts_with(|c: char| c.is_alphanumeric())
            || (after.starts_with('-') && after[1..].starts_with(|c: char| c.is_alphabetic()));
        let rest = after.trim_start();
        if !inside && !NOT_PLACES.iter().any(|word| rest.starts_with(word)) {
            out.push(Candidate {
                start: found.start(),
                end: found.end(),
                kind: Kind::Location,
                layer: Layer::List,
                score: 0.65,
            });
        }
    }
}

/// Words that open a sentence behind a name.
const OPENERS: [&str; 40] = [
    "he",
    "she",
    "they",
    "the",
    "it",
    "this",
    "that",
    "there",
    "no",
    "his",
    "her",
    "i",
    "we",
    "patient",
    "pt",
    "mr",
    "mrs",
    "ms",
    "dr",
    "ct",
    "mri",
    "exam",
    "review",
    "assessment",
    "plan",
    "diet",
    "a",
    "an",
    "on",
    "in",
    "will",
    "may",
    "full",
    "denies",
    "not",
    "continue",
    "all",
    "and",
    "cranial",
    "history",
];

/// Takes the words of the sentence off a name: "Followed at" before it, "She" behind it.
fn narrow(text: &str, candidate: &mut Candidate) {
    let Some(found) = text.get(candidate.start..candidate.end) else { return };
    let flags = |word: &str| lexicon::flags(&word.to_lowercase());
    let mut kept = found;
    while let Some((rest, last)) = kept.rsplit_once([' ', '\n']) {
        let lower = last.to_lowercase();
        let sentence = (flags(last) & (RELATION | ACTION) != 0
            || if candidate.kind == Kind::Organization {
                OPENERS.contains(&lower.as_str())
            } else {
                OPENERS.contains(&lower.as_str())
                    || flags(last) & (STOP | PROPER) != 0
                        && !matches!(
                            lower.as_str(),
                            "city" | "town" | "beach" | "coast" | "county" | "center" | "point" | "house"
                        )
            })
            && flags(last) & (GIVEN | SURNAME | PLACE) == 0
            && !vocabulary::ends_a_name(&lower)
            && last.starts_with(char::is_uppercase)
            && last.bytes().all(|b| b.is_ascii_alphabetic())
            && (last.len() > 1 || last == "I");
        if !sentence || rest.trim_end().is_empty() {
            break;
        }
        kept = rest.trim_end();
    }
    candidate.end = candidate.start + kept.len();
    while let Some((first, rest)) = kept.split_once(' ') {
        let lower = first.to_lowercase();
        let sentence = first.bytes().all(|b| b.is_ascii_alphabetic())
            && !first.as_bytes().get(1).is_some_and(u8::is_ascii_uppercase)
            && (flags(first) & (STOP | ACTION | PERSON_VERB) != 0
                && flags(first) & (GIVEN | SURNAME | PLACE | AMBIGUOUS) == 0
                || flags(first) & WORD != 0
                    && rest
                        .split(' ')
                        .next()
                        .is_some_and(|next| matches!(next, "at" | "from" | "by" | "with" | "to"))
                || matches!(lower.as_str(), "at" | "from" | "by" | "with" | "to" | "for" | "in"))
            && !vocabulary::opens_a_place(&lower)
            && !rest.starts_with(|c: char| c.is_ascii_digit())
            && rest.split(' ').any(|word| flags(word) & (STOP | WORD | WARD) == 0)
            && rest.contains(' ');
        if !sentence {
            break;
        }
        candidate.start += kept.len() - rest.len();
        kept = rest;
    }
}

/// Finds places and organisations.
pub(crate) fn find(text: &str, contains: Contains, out: &mut Vec<Candidate>) {
    let first = out.len();
    for pattern in PATTERNS.iter() {
        pattern.find(text, contains, out);
    }
    for candidate in out.iter_mut().skip(first) {
        narrow(text, candidate);
    }
    by_name(text, out);
}
