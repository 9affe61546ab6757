//! The HTML part: tables and inline styles, because that is what mail clients render alike; a `<style>` for those
//! that know dark mode; no image, no script, nothing fetched.

use std::fmt::Write as _;

use crate::message::{ACKNOWLEDGE, Tone, View};

/// Stands under every mail.
pub(crate) const FOOTER: &str = "This mail carries a pseudonym and no patient identifiers. \
    It supports clinical judgement and does not replace it. Sent automatically: please do not reply.";

struct Colours {
    /// Bar, badge and button; white text on it has a contrast of at least 4.5 (WCAG 2.1, 1.4.3).
    strong: &'static str,
    /// Tint behind the heading in the light scheme.
    tint: &'static str,
    /// Heading text on the tint.
    ink: &'static str,
    /// The class that sets the dark scheme's tint.
    class: &'static str,
}

const fn colours(tone: Tone) -> Colours {
    match tone {
        Tone::Emergent => Colours { strong: "#b3122a", tint: "#fdf0f1", ink: "#7d0b1c", class: "te" },
        Tone::Urgent => Colours { strong: "#9a5b00", tint: "#fef6e7", ink: "#6b3f00", class: "tu" },
        Tone::Routine => Colours { strong: "#0f6b5c", tint: "#edf7f5", ink: "#0a4b41", class: "tr" },
        Tone::Triage => Colours { strong: "#4b3fb3", tint: "#f2f1fc", ink: "#332a80", class: "tt" },
    }
}

pub(crate) const FONT: &str =
    "font-family:-apple-system,BlinkMacSystemFont,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif";

pub(crate) const DARK: &str = "\
:root{color-scheme:light dark;supported-color-schemes:light dark}\
@media (max-width:640px){.pad{padding-left:20px!important;padding-right:20px!important}.page{padding:0!important}.card{border-radius:0!important;border-left:0!important;border-right:0!important}.btn{display:block!important;text-align:center!important}}\
@media (prefers-color-scheme:dark){\
.page{background:#0f1419!important}.card{background:#171d24!important;border-color:#2a333d!important}\
.ink{color:#e8edf2!important}.soft{color:#9fabb8!important}.rule{border-color:#2a333d!important}\
.te{background:#351519!important}.tu{background:#33260d!important}.tr{background:#0f2b27!important}.tt{background:#201d42!important}\
.te .hd{color:#ffb8c0!important}.tu .hd{color:#ffd596!important}.tr .hd{color:#94e2d3!important}.tt .hd{color:#c7c1ff!important}\
.link{color:#8ab8ff!important}}";

pub(crate) fn render(view: &View) -> String {
    let c = colours(view.tone);
    let mut h = String::with_capacity(8_192);
    let title = escape(&view.subject);
    let preheader = escape(view.sentences.first().unwrap_or(&view.act));
    let _ = write!(
        h,
        "<!DOCTYPE html>\n<html lang=\"en\" dir=\"ltr\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<meta name=\"supported-color-schemes\" content=\"light dark\">\n\
         <meta name=\"format-detection\" content=\"telephone=no,date=no,address=no,email=no\">\n\
         <title>{title}</title>\n<style>{DARK}</style>\n</head>\n\
         <body style=\"margin:0;padding:0\" class=\"page\" bgcolor=\"#f3f5f7\">\n\
         <div style=\"display:none;max-height:0;overflow:hidden\">{preheader}</div>\n\
         <table role=\"presentation\" width=\"100%\" cellpadding=\"0\" cellspacing=\"0\" border=\"0\" class=\"page\" bgcolor=\"#f3f5f7\" style=\"background:#f3f5f7;padding:28px 12px\"><tr><td align=\"center\">\n\
         <table role=\"presentation\" width=\"600\" cellpadding=\"0\" cellspacing=\"0\" border=\"0\" class=\"card\" bgcolor=\"#ffffff\" style=\"width:100%;max-width:600px;background:#ffffff;border:1px solid #dfe4ea;border-radius:12px;overflow:hidden;{FONT}\">\n"
    );
    heading(&mut h, view, &c);
    summary(&mut h, view);
    buttons(&mut h, view, &c);
    reasons(&mut h, view);
    facts(&mut h, view);
    footer(&mut h, view);
    h.push_str("</table>\n</td></tr></table>\n</body>\n</html>\n");
    h
}

/// What is to be pressed first comes first, and is the filled one.
fn buttons(h: &mut String, view: &View, c: &Colours) {
    let strong = c.strong;
    h.push_str("<tr><td class=\"pad\" style=\"padding:22px 32px 18px\">");
    let acknowledge = view.acknowledge.as_deref().map(|link| (link, ACKNOWLEDGE));
    let buttons = acknowledge.into_iter().chain([(view.link.as_str(), "Open the event")]);
    for (index, (link, text)) in buttons.enumerate() {
        let (ground, ink) = if index == 0 { (strong, "#ffffff") } else { ("#ffffff", strong) };
        let _ = write!(
            h,
            "<a class=\"btn\" href=\"{link}\" style=\"display:inline-block;background:{ground};color:{ink};border:1px solid {strong};text-decoration:none;font-size:15px;font-weight:600;line-height:20px;padding:11px 23px;margin:0 10px 8px 0;border-radius:8px\">{text}</a>",
            link = escape(link),
        );
    }
    h.push_str("</td></tr>\n");
}

fn heading(h: &mut String, view: &View, c: &Colours) {
    let Colours { strong, tint, ink, class } = c;
    let confidence = view.confidence.map_or(String::new(), |p| {
        format!("<span class=\"hd\" style=\"font-size:13px;line-height:18px;color:{ink}\">&nbsp;&nbsp;{p}&nbsp;% confidence</span>")
    });
    let _ = write!(
        h,
        "<tr><td height=\"6\" bgcolor=\"{strong}\" style=\"height:6px;line-height:6px;font-size:0;background:{strong}\">&nbsp;</td></tr>\n\
         <tr><td class=\"pad {class}\" bgcolor=\"{tint}\" style=\"padding:24px 32px 22px;background:{tint}\">\
         <p style=\"margin:0 0 14px\"><span style=\"display:inline-block;background:{strong};color:#ffffff;font-size:12px;font-weight:700;letter-spacing:.06em;text-transform:uppercase;line-height:18px;padding:3px 11px;border-radius:999px\">{word}</span>{confidence}</p>\
         <h1 class=\"hd\" style=\"margin:0;font-size:23px;line-height:30px;font-weight:700;color:{ink}\">{specialty}: {document}</h1>\
         <p class=\"hd\" style=\"margin:6px 0 0;font-size:15px;line-height:22px;color:{ink}\">{act}</p>\
         </td></tr>\n",
        word = escape(&view.word),
        specialty = escape(&view.specialty),
        document = escape(&view.document),
        act = escape(&view.act),
    );
}

fn summary(h: &mut String, view: &View) {
    h.push_str("<tr><td class=\"pad\" style=\"padding:24px 32px 0\">");
    subheading(h, "Summary");
    if view.sentences.is_empty() {
        h.push_str("<p class=\"soft\" style=\"margin:0;font-size:16px;line-height:24px;color:#57636f\">The event has no text to summarise. Open it to see its data.</p>");
    } else {
        h.push_str("<ul style=\"margin:0;padding:0 0 0 20px\">");
        for sentence in &view.sentences {
            let _ = write!(
                h,
                "<li class=\"ink\" style=\"margin:0 0 8px;font-size:16px;line-height:24px;color:#161d24\">{}</li>",
                escape(sentence)
            );
        }
        if view.more > 0 {
            let _ = write!(
                h,
                "<li class=\"soft\" style=\"margin:0;font-size:16px;line-height:24px;color:#57636f\">and {} more in the event</li>",
                view.more
            );
        }
        h.push_str("</ul>");
    }
    h.push_str("</td></tr>\n");
}

fn reasons(h: &mut String, view: &View) {
    if view.reasons.is_empty() {
        return;
    }
    h.push_str("<tr><td class=\"pad rule\" style=\"padding:20px 32px 18px;border-top:1px solid #e6eaef\">");
    subheading(h, "Why it was judged so");
    h.push_str("<ul style=\"margin:0;padding:0 0 0 20px\">");
    for reason in &view.reasons {
        let _ = write!(
            h,
            "<li class=\"ink\" style=\"margin:0 0 4px;font-size:14px;line-height:21px;color:#323d48\">{}</li>",
            escape(reason)
        );
    }
    h.push_str("</ul></td></tr>\n");
}

fn facts(h: &mut String, view: &View) {
    h.push_str("<tr><td class=\"pad rule\" style=\"padding:18px 32px 18px;border-top:1px solid #e6eaef\"><table role=\"presentation\" cellpadding=\"0\" cellspacing=\"0\" border=\"0\" width=\"100%\">");
    let model = (!view.model.is_empty()).then(|| ("Model", view.model.clone()));
    for (name, value) in view.facts.iter().cloned().chain(model) {
        let mono = if matches!(name, "Patient" | "Event") {
            "font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;font-size:13px"
        } else {
            "font-size:14px"
        };
        let _ = write!(
            h,
            "<tr><th scope=\"row\" align=\"left\" valign=\"top\" class=\"soft\" width=\"92\" style=\"padding:3px 12px 3px 0;font-size:14px;line-height:20px;font-weight:400;color:#57636f;white-space:nowrap\">{name}</th>\
             <td class=\"ink\" style=\"padding:3px 0;line-height:20px;color:#161d24;word-break:break-word;{mono}\">{}</td></tr>",
            escape(&value)
        );
    }
    h.push_str("</table></td></tr>\n");
}

fn footer(h: &mut String, view: &View) {
    let _ = writeln!(
        h,
        "<tr><td class=\"pad rule\" style=\"padding:16px 32px 24px;border-top:1px solid #e6eaef\">\
         <p class=\"soft\" style=\"margin:0 0 8px;font-size:12px;line-height:18px;color:#57636f\"><strong>Why you got this:</strong> {why}.</p>\
         <p class=\"soft\" style=\"margin:0;font-size:12px;line-height:18px;color:#57636f\">{footer}</p></td></tr>",
        why = escape(&view.why.join("; ")),
        footer = escape(FOOTER),
    );
}

fn subheading(h: &mut String, text: &str) {
    let _ = write!(
        h,
        "<h2 class=\"soft\" style=\"margin:0 0 10px;font-size:12px;line-height:16px;font-weight:700;letter-spacing:.06em;text-transform:uppercase;color:#57636f\">{}</h2>",
        escape(text)
    );
}

/// Safe in element content and in quoted attributes.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(c),
        }
    }
    out
}
