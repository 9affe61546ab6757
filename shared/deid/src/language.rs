//! Whether a text is in a language that the rules know. They know English; what is written in another one would pass them unread.
//!
//! Scripts decide first: a word in any script but Latin is unreadable to word lists and capital letters mean nothing in it. Among texts in
//! Latin letters the small words of grammar decide, as they make up a third to a half of any prose.

use std::collections::HashMap;
use std::sync::LazyLock;

use regex::Regex;

/// Letters of other scripts. Greek ones stand alone in clinical prose (β-blocker, α-fetoprotein); Roman numerals, ordinals and other signs
/// that Unicode counts as letters are Common or Latin.
static OTHER_SCRIPT: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"[\p{L}--[\p{Latin}\p{Greek}\p{Common}\p{Inherited}]]|\p{Greek}{3}|[\u{FF21}-\u{FF3A}\u{FF41}-\u{FF5A}]{2}|[\u{1D400}-\u{1D7FF}]{2}",
    )
    .ok()
});

/// Words of a text from which on it is judged by its words.
const ENOUGH: u32 = 6;

const ENGLISH: &str = "the of and to in with was is for on no not at by or an be has had were as that this from are his her she he it \
                       which but after all will been have who patient pt denies history right left normal daily mg given due per";

/// Small words by language; none that English or clinical shorthand has as well.
const OTHERS: [&str; 16] = [
    // Spanish, Portuguese, French, Italian, Romanian
    "el la los las de del que y en con por para una un su al es se lo como más pero sus le ha fue muy sin sobre paciente años",
    "o os as da do das dos em na um uma com por para que não foi ao à às sem mais pelo pela paciente anos após",
    "le la les des du de et un une est dans pour par sur avec au aux pas plus qui que ce cette son ses il elle en été sans patiente",
    "il lo la gli le di del della dei delle da con su per una un è non che si al alla nel nella sono ha stato paziente anni",
    "și de la în cu pe un o este nu din pentru a fost au mai prin după pacientul pacienta",
    // German, Dutch, Swedish, Danish and Norwegian
    "der die das und ist mit von dem den des ein eine einer eines im zu zur auf nicht bei für wurde sich nach oder als auch wird keine kein",
    "de het een en van op met te voor niet dat die zijn aan bij ook naar om geen werd er heeft patiënt uit",
    "och det att som för på är med av inte en ett den till har från vid utan patienten ej",
    "og det at som for på er med af ikke en et den til har fra ved uden patienten ble blev ikke",
    // Polish, Czech
    "i w z na do nie się jest że od po przez oraz u dla pacjent pacjentka bez był była",
    "a v z na do ne se je že od po pro pacient pacientka bez byl byla s k",
    // Turkish, Hungarian, Finnish
    "ve bir bu ile için olarak da de olan hasta hastanın yok var ise gün",
    "a az és nem egy hogy van volt beteg betegnek meg is ki",
    // Vietnamese, Tagalog, Haitian Creole
    "và của là có không được cho trong bệnh nhân các với đã từ ngày",
    "ang ng sa mga na ay at si ni may hindi ito siya kay nang",
    "li nan ak yo pou te pa gen yon ki la pasyan an avèk",
];

/// Words of grammar that are parts of names as well.
const PARTICLES: &str = "de la las los del da das do dos di du des le el al van von der den het della dei";

/// A word of grammar: whether it is English, and its number in the lists of the other languages that have it.
#[derive(Clone, Debug, Default)]
struct Grammar {
    english: bool,
    particle: bool,
    others: Vec<(usize, u32)>,
}

static WORDS: LazyLock<HashMap<&'static str, Grammar>> = LazyLock::new(|| {
    let mut words: HashMap<&str, Grammar> = HashMap::new();
    for word in ENGLISH.split_whitespace() {
        words.entry(word).or_default().english = true;
    }
    for word in PARTICLES.split_whitespace() {
        words.entry(word).or_default().particle = true;
    }
    for (language, list) in OTHERS.iter().enumerate() {
        // A single letter is shorthand: "a & o x 3".
        for (number, word) in (0..).zip(list.split_whitespace().filter(|word| word.len() > 1)) {
            words.entry(word).or_default().others.push((language, number));
        }
    }
    words
});

/// Whether the rules can read a text.
pub(crate) fn is_supported(text: &str) -> bool {
    if !text.is_ascii() && OTHER_SCRIPT.as_ref().is_none_or(|other| other.is_match(text)) {
        return false;
    }
    let (mut whole, mut paragraph) = (Tally::default(), Tally::default());
    let mut lower = String::new();
    let mut held = Vec::new();
    // A line, and a paragraph of lines, in another language count for themselves.
    for line in text.lines() {
        let mut tally = Tally::default();
        tally.read(line, &mut lower, &mut held);
        if tally.is_foreign() {
            return false;
        }
        if line.trim().is_empty() {
            paragraph = Tally::default();
        }
        paragraph.add(&tally);
        whole.add(&tally);
        if paragraph.is_foreign() {
            return false;
        }
    }
    !whole.is_foreign()
}

/// What the words of a text tell.
#[derive(Clone, Copy, Default)]
struct Tally {
    words: u32,
    english: u32,
    /// Words with accented letters that begin with a small letter: names are no evidence.
    accented: u32,
    /// Such words in capitals alone, of which nothing says whether they are names.
    shouted: u32,
    /// Words of grammar by language, and which of them.
    others: [(u32, u64); OTHERS.len()],
}

impl Tally {
    /// `lower` and `held` are for use in between.
    fn read(&mut self, text: &str, lower: &mut String, held: &mut Vec<&'static Grammar>) {
        let words = text.split(|c: char| !c.is_alphabetic() && c != '\'' && c != '’');
        let mut after_name = false;
        for word in words.filter(|word| !word.is_empty()) {
            self.words += 1;
            let capital = word.starts_with(char::is_uppercase);
            // Initials stand in names too.
            let shouted = capital && word.chars().nth(1).is_some_and(char::is_uppercase);
            // Units and symbols are short.
            let accented = !word.is_ascii() && word.chars().count() > 2;
            self.accented += u32::from(accented && !capital);
            self.shouted += u32::from(accented && shouted);
            lower.clear();
            lower.extend(word.chars().flat_map(char::to_lowercase));
            let grammar = WORDS.get(lower.as_str());
            if let Some(particle) = grammar.filter(|grammar| grammar.particle && !capital && after_name) {
                held.push(particle);
                continue;
            }
            after_name = capital && !shouted;
            if after_name {
                // "S. de la Cruz": what stands between two names is a part of them.
                held.clear();
            }
            held.drain(..).chain(grammar).for_each(|grammar| self.count(grammar));
        }
        held.drain(..).for_each(|grammar| self.count(grammar));
    }

    fn count(&mut self, grammar: &Grammar) {
        self.english += u32::from(grammar.english);
        for &(language, number) in &grammar.others {
            let (count, seen) = &mut self.others[language];
            *count += 1;
            *seen |= 1 << number;
        }
    }

    fn add(&mut self, other: &Tally) {
        self.words += other.words;
        self.english += other.english;
        self.accented += other.accented;
        self.shouted += other.shouted;
        for ((count, seen), (more, also)) in self.others.iter_mut().zip(&other.others) {
            *count += more;
            *seen |= also;
        }
    }

    fn is_foreign(&self) -> bool {
        if self.words < ENOUGH {
            return false;
        }
        let by_grammar = self
            .others
            .iter()
            .any(|(count, seen)| seen.count_ones() >= 3 && *count > self.english && count * 7 >= self.words);
        // Of languages without a list: accents in every sixth word, in capitals in every third, and hardly any English.
        let all = self.accented + self.shouted;
        let many = self.accented * 6 >= self.words || all * 3 >= self.words;
        let by_accents = all >= 3 && many && self.english * 12 < self.words;
        by_grammar || by_accents
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_english_as_clinicians_write_it() {
        for text in [
            "72M c/o CP x3d. PMH: HTN, DM2, CAD s/p CABG. BP 120/80 HR 72 RR 16 SpO2 98% RA. Lungs CTA b/l. A/P: r/o MI, trend trops.",
            "Patient is a 54 year old woman with de Quervain tenosynovitis, seen by Dr. de la Cruz at Santa Maria del Mar. No fever.",
            "β-blocker and α-fetoprotein 12 µg/L; 5 °C, ≥ 3 cm, T½ 4 h, Type Ⅱ, 2 × 10⁹/L",
            "Status post coup contrecoup injury. Café au lait spots. Grand mal seizure, petit mal in past. En bloc resection. Lupus per se no.",
            "Señora Muñoz-Ibáñez asks whether her son José may call the ward on Monday about the results of the biopsy.",
            "Na 140 K 4.1 Cl 101 CO2 24 BUN 14 Cr 0.9 Glu 101 Ca 9.2 Mg 2.0 Phos 3.1 AST 22 ALT 30",
            "Admitted by Sofia de la Vega del Rio, MD, Urgent Care",
            "J Köster 06/12 | Rafaél Mondragón 10/03 | Name DOB MRN Phone",
            "NAME DOB MRN PHONE SEÇGÜL ÇORLU SEPTEMBER 2ND HAROLD MAC AN GHALLÓGLAIGH HERRERA WED",
            "schroeder allison, id 12, company northern quilt sa, group 4, guarantor de la koya",
            "OD 20/20 OS 20/25 no APD, EOMI, IOP 14/15, SLE: K clear, AC D&Q, lens trace NS OU",
            "Take 1 tab po qd x 10 d, d/c if rash. Pt a febrile, a & o x 3, i/o even, do not lift.",
        ] {
            assert!(is_supported(text), "{text}");
        }
    }

    #[test]
    fn other_languages_are_not_supported() {
        for text in [
            "Paciente de 54 años que acude por dolor torácico de dos horas de evolución, sin fiebre, con antecedentes de hipertensión.",
            "Patient de 62 ans admis pour une douleur thoracique depuis deux jours, sans fièvre, avec des antécédents de diabète.",
            "Der Patient wurde mit Verdacht auf einen Herzinfarkt aufgenommen und nach der Untersuchung auf die Station verlegt.",
            "Paciente do sexo masculino com dor no peito há dois dias, sem febre, foi internado na enfermaria para observação.",
            "Il paziente è stato ricoverato per dolore toracico da due giorni, senza febbre, con una storia di ipertensione.",
            "De patiënt werd opgenomen met pijn op de borst en heeft geen koorts; er is een voorgeschiedenis van hypertensie.",
            "Patienten inkom med bröstsmärta sedan två dagar och har inte feber; det finns en anamnes på hypertoni.",
            "Pacjent przyjęty z powodu bólu w klatce piersiowej od dwóch dni, bez gorączki, nie jest uczulony na leki.",
            "Hasta iki gündür olan göğüs ağrısı ile başvurdu ve ateşi yok, bir ilaç için alerji öyküsü var.",
            "Bệnh nhân nam 54 tuổi nhập viện vì đau ngực, không sốt, có tiền sử tăng huyết áp và đái tháo đường.",
            "Ang pasyente ay may pananakit ng dibdib at hindi siya nilalagnat; may gamot na iniinom sa bahay ang pasyente.",
            "A beteg két napja tartó mellkasi fájdalommal érkezett, láza nincs, kórtörténetében magas vérnyomás szerepel.",
            "Fractura de la cabeza del fémur izquierdo",
            "SJÚKLINGUR KVARTAR UM BRJÓSTVERK Í ÞRJÁ DAGA, ÁN HITA, ÁÐUR HRAUSTUR",
            "Sjúklingur kvartar um brjóstverk í þrjá daga, án hita, áður hraustur.",
            "患者李小龙，男，54岁，因胸痛两天入院，无发热。",
            "المريض محمد علي، 54 سنة، أدخل إلى المستشفى بسبب ألم في الصدر",
            "Пациент Иванов Иван поступил с болью в груди.",
            "Ο ασθενής εισήχθη με πόνο στο στήθος.",
            "החולה אושפז עם כאבים בחזה",
            "김철수 환자는 흉통으로 입원하였다.",
            "患者の田中さんは胸痛で入院した。",
            "रोगी राम कुमार को सीने में दर्द के कारण भर्ती किया गया।",
            "ผู้ป่วยชายไทยเจ็บหน้าอก",
            "ＪＯＨＮ ＣＡＲＴＥＲ was seen",
            "Mr. Саrtеr was seen in clinic today.",
        ] {
            assert!(!is_supported(text), "{text}");
        }
    }

    #[test]
    fn a_paragraph_in_another_language_counts_for_itself() {
        let text = "Discharge instructions were given to the patient in both languages and she was able to repeat them to us.\n\n\
                    Llame al médico si tiene fiebre o dolor en el pecho, y tome la medicina con la comida por diez días.\n\n\
                    She will return to the clinic in two weeks for a check of the wound and of her blood pressure.";
        assert!(!is_supported(text));
        assert!(!is_supported(&text.replace("\n\n", "\n")));
    }

    #[test]
    fn no_line_of_clinical_english_is_foreign() {
        let Some(corpus) = std::env::var_os("WARDSTREAM_CORPUS") else {
            println!("skipped: WARDSTREAM_CORPUS is not set");
            return;
        };
        let mut lines = 0;
        for entry in std::fs::read_dir(std::path::Path::new(&corpus).join("corpus/notes")).unwrap() {
            let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
            lines += text.lines().count();
            let foreign = text.lines().filter(|line| !is_supported(line)).count();
            assert_eq!(foreign, 0);
        }
        assert!(lines > 10_000, "{lines}");
    }

    #[test]
    fn lists_fit_their_bits() {
        assert!(OTHERS.iter().all(|list| list.split_whitespace().count() <= 64));
    }

    #[test]
    fn a_few_words_are_too_few_to_judge() {
        for text in ["Dolor de pecho", "", "Grande", "[WITHHELD: unsupported language]"] {
            assert!(is_supported(text), "{text}");
        }
    }
}
