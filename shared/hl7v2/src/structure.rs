//! HL7 table 0354: the abstract structure of a message code and trigger event.

/// The structure of `code` and `event` where it differs from `CODE_EVENT` or the event is absent.
///
/// By table 0354 of v2.9 (HL7 Terminology, `v2-0354`), and by chapter 12 where the table puts PCC, the update of a
/// pathway, among the goals.
pub(crate) fn structure_of(code: &str, event: &str) -> Option<&'static str> {
    Some(match (code, event) {
        ("ACK", _) => "ACK",
        ("ADT", "A01" | "A04" | "A08" | "A13") => "ADT_A01",
        ("ADT", "A05" | "A14" | "A28" | "A31") => "ADT_A05",
        ("ADT", "A06" | "A07") => "ADT_A06",
        ("ADT", "A09" | "A10" | "A11") => "ADT_A09",
        ("ADT", "A21" | "A22" | "A23" | "A25" | "A26" | "A27" | "A29" | "A32" | "A33") => "ADT_A21",
        ("ADT", "A30" | "A34" | "A35" | "A36" | "A46" | "A47" | "A48" | "A49") => "ADT_A30",
        ("ADT", "A39" | "A40" | "A41" | "A42") => "ADT_A39",
        ("ADT", "A50" | "A51") => "ADT_A50",
        ("ADT", "A52" | "A53") => "ADT_A52",
        ("ADT", "A54" | "A55") => "ADT_A54",
        ("ADT", "A61" | "A62") => "ADT_A61",
        ("CCR", "I16" | "I17" | "I18") => "CCR_I16",
        ("CRM", "C01" | "C02" | "C03" | "C04" | "C05" | "C06" | "C07" | "C08") => "CRM_C01",
        ("CSU", "C09" | "C10" | "C11" | "C12") => "CSU_C09",
        ("LSU", "U12" | "U13") => "LSU_U12",
        ("MDM", "T01" | "T03" | "T05" | "T07" | "T09" | "T11") => "MDM_T01",
        ("MDM", "T02" | "T04" | "T06" | "T08" | "T10") => "MDM_T02",
        ("MFK", _) => "MFK_M01",
        ("MFQ", _) => "MFQ_M01",
        ("MFR", "M01" | "M02" | "M03") => "MFR_M01",
        ("ORM", "O01" | "") => "ORM_O01",
        ("ORU", "R01" | "") => "ORU_R01",
        ("PEX", "P07" | "P08") => "PEX_P07",
        ("PGL", "PC6" | "PC7" | "PC8") => "PGL_PC6",
        ("PMU", "B01" | "B02") => "PMU_B01",
        ("PMU", "B04" | "B05" | "B06") => "PMU_B04",
        ("PPG", "PCC" | "PCG" | "PCH" | "PCJ") => "PPG_PCG",
        ("PPP", "PCB" | "PCC" | "PCD") => "PPP_PCB",
        ("PPR", "PC1" | "PC2" | "PC3") => "PPR_PC1",
        ("QBP", "Q21" | "Q22" | "Q23" | "Q24" | "Q25" | "Q32") => "QBP_Q21",
        ("QCN", "J01" | "J02") => "QCN_J01",
        ("QRY", "PC4" | "PC9" | "PCE" | "PCK") => "QRY_PC4",
        ("QRY", "Q01" | "Q26" | "Q27" | "Q28" | "Q29" | "Q30") => "QRY_Q01",
        ("RDE", "O11" | "O25") => "RDE_O11",
        ("REF", "I12" | "I13" | "I14" | "I15") => "REF_I12",
        ("RPA", "I08" | "I09" | "I10" | "I11") => "RPA_I08",
        ("RQA", "I08" | "I09" | "I10" | "I11") => "RQA_I08",
        ("RQC", "I05" | "I06") => "RQC_I05",
        ("RQI", "I01" | "I02" | "I03" | "I07") => "RQI_I01",
        ("RRE", "O12" | "O26") => "RRE_O12",
        ("RRI", "I12" | "I13" | "I14" | "I15") => "RRI_I12",
        ("SDR", "S31" | "S36") => "SDR_S31",
        ("SDR", "S32" | "S37") => "SDR_S32",
        (
            "SIU",
            "S12" | "S13" | "S14" | "S15" | "S16" | "S17" | "S18" | "S19" | "S20" | "S21" | "S22" | "S23"
            | "S24" | "S26" | "S27",
        ) => "SIU_S12",
        ("SLR", "S28" | "S29" | "S30" | "S34" | "S35") => "SLR_S28",
        (
            "SRM",
            "S01" | "S02" | "S03" | "S04" | "S05" | "S06" | "S07" | "S08" | "S09" | "S10" | "S11" | "",
        ) => "SRM_S01",
        ("SRR", "S01" | "S02" | "S03" | "S04" | "S05" | "S06" | "S07" | "S08" | "S09" | "S10" | "S11") => {
            "SRR_S01"
        }
        ("TCU", "U10" | "U11") => "TCU_U10",
        ("VXU", "V04" | "") => "VXU_V04",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_that_share_a_structure_are_known() {
        assert_eq!(structure_of("ADT", "A08"), Some("ADT_A01"));
        assert_eq!(structure_of("ADT", "A62"), Some("ADT_A61"));
        assert_eq!(structure_of("ADT", "A60"), None, "a structure of its own");
        assert_eq!(structure_of("ACK", "R01"), Some("ACK"));
        assert_eq!(structure_of("ZZZ", "Z01"), None);
    }
}
