use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Configuration of `summarize`.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Kafka.
    pub kafka: stream::Config,
    /// Schema registry.
    pub registry: stream::RegistryConfig,
    /// Logs, metrics, traces.
    pub telemetry: telemetry::Config,
    /// Models.
    pub models: service::Models,
    /// The summary.
    pub summarize: Summarize,
}

/// The summary.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Summarize {
    /// Most sentences.
    pub sentences: usize,
    /// Most characters of all sentences together.
    pub characters: usize,
}

impl Default for Summarize {
    fn default() -> Self {
        let budget = inference::Budget::default();
        Self { sentences: budget.sentences, characters: budget.characters }
    }
}

impl Summarize {
    /// As the models take it.
    #[must_use]
    pub fn budget(&self) -> inference::Budget {
        inference::Budget { sentences: self.sentences, characters: self.characters }
    }

    fn check(&self) -> Result<(), Vec<settings::Error>> {
        let faults: Vec<settings::Error> = [("sentences", self.sentences), ("characters", self.characters)]
            .into_iter()
            .filter(|(_, value)| *value == 0)
            .map(|(key, _)| settings::Error::invalid(format!("summarize.{key}"), "it is 0"))
            .collect();
        if faults.is_empty() { Ok(()) } else { Err(faults) }
    }
}

impl service::Configuration for Config {
    fn telemetry(&self) -> &telemetry::Config {
        &self.telemetry
    }

    fn check(&self) -> Result<(), Vec<settings::Error>> {
        service::all_of([
            self.kafka.check(),
            self.registry.check(),
            self.telemetry.check(),
            self.models.check(),
            self.summarize.check(),
        ])
    }
}
