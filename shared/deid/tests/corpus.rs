//! Clinical prose with identifiers put in: recall and precision by rules alone and with the patient's own identities, and what happens to
//! prose without any.

#![expect(clippy::unwrap_used, reason = "a test stops where a value is not as expected")]

use std::collections::BTreeMap;

use wardstream_deid::{Config, Gazetteer, Kind, Redactor, SecretKey};

/// The column of a CSV file (RFC 4180).
fn column(text: &str, wanted: &str) -> Vec<String> {
    let (mut rows, mut row, mut field, mut quoted) = (Vec::new(), Vec::new(), String::new(), false);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                field.push('"');
                chars.next();
            }
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(std::mem::take(&mut field)),
            '\n' if !quoted => {
                row.push(std::mem::take(&mut field));
                rows.push(std::mem::take(&mut row));
            }
            '\r' if !quoted => {}
            c => field.push(c),
        }
    }
    let index =
        rows.first().and_then(|header: &Vec<String>| header.iter().position(|name| name == wanted)).unwrap();
    rows.into_iter().skip(1).filter_map(|row| row.get(index).cloned()).collect()
}

fn notes() -> Option<Vec<String>> {
    let Some(corpus) = std::env::var_os("WARDSTREAM_CORPUS") else {
        eprintln!("skipped: WARDSTREAM_CORPUS is not set");
        return None;
    };
    let folder = std::path::Path::new(&corpus).join("corpus/notes");
    let read = |file: &str, name: &str| column(&std::fs::read_to_string(folder.join(file)).unwrap(), name);
    let mut notes = read("mts_TrainingSet.csv", "section_text");
    notes.extend(read("aci_train.csv", "note"));
    notes.extend(read("aci_valid.csv", "note"));
    Some(notes)
}

/// A small generator of numbers, so that every run is the same.
struct Draw(u64);

impl Draw {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }
    fn of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.below(all.len())]
    }
    fn shaped(&mut self, shape: &str) -> String {
        shape
            .chars()
            .map(|c| match c {
                '#' => char::from(b'0' + self.below(10) as u8),
                '%' => char::from(b'1' + self.below(9) as u8),
                '?' => char::from(b'A' + self.below(26) as u8),
                c => c,
            })
            .collect()
    }
}

const GIVEN: &[&str] = &[
    "Aurelio",
    "Brisa",
    "Casimir",
    "Delphine",
    "Ebony",
    "Fitzgerald",
    "Gwyneth",
    "Hamza",
    "Ilse",
    "Jamarcus",
    "Keisha",
    "Leocadia",
    "Mary",
    "Nkechi",
    "Robert",
    "Priyanka",
    "Rosalind",
    "Siobhan",
    "Tomasz",
    "Wendell",
];
const FAMILY: &[&str] = &[
    "Abernathy",
    "Bialowas",
    "Castellanos",
    "Dubrovsky",
    "Eze",
    "Featherstone",
    "Gunderson",
    "Hrdlicka",
    "Ishikawa",
    "Jankowski",
    "Kariuki",
    "Lindqvist",
    "Mbeki",
    "O'Shaughnessy",
    "Okafor",
    "Pettibone",
    "Quackenbush",
    "Smith",
    "de la Rosa",
    "Wu",
    "Young",
    "Hunter",
];
const TOWNS: &[&str] =
    &["Millbrook", "Ashford Springs", "Cedar Falls", "Port Wexley", "North Hadley", "Boston"];
const STATES: &[&str] = &["OH", "Texas", "CA", "New York", "WI", "Georgia"];
const MONTHS: &[&str] =
    &["January", "Feb", "March", "Apr", "May", "June", "Jul", "August", "Sept", "October", "Nov", "December"];

/// Sentences as staff write them; a word in braces is an identifier.
const SENTENCES: &[&str] = &[
    "Pt {N}, DOB {D}, MRN {M}, presented to {O} on {D}.",
    "NAME: {R}    SEX: F    DOB: {D}    MRN: {M}",
    "Thank you for allowing me to see {N} in consultation.",
    "{T} {F} was last seen by Dr. {N} on {D}.",
    "The patient lives with her husband {G} at {A}.",
    "Please call {P} with results, or fax to {X}.",
    "Her sister {G} ({P}) is the health care proxy.",
    "SSN {S}; insurance member ID {I}; account no. {C}.",
    "Dictated by {N}, MD, {D}. Transcribed {D}.",
    "Signed: Dr. {F}",
    "The pacemaker, serial no. {V}, was checked at {O}.",
    "He is {E} years old and still drives his car, license plate {L}.",
    "Image saved as {J}; uploaded from {Y} by username {U}.",
    "E-mail {Q} or see {W} for the portal.",
    "Accession {Z}, specimen received {D}.",
    "Discussed with {N}, RN, and with {G}, his son.",
    "Mr. {F} was transferred from {O} to our unit on {D}.",
    "The patient, a retired teacher from {B}, works part time at {K}.",
    "Fingerprint template {H} is stored with driver's license {%}.",
    "Next appointment {D} with {N}, NP.",
    "{F} states that the pain began on {D}.",
];

fn value(what: char, draw: &mut Draw) -> String {
    let (given, family) = (draw.of(GIVEN), draw.of(FAMILY));
    let (day, month, year) = (1 + draw.below(28), 1 + draw.below(12), 1940 + draw.below(84));
    match what {
        'N' => match draw.below(4) {
            0 => format!("{given} {}. {family}", draw.shaped("?")),
            1 => format!("{} {}", given.to_uppercase(), family.to_uppercase()),
            _ => format!("{given} {family}"),
        },
        'R' => format!("{}, {}", family.to_uppercase(), given.to_uppercase()),
        'F' => family.to_owned(),
        'G' => given.to_owned(),
        'T' => draw.of(&["Mr.", "Mrs.", "Ms."]).to_owned(),
        'D' => match draw.below(7) {
            0 => format!("{month}/{day}/{year}"),
            1 => format!("{month:02}/{day:02}/{:02}", year % 100),
            2 => format!("{year}-{month:02}-{day:02}"),
            3 => format!("{} {day}, {year}", MONTHS[month - 1]),
            4 => format!("{day} {} {year}", MONTHS[month - 1]),
            5 => format!("{day:02}-{}-{:02}", &MONTHS[month - 1][..3], year % 100),
            _ => format!("{} {day}th", MONTHS[month - 1]),
        },
        'M' => {
            let shape = draw.of(&["########", "%######", "MR-######", "H#######"]);
            draw.shaped(shape)
        }
        'O' => format!(
            "{} {}",
            draw.of(&["Saint Aldous", "Wexley", "Marigold", "Kettering Valley"]),
            draw.of(&["Hospital", "Medical Center", "Regional Hospital", "Clinic", "Health System"])
        ),
        'A' => {
            let number = draw.shaped("%##");
            format!(
                "{number} {} {}, {}, {} {}",
                draw.of(&["Juniper", "Old Quarry", "Harlan"]),
                draw.of(&["Street", "Rd", "Ave.", "Lane", "Ct"]),
                draw.of(TOWNS),
                draw.of(STATES),
                draw.shaped("#####")
            )
        }
        'P' | 'X' => {
            let shape = draw.of(&[
                "(%##) %##-####",
                "%##-%##-####",
                "%##.%##.####",
                "+1 %## %## ####",
                "1-%##-%##-####",
            ]);
            draw.shaped(shape)
        }
        'S' => {
            let shape = draw.of(&["%##-##-####", "%## ## ####", "%########"]);
            draw.shaped(shape)
        }
        'I' => draw.shaped("???########"),
        'C' => draw.shaped("%#########"),
        'V' => draw.shaped("???-######"),
        'E' => (90 + draw.below(15)).to_string(),
        'L' => {
            let shape = draw.of(&["???-####", "%??? ###", "??? ###"]);
            draw.shaped(shape)
        }
        'J' => format!("{}_{}.png", family.to_lowercase().replace([' ', '\''], ""), draw.shaped("##")),
        'Y' => format!("10.{}.{}.{}", draw.below(256), draw.below(256), draw.below(256)),
        'U' => format!("{}{}", given.to_lowercase(), draw.shaped("##")),
        'Q' => format!(
            "{}.{}@mail.example",
            given.to_lowercase(),
            family.to_lowercase().replace([' ', '\''], "")
        ),
        'W' => format!("https://portal.example/p/{}", draw.shaped("######")),
        'Z' => draw.shaped("S##-#####"),
        'B' => format!("{}, {}", draw.of(TOWNS), draw.of(STATES)),
        'K' => draw.of(&["Wexley Foundry", "Walmart", "Harlan Brothers Tile"]).to_owned(),
        'H' => draw.shaped("BIO-########"),
        _ => draw.shaped("?#######"),
    }
}

struct Note {
    text: String,
    /// Character ranges of the identifiers and what they are.
    identifiers: Vec<(usize, usize, char)>,
    /// Character ranges that were put in.
    sentences: Vec<(usize, usize)>,
    identities: Vec<(Kind, String)>,
}

fn inject(prose: &str, draw: &mut Draw) -> Note {
    let mut note =
        Note { text: String::new(), identifiers: Vec::new(), sentences: Vec::new(), identities: Vec::new() };
    for sentence in prose.split_inclusive(". ") {
        note.text.push_str(sentence);
        if !sentence.ends_with(". ") || draw.below(3) > 0 || note.sentences.len() > 7 {
            continue;
        }
        let start = note.text.chars().count();
        let mut at = start;
        for piece in draw.of(SENTENCES).split(['{', '}']).enumerate() {
            let (index, piece) = piece;
            let written = if index % 2 == 1 {
                let what = piece.chars().next().unwrap();
                let written = value(what, draw);
                if what != 'T' {
                    note.identifiers.push((at, at + written.chars().count(), what));
                }
                match what {
                    'N' | 'R' | 'F' | 'G' => note.identities.push((Kind::Name, written.clone())),
                    'M' => note.identities.push((Kind::MedicalRecord, written.clone())),
                    'P' | 'X' => note.identities.push((Kind::Phone, written.clone())),
                    _ => {}
                }
                written
            } else {
                piece.to_owned()
            };
            at += written.chars().count();
            note.text.push_str(&written);
        }
        note.sentences.push((start, at));
        note.text.push_str(draw.of(&[" ", "\n"]));
    }
    note
}

#[test]
fn identifiers_put_into_prose_are_found() {
    let Some(notes) = notes() else { return };
    let redactor = Redactor::new(Config::new(SecretKey::from_bytes([1u8; 32]).unwrap(), 1, "t")).unwrap();
    for with_identities in [false, true] {
        let mut draw = Draw(20_150_304);
        let mut by_kind: BTreeMap<char, (u32, u32)> = BTreeMap::new();
        let (mut clean, mut count, mut right, mut redacted_characters) = (0u32, 0u32, 0usize, 0usize);
        for prose in notes.iter().filter(|prose| prose.len() > 300).take(300) {
            let note = inject(prose, &mut draw);
            let identities = if with_identities {
                Gazetteer::from_identities(
                    note.identities.iter().map(|(kind, value)| (*kind, value.as_str())),
                )
            } else {
                Gazetteer::default()
            };
            let characters: Vec<char> = note.text.chars().collect();
            let mut covered = vec![false; characters.len()];
            for span in redactor.redact_text(&note.text, &identities).spans {
                covered[span.start..span.end].fill(true);
            }
            let mut inside = vec![false; characters.len()];
            let mut leak = false;
            for (start, end, what) in &note.identifiers {
                inside[*start..*end].fill(true);
                let full = (*start..*end).all(|i| covered[i] || !characters[i].is_alphanumeric());
                let (found, all) = by_kind.entry(*what).or_default();
                *all += 1;
                *found += u32::from(full);
                leak |= !full;
            }
            count += 1;
            clean += u32::from(!leak);
            // Precision counts in the sentences put in: the prose has identifiers of its own.
            for i in note.sentences.iter().flat_map(|(start, end)| *start..*end).filter(|i| covered[*i]) {
                redacted_characters += 1;
                right += usize::from(inside[i]);
            }
        }
        let (found, all) = by_kind.values().fold((0, 0), |sum, kind| (sum.0 + kind.0, sum.1 + kind.1));
        let recall = f64::from(found) / f64::from(all);
        let precision = right as f64 / redacted_characters as f64;
        let clean = f64::from(clean) / f64::from(count);
        println!(
            "identities {with_identities}: recall {recall:.4} of {all}, precision {precision:.4}, notes without a leak {clean:.3}"
        );
        println!("  missed by kind: {:?}", by_kind.iter().filter(|(_, (f, a))| f < a).collect::<Vec<_>>());
        assert!(all > 1500, "enough identifiers: {all}");
        assert!(recall > 0.98, "recall {recall}");
        assert!(precision > 0.95, "precision {precision}");
    }
}

#[test]
fn prose_without_identifiers_is_left_alone() {
    let Some(notes) = notes() else { return };
    let redactor = Redactor::new(Config::new(SecretKey::from_bytes([1u8; 32]).unwrap(), 1, "t")).unwrap();
    let (mut characters, mut redacted) = (0, 0);
    let mut kinds: BTreeMap<Kind, u32> = BTreeMap::new();
    let (mut eponyms, mut kept) = (0, 0);
    for note in &notes {
        characters += note.chars().count();
        let result = redactor.redact_text(note, &Gazetteer::default());
        for span in &result.spans {
            redacted += span.end - span.start;
            *kinds.entry(span.kind).or_default() += 1;
        }
        for eponym in [
            "Parkinson",
            "Crohn",
            "Hodgkin",
            "Alzheimer",
            "Foley",
            "Babinski",
            "Lachman",
            "McMurray",
            "Hashimoto",
            "Graves",
            "Bell's",
            "Glasgow",
        ] {
            eponyms += note.matches(eponym).count();
            kept += result.text.matches(eponym).count();
        }
    }
    let rate = redacted as f64 / characters as f64;
    println!(
        "redacted {:.2} % of {characters} characters, {kinds:?}; eponyms kept {kept} of {eponyms}",
        rate * 100.0
    );
    // The prose has dates, places and names of its own; they make up most of this.
    assert!(rate < 0.012, "rate {rate}");
    assert!(eponyms > 10 && kept == eponyms, "{kept} of {eponyms} eponyms");
}
