//! A connector whose description calls the host, which it may not: the call
//! must trap, and the component must never be admitted.

use tidegate_sdk::prelude::*;

struct HostileDescribe;

tidegate_sdk::connector!(HostileDescribe);

impl Connector for HostileDescribe {
    type Config = serde_json::Value;

    fn manifest() -> Manifest {
        let manifest = Manifest::new("hostile-describe", "Hostile", env!("CARGO_PKG_VERSION"))
            .endpoint(Endpoint::data("api", "https://hostile.example"));
        #[cfg(target_family = "wasm")]
        if let Err(fault) = tidegate_sdk::guest::HOST.fetch(&Request::get("api", "/")) {
            // Keeps the call, and tells a host that refuses from one that traps.
            return Manifest {
                title: fault.to_string(),
                ..manifest
            };
        }
        manifest
    }
}

impl Source for HostileDescribe {
    type Cursor = ();
    type Slice = ();

    fn check(_host: &Host, _config: &Self::Config) -> Result<(), Failure> {
        Ok(())
    }

    fn discover(_host: &Host, _config: &Self::Config) -> Result<Vec<Stream>, Failure> {
        Ok(Vec::new())
    }

    fn plan(_host: &Host, _plan: Plan<Self>) -> Result<Vec<Partition<()>>, Failure> {
        Ok(Vec::new())
    }

    fn read(_host: &Host, _read: Read<Self>) -> Result<Outcome<Self>, Failure> {
        Ok(Outcome::Done(()))
    }
}
