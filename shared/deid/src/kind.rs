use std::fmt;

use serde::Serialize;

/// What an identifier is, after the list of 45 CFR 164.514(b)(2)(i).
///
/// The regulation lists 18 kinds, (A) to (R); [`Kind::Age`] and [`Kind::Organization`] are told apart from the dates and the geographic
/// subdivisions they fall under because a reader of redacted text needs the difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// (A) Names of the patient, relatives, employers' people and household members; staff names too.
    Name,
    /// (B) Geographic subdivisions smaller than a state: street, city, county, zip code, room and bed.
    Location,
    /// (B) Facilities, employers and schools, whose name gives a place away.
    Organization,
    /// (C) Elements of dates, except the year.
    Date,
    /// (C) Ages over 89.
    Age,
    /// (D) Telephone numbers, pagers and extensions.
    Phone,
    /// (E) Fax numbers.
    Fax,
    /// (F) Electronic mail addresses.
    Email,
    /// (G) Social security numbers.
    Ssn,
    /// (H) Medical record numbers.
    MedicalRecord,
    /// (I) Health plan beneficiary numbers.
    HealthPlan,
    /// (J) Account numbers.
    Account,
    /// (K) Certificate and license numbers.
    License,
    /// (L) Vehicle identifiers, license plates included.
    Vehicle,
    /// (M) Device identifiers and serial numbers.
    Device,
    /// (N) Web addresses.
    Url,
    /// (O) IP addresses.
    IpAddress,
    /// (P) Biometric identifiers.
    Biometric,
    /// (Q) Full-face photographs and comparable images.
    Photo,
    /// (R) Any other unique identifying number, characteristic or code.
    Other,
}

impl Kind {
    /// Every kind, in the order of the regulation.
    pub const ALL: [Kind; 20] = [
        Kind::Name,
        Kind::Location,
        Kind::Organization,
        Kind::Date,
        Kind::Age,
        Kind::Phone,
        Kind::Fax,
        Kind::Email,
        Kind::Ssn,
        Kind::MedicalRecord,
        Kind::HealthPlan,
        Kind::Account,
        Kind::License,
        Kind::Vehicle,
        Kind::Device,
        Kind::Url,
        Kind::IpAddress,
        Kind::Biometric,
        Kind::Photo,
        Kind::Other,
    ];

    /// The stable name: the word inside a surrogate tag, as in `[NAME-1]`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::Name => "NAME",
            Kind::Location => "LOCATION",
            Kind::Organization => "ORGANIZATION",
            Kind::Date => "DATE",
            Kind::Age => "AGE",
            Kind::Phone => "PHONE",
            Kind::Fax => "FAX",
            Kind::Email => "EMAIL",
            Kind::Ssn => "SSN",
            Kind::MedicalRecord => "MRN",
            Kind::HealthPlan => "HEALTH-PLAN",
            Kind::Account => "ACCOUNT",
            Kind::License => "LICENSE",
            Kind::Vehicle => "VEHICLE",
            Kind::Device => "DEVICE",
            Kind::Url => "URL",
            Kind::IpAddress => "IP",
            Kind::Biometric => "BIOMETRIC",
            Kind::Photo => "PHOTO",
            Kind::Other => "ID",
        }
    }

    /// The letter of 45 CFR 164.514(b)(2)(i), `'A'` to `'R'`.
    pub const fn letter(self) -> char {
        match self {
            Kind::Name => 'A',
            Kind::Location | Kind::Organization => 'B',
            Kind::Date | Kind::Age => 'C',
            Kind::Phone => 'D',
            Kind::Fax => 'E',
            Kind::Email => 'F',
            Kind::Ssn => 'G',
            Kind::MedicalRecord => 'H',
            Kind::HealthPlan => 'I',
            Kind::Account => 'J',
            Kind::License => 'K',
            Kind::Vehicle => 'L',
            Kind::Device => 'M',
            Kind::Url => 'N',
            Kind::IpAddress => 'O',
            Kind::Biometric => 'P',
            Kind::Photo => 'Q',
            Kind::Other => 'R',
        }
    }

    /// The first kind under a letter of the regulation.
    pub fn from_letter(letter: char) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.letter() == letter)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Kind {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn covers_all_eighteen_letters_with_distinct_names() {
        let letters: std::collections::BTreeSet<char> = Kind::ALL.iter().map(|k| k.letter()).collect();
        assert_eq!(letters, ('A'..='R').collect());
        let names: std::collections::BTreeSet<&str> = Kind::ALL.iter().map(|k| k.as_str()).collect();
        assert_eq!(names.len(), Kind::ALL.len());
        assert_eq!(Kind::from_letter('H'), Some(Kind::MedicalRecord));
        assert_eq!(Kind::from_letter('Z'), None);
    }
}
