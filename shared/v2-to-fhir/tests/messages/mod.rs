//! The messages of this folder, one for each structure that the tests go through.

pub(crate) const MESSAGES: [&str; 17] = [
    include_str!("adt_a01.hl7"),
    include_str!("adt_a40.hl7"),
    include_str!("oru_r01.hl7"),
    include_str!("oru_r01_radiology.hl7"),
    include_str!("orm_o01.hl7"),
    include_str!("oml_o21.hl7"),
    include_str!("mdm_t02.hl7"),
    include_str!("siu_s12.hl7"),
    include_str!("ref_i12.hl7"),
    include_str!("vxu_v04.hl7"),
    include_str!("rde_o11.hl7"),
    include_str!("oul_r22.hl7"),
    include_str!("adt_a08.hl7"),
    include_str!("dft_p03.hl7"),
    include_str!("rds_o13.hl7"),
    include_str!("ras_o17.hl7"),
    include_str!("ppr_pc1.hl7"),
];
