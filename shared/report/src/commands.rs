//! The commands that give the report's numbers once more: the program's own, and jq, sort, uniq and join.

use jiff::Timestamp;

use crate::Period;

/// The log that a report is of, as the program's commands name it.
#[derive(Clone, Debug)]
pub struct Source {
    /// Folder, or `s3://BUCKET`.
    pub bundle: String,
    /// URL of an S3 store that is not AWS.
    pub endpoint: Option<String>,
    /// Region of the bucket.
    pub region: Option<String>,
    /// File with the keys that verify.
    pub keys: String,
    /// Whether segments count that are under no checkpoint.
    pub unproven: bool,
}

/// Text as one word of a shell.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

impl Source {
    fn options(&self) -> String {
        let mut options = format!("--bundle {}", quoted(&self.bundle));
        for (name, value) in [("endpoint", &self.endpoint), ("region", &self.region)] {
            if let Some(value) = value {
                options.push_str(&format!(" --{name} {}", quoted(value)));
            }
        }
        options.push_str(&format!(" --keys {}", quoted(&self.keys)));
        options
    }

    /// The shell functions that the other commands use.
    pub(crate) fn setup(&self, period: &Period) -> String {
        let unproven = if self.unproven { " --unproven" } else { "" };
        let (from, to, settled) = (period.from, period.to, period.settled());
        format!(
            r#"export LC_ALL=C
operator=${{OPERATOR:?who you are}} purpose=${{PURPOSE:-HCOMPL: to check a report}}
store=({options})
records() {{ # until when, and which: records as lines of JSON, masked
  wardstream replay "${{store[@]}}"{unproven} --operator "$operator" --purpose "$purpose" \
    --from {from} --to "$@"
}}
log() {{ records {to} "$@"; }}
fates() {{ # topics of a stage's inputs, topics of its outputs
  local work; work=$(mktemp -d)
  log $1 | jq -r 'select(.headers | has("ws-release") | not)
    | "\(.topic)/\(.partition)/\(.offset)"' | sort -u > "$work/inputs"
  records {settled} $2 | jq -r 'select(.headers | has("ws-source-offset") and (has("ws-release") | not))
    | (.headers | "\(.["ws-source-topic"])/\(.["ws-source-partition"])/\(.["ws-source-offset"])") + " "
    + (if .topic | endswith(".dead-letter") then "dead-lettered" elif .topic | endswith(".parked") then "parked"
       elif .topic == "line.dropped" then "dropped" else "emitted" end)' | sort -u > "$work/outputs"
  join -a 1 -e open -o 0,2.2 "$work/inputs" "$work/outputs" > "$work/fates"
  cut -d ' ' -f 2 "$work/fates" | sort | uniq -c
  echo "$(wc -l < "$work/inputs") inputs"
  echo "$(cut -d ' ' -f 1 "$work/fates" | uniq -d | wc -l) several"
  rm -r "$work"
}}"#,
            options = self.options(),
        )
    }

    /// `audit verify` of what the report reads.
    pub(crate) fn verify(
        &self,
        period: &Period,
        (checkpoints, witness): (&[String], Option<&str>),
        rest: &str,
    ) -> String {
        let known = checkpoints.iter().map(|path| format!(" --checkpoint {}", quoted(path)));
        let witness = witness.map(|path| format!(" --witness {}", quoted(path)));
        let known: String = known.chain(witness).collect();
        format!(
            r#"wardstream audit verify "${{store[@]}}"{known} --from {} --to {}{rest}"#,
            period.from,
            period.settled()
        )
    }

    /// The segments that the leaves up to a size of the log name, for a program of jq over all of them.
    pub(crate) fn segments(&self, size: u64, program: &str) -> String {
        format!(
            r#"wardstream audit ls "${{store[@]}}" --segments | jq -rs 'map(select(.leaf < {size})) | {program}'"#
        )
    }

    pub(crate) fn holds(&self, period: &Period) -> String {
        format!(
            r#"wardstream audit hold ls "${{store[@]}}" --from {} --to {} | tail -n 1"#,
            period.from, period.to
        )
    }
}

/// Topics as options.
pub(crate) fn topics(topics: &[String]) -> String {
    topics.iter().map(|topic| format!("--topic {}", quoted(topic))).collect::<Vec<_>>().join(" ")
}

/// How many records there are.
pub(crate) fn count(of: &[String]) -> String {
    format!("log {} | wc -l", topics(of))
}

/// Records by what the program itself knows of them.
pub(crate) fn by(of: &[String], marks: &str) -> String {
    format!("log {} --dry-run --by {marks}", topics(of))
}

/// Records by words that a jq program makes of each.
pub(crate) fn grouped(of: &[String], words: &str) -> String {
    format!("log {} | jq -r '{words}' | sort | uniq -c", topics(of))
}

/// Events by words that a jq program writes behind the id of each: an event counts once for each word.
pub(crate) fn events(of: &[String], program: &str) -> String {
    format!("log {} | jq -r '{program}' | sort -u | cut -d ' ' -f 2- | sort | uniq -c", topics(of))
}

/// A jq program over all records at once.
pub(crate) fn reduced(of: &[String], program: &str) -> String {
    format!("log {} | jq -rn '{program}'", topics(of))
}

/// The fates of a stage's inputs.
pub(crate) fn fates(inputs: &[String], outputs: &[String]) -> String {
    format!("fates '{}' '{}'", topics(inputs), topics(outputs))
}

/// A time without what a second hides.
pub(crate) fn minute(time: Timestamp) -> String {
    let shown = time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string();
    shown.replace(":00 UTC", " UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_survive_a_shell() {
        for (text, word) in
            [("hl7.raw", "hl7.raw"), ("a b", "'a b'"), ("it's", r"'it'\''s'"), ("", "''"), ("$x", "'$x'")]
        {
            assert_eq!(quoted(text), word);
        }
    }
}
