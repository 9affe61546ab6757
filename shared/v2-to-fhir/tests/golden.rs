//! What each message type becomes: one synthetic message a type, its bundle and what of it was not mapped.

mod check;

use serde_json::json;
use wardstream_v2_to_fhir::{Options, convert};

fn golden(name: &str, text: &str) {
    let message = hl7v2::Message::parse(text.as_bytes()).expect("the message parses");
    let conversion = convert(&message, &Options::default()).expect("the message converts");
    assert_eq!(check::defects(&conversion.bundle), Vec::<String>::new());
    assert_eq!(check::invalid(&conversion.bundle), Vec::<String>::new());
    let unmapped: Vec<_> = conversion
        .unmapped
        .iter()
        .map(|u| format!("{}[{}] {} {:?}", u.segment, u.occurrence, u.path, u.reason))
        .collect();
    let shown = serde_json::to_string_pretty(&json!({"unmapped": unmapped, "bundle": conversion.bundle}));
    insta::assert_snapshot!(name, shown.expect("JSON can be written"));
}

macro_rules! golden {
    ($($name:ident),* $(,)?) => {
        $(#[test] fn $name() { golden(stringify!($name), include_str!(concat!("messages/", stringify!($name), ".hl7"))); })*
    };
}

golden!(
    adt_a01,
    adt_a34,
    adt_a40,
    adt_a60,
    orm_o01_supply,
    oru_r01,
    oru_r01_radiology,
    orm_o01,
    oml_o21,
    mdm_t02,
    siu_s12,
    ref_i12,
    vxu_v04,
    rde_o11,
    rde_o11_mixture,
    oul_r22,
    adt_a08,
    dft_p03,
    rds_o13,
    ras_o17,
    ppr_pc1,
);
