//! Logs, traces, metrics, health and shutdown, the same in every service.
