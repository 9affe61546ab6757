//! What is printed and drawn of a set of judged texts.
#![expect(clippy::print_stdout, reason = "a program for a terminal")]

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::learn::{argmax, bins, calibration, interval, macro_f1, per_class};
use wardstream_inference::heads::{Blend, Task};
use wardstream_inference::text::red_flag::RedFlag;
use wardstream_inference::{DocumentType, Specialty, Urgency, raise_to_floor};

/// A text with what each model makes of it.
#[derive(Debug, Clone)]
pub(crate) struct Judged {
    pub(crate) truth: usize,
    /// Of the blend.
    pub(crate) p: Vec<f32>,
    /// What the encoder with a linear head alone would say.
    pub(crate) encoder: usize,
    /// What TF-IDF of words alone would say.
    pub(crate) words: usize,
    pub(crate) style: String,
    pub(crate) text: String,
    pub(crate) red_flags: Vec<RedFlag>,
}

pub(crate) fn name(task: Task, class: usize) -> &'static str {
    match task {
        Task::Urgency => Urgency::ALL[class].as_str(),
        Task::Specialty => Specialty::ALL[class].as_str(),
        Task::DocumentType => DocumentType::ALL[class].as_str(),
    }
}

fn decide(task: Task, p: &[f32], emergent_from: f32) -> usize {
    if task == Task::Urgency && p[0] >= emergent_from { 0 } else { argmax(p) }
}

/// Prints the figures of a task.
pub(crate) fn report(title: &str, task: Task, judged: &[Judged], emergent_from: f32, blend: &Blend) {
    let classes = task.classes();
    let pairs: Vec<(usize, usize)> =
        judged.iter().map(|j| (j.truth, decide(task, &j.p, emergent_from))).collect();
    let alone = |of: fn(&Judged) -> usize| {
        let pairs: Vec<(usize, usize)> = judged.iter().map(|j| (j.truth, of(j))).collect();
        macro_f1(&pairs, classes)
    };
    let top2: Vec<bool> =
        judged.iter().map(|j| j.p.iter().filter(|q| **q > j.p[j.truth]).count() < 2).collect();
    let share = |of: &[bool]| of.iter().filter(|x| **x).count() as f32 / of.len().max(1) as f32;
    let sure: Vec<(f32, bool)> =
        judged.iter().map(|j| (j.p[argmax(&j.p)], argmax(&j.p) == j.truth)).collect();
    let answered: Vec<bool> = judged
        .iter()
        .zip(&pairs)
        .filter(|(j, (_, guess))| j.p[*guess] >= blend.thresholds[*guess])
        .map(|(_, (truth, guess))| truth == guess)
        .collect();
    let between = |(low, high): (f32, f32)| format!("[{low:.3}, {high:.3}]");
    println!("\n## {title}: {} (n = {})", task.name(), judged.len());
    println!("| measure | value | 95 % interval |\n| --- | --- | --- |");
    println!(
        "| macro-F1 | {:.3} | {} |",
        macro_f1(&pairs, classes),
        between(interval(&pairs, |p| macro_f1(p, classes)))
    );
    println!("| top-2 | {:.3} | {} |", share(&top2), between(interval(&top2, share)));
    println!(
        "| expected calibration error | {:.3} | {} |",
        calibration(&sure),
        between(interval(&sure, calibration))
    );
    println!("| answered | {:.3} | |", answered.len() as f32 / judged.len().max(1) as f32);
    println!("| accuracy of the answered | {:.3} | |", share(&answered));
    println!("| macro-F1, TF-IDF of words alone | {:.3} | |", alone(|j| j.words));
    println!("| macro-F1, MiniLM and a linear head alone | {:.3} | |", alone(|j| j.encoder));
    println!(
        "\n| label | precision | recall | recall, 95 % | F1 | F1, 95 % | n |\n| --- | --- | --- | --- | --- | --- | --- |"
    );
    for class in 0..classes {
        let (precision, recall, f1) = per_class(&pairs, class);
        let count = pairs.iter().filter(|(t, _)| *t == class).count();
        println!(
            "| {} | {precision:.2} | {recall:.2} | {} | {f1:.2} | {} | {count} |",
            name(task, class),
            between(interval(&pairs, |p| per_class(p, class).1)),
            between(interval(&pairs, |p| per_class(p, class).2)),
        );
    }
    let mut styles: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for (j, (truth, guess)) in judged.iter().zip(&pairs) {
        let entry = styles.entry(&j.style).or_default();
        *entry = (entry.0 + usize::from(truth == guess), entry.1 + 1);
    }
    let shown: Vec<String> =
        styles.iter().map(|(s, (right, all))| format!("{s} {:.2}", *right as f32 / *all as f32)).collect();
    println!("accuracy by style: {}", shown.join(", "));
}

/// Prints the texts that are judged wrongly.
pub(crate) fn errors(task: Task, judged: &[Judged], emergent_from: f32) {
    for j in judged {
        let guess = decide(task, &j.p, emergent_from);
        if guess != j.truth {
            let text = j.text.replace('\n', " / ");
            println!("{} for {}: p {:.2}: {text}", name(task, guess), name(task, j.truth), j.p[guess]);
        }
    }
}

/// Of 1,000 documents of a hospital: emergent, urgent, routine. An assumption, for the table of costs alone.
const MIX: [f32; 3] = [50.0, 150.0, 800.0];

/// Prints what each operating point costs.
pub(crate) fn costs(judged: &[Judged], emergent_from: f32, ask_from: f32) {
    println!("\n## Cost of errors by operating point (styles left out)");
    println!(
        "| emergent from p | recall | precision | missed of 1,000 documents | false alarms of 1,000 |\n| --- | --- | --- | --- | --- |"
    );
    let mut points = vec![0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, emergent_from, ask_from];
    points.sort_by(f32::total_cmp);
    points.dedup();
    for from in points {
        let called = |class: usize| {
            let of: Vec<bool> = judged.iter().filter(|j| j.truth == class).map(|j| j.p[0] >= from).collect();
            of.iter().filter(|x| **x).count() as f32 / of.len().max(1) as f32
        };
        let all = judged.iter().filter(|j| j.p[0] >= from).count() as f32;
        let right = judged.iter().filter(|j| j.p[0] >= from && j.truth == 0).count() as f32;
        let mark = if from == emergent_from {
            " (committed)"
        } else if from == ask_from {
            " (a person looks)"
        } else {
            ""
        };
        println!(
            "| {from:.3}{mark} | {:.3} | {:.3} | {:.1} | {:.1} |",
            called(0),
            right / all.max(1.0),
            MIX[0] * (1.0 - called(0)),
            MIX[1] * called(1) + MIX[2] * called(2),
        );
    }
}

/// Prints what the floor of red flags changes: labels and who looks, as [`wardstream_inference::Models::classify`] decides for a
/// text whose specialty is sure.
pub(crate) fn floor(title: &str, judged: &[Judged], emergent_from: f32, ask_from: f32, blend: &Blend) {
    /// Label, and whether a person looks.
    type Outcome = (Urgency, bool);
    let outcomes = |j: &Judged| -> (Outcome, Outcome) {
        let class = decide(Task::Urgency, &j.p, emergent_from);
        let before = Urgency::ALL[class];
        let unsure =
            before != Urgency::Emergent && j.p[0] >= ask_from || j.p[class] < blend.thresholds[class];
        let after = raise_to_floor(before, &j.red_flags);
        let flagged = !j.red_flags.is_empty() && after != Urgency::Emergent;
        ((before, unsure), (after, unsure || flagged))
    };
    println!("\n## Floor of red flags: {title}");
    println!("| measure | without | with the floor |\n| --- | --- | --- |");
    let row = |measure: &str, truth: Urgency, counts: fn(Outcome) -> bool| {
        let of: Vec<(Outcome, Outcome)> =
            judged.iter().filter(|j| Urgency::ALL[j.truth] == truth).map(outcomes).collect();
        let before = of.iter().filter(|(before, _)| counts(*before)).count();
        let after = of.iter().filter(|(_, after)| counts(*after)).count();
        let share =
            |count: usize| format!("{count} of {} ({:.3})", of.len(), count as f32 / of.len().max(1) as f32);
        println!("| {measure} | {} | {} |", share(before), share(after));
    };
    row("emergent, called emergent", Urgency::Emergent, |(label, _)| label == Urgency::Emergent);
    row("emergent, called at least urgent", Urgency::Emergent, |(label, _)| label != Urgency::Routine);
    row("emergent, called emergent or shown to a person", Urgency::Emergent, |(label, looks)| {
        label == Urgency::Emergent || looks
    });
    row("urgent, called at least urgent", Urgency::Urgent, |(label, _)| label != Urgency::Routine);
    row("urgent, shown to a person", Urgency::Urgent, |(_, looks)| looks);
    row("routine, called more than routine", Urgency::Routine, |(label, _)| label != Urgency::Routine);
    row("routine, shown to a person", Urgency::Routine, |(_, looks)| looks);
    for class in Urgency::ALL {
        let of: Vec<&Judged> = judged.iter().filter(|j| Urgency::ALL[j.truth] == *class).collect();
        let flagged = of.iter().filter(|j| !j.red_flags.is_empty()).count();
        println!("{flagged} of {} {class} texts affirm a red flag", of.len());
    }
}

/// Prints the texts that the floor raises although they are routine.
pub(crate) fn raised(judged: &[Judged]) {
    for j in judged.iter().filter(|j| Urgency::ALL[j.truth] == Urgency::Routine && !j.red_flags.is_empty()) {
        let terms: Vec<&str> = j.red_flags.iter().flat_map(|flag| &flag.terms).map(String::as_str).collect();
        println!("routine with a red flag ({}): {}", terms.join(", "), j.text.replace('\n', " / "));
    }
}

/// A reliability diagram a task, side by side: mean probability against share right, a point a bin, its area by its texts.
pub(crate) fn plot(panels: &[(Task, &[Judged])]) -> String {
    let mut svg = String::new();
    let width = 60 + panels.len() * 300;
    let _ = write!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"330\" font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"{width}\" height=\"330\" fill=\"white\"/>\n"
    );
    for (at, (task, judged)) in panels.iter().enumerate() {
        let left = 60.0 + at as f32 * 300.0;
        let (x, y) = (|p: f32| left + p * 240.0, |p: f32| 270.0 - p * 240.0);
        let sure: Vec<(f32, bool)> =
            judged.iter().map(|j| (j.p[argmax(&j.p)], argmax(&j.p) == j.truth)).collect();
        let _ = writeln!(
            svg,
            "<rect x=\"{left}\" y=\"30\" width=\"240\" height=\"240\" fill=\"none\" stroke=\"#888\"/>"
        );
        let _ = writeln!(
            svg,
            "<line x1=\"{left}\" y1=\"270\" x2=\"{}\" y2=\"30\" stroke=\"#888\" stroke-dasharray=\"4\"/>",
            x(1.0)
        );
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"20\" text-anchor=\"middle\">{}, ECE {:.3}, n = {}</text>",
            x(0.5),
            task.name().replace("doc_type", "document type"),
            calibration(&sure),
            sure.len()
        );
        for tick in [0.0f32, 0.5, 1.0] {
            let _ = writeln!(svg, "<text x=\"{}\" y=\"286\" text-anchor=\"middle\">{tick}</text>", x(tick));
            let _ = writeln!(
                svg,
                "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{tick}</text>",
                left - 5.0,
                y(tick) + 4.0
            );
        }
        let _ =
            writeln!(svg, "<text x=\"{}\" y=\"308\" text-anchor=\"middle\">probability given</text>", x(0.5));
        let mut path = String::new();
        for (count, p, right) in bins(&sure).into_iter().filter(|(count, _, _)| *count >= 5.0) {
            let _ = write!(path, "{:.1},{:.1} ", x(p), y(right));
            let radius = (count / sure.len() as f32).sqrt() * 18.0 + 2.0;
            let _ = writeln!(
                svg,
                "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"{radius:.1}\" fill=\"#2b6cb0\" fill-opacity=\"0.4\"/>",
                x(p),
                y(right)
            );
        }
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"#2b6cb0\" stroke-width=\"1.5\"/>",
            path.trim()
        );
    }
    svg.push_str("<text x=\"16\" y=\"150\" text-anchor=\"middle\" transform=\"rotate(-90 16 150)\">share right</text>\n</svg>\n");
    svg
}
