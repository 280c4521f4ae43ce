//! The service as a process of its own, on ports of its own, for tests.

use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

/// How long one answer may take: compiling a component is slow in a busy test run.
const PATIENCE: Duration = Duration::from_secs(180);

/// A running service.
pub(crate) struct Service {
    child: Child,
    /// What it said when it was ready.
    pub(crate) started: Value,
    /// The key that calls carry.
    pub(crate) key: String,
    log: PathBuf,
}

/// `tidegate --json serve` on this folder, ready to be started.
pub(crate) fn command(folder: &Path) -> Command {
    let mut command = tidegate(&["--json", "serve"]);
    command
        .env("TIDEGATE_STATE", folder.join("state"))
        .env("TIDEGATE_LISTEN", "127.0.0.1:0")
        .env("TIDEGATE_HEALTH_LISTEN", "127.0.0.1:0")
        .env("TIDEGATE_DISK_FREE_BYTES_MIN", "0")
        .stdout(Stdio::piped());
    command
}

/// `tidegate <arguments>` without any settings of whoever runs the tests.
pub(crate) fn tidegate(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("TIDEGATE_") || name.starts_with("OTEL_") {
            command.env_remove(&*name);
        }
    }
    command.args(arguments).stdin(Stdio::null());
    command
}

impl Service {
    /// Starts it and waits until it is ready. Blocks.
    pub(crate) fn start(folder: &Path, mut command: Command) -> Service {
        let log = folder.join("serve.log");
        let file = std::fs::File::options()
            .create(true)
            .append(true)
            .open(&log);
        let mut child = command.stderr(file.unwrap()).spawn().unwrap();
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        let started: Value = serde_json::from_str(&line).unwrap_or_else(|error| {
            let log = std::fs::read_to_string(&log).unwrap();
            panic!("{error}: {line:?}\n{log}")
        });
        let key = started["admin_key"].as_str().unwrap_or_default().to_owned();
        Service {
            child,
            started,
            key,
            log,
        }
    }

    /// `tidegate <arguments>` that asks this service.
    pub(crate) fn ask(&self, arguments: &[&str]) -> Command {
        let mut command = tidegate(arguments);
        command
            .env("TIDEGATE_URL", self.started["api"].as_str().unwrap())
            .env("TIDEGATE_KEY", &self.key);
        command
    }

    /// Tells it to end, and waits until it has. Blocks.
    pub(crate) fn end(mut self) -> ExitStatus {
        self.signal();
        self.child.wait().unwrap()
    }

    /// Sends SIGTERM.
    pub(crate) fn signal(&self) {
        let process = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(process, rustix::process::Signal::TERM).unwrap();
    }

    /// Lets nothing of it run for a while. Blocks.
    pub(crate) fn suspend(&self, pause: Duration) {
        let process = rustix::process::Pid::from_child(&self.child);
        let send = |signal| rustix::process::kill_process(process, signal).unwrap();
        send(rustix::process::Signal::STOP);
        std::thread::sleep(pause);
        send(rustix::process::Signal::CONT);
    }

    /// Kills it, as the kernel does that runs out of memory. Blocks.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        let status = self.child.wait().unwrap();
        assert_eq!(status.code(), None, "it had ended by itself");
    }

    /// Waits for its end, which was asked for. Blocks.
    pub(crate) fn wait(mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    /// Everything that it logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// One request to the API; status and answer. Blocks.
    pub(crate) fn call(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let bytes = match body {
            Value::Null => Vec::new(),
            body => body.to_string().into_bytes(),
        };
        let (status, text) = self.send("api", method, path, ("application/json", &bytes));
        let value = serde_json::from_str(&text).unwrap_or(Value::String(text));
        (status, value)
    }

    /// [`Service::call`] that must succeed.
    pub(crate) fn must(&self, method: &str, path: &str, body: &Value) -> Value {
        let (status, answer) = self.call(method, path, body);
        assert!(status < 300, "{method} {path}: {status} {answer}");
        answer
    }

    /// One look at the second listener. Blocks.
    pub(crate) fn health(&self, path: &str) -> (u16, String) {
        self.send("health", "GET", path, ("text/plain", b""))
    }

    /// Adds a component for every tenant. Blocks.
    pub(crate) fn upload(&self, component: &Path) {
        let wasm = std::fs::read(component).unwrap();
        let path = "/v1/connectors?shared=true";
        let (status, text) = self.send("api", "POST", path, ("application/wasm", &wasm));
        assert_eq!(status, 201, "{text}");
    }

    /// Makes a connection and a sync of it from the simulated HubSpot to a directory.
    pub(crate) fn configure(&self, token: &str, lake: &Path) {
        self.must("PUT", "/v1/secrets/token", &json!({ "value": token }));
        let connection = json!({
            "connector": "hubspot",
            "config": { "auth": "private_app" },
            "secrets": { "token": "${secret:token}" },
        });
        self.must("PUT", "/v1/connections/hubspot", &connection);
        let sync = json!({
            "connection": "hubspot",
            "streams": [{ "name": "contacts", "mode": "incremental", "landing": "append", "fields": ["email"] }],
            "target": { "url": format!("file://{}", lake.display()), "format": "jsonl.zst" },
            "batch": { "rows_max": 200 },
        });
        self.must("PUT", "/v1/syncs/crm", &sync);
    }

    /// Waits until a job is over; the job. Blocks.
    pub(crate) fn job_to_end(&self, id: &str) -> Value {
        for _ in 0..6 {
            let job = self.must("GET", &format!("/v1/jobs/{id}?wait_s=50"), &Value::Null);
            if job["is_final"] == true {
                return job;
            }
        }
        panic!("job {id} does not end\n{}", self.log());
    }

    fn send(
        &self,
        listener: &str,
        method: &str,
        path: &str,
        (kind, body): (&str, &[u8]),
    ) -> (u16, String) {
        let url = self.started[listener].as_str().unwrap();
        let address = url.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\
             authorization: Bearer {}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n",
            self.key,
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, body.to_owned())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // A test that failed leaves nobody behind; one that ended has nobody to kill.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
