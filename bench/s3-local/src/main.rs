//! The endpoint as a process of its own, until it is interrupted.

use clap::Parser;
use s3_local::S3Local;
use std::path::PathBuf;

/// An S3 endpoint on the loopback interface, kept in a directory.
#[derive(Parser)]
struct Arguments {
    /// Where the buckets are kept.
    root: PathBuf,
    /// 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    #[arg(long)]
    access_key: String,
    #[arg(long, env = "S3_LOCAL_SECRET_KEY")]
    secret_key: String,
    /// Made at start; may be given several times.
    #[arg(long)]
    bucket: Vec<String>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let endpoint = S3Local::start(
        &arguments.root,
        arguments.port,
        &arguments.access_key,
        &arguments.secret_key,
    )
    .await?;
    for bucket in &arguments.bucket {
        endpoint.create_bucket(bucket)?;
    }
    #[expect(clippy::print_stdout, reason = "the caller reads the address here")]
    {
        println!("{}", endpoint.endpoint());
    }
    tokio::signal::ctrl_c().await?;
    endpoint.shutdown().await;
    Ok(())
}
