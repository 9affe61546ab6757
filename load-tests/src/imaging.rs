//! Radiology: studies, and findings by how much they matter.

use crate::truth::Urgency::{self, Emergent, Routine, Urgent};

/// A study that can be ordered.
#[derive(Debug)]
pub(crate) struct Study {
    pub(crate) key: &'static str,
    /// Local code of the radiology department.
    pub(crate) code: &'static str,
    pub(crate) name: &'static str,
    /// OBR-24, HL7 table 0074.
    pub(crate) section: &'static str,
    pub(crate) technique: &'static str,
    /// How urgent, the findings, the impression.
    pub(crate) findings: &'static [(Urgency, &'static str, &'static str)],
}

pub(crate) const STUDIES: &[Study] = &[
    Study {
        key: "chest-xray",
        code: "XCHEST2",
        name: "XR Chest 2 Views",
        section: "RAD",
        technique: "Frontal and lateral radiographs of the chest.",
        findings: &[
            (
                Routine,
                "The lungs are clear. Heart size and mediastinal contours are normal. No effusion or pneumothorax.",
                "No acute cardiopulmonary abnormality.",
            ),
            (
                Routine,
                "Mild hyperinflation, unchanged. Old healed rib fracture on the left. No focal opacity.",
                "Stable chest without acute process.",
            ),
            (
                Urgent,
                "Patchy opacity in the right lower lobe with air bronchograms. Small right effusion.",
                "Right lower lobe pneumonia. Follow-up radiograph in six weeks.",
            ),
            (
                Urgent,
                "A 14 mm nodule projects over the left upper lobe and was not seen on {date-700}.",
                "New pulmonary nodule. CT of the chest is recommended within days.",
            ),
            (
                Emergent,
                "Large left pneumothorax with shift of the mediastinum to the right and flattening of the left hemidiaphragm.",
                "Tension pneumothorax. Discussed with {doctor} by phone at {time}; immediate decompression advised.",
            ),
            (
                Emergent,
                "Free air is seen under both hemidiaphragms.",
                "Pneumoperitoneum, suspicious for perforated viscus. {doctor} was called at {pager} at {time}.",
            ),
        ],
    },
    Study {
        key: "chest-ct",
        code: "CTCHESTPE",
        name: "CT Chest angiogram with contrast",
        section: "CT",
        technique: "Helical acquisition in the pulmonary arterial phase after 75 mL of iodinated contrast.",
        findings: &[
            (
                Routine,
                "No filling defect in the pulmonary arteries to the subsegmental level. Lungs are clear.",
                "No pulmonary embolism.",
            ),
            (
                Urgent,
                "No embolus. Spiculated 22 mm mass in the right upper lobe with hilar lymphadenopathy.",
                "No embolism. Mass suspicious for primary malignancy; tissue sampling is recommended.",
            ),
            (
                Emergent,
                "Filling defects straddle the bifurcation of the main pulmonary artery and extend into both lower lobes. Right to left ventricular ratio is 1.4.",
                "Saddle pulmonary embolism with right heart strain. Critical result given to {doctor} at {time}.",
            ),
        ],
    },
    Study {
        key: "head-ct",
        code: "CTHEADWO",
        name: "CT Head without contrast",
        section: "CT",
        technique: "Axial sections through the brain without contrast.",
        findings: &[
            (
                Routine,
                "No hemorrhage, mass or midline shift. Ventricles and sulci are normal for age.",
                "No acute intracranial abnormality.",
            ),
            (
                Routine,
                "Mild chronic small vessel change, similar to {date-500}.",
                "No acute abnormality. Chronic small vessel disease.",
            ),
            (
                Urgent,
                "Rounded 9 mm extra-axial lesion along the falx with calcification.",
                "Probable meningioma. Contrast MRI on an outpatient basis.",
            ),
            (
                Emergent,
                "Hyperdense collection of 18 mm over the right convexity with 9 mm of midline shift and effacement of the basal cisterns.",
                "Acute subdural hematoma with herniation. Neurosurgery was called at {time}; result read back by {doctor}.",
            ),
            (
                Emergent,
                "Loss of gray-white differentiation in the left insula and a hyperdense left middle cerebral artery.",
                "Acute left middle cerebral artery infarct with large vessel occlusion. Stroke team informed at {time}.",
            ),
        ],
    },
    Study {
        key: "abdomen-ct",
        code: "CTABDPEL",
        name: "CT Abdomen and Pelvis with contrast",
        section: "CT",
        technique: "Portal venous phase imaging after 100 mL of intravenous contrast.",
        findings: &[
            (
                Routine,
                "Liver, spleen, pancreas, kidneys and bowel are unremarkable. No free fluid.",
                "No acute abdominal finding.",
            ),
            (
                Urgent,
                "Circumferential thickening of the cecum over 5 cm with enlarged ileocolic nodes.",
                "Cecal mass, likely neoplastic. Colonoscopy advised this week.",
            ),
            (
                Urgent,
                "6 mm stone at the left ureterovesical junction with moderate hydronephrosis.",
                "Obstructing ureteral stone.",
            ),
            (
                Emergent,
                "Infrarenal aortic aneurysm of 7.1 cm with a large left retroperitoneal hematoma and active extravasation.",
                "Ruptured abdominal aortic aneurysm. Vascular surgery notified at {time} by {radiologist}.",
            ),
            (
                Emergent,
                "Perforated appendix with extraluminal gas and a 4 cm pelvic collection.",
                "Perforated appendicitis with abscess. Surgeon informed at {time}.",
            ),
        ],
    },
    Study {
        key: "pelvis-us",
        code: "USPELVIS",
        name: "US Pelvis",
        section: "US",
        technique: "Transabdominal sonography with Doppler.",
        findings: &[
            (Routine, "Normal appearance for the clinical setting. No free fluid.", "Normal study."),
            (
                Urgent,
                "Complex 6 cm adnexal cyst with internal echoes; flow is preserved.",
                "Hemorrhagic cyst is favored. Repeat in days if pain persists.",
            ),
            (
                Emergent,
                "No arterial flow on color Doppler with an enlarged heterogeneous gland. Reactive fluid.",
                "Findings of torsion. Call made to {doctor} at {time}.",
            ),
        ],
    },
    Study {
        key: "leg-us",
        code: "USVENLEG",
        name: "US Lower extremity veins",
        section: "VUS",
        technique: "Compression and color Doppler from groin to calf.",
        findings: &[
            (Routine, "All deep veins compress fully with normal augmentation.", "No deep vein thrombosis."),
            (
                Urgent,
                "Noncompressible popliteal vein with echogenic thrombus.",
                "Acute popliteal deep vein thrombosis. Message left for {doctor} at {pager}.",
            ),
        ],
    },
    Study {
        key: "renal-us",
        code: "USRENAL",
        name: "US Kidneys",
        section: "US",
        technique: "Gray-scale and Doppler sonography of both kidneys and the bladder.",
        findings: &[
            (
                Routine,
                "Kidneys are normal in size and echogenicity. No stone, no hydronephrosis.",
                "Normal renal ultrasound.",
            ),
            (
                Urgent,
                "Moderate left hydronephrosis without a visible stone.",
                "Left hydronephrosis; CT is suggested.",
            ),
        ],
    },
    Study {
        key: "hip-xray",
        code: "XHIP",
        name: "XR Hip and Pelvis",
        section: "RAD",
        technique: "Anteroposterior pelvis and lateral hip.",
        findings: &[
            (Routine, "No fracture or dislocation. Mild degenerative change.", "No acute bony injury."),
            (
                Urgent,
                "Displaced subcapital fracture of the right femoral neck with varus angulation.",
                "Displaced femoral neck fracture.",
            ),
        ],
    },
    Study {
        key: "knee-xray",
        code: "XKNEE",
        name: "XR Knee 3 Views",
        section: "RAD",
        technique: "Weight-bearing frontal, lateral and skyline views.",
        findings: &[
            (
                Routine,
                "Medial compartment narrowing with osteophytes. No effusion.",
                "Moderate osteoarthritis.",
            ),
            (Routine, "Joint spaces are preserved. No fracture.", "Normal knee."),
        ],
    },
];

/// The study of that key; the first one if there is none.
pub(crate) fn study(key: &str) -> &'static Study {
    STUDIES.iter().find(|study| study.key == key).unwrap_or(&STUDIES[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scenario_has_its_study() {
        for scenario in crate::scenarios::SCENARIOS {
            assert_eq!(study(scenario.study).key, scenario.study);
        }
    }
}
