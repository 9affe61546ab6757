//! HL7 table 0354: the abstract structure of a message code and trigger event.

/// The structure of `code` and `event` where it differs from `CODE_EVENT` or the event is absent; `None` if
/// the table does not say.
///
/// ```
/// # use wardstream_hl7v2 as hl7v2;
/// assert_eq!(hl7v2::structure_of("ADT", "A08"), Some("ADT_A01"));
/// ```
pub fn structure_of(code: &str, event: &str) -> Option<&'static str> {
    Some(match (code, event) {
        ("ACK", _) => "ACK",
        ("ADT", "A01" | "A04" | "A08" | "A13") => "ADT_A01",
        ("ADT", "A05" | "A14" | "A28" | "A31") => "ADT_A05",
        ("ADT", "A06" | "A07") => "ADT_A06",
        ("ADT", "A09" | "A10" | "A11") => "ADT_A09",
        ("ADT", "A21" | "A22" | "A23" | "A25" | "A26" | "A27" | "A29" | "A32" | "A33") => "ADT_A21",
        ("ADT", "A30" | "A34" | "A35" | "A36" | "A46" | "A47" | "A48" | "A49") => "ADT_A30",
        ("ADT", "A39" | "A40" | "A41" | "A42") => "ADT_A39",
        ("ADT", "A43" | "A44") => "ADT_A43",
        ("ADT", "A50" | "A51") => "ADT_A50",
        ("ADT", "A52" | "A53") => "ADT_A52",
        ("ADT", "A54" | "A55") => "ADT_A54",
        ("BAR", "P12") => "BAR_P12",
        ("MDM", "T01" | "T03" | "T05" | "T07" | "T09" | "T11") => "MDM_T01",
        ("MDM", "T02" | "T04" | "T06" | "T08" | "T10") => "MDM_T02",
        ("MFN", "M04" | "M17") => "MFN_M04",
        ("OML", "O21") => "OML_O21",
        ("ORM", _) => "ORM_O01",
        ("ORU", "R30" | "R31" | "R32") => "ORU_R30",
        ("ORU", "R01" | "") => "ORU_R01",
        ("OSU", "O51" | "O52") => "OSU_O51",
        ("OUL", "R22") => "OUL_R22",
        ("PEX", "P07" | "P08") => "PEX_P07",
        ("PGL", "PC6" | "PC7" | "PC8") => "PGL_PC6",
        ("PPG", "PCG" | "PCH" | "PCJ") => "PPG_PCG",
        ("PPP", "PCB" | "PCC" | "PCD") => "PPP_PCB",
        ("PPR", "PC1" | "PC2" | "PC3") => "PPR_PC1",
        ("QBP", "Q21" | "Q22" | "Q23" | "Q24" | "Q25" | "Q32") => "QBP_Q21",
        ("RDE", "O11" | "O25" | "O49") => "RDE_O11",
        ("REF", "I12" | "I13" | "I14" | "I15") => "REF_I12",
        (
            "SIU",
            "S12" | "S13" | "S14" | "S15" | "S16" | "S17" | "S18" | "S19" | "S20" | "S21" | "S22" | "S23"
            | "S24" | "S26" | "S27",
        ) => "SIU_S12",
        ("SRM", _) => "SRM_S01",
        ("VXU", "V04" | "") => "VXU_V04",
        _ => return None,
    })
}
