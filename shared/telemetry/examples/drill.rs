//! A process for the tests to kill: `drill panic`, `drill wait`, `drill stubborn`.

use std::io::Write;

fn say(line: &str) {
    let mut out = std::io::stdout();
    let _ = writeln!(out, "{line}");
    let _ = out.flush();
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), wardstream_telemetry::Error> {
    let _guard = wardstream_telemetry::init("drill", &wardstream_telemetry::Config::default())?;
    match std::env::args().nth(1).as_deref() {
        Some("panic") => {
            let name = String::from("Quill");
            let ended = std::thread::Builder::new().name("worker".into()).spawn(move || {
                panic!("cannot read {name}");
            });
            if let Ok(thread) = ended {
                let _ = thread.join();
            }
        }
        mode => {
            let shutdown = wardstream_telemetry::shutdown_signal()?;
            say("waiting");
            shutdown.cancelled().await;
            say("draining");
            if mode == Some("stubborn") {
                std::future::pending::<()>().await;
            }
        }
    }
    Ok(())
}
