//! A real S3 server for the tests: SeaweedFS on loopback ports.

use crate::project::Project;
use crate::python::Python;
use crate::stages::now;
use anyhow::{Context as _, bail};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const BUCKET: &str = "tidegate";
const ACCESS_KEY: &str = "tidegate-ci";
const SECRET_KEY: &str = "tidegate-ci-secret";
const START_SECONDS: u64 = 60;
const STOP_SECONDS: u64 = 20;

/// The running server; stopped when dropped.
pub(crate) struct Seaweed {
    child: Child,
    directory: PathBuf,
    s3_port: u16,
    metrics_port: u16,
}

impl Seaweed {
    /// Starts the server with an empty directory and waits until it answers.
    pub(crate) fn start(project: &Project, python: &Python) -> anyhow::Result<Seaweed> {
        let directory = project.path(&format!("target/ci/seaweedfs-{}", std::process::id()));
        std::fs::create_dir_all(&directory)?;
        let identities = directory.join("identities.json");
        std::fs::write(&identities, identities_json())?;
        let log = directory.with_file_name("seaweedfs.log");
        let ports = free_ports::<11>()?;
        let [
            master,
            master_grpc,
            volume,
            volume_grpc,
            filer,
            filer_grpc,
            s3,
            s3_grpc,
            ..,
        ] = ports;
        let [.., admin, admin_grpc, metrics] = ports;

        let mut command = bound_to_our_life(project, &python.program("weed"));
        command.args([
            "-logtostderr=true",
            "mini",
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
        ]);
        command.args([
            "-master.telemetry=false",
            "-webdav=false",
            "-admin.ui=false",
        ]);
        command.args(["-s3.port.iceberg=0", "-s3.port.lance=0", "-volume.max=100"]);
        for (name, port) in [
            ("master.port", master),
            ("master.port.grpc", master_grpc),
            ("volume.port", volume),
            ("volume.port.grpc", volume_grpc),
            ("filer.port", filer),
            ("filer.port.grpc", filer_grpc),
            ("s3.port", s3),
            ("s3.port.grpc", s3_grpc),
            ("admin.port", admin),
            ("admin.port.grpc", admin_grpc),
            ("metricsPort", metrics),
        ] {
            command.arg(format!("-{name}={port}"));
        }
        command.arg(format!("-bucket={BUCKET}"));
        command.arg(format!("-dir={}", directory.display()));
        command.arg(format!("-s3.config={}", identities.display()));
        // Socket paths are short by law, and the checkout may lie deep.
        command.arg(format!("-s3.localSocket=/tmp/tidegate-ci-{s3}.sock"));
        command.arg(format!("-filer.localSocket=/tmp/tidegate-ci-{filer}.sock"));
        command.stdout(Stdio::null()).stderr(File::create(&log)?);

        let child = command
            .spawn()
            .context("cannot start weed, the SeaweedFS server")?;
        let mut server = Seaweed {
            child,
            directory,
            s3_port: s3,
            metrics_port: metrics,
        };
        server
            .wait_until_ready(filer)
            .with_context(|| format!("SeaweedFS did not start; its log is {}", log.display()))?;
        eprintln!(
            "SeaweedFS answers at {} as process {}",
            server.endpoint(),
            server.child.id()
        );
        Ok(server)
    }

    /// The settings that the tests and the bench read.
    pub(crate) fn environment(&self) -> [(&'static str, String); 6] {
        let metrics = format!("http://127.0.0.1:{}/metrics", self.metrics_port);
        [
            ("TIDEGATE_TEST_S3_ENDPOINT", self.endpoint()),
            ("TIDEGATE_TEST_S3_BUCKET", BUCKET.to_owned()),
            ("TIDEGATE_TEST_S3_ACCESS_KEY", ACCESS_KEY.to_owned()),
            ("TIDEGATE_TEST_S3_SECRET_KEY", SECRET_KEY.to_owned()),
            ("TIDEGATE_TEST_S3_PID", self.child.id().to_string()),
            ("TIDEGATE_TEST_S3_METRICS", metrics),
        ]
    }

    fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.s3_port)
    }

    fn wait_until_ready(&mut self, filer_port: u16) -> anyhow::Result<()> {
        let deadline = now() + Duration::from_secs(START_SECONDS);
        let bucket = format!("/buckets/{BUCKET}/");
        while now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                bail!("it ended with {status}");
            }
            // An unsigned request is refused by a server that is ready.
            let ready = status_of(filer_port, &bucket) == Some(200)
                && status_of(self.s3_port, "/") == Some(403);
            if ready {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        bail!("it did not answer within {START_SECONDS} s")
    }
}

impl Drop for Seaweed {
    fn drop(&mut self) {
        let pid = self.child.id().to_string();
        let asked = Command::new("kill").args(["-TERM", &pid]).status();
        let deadline = now() + Duration::from_secs(STOP_SECONDS);
        while asked.is_ok() && now() < deadline && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(100));
        }
        // Nothing is left to do about a failure here; the directory is below target/.
        self.child.kill().ok();
        self.child.wait().ok();
        std::fs::remove_dir_all(&self.directory).ok();
    }
}

/// The server dies with this process, even if this process is killed. Where there
/// is no `setpriv` (it comes with every Linux), only an orderly end stops it.
fn bound_to_our_life(project: &Project, program: &PathBuf) -> Command {
    let available = Command::new("setpriv").arg("--version").output().is_ok();
    if available {
        let mut command = project.command("setpriv");
        command.args(["--pdeathsig", "TERM"]).arg(program);
        command
    } else {
        project.command(program)
    }
}

fn identities_json() -> String {
    format!(
        r#"{{"identities":[{{"name":"ci","credentials":[{{"accessKey":"{ACCESS_KEY}","secretKey":"{SECRET_KEY}"}}],"actions":["Admin","Read","Write","List","Tagging"]}}]}}"#
    )
}

/// Ports that were free a moment ago, all different.
fn free_ports<const N: usize>() -> anyhow::Result<[u16; N]> {
    let mut ports = [0; N];
    let mut held = Vec::new();
    for port in &mut ports {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        *port = listener.local_addr()?.port();
        held.push(listener);
    }
    Ok(ports)
}

/// The status of a plain GET, if anybody answers.
fn status_of(port: u16, path: &str) -> Option<u16> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
    write!(
        stream,
        "GET {path} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\n\r\n"
    )
    .ok()?;
    let mut head = [0; 12];
    stream.read_exact(&mut head).ok()?;
    std::str::from_utf8(&head[9..]).ok()?.parse().ok()
}
