//! What an operator does to a running gateway: edit its file, send signals, start it again.

use std::path::PathBuf;
use std::time::Duration;
use std::time::Instant;

use super::eventually;
use super::gateway::Gateway;

/// How long a stopping program may take: its drain limit is 20 s.
const PATIENCE: Duration = Duration::from_secs(30);

impl Gateway {
    /// A file in the gateway's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The gateway's folder, for `store_dir`.
    pub fn folder(&self) -> String {
        self.dir.path().to_string_lossy().into_owned()
    }

    /// Changes `gateway.yaml`; the program reads it at the next reload.
    #[track_caller]
    pub fn edit(&self, change: impl FnOnce(&str) -> String) {
        let path = self.path("gateway.yaml");
        let before = std::fs::read_to_string(&path).unwrap();
        let after = change(&before);
        assert_ne!(after, before, "the edit changes nothing");
        // Never half a file: the program may be reading it.
        let draft = self.path("gateway.yaml.new");
        std::fs::write(&draft, after).unwrap();
        std::fs::rename(draft, path).unwrap();
    }

    /// Replaces a text in `gateway.yaml` and reloads it.
    #[track_caller]
    pub fn edit_and_reload(&self, from: &str, to: &str) {
        self.edit(|yaml| yaml.replace(from, to));
        self.reload("applied");
    }

    /// Has the file read again and waits for the outcome, `applied` or `refused`.
    #[track_caller]
    pub fn reload(&self, outcome: &str) {
        let series = format!("vestibule_config_reloads_total{{outcome=\"{outcome}\"}}");
        let before = self.metric(&series);
        self.signal("HUP");
        eventually(&format!("the reload is {outcome}"), || {
            self.metric(&series) > before
        });
    }

    /// The value of a series of the metrics; 0 where there is none.
    #[track_caller]
    pub fn metric(&self, series: &str) -> u64 {
        let text = self.admin("/metrics").expect("metrics").text();
        text.lines()
            .find_map(|line| line.strip_prefix(series)?.trim().parse().ok())
            .unwrap_or(0)
    }

    /// Waits until the program has ended and gives its exit code.
    #[track_caller]
    pub fn wait_for_end(&mut self) -> Option<i32> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(Instant::now() < deadline, "no end:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Stops the program as a service manager would, and starts it again.
    #[track_caller]
    pub fn restart(&mut self) {
        self.signal("TERM");
        assert_eq!(self.wait_for_end(), Some(0), "{}", self.log());
        self.start_again();
    }
}
