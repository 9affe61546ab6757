//! The Unified Code for Units of Measure, case-sensitive form: whether a code is one (UCUM 2.1, sections 2 and 3).

use std::collections::HashSet;
use std::sync::OnceLock;

/// Unit atoms that take prefixes.
const METRIC: &str = "m s g rad K C cd mol sr Hz N Pa J W A V F Ohm S Wb Cel T H lm lx Bq Gy Sv l L ar t bar u eV pc [c] [h] \
    [k] [eps_0] [mu_0] [e] [m_e] [m_p] [G] [g] [ly] gf Ky Gal dyn erg P Bi St Mx G Oe Gb sb Lmb ph Ci R RAD REM cal_[15] \
    cal_[20] cal_m cal_IT cal_th cal tex m[H2O] m[Hg] eq osm g% kat U [iU] [IU] Np B B[SPL] B[V] B[mV] B[uV] B[10.nV] B[W] \
    B[kW] st mho bit By Bd";

/// Unit atoms without prefixes.
const PLAIN: &str = "10* 10^ [pi] % [ppth] [ppm] [ppb] [pptr] gon deg ' '' min h d a_t a_j a_g a wk mo_s mo_j mo_g mo AU \
    [lbf_av] [in_i] [ft_i] [yd_i] [mi_i] [fth_i] [nmi_i] [kn_i] [sin_i] [sft_i] [syd_i] [cin_i] [cft_i] [cyd_i] [bf_i] \
    [cr_i] [mil_i] [cml_i] [hd_i] [ft_us] [yd_us] [in_us] [rd_us] [ch_us] [lk_us] [rch_us] [rlk_us] [fth_us] [fur_us] \
    [mi_us] [acr_us] [srd_us] [smi_us] [sct] [twp] [mil_us] [in_br] [ft_br] [rd_br] [ch_br] [lk_br] [fth_br] [pc_br] \
    [yd_br] [mi_br] [nmi_br] [kn_br] [acr_br] [gal_us] [bbl_us] [qt_us] [pt_us] [gil_us] [foz_us] [fdr_us] [min_us] \
    [crd_us] [bu_us] [gal_wi] [pk_us] [dqt_us] [dpt_us] [tbs_us] [tsp_us] [cup_us] [foz_m] [cup_m] [tsp_m] [tbs_m] \
    [gal_br] [pk_br] [bu_br] [qt_br] [pt_br] [gil_br] [foz_br] [fdr_br] [min_br] [gr] [lb_av] [oz_av] [dr_av] [scwt_av] \
    [lcwt_av] [ston_av] [lton_av] [stone_av] [pwt_tr] [oz_tr] [lb_tr] [sc_ap] [dr_ap] [oz_ap] [lb_ap] [oz_m] [lne] [pnt] \
    [pca] [pnt_pr] [pca_pr] [pied] [pouce] [ligne] [didot] [cicero] [degF] [degR] [degRe] [Cal] [Btu_39] [Btu_59] [Btu_60] \
    [Btu_m] [Btu_IT] [Btu_th] [Btu] [HP] [den] [in_i'H2O] [in_i'Hg] [PRU] [wood'U] [diop] [p'diop] %[slope] [mesh_i] [Ch] \
    [drp] [hnsf'U] [MET] [hp'_X] [hp'_C] [hp'_M] [hp'_Q] [hp_X] [hp_C] [hp_M] [hp_Q] [kp_X] [kp_C] [kp_M] [kp_Q] [pH] [S] \
    [HPF] [LPF] [arb'U] [USP'U] [GPL'U] [MPL'U] [APL'U] [beth'U] [anti'Xa'U] [todd'U] [dye'U] [smgy'U] [bdsk'U] [ka'U] \
    [knk'U] [mclg'U] [tb'U] [CCID_50] [TCID_50] [EID_50] [PFU] [FFU] [CFU] [IR] [BAU] [AU] [Amb'a'1'U] [PNU] [Lf] [D'ag'U] \
    [FEU] [ELU] [EU] Ao b att atm [psi] circ sph [car_m] [car_Au] [smoot] [m/s2/Hz^0.5] bit_s";

const PREFIXES: [&str; 24] = [
    "Ki", "Mi", "Gi", "Ti", "da", "Y", "Z", "E", "P", "T", "G", "M", "k", "h", "d", "c", "m", "u", "n", "p",
    "f", "a", "z", "y",
];

/// Deepest nesting of parentheses followed.
const MAX_DEPTH: usize = 16;

/// Whether a code is a unit of UCUM.
pub(crate) fn is_unit(code: &str) -> bool {
    let mut term = Term { rest: code };
    !code.is_empty() && term.read(0) && term.rest.is_empty()
}

struct Term<'c> {
    rest: &'c str,
}

impl Term<'_> {
    fn take(&mut self, byte: char) -> bool {
        let rest = self.rest.strip_prefix(byte);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// Components joined by `.` and `/`, also with a `/` before the first.
    fn read(&mut self, depth: usize) -> bool {
        self.take('/');
        loop {
            if !self.component(depth) {
                return false;
            }
            if !self.take('.') && !self.take('/') {
                return true;
            }
        }
    }

    fn component(&mut self, depth: usize) -> bool {
        if self.take('(') {
            let closed = depth < MAX_DEPTH && self.read(depth + 1) && self.take(')');
            return closed && (!self.rest.starts_with('{') || self.annotation());
        }
        if self.rest.starts_with('{') {
            return self.annotation();
        }
        let length = simple_unit_length(self.rest);
        let (unit, rest) = self.rest.split_at_checked(length).unwrap_or((self.rest, ""));
        self.rest = rest;
        is_simple_unit(unit) && (!rest.starts_with('{') || self.annotation())
    }

    /// `{…}` of ASCII characters; the lists of common units that HL7 publishes have spaces in them.
    fn annotation(&mut self) -> bool {
        let Some((text, rest)) = self.rest.get(1..).and_then(|rest| rest.split_once('}')) else {
            return false;
        };
        self.rest = rest;
        text.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'{')
    }
}

/// Up to the next operator that is not in square brackets.
fn simple_unit_length(text: &str) -> usize {
    let mut bracket = false;
    let end = text.bytes().position(|byte| {
        match byte {
            b'[' => bracket = true,
            b']' => bracket = false,
            _ => {}
        }
        !bracket && matches!(byte, b'.' | b'/' | b'(' | b')' | b'{' | b'}')
    });
    end.unwrap_or(text.len())
}

/// A factor, or an atom with its prefix and exponent.
fn is_simple_unit(text: &str) -> bool {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return true;
    }
    let stem = text.trim_end_matches(|digit: char| digit.is_ascii_digit());
    // A sign belongs to an exponent only.
    let stem = if stem.len() < text.len() { stem.strip_suffix(['+', '-']).unwrap_or(stem) } else { stem };
    // The longest atom has 15 characters: a long text is not hashed for each prefix.
    stem.len() <= 20
        && (is_metric(stem)
            || is_plain(stem)
            || PREFIXES.iter().filter_map(|prefix| stem.strip_prefix(prefix)).any(is_metric))
}

fn is_metric(name: &str) -> bool {
    static ATOMS: OnceLock<HashSet<&str>> = OnceLock::new();
    ATOMS.get_or_init(|| METRIC.split_ascii_whitespace().collect()).contains(name)
}

fn is_plain(name: &str) -> bool {
    static ATOMS: OnceLock<HashSet<&str>> = OnceLock::new();
    ATOMS.get_or_init(|| PLAIN.split_ascii_whitespace().collect()).contains(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_units_of_clinical_data() {
        for unit in [
            "mg/dL",
            "mmol/L",
            "10*3/uL",
            "10*-3",
            "10^9/L",
            "/min",
            "{beats}/min",
            "mm[Hg]",
            "cm[H2O]",
            "Cel",
            "[degF]",
            "%",
            "1",
            "{score}",
            "kg/m2",
            "kg.m/s2",
            "m[iU]/mL",
            "k[IU]/L",
            "U/L",
            "ug/(kg.h)",
            "[lb_av]",
            "[in_i]",
            "g%",
            "meq/L",
            "mosm/kg",
            "[pH]",
            "mL/min/{1.73_m2}",
            "mL/min/1.73.m2",
            "10.uN.s/(cm5.m2)",
            "/[HPF]",
            "a",
            "mo",
            "wk",
            "d",
            "h",
            "min",
            "s",
            "ms",
            "dB",
            "mm/h",
            "fL",
            "pg",
            "[CFU]/mL",
            "J/L",
            "kat",
            "m3{a}",
            "atm",
            "{clock time}",
            "U/(10.g){feces}",
            "B[10.nV]",
            "daL",
            "'",
            "''",
            "[m/s2/Hz^0.5]",
        ] {
            assert!(is_unit(unit), "{unit}");
        }
    }

    #[test]
    fn refuses_what_senders_write_instead() {
        for text in [
            "",
            " ",
            "mm Hg",
            "mmHg",
            "bpm",
            "beats/min",
            "IU/L",
            "mcg",
            "mEq/L",
            "x10^3/uL",
            "cells/uL",
            "gm/dL",
            "Kg",
            "sec",
            "hr",
            "lbs",
            "in",
            "#/uL",
            "mg/",
            "mg//dL",
            "(mg",
            "mg)",
            "{a",
            "a}",
            "m-",
            "kmin",
            "mg/dl ",
            "é",
            "MG/DL",
            "(((((((((((((((((m)))))))))))))))))",
        ] {
            assert!(!is_unit(text), "{text}");
        }
    }
}
