use std::collections::BTreeMap;
use std::path::PathBuf;

use fhir::Validator;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use settings::Error;

/// Configuration of `validate`.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Kafka.
    pub kafka: stream::Config,
    /// Schema registry.
    pub registry: stream::RegistryConfig,
    /// Logs, metrics, traces.
    pub telemetry: telemetry::Config,
    /// Profiles.
    pub validate: Profiles,
}

/// What is demanded of bundles beyond FHIR R4 and what their resources claim in meta.profile.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Profiles {
    /// Folders with unpacked FHIR R4 packages (JSON files), beyond US Core and the profiles of R4 itself.
    pub package_folders: Vec<PathBuf>,
    /// URLs of profiles; every resource meets those that are for its type.
    pub profiles: Vec<String>,
    /// The same for single facilities, by MSH-4.1: such a list stands in the place of `validate.profiles`.
    pub facility_profiles: BTreeMap<String, Vec<String>>,
}

impl Profiles {
    /// The validator with all packages, once every profile was found in it.
    ///
    /// # Errors
    /// When a package cannot be read or a profile is not known.
    pub fn validator(&self) -> Result<Validator, Error> {
        let validator = Validator::with_packages(&self.package_folders)
            .map_err(|error| Error::invalid("validate.package_folders", service::chain(&error)))?;
        let known = |key: String, profiles: &[String]| match profiles
            .iter()
            .find(|url| !validator.has_profile(url))
        {
            Some(url) => Err(Error::invalid(key, format!("{url} is in none of the packages"))),
            None => Ok(()),
        };
        known("validate.profiles".to_owned(), &self.profiles)?;
        for (facility, profiles) in &self.facility_profiles {
            known(format!("validate.facility_profiles.{facility}"), profiles)?;
        }
        Ok(validator)
    }

    /// What is demanded of a facility's bundles.
    pub fn of(&self, facility: &str) -> &[String] {
        self.facility_profiles.get(facility).unwrap_or(&self.profiles)
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
            self.validate.validator().map(drop).map_err(|error| vec![error]),
        ])
    }
}
