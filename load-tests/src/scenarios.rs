//! Why patients come: twenty-six clinical scenarios with their own words.
//!
//! Slots in braces are filled by [`crate::prose`]. The urgency is that of the situation when the patient
//! presents: `emergent` needs somebody within minutes to hours, `urgent` within one to three days, `routine`
//! can wait.

use crate::truth::Urgency::{self, Emergent, Routine, Urgent};

/// A reason to be seen.
#[derive(Debug)]
pub(crate) struct Scenario {
    pub(crate) specialty: &'static str,
    /// PV1-10, HL7 table 0069.
    pub(crate) service: &'static str,
    pub(crate) urgency: Urgency,
    /// ICD-10-CM code and display.
    pub(crate) diagnosis: (&'static str, &'static str),
    /// Ages in years, and whether only one sex: `Some(true)` for women.
    pub(crate) ages: (i16, i16),
    pub(crate) female: Option<bool>,
    pub(crate) complaint: &'static [&'static str],
    pub(crate) history: &'static [&'static str],
    pub(crate) exam: &'static [&'static str],
    pub(crate) course: &'static [&'static str],
    pub(crate) plan: &'static [&'static str],
    pub(crate) drugs: &'static [&'static str],
    /// Analytes (LOINC) this pushes up (`true`) or down.
    pub(crate) pushes: &'static [(&'static str, bool)],
    /// Keys of [`crate::imaging::STUDIES`].
    pub(crate) study: &'static str,
    pub(crate) procedure: Option<&'static str>,
}

macro_rules! scenarios {
    ($({ $specialty:literal $service:literal $urgency:ident, $code:literal $display:literal, ages $from:literal..$to:literal $female:expr,
        complaint $complaint:expr, history $history:expr, exam $exam:expr, course $course:expr, plan $plan:expr, drugs $drugs:expr,
        pushes $pushes:expr, study $study:literal, procedure $procedure:expr })*) => {
        pub(crate) const SCENARIOS: &[Scenario] = &[$(Scenario {
            specialty: $specialty, service: $service, urgency: $urgency, diagnosis: ($code, $display), ages: ($from, $to), female: $female,
            complaint: &$complaint, history: &$history, exam: &$exam, course: &$course, plan: &$plan, drugs: &$drugs,
            pushes: &$pushes, study: $study, procedure: $procedure,
        },)*];
    };
}

scenarios! {
    { "cardiology" "CAR" Emergent, "I21.19" "ST elevation myocardial infarction involving other coronary artery of inferior wall", ages 38..94 None,
      complaint ["crushing substernal chest pain for ninety minutes", "chest pressure radiating to the left arm with sweating", "sudden heavy chest pain while shoveling snow"],
      history ["{He} was well until {hours} hours ago, when pressure across the chest began at rest and spread to the jaw.", "Pain is 9/10, came with nausea and a cold sweat, and did not ease with two sublingual nitroglycerin.", "Known hypertension and hyperlipidemia; smokes half a pack daily. {relative} drove {him} in."],
      exam ["Pale and diaphoretic, clutching the chest. No murmur, lungs clear, extremities cool.", "ECG shows 3 mm ST elevation in II, III and aVF with reciprocal depression in I and aVL.", "Jugular veins are flat; no peripheral edema."],
      course ["The catheterization laboratory was activated at {time} and the right coronary artery was opened with one drug-eluting stent.", "Troponin peaked on day two and then fell. Echocardiogram shows an ejection fraction of 45 percent.", "There was one run of nonsustained ventricular tachycardia overnight, without symptoms."],
      plan ["Activate the cath lab now. Aspirin 324 mg chewed, heparin bolus given.", "Dual antiplatelet therapy for twelve months, high-intensity statin, cardiac rehabilitation.", "Immediate transfer to the coronary care unit after reperfusion."],
      drugs ["aspirin 81 mg daily", "ticagrelor 90 mg twice daily", "atorvastatin 80 mg nightly", "metoprolol succinate 25 mg daily"],
      pushes [("89579-7", true), ("2345-7", true)], study "chest-xray", procedure Some("percutaneous coronary intervention of the right coronary artery") }

    { "infectious-disease" "MED" Emergent, "A41.9" "Sepsis, unspecified organism", ages 45..95 None,
      complaint ["fever, rigors and confusion since this morning", "found drowsy and hot to touch", "low blood pressure and shaking chills"],
      history ["{relative} noticed that {he} stopped making sense at breakfast and called the ambulance.", "Three days of burning urination and flank ache came before the fever.", "Indwelling catheter was last changed on {date-21}."],
      exam ["Temperature 39.6, heart rate 128, blood pressure 82/44, respirations 28, saturation 91 percent on room air.", "Mottled knees, capillary refill five seconds, warm trunk. Oriented to name only.", "Right costovertebral angle is exquisitely tender."],
      course ["Two liters of balanced crystalloid raised the mean arterial pressure only to 58, and norepinephrine was started at {time}.", "Blood cultures of {date-1} grew gram-negative rods in both bottles; therapy was narrowed on sensitivities.", "Vasopressors were weaned off on the third day and mentation returned to baseline."],
      plan ["Sepsis bundle now: cultures before antibiotics, cefepime and vancomycin within the hour, repeat lactate in two hours.", "Intensive care admission for septic shock.", "Remove and replace the catheter; renal ultrasound to exclude obstruction."],
      drugs ["cefepime 2 g every 8 hours", "norepinephrine infusion", "vancomycin per pharmacy", "acetaminophen 650 mg as needed"],
      pushes [("2524-7", true), ("6690-2", true), ("2160-0", true)], study "chest-xray", procedure None }

    { "neurology" "NEU" Emergent, "I63.9" "Cerebral infarction, unspecified", ages 48..95 None,
      complaint ["sudden right arm weakness and trouble speaking", "facial droop noticed on waking from a nap", "could not find words and dropped a cup"],
      history ["Last known well at {time}. {relative} saw the right side of the face fall and called at once.", "Atrial fibrillation, and {he} had stopped apixaban on {date-9} before a dental extraction.", "No seizure, no headache, no trauma."],
      exam ["Expressive aphasia, right lower facial palsy, right arm drifts to the bed within four seconds. NIH stroke scale 14.", "Gaze prefers the left. Visual fields cut on the right.", "Glucose at the bedside is normal; blood pressure 176/92."],
      course ["Alteplase was given 48 minutes after arrival and thrombectomy followed with full recanalization.", "By the second day {he} could name objects and lift the right arm against gravity.", "Swallow study passed on {today}; diet advanced to soft."],
      plan ["Stroke code: CT head and CT angiogram now, neurology at the bedside.", "Within the window for thrombolysis; no contraindication found.", "Permissive hypertension, neuro checks every fifteen minutes."],
      drugs ["alteplase weight-based", "atorvastatin 40 mg nightly", "apixaban 5 mg twice daily from day four"],
      pushes [("6301-6", true)], study "head-ct", procedure Some("mechanical thrombectomy of the left middle cerebral artery") }

    { "pulmonology" "PUL" Emergent, "I26.99" "Other pulmonary embolism without acute cor pulmonale", ages 25..88 None,
      complaint ["sudden shortness of breath and sharp chest pain", "collapsed after climbing stairs, now breathless", "coughing up blood since last night"],
      history ["Returned from a fourteen-hour flight on {date-2}; the left calf has been swollen since.", "Pain is worse with each breath. {He} has never had a clot, but {relative} did.", "Knee arthroscopy was performed on {date-12}."],
      exam ["Tachypneic at 32, heart rate 124, saturation 86 percent on room air, 93 percent on four liters.", "Left calf 4 cm larger than the right and tender.", "Loud second heart sound, clear lungs."],
      course ["CT angiography showed a saddle embolus with right ventricular strain; the response team advised catheter-directed lysis.", "Oxygen was weaned to room air over three days on anticoagulation.", "Repeat echocardiogram shows recovery of right ventricular function."],
      plan ["Heparin infusion started before imaging because suspicion is high.", "Step-down bed, bedside echocardiogram, troponin and BNP.", "Notify the pulmonary embolism response team immediately."],
      drugs ["heparin infusion", "apixaban 10 mg twice daily for seven days", "oxygen four liters"],
      pushes [("2703-7", false), ("2744-1", true), ("89579-7", true)], study "chest-ct", procedure None }

    { "gastroenterology" "GAS" Emergent, "K92.2" "Gastrointestinal hemorrhage, unspecified", ages 40..92 None,
      complaint ["vomiting blood twice this evening", "black tarry stools and fainting", "bright red bleeding from the rectum with dizziness"],
      history ["Takes naproxen daily for back pain and drinks four beers a night.", "{He} filled half a basin with dark clots before the crew arrived at {time}.", "Known cirrhosis; banding of varices on {date-180}."],
      exam ["Pulse 122, blood pressure 88/50, pale conjunctivae, melena on the glove.", "Abdomen is soft without guarding; spider angiomata on the chest.", "Lightheaded on sitting; skin cool."],
      course ["Four units of red cells were transfused. Endoscopy found a bleeding duodenal ulcer, clipped and injected.", "Hemoglobin held steady for 48 hours after endoscopy.", "No further melena since {date-1}."],
      plan ["Massive transfusion protocol on standby, two large-bore lines, pantoprazole bolus.", "Emergency endoscopy tonight after resuscitation.", "Stop all nonsteroidal drugs for good."],
      drugs ["pantoprazole 40 mg twice daily", "octreotide infusion", "ceftriaxone 1 g daily"],
      pushes [("718-7", false), ("4544-3", false), ("3094-0", true)], study "abdomen-ct", procedure Some("upper endoscopy with clip placement") }

    { "endocrinology" "MED" Emergent, "E10.10" "Type 1 diabetes mellitus with ketoacidosis without coma", ages 12..60 None,
      complaint ["vomiting and deep fast breathing", "two days of thirst and belly pain", "drowsy with fruity breath"],
      history ["Ran out of insulin on {date-3} and could not reach the pharmacy.", "{relative} reports that {he} has been drinking water all night and breathing hard.", "Third admission of this kind; last hemoglobin A1c was above twelve."],
      exam ["Kussmaul respirations at 30, dry tongue, heart rate 118.", "Diffuse abdominal tenderness without peritonism.", "Drowsy but rousable, no focal deficit."],
      course ["The anion gap closed after fourteen hours of insulin infusion and subcutaneous insulin was overlapped.", "Potassium needed repeated replacement overnight.", "Eating normally since {today}; glucose 140 to 190."],
      plan ["Insulin infusion, fluids, hourly glucose, potassium every two hours.", "Intensive care until the gap closes.", "Diabetes educator and social work about access to insulin."],
      drugs ["insulin glargine 18 units nightly", "insulin lispro with meals", "potassium chloride replacement"],
      pushes [("2345-7", true), ("2028-9", false), ("2744-1", false), ("2823-3", true)], study "chest-xray", procedure None }

    { "obstetrics-gynecology" "OBS" Emergent, "O00.90" "Unspecified ectopic pregnancy without intrauterine pregnancy", ages 17..45 Some(true),
      complaint ["severe lower abdominal pain and spotting at seven weeks", "fainted after sudden pelvic pain", "shoulder-tip pain with a positive pregnancy test"],
      history ["Last menstrual period was {date-50}. Home test positive on {date-6}.", "Pain began on the left and became generalized within an hour.", "One prior tubal infection treated years ago."],
      exam ["Heart rate 126, blood pressure 86/52. Abdomen rigid with rebound.", "Bedside ultrasound shows free fluid and an empty uterus.", "Cervical motion tenderness on the left."],
      course ["Laparoscopic left salpingectomy was done the same evening; 900 mL of blood was evacuated.", "Recovered well, walking on the first day.", "Quantitative hCG fell by half on {today}."],
      plan ["To theater now with two units of blood cross-matched.", "Rhesus status and anti-D as needed.", "Weekly hCG until negative."],
      drugs ["ferrous sulfate 325 mg daily", "oxycodone 5 mg as needed", "acetaminophen 1 g every 6 hours"],
      pushes [("718-7", false), ("2524-7", true)], study "pelvis-us", procedure Some("laparoscopic left salpingectomy") }

    { "psychiatry" "PSY" Emergent, "R45.851" "Suicidal ideations", ages 15..80 None,
      complaint ["says that life is no longer worth living and has a plan", "took an unknown number of tablets this afternoon", "brought by police after standing on a bridge"],
      history ["{relative} found a farewell letter on the table dated {today} and hid the car keys.", "Separated in the spring; not sleeping, not eating, drinking more.", "Previous attempt by overdose on {date-400}."],
      exam ["Tearful, slowed, speaks of being a burden. Endorses intent and a specific method tonight.", "Thoughts are organized; no hallucinations. Judgment is poor.", "Superficial healing cuts on the left forearm."],
      course ["One-to-one observation was continued for three days; mood lifted slowly on sertraline.", "Family meeting was held with {relative} and firearms were removed from the home.", "Denies intent since {date-2} and engages in a safety plan."],
      plan ["Constant observation now, belongings secured, involuntary hold signed.", "Acetaminophen and salicylate levels, ECG.", "Inpatient psychiatry accepted; crisis line number given."],
      drugs ["sertraline 50 mg daily", "lorazepam 0.5 mg as needed", "trazodone 50 mg nightly"],
      pushes [("1742-6", true)], study "head-ct", procedure None }

    { "surgery" "SUR" Emergent, "K35.32" "Acute appendicitis with perforation and localized peritonitis, without abscess", ages 8..75 None,
      complaint ["right lower belly pain for two days, worse since last night", "fever and a rigid abdomen", "vomiting with pain that moved to the right side"],
      history ["Pain started around the navel on {date-2} and settled in the right iliac fossa.", "{He} felt a sudden relief at {time}, then far worse pain all over.", "No appetite; no prior operations."],
      exam ["Lying still with knees drawn up. Rebound and guarding across the lower abdomen.", "Temperature 38.9, heart rate 112. Rovsing sign positive.", "Bowel sounds absent."],
      course ["Laparoscopy found a gangrenous perforated appendix with pus in the pelvis; washed out, drain left.", "Drain removed on {date-1}; tolerating diet.", "White count normalized on oral antibiotics."],
      plan ["Emergency laparoscopy tonight; consent signed.", "Piperacillin-tazobactam, fluids, nothing by mouth.", "Drain output charted each shift."],
      drugs ["piperacillin-tazobactam 4.5 g every 8 hours", "ketorolac 15 mg every 6 hours", "ondansetron 4 mg as needed"],
      pushes [("6690-2", true), ("2524-7", true)], study "abdomen-ct", procedure Some("laparoscopic appendectomy with peritoneal lavage") }

    { "pediatrics" "PED" Emergent, "J45.902" "Unspecified asthma with status asthmaticus", ages 2..17 None,
      complaint ["severe wheeze not easing with the inhaler", "too breathless to speak in sentences", "cough and fast breathing since dawn"],
      history ["{relative} gave ten puffs of albuterol at {time} without relief.", "A cold in the family since {date-3}. Two intensive care stays before.", "Controller inhaler ran out last month."],
      exam ["Sitting forward, subcostal retractions, silent left base, saturation 88 percent.", "Speaks single words. Respirations 44, heart rate 158.", "Peak flow 28 percent of personal best."],
      course ["Continuous albuterol and magnesium were needed for six hours.", "Spaced to every four hours on {date-1} and off oxygen since.", "Technique with spacer was taught to {relative} and shown back."],
      plan ["Back-to-back nebulizers, ipratropium, dexamethasone, magnesium now.", "Pediatric intensive care is aware; high-flow ready.", "Written action plan before discharge."],
      drugs ["albuterol by spacer every 4 hours", "dexamethasone 0.6 mg/kg", "fluticasone 44 mcg two puffs twice daily"],
      pushes [("2019-8", true), ("2744-1", false)], study "chest-xray", procedure None }

    { "hematology-oncology" "ONC" Emergent, "D70.1" "Agranulocytosis secondary to cancer chemotherapy", ages 20..85 None,
      complaint ["temperature of 38.8 nine days after chemotherapy", "shaking chills while neutropenic", "mouth sores and fever"],
      history ["Third cycle of treatment for lymphoma ended on {date-9}.", "Called the oncology line at {time}; told to come at once.", "Port in the right chest, no redness noticed."],
      exam ["Temperature 39.1, heart rate 116, blood pressure 98/56.", "Mucositis grade 2. Port site clean. Lungs clear.", "No perianal tenderness; rectal examination avoided."],
      course ["Counts recovered on the sixth day; cultures stayed negative.", "Afebrile since {date-2}; antibiotics stopped.", "Next cycle will be delayed and dose reduced."],
      plan ["First antibiotic dose within the hour: cefepime 2 g.", "Cultures from port and periphery, isolation room.", "Growth factor with the next cycle."],
      drugs ["cefepime 2 g every 8 hours", "filgrastim 300 mcg daily", "nystatin mouth rinse"],
      pushes [("6690-2", false), ("777-3", false), ("718-7", false)], study "chest-xray", procedure None }

    { "nephrology" "NEP" Emergent, "E87.5" "Hyperkalemia", ages 40..92 None,
      complaint ["profound weakness and palpitations", "missed two dialysis sessions, now short of breath", "told to come in for a dangerous potassium"],
      history ["Last dialysis was {date-6}; transport did not come on {date-2}.", "Eats bananas and potatoes against advice. Passes no urine.", "Takes lisinopril and a potassium-sparing diuretic."],
      exam ["Heart rate 44 and irregular; tall peaked T waves and a wide QRS on the monitor.", "Legs too weak to stand. Crackles to the mid zones.", "Left arm fistula with a good thrill."],
      course ["Calcium, insulin and dextrose narrowed the QRS; emergency dialysis ran from {time}.", "Potassium 4.6 after the second session.", "Transport has been rearranged with the dialysis unit at {phone}."],
      plan ["Calcium gluconate now, insulin with dextrose, emergency dialysis called in.", "Continuous monitoring; stop lisinopril and spironolactone.", "Renal diet teaching."],
      drugs ["calcium gluconate 3 g", "insulin regular 10 units with dextrose", "sevelamer 800 mg with meals"],
      pushes [("2823-3", true), ("2160-0", true), ("3094-0", true)], study "chest-xray", procedure None }

    { "urology" "URO" Emergent, "N44.00" "Torsion of testis, unspecified", ages 10..35 Some(false),
      complaint ["sudden severe left testicular pain", "woke at night with scrotal pain and vomiting", "groin pain after a football game"],
      history ["Onset at {time} today, no trauma that explains it.", "Two shorter spells in the past month that resolved alone.", "Not sexually active, no discharge."],
      exam ["Left testis high-riding, transverse and exquisitely tender; cremasteric reflex absent.", "No fever. Abdomen soft.", "Doppler shows no flow on the left."],
      course ["Scrotal exploration within two hours found 540 degrees of torsion; the testis pinked up and was fixed on both sides.", "Pain controlled with oral agents on the first day.", "Wound dry on {today}."],
      plan ["Straight to theater; do not wait for further imaging.", "Bilateral fixation.", "No sport for four weeks."],
      drugs ["ibuprofen 400 mg every 6 hours", "acetaminophen 650 mg every 6 hours"],
      pushes [], study "pelvis-us", procedure Some("scrotal exploration with bilateral orchiopexy") }

    { "dermatology" "MED" Urgent, "L03.115" "Cellulitis of right lower limb", ages 20..90 None,
      complaint ["red hot swollen leg spreading since the weekend", "redness climbing above the drawn line", "tender shin after a scratch"],
      history ["A branch scraped the shin on {date-4}; redness has doubled since {date-1}.", "Two days of cephalexin have not stopped it.", "Diabetes, fairly controlled."],
      exam ["Erythema from ankle to mid-shin, 18 cm, warm, no crepitus, no blisters.", "Temperature 37.9. Pulses present.", "Groin node tender."],
      course ["Margins receded within the line by the second day of intravenous therapy.", "Switched to oral doxycycline on {date-1}.", "No collection on ultrasound."],
      plan ["Outpatient intravenous antibiotic with recheck within 48 hours.", "Mark the border, elevate the leg.", "Return at once for pain out of proportion."],
      drugs ["ceftriaxone 1 g daily", "doxycycline 100 mg twice daily", "ibuprofen 400 mg as needed"],
      pushes [("6690-2", true)], study "leg-us", procedure None }

    { "orthopedics" "ORT" Urgent, "S72.001A" "Fracture of unspecified part of neck of right femur, initial encounter for closed fracture", ages 62..97 None,
      complaint ["fell at home and cannot bear weight", "hip pain after slipping in the bathroom", "leg shortened and turned out after a fall"],
      history ["{relative} heard the fall at {time} and found {him} on the tiles. No loss of consciousness.", "Walks with a frame. Osteoporosis untreated.", "Took the last dose of warfarin on {date-1}."],
      exam ["Right leg shortened and externally rotated; pain on any rotation.", "Foot pulses and sensation intact.", "No head wound; neck moves freely."],
      course ["Hemiarthroplasty was done on the day after admission without complication.", "Stood with physiotherapy on the first day, twelve meters with a frame on {today}.", "Delirium on the second night cleared with reorientation."],
      plan ["Fascia iliaca block, surgery within 36 hours once INR is below 1.5.", "Vitamin K tonight.", "Bone protection before discharge."],
      drugs ["enoxaparin 40 mg daily", "acetaminophen 1 g every 8 hours", "calcium with vitamin D daily"],
      pushes [("6301-6", true), ("718-7", false)], study "hip-xray", procedure Some("right hip hemiarthroplasty") }

    { "urology" "URO" Urgent, "N10" "Acute pyelonephritis", ages 16..80 Some(true),
      complaint ["flank pain and fever for two days", "burning urination with chills", "back pain and vomiting"],
      history ["Symptoms of a bladder infection from {date-4}, not treated.", "Can keep down fluids but not tablets.", "No stones before; not pregnant."],
      exam ["Temperature 38.6, heart rate 102, blood pressure 118/70.", "Left flank tender to percussion.", "Abdomen soft."],
      course ["Better after one day of ceftriaxone; cultures grew a sensitive organism.", "Afebrile since {date-1}.", "Ultrasound showed no obstruction."],
      plan ["One dose in clinic, then oral therapy; phone review within 24 hours at {phone}.", "Urine culture sent.", "Return for rigors or inability to drink."],
      drugs ["ceftriaxone 1 g once", "ciprofloxacin 500 mg twice daily", "ondansetron 4 mg as needed"],
      pushes [("6690-2", true)], study "renal-us", procedure None }

    { "cardiology" "CAR" Urgent, "I48.91" "Unspecified atrial fibrillation", ages 50..92 None,
      complaint ["palpitations for three days", "irregular pulse found at the pharmacy", "tires easily, heart fluttering"],
      history ["Fluttering noticed on {date-3} while gardening; no chest pain, no fainting.", "Home cuff showed an irregular pulse at {time}.", "Hypertension, sleep apnea, no stroke before."],
      exam ["Irregularly irregular pulse of 118, blood pressure 134/82.", "No edema, lungs clear.", "Thyroid not enlarged."],
      course ["Rate came down to the eighties on diltiazem.", "Echocardiogram shows mild left atrial enlargement and no thrombus.", "Anticoagulation was begun on {today} after a shared decision."],
      plan ["Rate control and anticoagulation; cardiology clinic within three days.", "Thyroid function and electrolytes.", "Monitor for two weeks."],
      drugs ["diltiazem 120 mg daily", "apixaban 5 mg twice daily"],
      pushes [("3016-3", false)], study "chest-xray", procedure None }

    { "pulmonology" "PUL" Urgent, "J44.1" "Chronic obstructive pulmonary disease with (acute) exacerbation", ages 48..90 None,
      complaint ["more cough and green sputum for four days", "needs the inhaler every two hours", "breathless walking to the mailbox"],
      history ["Caught a cold on {date-6}; sputum turned green on {date-3}.", "Forty pack-years, stopped last year.", "Home oxygen at night only."],
      exam ["Saturation 91 percent on room air, respirations 24, speaks in short sentences.", "Scattered wheeze, prolonged expiration.", "No calf swelling."],
      course ["Improved on prednisone and azithromycin; back to baseline oxygen.", "Walked sixty meters without stopping on {today}.", "Inhaler technique corrected."],
      plan ["Prednisone for five days, antibiotic, see again in 48 hours.", "Pulmonary rehabilitation referral.", "Return tonight if worse."],
      drugs ["prednisone 40 mg daily", "azithromycin 250 mg daily", "tiotropium 18 mcg daily"],
      pushes [("2019-8", true), ("2028-9", true)], study "chest-xray", procedure None }

    { "hematology-oncology" "ONC" Urgent, "D50.0" "Iron deficiency anemia secondary to blood loss (chronic)", ages 40..88 None,
      complaint ["tired and pale for two months, hemoglobin falling", "weight loss and change in bowel habit", "breathless on one flight of stairs"],
      history ["Lost six kilograms since {date-90}. Stool has been narrower.", "Never had a colonoscopy.", "{relative} insisted on this visit."],
      exam ["Pale, spoon-shaped nails. Heart rate 92 at rest.", "Fullness in the right lower abdomen.", "No lymph nodes."],
      course ["Two iron infusions were given and tolerated.", "Colonoscopy found an ulcerated mass in the cecum; biopsies pending.", "Discussed at the tumor board on {today}."],
      plan ["Two-week pathway: colonoscopy and CT within days.", "Intravenous iron.", "Results will be given in person, not by phone."],
      drugs ["iron sucrose 200 mg", "vitamin C 250 mg daily"],
      pushes [("718-7", false), ("787-2", false), ("4544-3", false)], study "abdomen-ct", procedure Some("colonoscopy with biopsy") }

    { "endocrinology" "MED" Routine, "E11.9" "Type 2 diabetes mellitus without complications", ages 35..85 None,
      complaint ["diabetes follow-up", "review of home glucose readings", "refill of metformin"],
      history ["Readings between 110 and 160 since {date-60}. No hypoglycemia.", "Walks thirty minutes most days with {relative}.", "Eye examination done on {date-120}, no retinopathy."],
      exam ["Blood pressure 128/76, weight down 2 kg.", "Monofilament sensation intact in both feet.", "Injection sites healthy."],
      course ["Hemoglobin A1c improved to 6.9 percent.", "No change needed today.", "Foot care reviewed."],
      plan ["Continue present treatment, repeat A1c in three months.", "Annual urine albumin.", "Next visit around {date+90}."],
      drugs ["metformin 1000 mg twice daily", "empagliflozin 10 mg daily"],
      pushes [("4548-4", true), ("2345-7", true)], study "chest-xray", procedure None }

    { "orthopedics" "ORT" Routine, "M17.11" "Unilateral primary osteoarthritis, right knee", ages 45..86 None,
      complaint ["long-standing knee pain", "stiff knee in the mornings", "review before elective knee replacement"],
      history ["Slowly worse for four years; an injection on {date-150} helped for two months.", "Climbs stairs one at a time.", "Sleeps well, no locking."],
      exam ["Crepitus, flexion to 110 degrees, no effusion.", "Stable ligaments, varus of five degrees.", "Gait slightly antalgic."],
      course ["Physiotherapy completed with modest gain.", "Listed for elective replacement.", "Pre-operative screening is clear."],
      plan ["Continue exercises, weight loss, topical diclofenac.", "Elective list; date will be sent by post to {address}.", "No urgent concerns."],
      drugs ["acetaminophen 1 g as needed", "diclofenac gel"],
      pushes [], study "knee-xray", procedure Some("right total knee arthroplasty") }

    { "dermatology" "MED" Routine, "L20.9" "Atopic dermatitis, unspecified", ages 1..60 None,
      complaint ["itchy patches in the elbow creases", "eczema flare, mild", "dry skin each winter"],
      history ["Comes and goes since childhood; flared after a new detergent on {date-20}.", "Sleeps through the night.", "No fever, no weeping."],
      exam ["Lichenified plaques in both antecubital fossae, no crusting.", "Dry skin on the shins.", "Face and scalp clear."],
      course ["Clear after two weeks of topical treatment.", "Emollient is used daily now.", "No infection."],
      plan ["Triamcinolone 0.1 percent twice daily for two weeks.", "Fragrance-free emollient.", "Return in two months if not settled."],
      drugs ["triamcinolone 0.1 percent cream", "petrolatum ointment"],
      pushes [], study "chest-xray", procedure None }

    { "pediatrics" "PED" Routine, "Z00.129" "Encounter for routine child health examination without abnormal findings", ages 0..16 None,
      complaint ["well-child visit", "school physical", "vaccination and growth check"],
      history ["{relative} has no concerns. Eats a varied diet, sleeps well.", "Meets milestones for age. Reads at grade level.", "Last visit was {date-180}."],
      exam ["Growth along the 60th percentile. Heart and lungs normal.", "Red reflexes present, hips stable.", "Teeth in good repair."],
      course ["Vaccines given without reaction.", "Hearing and vision screens passed.", "Form for school completed on {today}."],
      plan ["Vaccines today as scheduled.", "Next well visit around {date+180}.", "Car seat and screen time advice given."],
      drugs ["vitamin D 400 units daily"],
      pushes [], study "chest-xray", procedure None }

    { "general-medicine" "MED" Routine, "I10" "Essential (primary) hypertension", ages 30..92 None,
      complaint ["blood pressure check", "annual physical", "medication review"],
      history ["Home readings average 126/78 since {date-45}. No dizziness.", "Stopped adding salt. Drinks one glass of wine on weekends.", "Colon cancer screening was done on {date-300}."],
      exam ["Blood pressure 124/76 both arms, pulse 68 regular.", "Fundi normal, no bruits.", "No edema."],
      course ["Well controlled on one drug.", "Lipids at goal.", "No side effects reported."],
      plan ["Continue amlodipine; basic metabolic panel yearly.", "Influenza vaccine offered.", "See again in six months, around {date+180}."],
      drugs ["amlodipine 5 mg daily", "rosuvastatin 10 mg nightly"],
      pushes [], study "chest-xray", procedure None }

    { "obstetrics-gynecology" "OBS" Routine, "Z34.92" "Encounter for supervision of normal pregnancy, unspecified, second trimester", ages 18..44 Some(true),
      complaint ["routine prenatal visit at twenty-two weeks", "second-trimester check", "anatomy scan review"],
      history ["Feels movements daily. No bleeding, no headache.", "Anatomy scan of {date-10} was normal.", "First pregnancy; {relative} came along."],
      exam ["Fundal height 22 cm, fetal heart 146.", "Blood pressure 112/68, no protein in the urine.", "No edema."],
      course ["Uncomplicated so far.", "Glucose screen is booked.", "Birth classes begin on {date+30}."],
      plan ["Next visit in four weeks, around {date+28}.", "Glucose challenge at 26 weeks.", "Tdap in the third trimester."],
      drugs ["prenatal vitamin daily", "docusate 100 mg as needed"],
      pushes [("718-7", false)], study "pelvis-us", procedure None }

    { "gastroenterology" "GAS" Routine, "K21.9" "Gastro-esophageal reflux disease without esophagitis", ages 22..84 None,
      complaint ["heartburn after meals", "reflux follow-up", "sour taste at night"],
      history ["Worse with coffee, for about six months. No trouble swallowing, no weight loss.", "Omeprazole since {date-30} helps most days.", "Sleeps on two pillows."],
      exam ["Abdomen soft and nontender.", "No pallor, no jaundice.", "Weight unchanged."],
      course ["Symptoms fell to once weekly.", "No alarm features.", "Dose will be lowered."],
      plan ["Continue omeprazole for eight weeks, then step down.", "Avoid late meals, raise the head of the bed.", "Return if swallowing becomes difficult."],
      drugs ["omeprazole 20 mg daily", "calcium carbonate as needed"],
      pushes [], study "chest-xray", procedure None }
}
