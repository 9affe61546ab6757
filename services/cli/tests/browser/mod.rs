//! Chromium driven over the WebDriver protocol (W3C, <https://www.w3.org/TR/webdriver2/>), as far as the test of the
//! status page needs it. The protocol is a few JSON requests; the client libraries for it bring a copyleft licence or
//! a TLS stack that a connection within this machine has no use for.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The key under which the protocol names an element (section 12.1).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
/// How long a condition in the page may take to hold, milliseconds.
const PATIENCE_MS: u64 = 180_000;

const FLAGS: [&str; 10] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    // A click does not have to wait for smooth scrolling to end.
    "--force-prefers-reduced-motion",
];

/// A browser with one window.
pub(crate) struct Browser {
    driver: Child,
    http: reqwest::Client,
    session: String,
    _profile: TempDir,
}

impl Browser {
    pub(crate) async fn start(chromedriver: &Path) -> Result<Self, Failure> {
        let mut driver = Command::new(chromedriver)
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("cannot start {}: {error}", chromedriver.display()))?;
        let port = announced_port(&mut driver);
        let profile = tempfile::tempdir()?;
        let mut browser =
            Self { driver, http: reqwest::Client::new(), session: String::new(), _profile: profile };
        browser.session = format!("http://127.0.0.1:{}/session", port?);
        let mut arguments: Vec<String> = FLAGS.iter().map(ToString::to_string).collect();
        arguments.push(format!("--user-data-dir={}", browser._profile.path().display()));
        let created = browser
            .call(
                Method::POST,
                "",
                json!({ "capabilities": { "alwaysMatch": {
                    "browserName": "chrome",
                    "timeouts": { "script": PATIENCE_MS, "pageLoad": PATIENCE_MS },
                    "goog:chromeOptions": { "args": arguments },
                    "goog:loggingPrefs": { "browser": "ALL" },
                } } }),
            )
            .await?;
        let id = created["sessionId"].as_str().ok_or("the driver gave no session")?;
        browser.session = format!("{}/{id}", browser.session);
        Ok(browser)
    }

    /// Ends the browser, then its driver.
    pub(crate) async fn quit(mut self) -> Result<(), Failure> {
        self.call(Method::DELETE, "", json!({})).await?;
        self.driver.kill()?;
        self.driver.wait()?;
        Ok(())
    }

    pub(crate) async fn open(&self, url: &str) -> Result<(), Failure> {
        self.call(Method::POST, "/url", json!({ "url": url })).await.map(drop)
    }

    /// The size of the page's own area, in CSS pixels, one to a pixel of the picture.
    pub(crate) async fn size(&self, width: u32, height: u32) -> Result<(), Failure> {
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        let command = json!({ "cmd": "Emulation.setDeviceMetricsOverride", "params": metrics });
        self.call(Method::POST, "/goog/cdp/execute", command).await.map(drop)
    }

    /// The value of a JavaScript expression in the page.
    pub(crate) async fn value(&self, expression: &str) -> Result<Value, Failure> {
        let script = json!({ "script": format!("return ({expression});"), "args": [] });
        self.call(Method::POST, "/execute/sync", script).await
    }

    pub(crate) async fn text(&self, expression: &str) -> Result<String, Failure> {
        match self.value(expression).await? {
            Value::String(text) => Ok(text),
            other => Err(format!("{expression} is no text: {other}").into()),
        }
    }

    /// Waits until a JavaScript expression holds in the page. The page itself looks, at each of its turns.
    pub(crate) async fn until(&self, what: &str, condition: &str) -> Result<(), Failure> {
        let script = format!(
            "const done = arguments[arguments.length - 1];
             const look = () => {{ if ({condition}) done(true); else setTimeout(look, 50); }};
             look();"
        );
        let outcome =
            self.call(Method::POST, "/execute/async", json!({ "script": script, "args": [] })).await;
        outcome.map(drop).map_err(|error| format!("waiting for {what}: {error}").into())
    }

    /// Clicks what the CSS selector finds, as a person does: an element that another covers is an error.
    pub(crate) async fn click(&self, selector: &str) -> Result<(), Failure> {
        let id = self.find(selector).await?;
        self.call(Method::POST, &format!("/element/{id}/click"), json!({})).await.map(drop)
    }

    /// Types into what the CSS selector finds.
    pub(crate) async fn keys(&self, selector: &str, keys: &str) -> Result<(), Failure> {
        let id = self.find(selector).await?;
        self.call(Method::POST, &format!("/element/{id}/value"), json!({ "text": keys })).await.map(drop)
    }

    /// What is asked from now on is asked in the frame; `None` leaves it.
    pub(crate) async fn frame(&self, selector: Option<&str>) -> Result<(), Failure> {
        let frame = match selector {
            Some(selector) => json!({ ELEMENT: self.find(selector).await? }),
            None => Value::Null,
        };
        self.call(Method::POST, "/frame", json!({ "id": frame })).await.map(drop)
    }

    /// The visible area as PNG.
    pub(crate) async fn picture(&self) -> Result<Vec<u8>, Failure> {
        let answer = self.call(Method::GET, "/screenshot", Value::Null).await?;
        Ok(BASE64_STANDARD.decode(answer.as_str().unwrap_or_default())?)
    }

    /// Errors that the browser's console shows since they were last asked for.
    pub(crate) async fn console_errors(&self) -> Result<Vec<String>, Failure> {
        let entries = self.call(Method::POST, "/se/log", json!({ "type": "browser" })).await?;
        let severe = |entry: &&Value| entry["level"] == "SEVERE";
        let entries = entries.as_array().ok_or("the driver gave no log")?;
        Ok(entries.iter().filter(severe).map(|entry| entry["message"].to_string()).collect())
    }

    async fn find(&self, selector: &str) -> Result<String, Failure> {
        let query = json!({ "using": "css selector", "value": selector });
        let element = self.call(Method::POST, "/element", query).await?;
        Ok(element[ELEMENT].as_str().ok_or("the driver gave no element")?.to_owned())
    }

    async fn call(&self, method: Method, path: &str, body: Value) -> Result<Value, Failure> {
        let mut request = self.http.request(method.clone(), format!("{}{path}", self.session));
        if method == Method::POST {
            request = request.json(&body);
        }
        let mut answer: Value = request.send().await?.json().await?;
        let value = answer["value"].take();
        match value["error"].as_str() {
            None => Ok(value),
            Some(error) => Err(format!("{error}: {}", value["message"].as_str().unwrap_or_default()).into()),
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// The port that the driver says it took.
fn announced_port(driver: &mut Child) -> Result<u16, Failure> {
    let output = driver.stdout.take().ok_or("the driver has no output")?;
    let mut lines = BufReader::new(output).lines();
    for line in &mut lines {
        let line = line?;
        if let Some((_, port)) = line.split_once("started successfully on port ") {
            // What else it says is of no interest, but must not fill the pipe.
            std::thread::spawn(move || lines.for_each(drop));
            return Ok(port.trim_end_matches('.').parse()?);
        }
    }
    Err("the driver ended before it told its port".into())
}
