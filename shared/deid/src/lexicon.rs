//! The word lists of `src/lists`, written for this crate, looked up by lower-case word.

use std::collections::HashMap;
use std::sync::LazyLock;

/// Given name.
pub(crate) const GIVEN: u32 = 1;
/// Surname.
pub(crate) const SURNAME: u32 = 1 << 1;
/// Name that is an ordinary or clinical word as well.
pub(crate) const AMBIGUOUS: u32 = 1 << 2;
/// Capitalised word that is not a name by itself.
pub(crate) const STOP: u32 = 1 << 3;
/// Surname in the name of a disease, sign, score, instrument.
pub(crate) const EPONYM: u32 = 1 << 4;
/// Word that turns the surname before it into an eponym.
pub(crate) const EPONYM_FOLLOW: u32 = 1 << 5;
/// Title before a name.
pub(crate) const TITLE: u32 = 1 << 6;
/// Credential after a name.
pub(crate) const CREDENTIAL: u32 = 1 << 7;
/// Relation before a name.
pub(crate) const RELATION: u32 = 1 << 8;
/// Verb whose subject is a person.
pub(crate) const PERSON_VERB: u32 = 1 << 9;
/// Verb by which a person gives an account; what stands before it is a person even when unknown.
pub(crate) const SPEECH: u32 = 1 << 13;
/// Lower-case particle inside a surname.
pub(crate) const PARTICLE: u32 = 1 << 10;
/// Verb that with `by`, `with` or `to` takes a person.
pub(crate) const ACTION: u32 = 1 << 11;
/// Word for a kind of ward.
pub(crate) const WARD: u32 = 1 << 12;
/// Ordinary word: a capital alone does not make a name of it.
pub(crate) const WORD: u32 = 1 << 14;
/// Word that is written with a capital inside a sentence and identifies nobody: a drug, an organism, a people.
pub(crate) const PROPER: u32 = 1 << 15;
/// City or state of one word.
pub(crate) const PLACE: u32 = 1 << 16;

const TITLES: &str = "dr drs doctor mr mrs ms miss mx mister missus prof professor rev reverend fr pastor rabbi judge officer attorney sgt lt capt \
                      captain lieutenant sergeant detective nurse sir madam dame señor señora";
const CREDENTIALS: &str = "md do rn np pa phd dds dmd dpm dpt lpn lvn lcsw facs facc facp mbbs frcs frcp pharmd psyd aprn fnp crna \
                           cnm bsn msn ot pt rd esq jr sr ii iii iv";
const RELATIONS: &str = "mother father mom dad son daughter wife husband spouse partner brother sister sibling uncle aunt nephew niece \
                         cousin grandmother grandfather grandson granddaughter grandma grandpa fiance fiancé fiancée fiancee boyfriend \
                         girlfriend friend neighbor neighbour roommate caregiver guardian stepmother stepfather stepson stepdaughter \
                         mother-in-law father-in-law son-in-law daughter-in-law brother-in-law sister-in-law twin baby named \
                         parent grandparent stepparent stepbrother stepsister child grandchild stepchild godmother godfather \
                         carer widow widower ex-wife ex-husband";
const PERSON_VERBS: &str = "is was has had reports reported states stated denies denied presents presented says said complains \
                            complained came comes went returns returned notes noted lives lived works worked called calls wants \
                            wanted endorses describes described admits agrees agreed felt feels tolerated underwent takes took \
                            asked tells told does did will can received coaches teaches visits plays enjoys drives understands \
                            thinks believes prefers requests arrived fell declined refused consented walks walked slept ate \
                            smokes drinks speaks spoke left signed helps helped attended attends tolerates";
const SPEECH_VERBS: &str = "reports reported states stated denies denied says said complains complained endorses endorsed admits \
                            agrees agreed wants tells told takes lives works smokes drinks";
const PARTICLES: &str =
    "van der den die de la le von del della di da dos das du ter ten bin ibn al el y e san st mac";
const ACTIONS: &str = "seen evaluated referred followed signed dictated reviewed performed examined treated managed discussed spoke \
                       spoken consulted met ordered read interpreted transcribed accompanied operated conferred talked given assisted \
                       supervised completed cosigned prepared written called paged notified contacted recommended scheduled";

static WORDS: LazyLock<HashMap<String, u32>> = LazyLock::new(|| {
    let mut words: HashMap<String, u32> = HashMap::with_capacity(65_536);
    let lists = [
        (include_str!("lists/given.txt"), GIVEN),
        (include_str!("lists/given-world.txt"), GIVEN),
        (include_str!("lists/surnames.txt"), SURNAME),
        (include_str!("lists/surnames-world.txt"), SURNAME),
        (include_str!("lists/words.txt"), WORD),
        (include_str!("lists/proper.txt"), PROPER),
        (include_str!("lists/cities.txt"), PLACE),
        (include_str!("lists/ambiguous.txt"), AMBIGUOUS),
        (include_str!("lists/stop.txt"), STOP),
        (include_str!("lists/eponyms.txt"), EPONYM),
        (include_str!("lists/eponym-follow.txt"), EPONYM_FOLLOW),
        (include_str!("lists/wards.txt"), WARD),
        (TITLES, TITLE),
        (CREDENTIALS, CREDENTIAL),
        (RELATIONS, RELATION),
        (PERSON_VERBS, PERSON_VERB),
        (SPEECH_VERBS, SPEECH),
        (PARTICLES, PARTICLE),
        (ACTIONS, ACTION),
    ];
    for (list, flag) in lists {
        for line in list.lines().filter(|line| !line.starts_with('#')) {
            for word in line.split_whitespace() {
                *words.entry(word.to_owned()).or_default() |= flag;
            }
        }
    }
    for (name, _) in states().filter(|(name, _)| !name.contains(' ')) {
        *words.entry(name.to_owned()).or_default() |= PLACE;
    }
    // The forms of an ordinary word are ordinary words, unless they are names.
    let stems: Vec<String> =
        words.iter().filter(|(_, flags)| **flags & WORD != 0).map(|(word, _)| word.clone()).collect();
    for stem in stems {
        let cut = stem.strip_suffix(['e', 'y']).unwrap_or(&stem);
        for form in [
            format!("{stem}s"),
            format!("{stem}es"),
            format!("{cut}ed"),
            format!("{stem}ed"),
            format!("{cut}ing"),
            format!("{stem}ing"),
            format!("{stem}ly"),
            format!("{cut}ies"),
        ] {
            let flags = words.entry(form).or_default();
            if *flags == 0 {
                *flags = WORD;
            }
        }
    }
    for flags in words.values_mut() {
        if *flags & (GIVEN | SURNAME) != 0 && *flags & (WORD | PROPER) != 0 {
            *flags |= AMBIGUOUS;
        }
    }
    // A word of the ambiguous list is a name of one sort or the other.
    for flags in words.values_mut().filter(|flags| **flags & (AMBIGUOUS | GIVEN) == AMBIGUOUS) {
        *flags |= SURNAME;
    }
    words
});

/// What is known of a lower-case word; 0 for an unknown one.
pub(crate) fn flags(lower: &str) -> u32 {
    WORDS.get(lower).copied().unwrap_or(0)
}

/// The states of the USA, lower-case, with their postal abbreviation in upper case.
pub(crate) fn states() -> impl Iterator<Item = (&'static str, String)> {
    include_str!("lists/states.txt")
        .lines()
        .filter_map(|line| line.rsplit_once(' '))
        .map(|(name, abbreviation)| (name, abbreviation.to_uppercase()))
}

/// Cities, lower-case.
pub(crate) fn cities() -> impl Iterator<Item = String> {
    include_str!("lists/cities.txt").split_whitespace().map(|city| city.replace('_', " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_names_words_and_eponyms() {
        assert_ne!(flags("smith") & SURNAME, 0);
        assert_ne!(flags("long") & AMBIGUOUS, 0);
        assert_ne!(flags("parkinson") & EPONYM, 0);
        assert_eq!(flags("qwertyish"), 0);
        assert_eq!(states().count(), 52);
        assert!(cities().any(|city| city == "new orleans"));
    }
}
