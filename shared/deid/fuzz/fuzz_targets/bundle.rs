//! Resources about a person, with names of elements and values of the fuzzer's choice in places of its choice: nothing
//! that is released names the person, and what is released goes through again.

#![no_main]

#[path = "../../tests/exercise/mod.rs"]
mod exercise;

const RESOURCES: [&str; 3] = [
    r##"{"resourceType":"Patient","id":"p","text":{"status":"generated","div":"<div>Jane Qwertyson</div>"},"identifier":[{"system":"urn:x","value":"MRN-88301477"}],"name":[{"family":"Qwertyson","given":["Jane"]}],"birthDate":"1931-04-05","address":[{"line":["7 Qwertyson Street"],"postalCode":"98365"}],"contact":[{"name":{"text":"John Qwertyson"}}]}"##,
    r##"{"resourceType":"Observation","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"718-7","display":"Hemoglobin"}],"text":"Hb"},"subject":{"reference":"Patient/p","display":"Jane Qwertyson"},"valueString":"seen by Dr. Qwertyson","note":[{"text":"Mrs. Qwertyson fell"}],"component":[{"code":{"text":"x"},"valueQuantity":{"value":7.5,"unit":"g/dL"}}],"extension":[{"url":"urn:y","valueString":"Dr. Qwertyson"}]}"##,
    r##"{"resourceType":"DocumentReference","status":"current","description":"note by Dr. Qwertyson","author":[{"display":"Dr. Jane Qwertyson"}],"content":[{"attachment":{"contentType":"text/plain","data":"UGF0aWVudCBOYW1lOiBRd2VydHlzb24="}}],"contained":[{"resourceType":"Practitioner","id":"a","name":[{"family":"Qwertyson"}]}]}"##,
];

libfuzzer_sys::fuzz_target!(|input: (u8, Vec<(u16, String)>)| {
    let (which, changes) = input;
    let mut text = RESOURCES[usize::from(which) % RESOURCES.len()].to_owned();
    for (place, value) in changes.into_iter().take(4) {
        // Between the quotes of a name or a text, so that most results are JSON.
        let quotes: Vec<usize> = text.match_indices('"').map(|(at, _)| at).collect();
        let first = usize::from(place) % (quotes.len() / 2).max(1) * 2;
        if let [start, end] = quotes.get(first..first + 2).unwrap_or(&[]) {
            text.replace_range(start + 1..*end, &value);
        }
    }
    if let Ok(resource) = serde_json::from_str(&text) {
        exercise::bundle(&resource);
    }
});
