//! The status page of a running line, in a real browser.
//!
//! Set `WARDSTREAM_CHROMEDRIVER` to the path of chromedriver to run it, and `WARDSTREAM_UPDATE_DOCS=1` to take the
//! pictures of the README anew.

mod browser;

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread::JoinHandle;

use browser::{Browser, Failure};
use serde_json::Value;

const MESSAGES: u32 = 150;
/// Of this seed's messages several are damaged, one is a repetition, and two hold critical values.
const SEED: u32 = 6;
/// Messages a second: what an unoptimised build on two busy cores takes in.
const RATE: u32 = 5;
/// The same when pictures are taken: charts that fill their two minutes.
const PICTURED_RATE: u32 = 2;
/// Messages in when the pictures are taken: the line is still at work.
const PICTURED: u32 = 140;
/// Width of the pictures, in pixels.
const WIDTH: u32 = 1400;

/// A line with its demo. It ends with this value.
struct Line {
    process: Child,
    url: String,
    rest: Option<JoinHandle<String>>,
}

impl Line {
    fn start(data: &Path, models: &Path) -> Result<Self, Failure> {
        let mut process = Command::new(env!("CARGO_BIN_EXE_wardstream"))
            .args(["standalone", "--demo", "--listen", "127.0.0.1:0"])
            .args(["--messages", &MESSAGES.to_string(), "--seed", &SEED.to_string()])
            .args(["--rate", &(if update_docs() { PICTURED_RATE } else { RATE }).to_string()])
            .arg("--data")
            .arg(data)
            .arg("--models")
            .arg(models)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = process.stdout.take().ok_or("no standard output")?;
        let mut line = Self { process, url: String::new(), rest: None };
        let (url, rest) = announced_url(output)?;
        line.url = url;
        line.rest = Some(rest);
        Ok(line)
    }

    /// Asks for the drain, and gives what was printed until the end.
    fn stop(mut self) -> Result<String, Failure> {
        let asked = Command::new("kill").args(["-TERM", &self.process.id().to_string()]).status()?;
        let ended = self.process.wait()?;
        let rest = self.rest.take().ok_or("no reader")?.join().map_err(|_| "the reader panicked")?;
        match asked.success() && ended.success() {
            true => Ok(rest),
            false => Err(format!("the line ended with {ended}:\n{rest}").into()),
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn announced_url(output: ChildStdout) -> Result<(String, JoinHandle<String>), Failure> {
    let mut reader = BufReader::new(output);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let url = first.split_whitespace().last().filter(|word| word.starts_with("http://"));
    let url = url.ok_or("the first line printed has no address")?.to_owned();
    let rest = std::thread::spawn(move || {
        let mut text = String::new();
        let _ = reader.read_to_string(&mut text);
        text
    });
    Ok((url, rest))
}

/// What the test needs, or `None` with a line that says what is missing. What is named and cannot be used is an error.
fn parts() -> Result<Option<(PathBuf, PathBuf)>, Failure> {
    for variable in ["WARDSTREAM_CHROMEDRIVER", "WARDSTREAM_MODELS"] {
        if std::env::var_os(variable).is_none() {
            eprintln!("skipped: the status page in a browser: {variable} is not set (make test sets it)");
            return Ok(None);
        }
    }
    let path = |variable| std::env::var_os(variable).map(PathBuf::from).unwrap_or_default();
    let (driver, models) = (path("WARDSTREAM_CHROMEDRIVER"), path("WARDSTREAM_MODELS"));
    if !driver.is_file() {
        return Err(format!("WARDSTREAM_CHROMEDRIVER: there is no {}", driver.display()).into());
    }
    Ok(Some((driver, models)))
}

fn update_docs() -> bool {
    std::env::var_os("WARDSTREAM_UPDATE_DOCS").is_some()
}

fn ensure(holds: bool, what: &str) -> Result<(), Failure> {
    if holds { Ok(()) } else { Err(what.into()) }
}

#[tokio::test]
async fn the_status_page_shows_the_line_at_work() -> Result<(), Failure> {
    let Some((driver, models)) = parts()? else { return Ok(()) };
    let data = tempfile::tempdir()?;
    let line = Line::start(data.path(), &models)?;
    let browser = Browser::start(&driver).await?;
    let walked = walk(&browser, &line.url).await;
    let printed = line.stop();
    let read = match &printed {
        Ok(printed) => report(&browser, printed).await,
        Err(_) => Ok(()),
    };
    browser.quit().await?;
    walked?;
    printed?;
    read
}

/// The summary that is printed at the end, and the report that it names.
async fn report(browser: &Browser, printed: &str) -> Result<(), Failure> {
    let (summary, report) = printed.trim_end().rsplit_once('\n').ok_or("nothing was printed")?;
    ensure(summary.ends_with("lost 0, duplicated 0"), "the summary does not say that nothing is lost")?;
    let page = report.strip_prefix("report").and_then(|rest| rest.trim().strip_suffix(" and .pdf"));
    let page = Path::new(page.ok_or("the last line names no report")?);
    let pdf = std::fs::read(page.with_extension("pdf"))?;
    ensure(pdf.starts_with(b"%PDF-"), "the report is no PDF")?;
    browser.open(&format!("file://{}", page.display())).await?;
    let first = "document.querySelector('.tile b').textContent";
    ensure(
        browser.text(first).await? == MESSAGES.to_string(),
        "the report counts other messages than were sent",
    )?;
    let access = "[...document.querySelectorAll('#accesses td')].map((cell) => cell.textContent).join(' ')";
    ensure(browser.text(access).await?.starts_with("demo report "), "the report itself is no access in it")?;
    // Words in a chart that cover one another cannot be read.
    let covered = "[...document.querySelectorAll('svg')].flatMap((svg) => {
        const boxes = [...svg.querySelectorAll('text')].map((text) => text.getBoundingClientRect());
        return boxes.filter((a, at) => boxes.some((b, other) => other > at && a.left < b.right && b.left < a.right
            && a.top + 2 < b.bottom && b.top + 2 < a.bottom));
    }).length";
    ensure(
        browser.value("document.querySelectorAll('svg').length").await?.as_u64() >= Some(5),
        "charts are missing",
    )?;
    let outside = "[...document.querySelectorAll('svg text')].filter((text) => {
        const [a, b] = [text.getBoundingClientRect(), text.closest('svg').getBoundingClientRect()];
        return a.left < b.left - 1 || a.right > b.right + 1 || a.top < b.top - 1 || a.bottom > b.bottom + 1;
    }).length";
    ensure(browser.value(outside).await? == 0, "words of a chart are cut off")?;
    ensure(browser.value(covered).await? == 0, "words of a chart cover one another")?;
    narrow(browser).await
}

/// What a person does who opens the page for the first time.
async fn walk(browser: &Browser, url: &str) -> Result<(), Failure> {
    browser.size(WIDTH, 1000).await?;
    browser.open(url).await?;
    stages_move(browser).await?;
    notifications(browser, url).await?;
    browser.open(url).await?;
    dead_letters(browser).await?;
    audit(browser).await?;
    theme(browser).await?;
    pictures(browser, url).await?;
    let settled = format!(
        "document.querySelector('#kpi-messages_in dd')?.textContent === '{MESSAGES}' \
         && document.querySelector('#kpi-in_flight dd').textContent === '0'"
    );
    browser.until("every message to have its fate", &settled).await?;
    for total in ["lost", "duplicated"] {
        let shown = browser.text(&format!("document.querySelector('#kpi-{total} dd').textContent")).await?;
        ensure(shown == "0", &format!("the page shows {shown} messages {total}"))?;
    }
    narrow(browser).await?;
    let errors = browser.console_errors().await?;
    ensure(errors.is_empty(), &format!("the console shows {errors:?}"))
}

async fn stages_move(browser: &Browser) -> Result<(), Failure> {
    let names = "[...document.querySelectorAll('#stage-rows tr .st span:last-child')] \
                 .map((name) => name.firstChild.textContent).join(' ')";
    let expected = "ingest validate redact classify summarize notify audit";
    browser.until("all stages", &format!("{names} === '{expected}'")).await?;
    browser
        .until("all stages to be up", "document.querySelectorAll('#stage-rows .dot.up').length === 7")
        .await?;
    let rates = "[...document.querySelectorAll('#stage-rows .spark b')]";
    browser
        .until(
            "throughput of every stage",
            &format!("{rates}.every((rate) => parseFloat(rate.textContent) > 0)"),
        )
        .await?;
    for chart in ["tp", "lat"] {
        let drawn = format!("document.querySelector('#{chart} path')?.getAttribute('d').includes('L')");
        browser.until("the charts", &drawn).await?;
    }
    browser.until("the picture of the line", "document.querySelectorAll('#flow .box').length === 9").await
}

const LISTED: &str = "#note-list button[data-id]";
const SHOWN: &str = "document.querySelector('#note-read h3 span').textContent";

async fn notifications(browser: &Browser, url: &str) -> Result<(), Failure> {
    let listed = |filter: &str| format!("document.querySelectorAll('#note-list button{filter}').length");
    browser.until("an emergent notification", &format!("{} > 0", listed(".emergent"))).await?;
    browser.click("#filters button:nth-child(2)").await?;
    let others = browser.value(&listed(":not(.emergent)")).await?;
    ensure(others == 0, "the filter shows notifications of another urgency")?;
    browser.click(LISTED).await?;
    browser.until("the mail", "document.querySelector('#note-read iframe')").await?;
    let subject = browser.text(SHOWN).await?;
    let event = browser.value("fetch('/api/notifications').then((answer) => answer.json())").await?;
    let event = event
        .as_array()
        .and_then(|all| all.iter().find(|one| one["subject"] == Value::String(subject.clone())))
        .and_then(|one| one["event_id"].as_str())
        .ok_or("the mail shown is not in the list")?
        .to_owned();
    browser.frame(Some("#note-read iframe")).await?;
    browser.until("the mail's HTML part", "document.body?.innerText.trim().length > 200").await?;
    let mail = browser.text("document.body.innerText").await?;
    browser.frame(None).await?;
    ensure(mail.contains("psn_"), "the mail names the patient by no pseudonym")?;
    browser.click("#note-read header button").await?;
    let text = browser.text("document.querySelector('#note-read pre').textContent").await?;
    ensure(text.contains("psn_"), "the text part names the patient by no pseudonym")?;
    browser.click("#note-read header button").await?;
    // The link in the mail leads to this address.
    browser.open(&format!("{url}/events/{event}")).await?;
    let opened =
        format!("document.querySelector('#note-read h3 span')?.textContent === {}", Value::String(subject));
    browser.until("the notification that a mail links to", &opened).await?;
    browser.until("the list", &format!("{} > 1", listed("[data-id]"))).await?;
    browser.keys(LISTED, "\u{E010}").await?;
    let last = "[...document.querySelectorAll('#note-list button')].pop()";
    browser.until("the End key to choose the last", &format!("{last} === document.activeElement")).await
}

async fn dead_letters(browser: &Browser) -> Result<(), Failure> {
    browser.until("dead letters", "document.querySelectorAll('#dead-rows tr').length > 1").await?;
    let rows = browser
        .value(
            "[...document.querySelectorAll('#dead-rows tr')] \
             .map((row) => [...row.cells].map((cell) => cell.textContent))",
        )
        .await?;
    for row in rows.as_array().ok_or("no rows")? {
        let cell = |n: usize| row[n].as_str().unwrap_or_default();
        let (stage, code, reason, input) = (cell(1), cell(2), cell(3), cell(5));
        ensure(["ingest", "validate", "redact"].contains(&stage), "a dead letter of an unknown stage")?;
        let page = standalone::errors::find(code);
        ensure(page.is_some(), &format!("dead letter with the unknown code {code}"))?;
        ensure(!reason.is_empty(), "a dead letter without a reason")?;
        ensure(input.split('/').count() == 3, "a dead letter without its input's position")?;
    }
    browser
        .until("their count", "document.querySelectorAll('#dead-counts .title:not(:empty)').length > 0")
        .await
}

async fn audit(browser: &Browser) -> Result<(), Failure> {
    let sealed = "parseInt(document.querySelector('#worm .facts dd')?.textContent.replace(/,/g, '')) > 0";
    browser.until("sealed records", sealed).await?;
    browser.until("dependencies", "document.querySelectorAll('#deps .dot.up').length > 0").await
}

async fn theme(browser: &Browser) -> Result<(), Failure> {
    let ground = "getComputedStyle(document.body.parentElement).backgroundColor";
    let light = browser.text(ground).await?;
    browser.click("#theme").await?;
    ensure(browser.text(ground).await? != light, "the dark theme looks like the light one")?;
    browser.click("#theme").await?;
    ensure(browser.text(ground).await? == light, "the light theme does not come back")
}

/// Nothing is cut off on a telephone.
async fn narrow(browser: &Browser) -> Result<(), Failure> {
    browser.size(390, 844).await?;
    browser.until("the narrow page", "innerWidth === 390").await?;
    // Its pictures are drawn anew when the browser tells it of its size, which is later than it has it.
    let page = "document.documentElement";
    browser.until("all of it on the screen", &format!("{page}.scrollWidth <= {page}.clientWidth")).await
}

async fn pictures(browser: &Browser, url: &str) -> Result<(), Failure> {
    let total = "Number(document.querySelector('#kpi-messages_in dd')?.textContent)";
    browser.until("the line to be well under way", &format!("{total} >= {PICTURED}")).await?;
    // A critical value is the best example of a mail.
    let example = "(async () => {
        const get = async (path) => (await fetch('/api/notifications' + path)).json();
        const sure = (await get('?limit=200')).filter((one) => one.urgency === 'emergent' && !one.triage);
        const mails = await Promise.all(sure.map((one) => get('/' + one.id)));
        return (mails.find((mail) => mail.text.includes('critical:')) ?? mails[0])?.id ?? '';
    })()";
    let example = browser.text(example).await?;
    ensure(!example.is_empty(), "no notification is emergent without doubt")?;
    browser.click(&format!("#note-list button[data-id='{example}']")).await?;
    let frame = format!("document.querySelector('#note-read iframe')?.src.includes('{example}')");
    browser.until("the mail", &frame).await?;
    let target = Path::new(env!("CARGO_BIN_EXE_wardstream")).parent().and_then(Path::parent);
    let target = target.ok_or("no target folder")?.join("status-page.png");
    picture(browser, "document.documentElement.scrollHeight", &target).await?;
    if update_docs() {
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/images");
        std::fs::create_dir_all(&docs)?;
        let stages = "document.querySelector('#stages').getBoundingClientRect().bottom + scrollY + 18";
        picture(browser, &format!("Math.ceil({stages})"), &docs.join("status-page.png")).await?;
        browser.open(&format!("{url}/api/notifications/{example}/html")).await?;
        browser.size(720, 400).await?;
        let whole = browser.value("document.documentElement.scrollHeight").await?.as_u64().unwrap_or(400);
        browser.size(720, u32::try_from(whole)?).await?;
        std::fs::write(docs.join("notification.png"), browser.picture().await?)?;
    }
    browser.size(WIDTH, 1000).await?;
    browser.open(url).await
}

/// The page from its top to the height that the expression gives.
async fn picture(browser: &Browser, height: &str, file: &Path) -> Result<(), Failure> {
    let height = browser.value(height).await?.as_u64().ok_or("no height")?;
    browser.size(WIDTH, u32::try_from(height)?).await?;
    browser.until("the page to be at its top", "scrollTo(0, 0) || scrollY === 0").await?;
    Ok(std::fs::write(file, browser.picture().await?)?)
}
